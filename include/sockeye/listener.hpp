#pragma once

#include <sockeye/stream.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace sockeye {

/// How a listener is to accept.
struct listen_options {
    /// Connections that may wait in the kernel. See: listen(2).
    int backlog = 1024;
    /// Open connections of this listener; at the limit it stops accepting until one closes.
    std::size_t connections_max = 1'000'000;
    /// Open connections of one source, which is an IPv4 address or the /64 of an IPv6 one;
    /// newcomers above it are closed at once and counted as refused. 0: no limit of its own.
    /// Refused with not_supported for Unix sockets, whose peers have no address.
    std::size_t connections_per_source_max = 0;
    /// Connections accepted in one turn; others are served in between.
    std::size_t accepts_per_turn = 64;
    /// Share the port with other sockets of this user. See: SO_REUSEPORT in socket(7).
    bool reuse_port = false;
    /// The permissions of a Unix socket's file, as chmod(2) has them: who may not write to it cannot
    /// connect. They hold before anybody can connect, and whatever the umask is. Without them it
    /// has what the umask leaves of 0777. Errors: invalid_argument where there is no file,
    /// not_supported in a simulation.
    std::optional<unsigned> mode;
    /// Replaces the file of a Unix server that is gone: a socket, and connecting to it is refused.
    /// Whatever else is there stays, links are not followed, and of two servers that try it at once
    /// one has address_in_use. One that is bound and does not listen yet counts as gone; who is
    /// there is connected to once. Others must not be able to write to the folder.
    bool replace_stale = false;
    /// Leave newcomers in the kernel until they have sent something, for about that long, in whole
    /// seconds; 0: tell of them at once. Refused with not_supported where the system cannot.
    /// See: TCP_DEFER_ACCEPT in tcp(7).
    duration defer_accept = duration::zero();
    /// Limits of each accepted stream.
    stream_limits limits = {};
};

struct server_core;

/// Accepts connections and hands each to a handler as a stream of its own, which nobody reads
/// until the handler gives it a session (stream::attach) or keeps it.
///
/// Out of descriptors it closes the newcomer at once, counts it as shed, and pauses with a
/// growing delay; it resumes as soon as a descriptor is free. Out of memory it
/// closes the newcomer and pauses likewise.
/// Lifetime: dies before its loop; its destructor stops accepting, the streams live on.
class listener {
public:
    using handler = unique_function<void(stream)>;

    /// Errors: errc::service_mismatch for a datagram endpoint, errc::endpoint_...,
    /// not_enough_memory, and what socket(2), bind(2) and listen(2) say: address_in_use,
    /// permission_denied, ...
    static result<listener> open(loop& owner, const endpoint_argument& local,
                                 const listen_options& options, handler on_accept);

    listener(listener&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    listener& operator=(listener&& other) noexcept;
    ~listener();

    /// Stops accepting; the streams live on.
    void close() noexcept;
    /// Stops and starts accepting; newcomers wait in the kernel's backlog.
    void pause();
    void resume();

    [[nodiscard]] bool is_listening() const noexcept;
    [[nodiscard]] result<endpoint> local_endpoint() const;

private:
    explicit listener(server_core* core) noexcept : core_(core) {}

    server_core* core_;
};

} // namespace sockeye
