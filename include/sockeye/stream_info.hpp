#pragma once

#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>

namespace sockeye {

/// What the system knows of a TCP connection, at the moment of the call. See: TCP_INFO in tcp(7).
struct stream_info {
    duration round_trip = duration::zero(); ///< smoothed
    duration round_trip_variance = duration::zero();
    duration round_trip_min = duration::zero(); ///< 0 where the system does not say
    std::size_t congestion_window = 0;          ///< bytes
    std::size_t segment_size_max = 0;           ///< bytes of one segment that is sent
    std::size_t unacknowledged_bytes = 0;       ///< in the kernel: in flight, or not sent yet
    std::size_t unsent_bytes = 0;               ///< of these, not sent yet
    std::uint64_t retransmissions = 0;          ///< segments, since the beginning
    std::uint64_t bytes_received = 0;           ///< since the beginning, acknowledged by us
    std::uint64_t bytes_acknowledged = 0;       ///< since the beginning, by the peer
    bool has_fast_open = false;                 ///< bytes travelled in its SYN. See: RFC 7413
};

} // namespace sockeye
