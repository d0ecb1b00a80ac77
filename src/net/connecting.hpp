#pragma once

#include "loop/loop_core.hpp"

#include <sockeye/endpoint.hpp>

namespace sockeye {

/// What a connection needs until it is up.
struct connecting_state {
    endpoint peer;
    duration retry_delay = std::chrono::milliseconds(1);
    /// What the deadline means: would-block where the last try found a full backlog.
    std::errc late = std::errc::timed_out;
    /// Connect may have left the SYN to the first send. See: TCP_FASTOPEN_CONNECT in tcp(7).
    bool sends_syn = false;

    /// The socket may be connected: finds out, and opens the connection or ends it.
    static void check(slot& place);
    /// Calls connect; registers only after it.
    static void attempt(slot& place);
};

} // namespace sockeye
