#pragma once

#include <sockeye/datagram_socket.hpp>
#include <sockeye/error.hpp>
#include <sockeye/listener.hpp>
#include <sockeye/session.hpp>
#include <sockeye/stream.hpp>

#include <functional>
#include <memory>
#include <tuple>
#include <type_traits>
#include <utility>

namespace sockeye {

using serve_options = listen_options;

/// Makes the sessions of one server.
struct session_source {
    const session_table* table;
    /// A new session, or the shared one.
    void* (*make)(void* context);
    bool is_shared;
    std::unique_ptr<void, void (*)(void*)> context;
};

/// Owns a listening socket and every connection it accepted. Its destructor closes them all in
/// silence. One that was moved from or detached owns nothing, and its verbs are harmless.
/// Lifetime: dies before its loop.
class server {
public:
    server(server&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    server& operator=(server&& other) noexcept;
    ~server();

    /// Stops accepting and closes every connection once its output is sent; each hears on_close.
    void close();
    /// Stops accepting; connections that are still open after `deadline` are aborted. When the
    /// last one is gone, `on_drained` is called, once and from the loop. A second call replaces
    /// deadline and handler. Throws bad_alloc, and then nothing has changed.
    void drain(duration deadline, unique_function<void()> on_drained = {});
    /// Gives the listening socket away: no longer watched, neither shut down nor closed, and its
    /// file, where it has one, stays. Connections that are open go on here; newcomers wait in the
    /// backlog for who adopts the socket, so that none is lost.
    /// Errors: not_connected where it does not listen; not_supported in a simulation.
    result<unique_fd> release_listener();
    /// Stops and starts accepting; newcomers wait in the kernel's backlog.
    void pause();
    void resume();
    /// Leaves listener and connections to the loop.
    void detach() noexcept;

    [[nodiscard]] std::size_t connection_count() const noexcept;
    [[nodiscard]] bool is_listening() const noexcept;
    /// Where it listens, with the port that the system chose for port 0.
    [[nodiscard]] result<endpoint> local_endpoint() const;

private:
    friend result<server> start_server(loop&, listen_argument, const serve_options&,
                                       session_source);
    explicit server(server_core* core) noexcept : core_(core) {}

    server_core* core_;
};

/// The part of serve that is no template.
result<server> start_server(loop& owner, listen_argument local, const serve_options& options,
                            session_source source);

template <typename Callable>
concept stream_service = std::is_invocable_v<Callable&, stream&, bytes>;

template <typename Callable>
concept datagram_service =
    std::is_invocable_v<Callable&, datagram_socket&, std::span<const datagram>>;

namespace detail {

template <typename Callable>
inline constexpr session_table callable_table = {
    .size = sizeof(session_table),
    .destroy = nullptr,
    .on_data = [](void* c, stream& link, bytes in) { (*static_cast<Callable*>(c))(link, in); },
    .on_open = nullptr,
    .on_end = nullptr,
    .on_writable = nullptr,
    .on_close = nullptr,
    .on_data_with_descriptors = nullptr,
};

template <typename T>
std::unique_ptr<void, void (*)(void*)> erase(std::unique_ptr<T> owner) {
    return {owner.release(), [](void* p) { delete static_cast<T*>(p); }};
}

/// One callable for all connections.
template <typename Callable>
session_source shared_source(Callable&& callable) {
    using stored = std::decay_t<Callable>;
    static_assert(!datagram_service<stored>,
                  "the callable must serve either (stream&, bytes) or "
                  "(datagram_socket&, std::span<const datagram>), not both");
    return {&callable_table<stored>, [](void* context) { return context; }, true,
            erase(std::make_unique<stored>(std::forward<Callable>(callable)))};
}

/// A Session for each connection, made with what is kept of `args`.
template <typename Session, typename... Args>
session_source source_of_sessions(Args&&... args) {
    using kept = std::tuple<std::decay_t<Args>...>;
    static_assert(std::is_constructible_v<Session, const std::decay_t<Args>&...>,
                  "the session cannot be made from const lvalues of these arguments");
    const auto make = [](void* context) -> void* {
        return std::apply(
            [](const auto&... stored) { return static_cast<void*>(new Session(stored...)); },
            *static_cast<const kept*>(context));
    };
    return {&session_table_of<Session>, make, false,
            erase(std::make_unique<kept>(std::forward<Args>(args)...))};
}

template <typename S>
concept has_on_datagrams = requires(S& s, datagram_socket& socket, std::span<const datagram> in) {
    s.on_datagrams(socket, in);
};
template <typename S>
concept has_on_error = requires(S& s, datagram_socket& socket, const datagram_error& error) {
    s.on_error(socket, error);
};

/// As checked_session, for a class with on_datagrams.
template <typename Session>
struct checked_datagram_session {
    static_assert(has_on_datagrams<Session>,
                  "on_datagrams of a session must be public: "
                  "void on_datagrams(sockeye::datagram_socket&, std::span<const "
                  "sockeye::datagram>)");
    static_assert(has_on_error<Session> || !names_on_error<Session>,
                  "on_error of a session must be public: "
                  "void on_error(sockeye::datagram_socket&, const sockeye::datagram_error&)");
    static_assert(!names_on_data<Session>,
                  "a session serves streams (on_data) or datagrams (on_datagrams), not both");
    static constexpr bool can_receive = has_on_datagrams<Session>;
};

/// A socket whose datagrams go to `session`, which goes with it.
template <typename Session>
result<datagram_socket> open_for(loop& owner, const endpoint_argument& local,
                                 const datagram_options& options,
                                 std::unique_ptr<Session> session) {
    auto* const told = session.get();
    auto made = datagram_socket::open(
        owner, local, options,
        [session = std::move(session)](datagram_socket& socket, std::span<const datagram> in) {
            session->on_datagrams(socket, in);
        });
    if constexpr (has_on_error<Session>) {
        if (made) {
            const auto error =
                made->on_error([told](datagram_socket& socket, const datagram_error& reported) {
                    told->on_error(socket, reported);
                });
            if (error) {
                return error;
            }
        }
    }
    return made;
}

} // namespace detail

/// Sessions of streams, by their on_data.
template <typename Session>
concept stream_session = std::is_class_v<Session> && !detail::names_on_datagrams<Session>;
/// Classes that serve a socket of datagrams, by their on_datagrams.
template <typename Session>
concept datagram_session = detail::names_on_datagrams<Session>;

/// Serves every connection to `local` with one callable; what it reads comes in pieces of any
/// size. When the peer has ended its side, the connection closes once all output is sent.
///
/// Errors: as listener::open; errc::service_mismatch where the endpoint is one of datagrams.
/// Throws what copying the callable throws, bad_alloc where there is no memory to keep it in.
template <typename Callable>
requires(stream_service<std::decay_t<Callable>>) result<server> serve(loop& owner,
                                                                      listen_argument local,
                                                                      const serve_options& options,
                                                                      Callable&& callable) {
    return start_server(owner, std::move(local), options,
                        detail::shared_source(std::forward<Callable>(callable)));
}

template <typename Callable>
requires(stream_service<std::decay_t<Callable>>) result<server> serve(loop& owner,
                                                                      listen_argument local,
                                                                      Callable&& callable) {
    return serve(owner, std::move(local), serve_options{}, std::forward<Callable>(callable));
}

/// Serves the datagrams that come to `local`. Errors: as datagram_socket::open.
template <typename Callable>
requires(datagram_service<std::decay_t<Callable>> && !stream_service<std::decay_t<Callable>>)
    result<datagram_socket> serve(loop& owner, const endpoint_argument& local,
                                  const datagram_options& options, Callable&& callable) {
    return datagram_socket::open(owner, local, options, std::forward<Callable>(callable));
}

template <typename Callable>
requires(datagram_service<std::decay_t<Callable>> && !stream_service<std::decay_t<Callable>>)
    result<datagram_socket> serve(loop& owner, const endpoint_argument& local,
                                  Callable&& callable) {
    return serve(owner, local, datagram_options{}, std::forward<Callable>(callable));
}

/// Serves every connection to `local` with a Session of its own, made with `args`: they are kept
/// as std::thread keeps them (shared state by std::ref) and passed as const lvalues.
///
/// Errors: as above; throws bad_alloc where the arguments cannot be kept. A connection for whose
/// session there is no memory is closed, and counts as an accept error. A Session has on_data and
/// whichever it wants of on_open, on_end, on_writable and on_close. See: session.hpp.
template <typename Session, typename... Args>
requires(stream_session<Session>) result<server> serve(loop& owner, listen_argument local,
                                                       const serve_options& options,
                                                       Args&&... args) {
    return start_server(owner, std::move(local), options,
                        detail::source_of_sessions<Session>(std::forward<Args>(args)...));
}

template <typename Session, typename... Args>
requires(stream_session<Session> && !(std::is_same_v<std::remove_cvref_t<Args>, serve_options> ||
                                      ...)) result<server> serve(loop& owner, listen_argument local,
                                                                 Args&&... args) {
    return serve<Session>(owner, std::move(local), serve_options{}, std::forward<Args>(args)...);
}

/// Serves the datagrams that come to `local` with one Session, made with `args`; it goes with the
/// socket. It has `on_datagrams(datagram_socket&, std::span<const datagram>)`, and where it wants
/// `on_error(datagram_socket&, const datagram_error&)`: see datagram_socket::on_error, whose errors
/// are told here.
/// Errors: as datagram_socket::open. Throws bad_alloc, and what its constructor throws.
template <typename Session, typename... Args>
requires(datagram_session<Session>) result<datagram_socket> serve(loop& owner,
                                                                  const endpoint_argument& local,
                                                                  const datagram_options& options,
                                                                  Args&&... args) {
    if constexpr (detail::checked_datagram_session<Session>::can_receive) {
        return detail::open_for(owner, local, options,
                                std::make_unique<Session>(std::forward<Args>(args)...));
    } else {
        return errc::service_mismatch; // it does not compile
    }
}

template <typename Session, typename... Args>
requires(datagram_session<Session> &&
         !(std::is_same_v<std::remove_cvref_t<Args>, datagram_options> ||
           ...)) result<datagram_socket> serve(loop& owner, const endpoint_argument& local,
                                               Args&&... args) {
    return serve<Session>(owner, local, datagram_options{}, std::forward<Args>(args)...);
}

} // namespace sockeye
