#pragma once

#include "support/ground.hpp"

#include <memory>

namespace support {

/// One host of a simulated network, without faults, in virtual time. Its multiplexer offers
/// `features`, and its loops believe so.
[[nodiscard]] std::unique_ptr<ground> make_simulated_ground(
    const sockeye::backend_features& features = {.edge = true, .early_close = true});

} // namespace support
