#pragma once

#include "net/connecting.hpp"

#include <memory>

namespace sockeye {

/// What only some connections need, or only for a while: made when it is first used.
struct stream_extra {
    std::unique_ptr<connecting_state> connecting; ///< until it is up

    [[nodiscard]] bool is_empty() const noexcept { return connecting == nullptr; }
};

} // namespace sockeye
