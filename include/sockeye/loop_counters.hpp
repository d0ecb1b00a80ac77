#pragma once

#include <sockeye/lag_histogram.hpp>
#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>

namespace sockeye {

/// What a loop has done since it was made. Always counted, costs nearly nothing.
struct loop_counters {
    std::uint64_t turns = 0;
    std::uint64_t waits = 0;         ///< calls of the backend's wait
    std::uint64_t events = 0;        ///< events that the waits brought
    std::uint64_t stale_events = 0;  ///< of these, dropped because their object was gone
    std::uint64_t registrations = 0; ///< calls that changed what the backend watches
    std::uint64_t reads = 0;         ///< receive calls
    std::uint64_t writes = 0;        ///< send calls
    std::uint64_t would_blocks = 0;  ///< of both, those that had to wait
    std::uint64_t bytes_read = 0;
    std::uint64_t bytes_written = 0;
    std::uint64_t datagrams_read = 0;
    std::uint64_t datagrams_written = 0;
    std::uint64_t datagrams_dropped = 0; ///< not sent: refused by the system or a full queue
    std::uint64_t datagram_errors = 0;   ///< what the network reported of single peers
    std::uint64_t accepted = 0;
    std::uint64_t accept_errors = 0;
    std::uint64_t shed = 0;    ///< closed at once for want of descriptors
    std::uint64_t refused = 0; ///< closed at once because their source had its share
    std::uint64_t opened = 0;  ///< connections that came up, both ways
    std::uint64_t closed = 0;  ///< connections that ended
    std::uint64_t posts = 0;   ///< posted tasks that ran
    std::uint64_t timers_fired = 0;
    std::size_t queued_bytes = 0; ///< in all send queues, now, with the cost of entries
    /// The longest time one handler took, to within the time of the seven before it.
    duration longest_handler = duration::zero();
    lag_histogram timer_lag; ///< how long after their deadlines timers fired
    /// How long the handlers of a turn took together: what became ready meanwhile had to wait.
    lag_histogram turn_time;
};

} // namespace sockeye
