#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>

namespace sockeye {

/// One datagram, received or to be sent. An empty one is a datagram like any other.
///
/// Lifetime: a view. Received ones are lent to the handler until it returns.
struct datagram {
    bytes data;
    /// Who sent it, or whom it is for. Null: the peer that the socket is connected to.
    const endpoint* peer = nullptr;
    /// The datagram was longer than the receive buffer; what did not fit is gone.
    bool is_truncated = false;
};

} // namespace sockeye
