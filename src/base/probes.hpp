#pragma once

#include "base/platform.hpp"

#include <cstddef>
#include <cstdint>

/// Places where a running program can be watched from outside, by bpftrace, perf or SystemTap: the
/// provider is `sockeye`. Each is one instruction that does nothing, and a note in the object file;
/// nothing is computed for it. `loop` is the same number for all of one loop.
///
///     bpftrace -p PID -e 'usdt:*:sockeye:received { @bytes = hist(arg2); }'
///
/// Where the build found no <sys/sdt.h> there are none of them, and with -Dprobes=disabled.
namespace sockeye::probes {

inline void turn_begins(const void* loop) noexcept {
    SOCKEYE_PROBE1(turn_begins, loop);
}
/// `events` is what the loop was told of since it was made.
inline void turn_ends(const void* loop, std::uint64_t events) noexcept {
    SOCKEYE_PROBE2(turn_ends, loop, events);
}
/// `took` nanoseconds, together with up to seven handlers before it unless the loop has
/// loop_options::on_slow_handler; from loop_options::slow_handler_time on, or 10 ms.
inline void slow_handler(const void* loop, std::int64_t took) noexcept {
    SOCKEYE_PROBE2(slow_handler, loop, took);
}

inline void accepted(const void* loop, int fd) noexcept {
    SOCKEYE_PROBE2(accepted, loop, fd);
}
/// A newcomer was closed at once: there are no more descriptors.
inline void shed(const void* loop, int listener) noexcept {
    SOCKEYE_PROBE2(shed, loop, listener);
}
/// A connection is up, whoever began it.
inline void opened(const void* loop, int fd) noexcept {
    SOCKEYE_PROBE2(opened, loop, fd);
}
/// `reason` is a close_reason, `error` the number of its error code.
inline void closed(const void* loop, int fd, int reason, int error) noexcept {
    SOCKEYE_PROBE4(closed, loop, fd, reason, error);
}

/// Of a connection, one call of the system.
inline void received(const void* loop, int fd, std::size_t bytes) noexcept {
    SOCKEYE_PROBE3(received, loop, fd, bytes);
}
inline void sent(const void* loop, int fd, std::size_t bytes) noexcept {
    SOCKEYE_PROBE3(sent, loop, fd, bytes);
}
inline void datagrams_received(const void* loop, int fd, std::size_t count) noexcept {
    SOCKEYE_PROBE3(datagrams_received, loop, fd, count);
}
inline void datagrams_sent(const void* loop, int fd, std::size_t count) noexcept {
    SOCKEYE_PROBE3(datagrams_sent, loop, fd, count);
}
/// The send queue of a connection is past its limit, which ends it.
inline void queue_full(const void* loop, int fd, std::size_t bytes) noexcept {
    SOCKEYE_PROBE3(queue_full, loop, fd, bytes);
}

} // namespace sockeye::probes
