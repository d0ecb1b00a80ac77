#pragma once

#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>

namespace sockeye {

/// How a listener is to accept.
struct listen_options {
    /// Connections that may wait in the kernel. See: listen(2).
    int backlog = 1024;
    /// Open connections of this listener; at the limit it stops accepting until one closes.
    std::size_t connections_max = 1'000'000;
    /// Share the port with other sockets of this user. See: SO_REUSEPORT in socket(7).
    bool reuse_port = false;
    /// Limits of each accepted stream.
    stream_limits limits = {};
    /// What each accepted stream has from the beginning: set once, for the listener.
    stream_options socket = {};
    /// How many may wait whose bytes came in the SYN; 0: bytes are not taken from one. Whoever
    /// sends them may be lying about the address, and they may come twice.
    /// See: RFC 7413, TCP_FASTOPEN in tcp(7).
    int fast_open_queue = 0;
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
    /// not_enough_memory, what socket(2), bind(2) and listen(2) say: address_in_use,
    /// permission_denied, ..., and of the options what stream::set_options says.
    static result<listener> open(loop& owner, const endpoint_argument& local,
                                 const listen_options& options, handler on_accept);

    listener(listener&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    listener& operator=(listener&& other) noexcept;
    ~listener();

    void pause();
    void resume();

    [[nodiscard]] result<endpoint> local_endpoint() const;

private:
    explicit listener(server_core* core) noexcept : core_(core) {}

    server_core* core_;
};

} // namespace sockeye
