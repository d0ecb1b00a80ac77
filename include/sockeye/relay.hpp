#pragma once

#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <system_error>
#include <utility>

namespace sockeye {

struct relay_core;

/// What a relay has done, when it is over.
struct relay_end {
    std::uint64_t bytes_forward = 0; ///< from the first stream to the second
    std::uint64_t bytes_back = 0;
    /// None where both streams ended in good order.
    std::error_code error;
};

/// Joins two streams: what one says the other hears, both ways, until both have ended.
///
/// Reads from one only while the queue of the other is below its high mark; a long queue of one
/// does not keep it from being read, so that neither direction waits for the other. The end of one
/// direction (FIN) is passed on, and the other direction goes on. Where one stream breaks, the
/// other is reset. The limits are the streams' own: one that was idle for too long breaks both.
/// Lifetime: dies before its loop; its destructor closes both streams in silence. What was read is
/// still sent, within their linger times.
class relay {
public:
    using handler = unique_function<void(const relay_end&)>;

    /// Calls `on_end` once, when both streams are closed; it may destroy the relay. Throws
    /// bad_alloc, and then both streams are closed.
    ///
    /// Requires: both are of one loop, and have no session: from a listener, adopt(), or moved out
    /// of their sessions.
    relay(stream first, stream second, handler on_end = {});
    relay(relay&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    relay& operator=(relay&& other) noexcept;
    ~relay();

    /// Leaves both streams to the loop; `on_end` is called all the same.
    void detach() noexcept;
    /// False when both streams are closed, or it owns none.
    [[nodiscard]] bool is_open() const noexcept;

private:
    relay_core* core_;
};

} // namespace sockeye
