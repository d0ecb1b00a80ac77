#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>

#include <chrono>
#include <cstdint>

namespace sockeye {

/// The mark with which routers tell of congestion. See: RFC 3168 section 5.
enum class ecn : std::uint8_t {
    not_capable = 0,
    capable_1 = 1, ///< ECT(1)
    capable_0 = 2, ///< ECT(0)
    congested = 3, ///< CE
};

/// One datagram, received or to be sent. An empty one is a datagram like any other.
///
/// Lifetime: a view. Received ones are lent to the handler until it returns.
struct datagram {
    bytes data;
    /// Who sent it, or whom it is for. Null: the peer that the socket is connected to.
    const endpoint* peer = nullptr;
    /// The address of ours that it came to, or is to leave from. Null: not told, or as the system
    /// chooses. The port is that of the socket, whatever is written here.
    const endpoint* local = nullptr;
    /// To be sent: other than 0, `data` is cut into datagrams of that many bytes, the last one may
    /// be shorter. Received: the size of those that it came merged with.
    std::uint16_t segment_size = 0;
    /// The datagram was longer than the receive buffer; what did not fit is gone.
    bool is_truncated = false;

    /// To be sent with; 0 and not_capable leave what the socket has. Unset in what was received, so
    /// that an answer does not take them over.
    std::uint8_t ttl = 0;
    ecn mark = ecn::not_capable;

    // Received, where datagram_options asked for it; sending takes no notice.
    ecn seen_mark = ecn::not_capable;
    std::uint8_t seen_ttl = 0;         ///< what was left of it (hop limit); 0: not told
    std::uint32_t interface_index = 0; ///< where it came in; 0: not told
    /// When it came, as the system noted; the epoch: not told.
    std::chrono::system_clock::time_point received_at{};
};

} // namespace sockeye
