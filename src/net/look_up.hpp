#pragma once

#include "loop/loop_core.hpp"

#include <sockeye/resolver.hpp>

namespace sockeye {

/// What resolve() does, for who keeps no handle. Throws bad_alloc, and then nothing has changed.
[[nodiscard]] slot_key start_look_up(loop_core& core, const endpoint_argument& host,
                                     const look_up_options& options, look_up_handler handler);
/// Ends it in silence; harmless where it is over.
void drop_look_up(loop_core& core, slot_key key) noexcept;

} // namespace sockeye
