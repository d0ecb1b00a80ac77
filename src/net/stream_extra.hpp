#pragma once

#include "net/connecting.hpp"

#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <system_error>

namespace sockeye {

/// Waits until all that was taken before it has left the queue.
struct sent_waiter {
    std::uint64_t after = 0; ///< as stream_extra::drained counts
    bool is_cancelled = false;
    unique_function<void(std::error_code)> handler;
};

/// A graceful close: what the peer still says is dropped.
struct discarding {
    std::size_t bytes_max;
    std::size_t bytes = 0;
};

/// What only some connections need, or only for a while: made when it is first used.
struct stream_extra {
    std::unique_ptr<connecting_state> connecting; ///< until it is up
    std::deque<sent_waiter> waiters;              ///< in the order of their bytes
    std::uint64_t drained = 0;                    ///< bytes that have left the queue
    std::optional<discarding> discard;

    [[nodiscard]] bool is_needed() const noexcept {
        return connecting != nullptr || !waiters.empty() || discard;
    }
};

} // namespace sockeye
