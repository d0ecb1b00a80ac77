#pragma once

#include <sockeye/time.hpp>

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

namespace sockeye {

/// Asks a silent peer whether it is still there. See: SO_KEEPALIVE in socket(7), tcp(7).
struct keep_alive_options {
    bool is_on = true;
    /// Silence before the first probe, and time between probes; rounded up to whole seconds.
    duration idle = std::chrono::minutes(1);
    duration interval = std::chrono::seconds(10);
    /// Unanswered in a row: then the connection ends with timed_out.
    int probes = 6;
};

/// What the system is to do with a stream's socket. What is not set stays as it is; a new TCP
/// socket of ours is no_delay.
///
/// Set for a listener, before it listens, they hold for every stream that it accepts, without a
/// call for each. There is no option to linger in close(2), which would stop the loop:
/// stream_limits::linger is the time that close() has, and abort() drops what is unsent.
struct stream_options {
    /// Small segments leave at once. See: TCP_NODELAY.
    std::optional<bool> no_delay = {};
    std::optional<keep_alive_options> keep_alive = {};
    /// How long sent bytes may stay unacknowledged before the connection ends with timed_out, in
    /// milliseconds, rounded up; 0: as long as the system tries. See: TCP_USER_TIMEOUT, RFC 5482.
    std::optional<duration> user_timeout = {};
    /// The kernel calls the stream writable only while it holds fewer unsent bytes than this; 0: as
    /// the system does. See: TCP_NOTSENT_LOWAT.
    std::optional<std::size_t> not_sent_low_at = {};
    /// Acknowledges at once, until the system thinks better of it; not for listeners.
    /// See: TCP_QUICKACK.
    std::optional<bool> quick_ack = {};
    /// The algorithm, by its name: "cubic", "reno", ... See: TCP_CONGESTION.
    std::optional<std::string> congestion_control = {};
    /// Bytes of the kernel's buffers, which may make more of it: Linux doubles it. Receive buffers
    /// count from the handshake on: set them for the listener, or in connect_options.
    std::optional<std::size_t> send_buffer = {};
    std::optional<std::size_t> receive_buffer = {};
};

} // namespace sockeye
