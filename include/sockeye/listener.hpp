#pragma once

#include <sockeye/stream.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <optional>
#include <type_traits>
#include <utility>
#include <variant>

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
    /// Leave newcomers in the kernel until they have sent something, for about that long, in whole
    /// seconds; 0: tell of them at once. Refused with not_supported where the system cannot.
    /// See: TCP_DEFER_ACCEPT in tcp(7).
    duration defer_accept = duration::zero();
    /// The permissions of a Unix socket's file, as chmod(2) has them: who may not write to it
    /// cannot connect. They hold before anybody can connect, and whatever the umask is. Without
    /// them it has what the umask leaves of 0777. Errors: invalid_argument where there is no file,
    /// not_supported in a simulation.
    std::optional<unsigned> mode = {};
    /// Replaces the file of a Unix server that is gone: a socket, and connecting to it is refused.
    /// Whatever else is there stays, links are not followed, and of two servers that try it at once
    /// one has address_in_use. One that is bound and does not listen yet counts as gone; who is
    /// there is connected to once. Others must not be able to write to the folder.
    bool replace_stale = false;
    /// Limits of each accepted stream.
    stream_limits limits = {};
    /// What each accepted stream has from the beginning: set once, for the listener.
    stream_options socket = {};
    /// How many may wait whose bytes came in the SYN; 0: bytes are not taken from one. Whoever
    /// sends them may be lying about the address, and they may come twice.
    /// See: RFC 7413, TCP_FASTOPEN in tcp(7).
    int fast_open_queue = 0;
};

/// Where to listen: an endpoint or its text; or a socket that listens already, which another
/// process opened (inherited_listeners) or released (server::release_listener).
///
/// Such a socket keeps the backlog it has, and its file, where it has one, is not removed.
class listen_argument {
public:
    template <typename Local>
    requires(std::is_constructible_v<endpoint_argument, const Local&>)
        listen_argument(const Local& local)
        : content_(std::in_place_type<endpoint_argument>, local) {}
    listen_argument(unique_fd adopted) noexcept : content_(std::move(adopted)) {}

    /// Null where it is a socket.
    [[nodiscard]] const result<endpoint>* local() const noexcept {
        const auto* const named = std::get_if<endpoint_argument>(&content_);
        return named == nullptr ? nullptr : &named->get();
    }
    /// Empty where it is an endpoint.
    [[nodiscard]] unique_fd take_socket() noexcept {
        auto* const adopted = std::get_if<unique_fd>(&content_);
        return adopted == nullptr ? unique_fd() : std::move(*adopted);
    }

private:
    std::variant<endpoint_argument, unique_fd> content_;
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
    /// permission_denied, ..., and of the options what stream::set_options says. Of a socket that
    /// is there already: bad_file_descriptor, errc::service_mismatch, invalid_argument where it
    /// does not listen or reuse_port is asked for, file_exists when it is watched here,
    /// not_supported in a simulation; it is closed then.
    static result<listener> open(loop& owner, listen_argument local, const listen_options& options,
                                 handler on_accept);

    listener(listener&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    listener& operator=(listener&& other) noexcept;
    ~listener();

    /// Stops accepting; the streams live on.
    void close() noexcept;
    /// Gives the listening socket away, for another process or loop to accept on: as
    /// server::release_listener.
    result<unique_fd> release();
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
