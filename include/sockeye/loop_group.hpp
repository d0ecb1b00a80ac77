#pragma once

#include <sockeye/serve.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>

namespace sockeye {

/// How connections reach the loops of a group.
enum class spread : std::uint8_t {
    /// The first loop accepts for all and hands each connection to the loop that has fewest.
    least_connections,
    /// The first loop accepts for all and hands the connections over in turn.
    round_robin,
    /// Each loop listens on a socket of its own that shares the port, and the system chooses by a
    /// hash of the addresses. TCP only, where the system balances (Linux, FreeBSD).
    reuse_port,
    /// The same, but a connection goes to the loop that is pinned to the CPU on which it arrived.
    /// Linux only, and for groups with pin_cpus and no more threads than CPUs.
    reuse_port_by_cpu,
    /// All loops watch one socket, and whoever is idle accepts; the busy get fewer. epoll only.
    exclusive,
};

/// What a loop_group is made with.
struct loop_group_options {
    /// How many loops, each on a thread of its own. 0: one for each CPU this process may use.
    std::size_t threads = 0;
    /// Each thread stays on one of these CPUs, in turn. Refused with not_supported where the system
    /// cannot.
    bool pin_cpus = false;
    /// Threads are called NAME/0, NAME/1, ..., where the system has names for them.
    std::string name = "sockeye";
    /// What the loop of that index is made with. Called once for each loop, on the caller's thread;
    /// without it all are made with the defaults.
    unique_function<loop_options(std::size_t index)> make_loop_options = {};
};

/// How a loop_group serves.
struct group_serve_options {
    sockeye::spread spread = sockeye::spread::least_connections;
    /// Of these, connections_max is shared out evenly among the loops, connections_per_source_max
    /// is for all of them together, and reuse_port is set where `spread` wants it.
    serve_options listen = {};
};

/// How a loop_group serves datagrams.
struct group_datagram_options {
    /// Each loop has a socket of its own: reuse_port and reuse_port_by_cpu only. All datagrams of
    /// one peer go to the same loop with the first, and to that of the CPU on which they arrive
    /// with the second.
    sockeye::spread spread = sockeye::spread::reuse_port;
    /// Of each of the sockets; reuse_port is set.
    datagram_options socket = {};
};

/// Moves a connection to the loop of `target`, of a group or not.
///
/// It is no longer read here, and its session hears on_close with close_reason::taken. There
/// `arrive` is called on the loop's thread, once, with a stream that nobody reads until attach(),
/// of the same limits; or with the error of adopt(). What the peer sends meanwhile waits in the
/// kernel: no byte is lost or comes twice.
///
/// Errors: as stream::release, operation_in_progress while bytes are unsent above all;
/// operation_canceled where `target` is gone or takes no more posts. Then nothing has changed.
/// Throws bad_alloc, and then neither. Threads: that of the stream's loop.
std::error_code move_to(stream& link, const remote& target,
                        unique_function<void(result<stream>)> arrive);

struct loop_group_core;

/// Loops on threads of their own, and the servers they run together.
///
/// A connection is made on the loop that serves it: its session is made, called and destroyed on
/// that loop's thread. The group owns what it serves.
///
/// An exception that leaves a handler, where its loop has no on_exception, and an error of a loop
/// end the group as stop() does; join() tells.
/// Threads: one that is none of its loops'; stop() and what tells are for any thread.
/// Lifetime: its destructor stops the loops after their current turn, in silence, and joins them.
class loop_group {
public:
    /// Errors: throws std::system_error where open() gives an error.
    explicit loop_group(loop_group_options options = {});
    /// Errors: what loop::open says, resource_unavailable_try_again where there is no thread to be
    /// had, not_supported for pin_cpus.
    static result<loop_group> open(loop_group_options options = {});
    loop_group(loop_group&& other) noexcept;
    loop_group& operator=(loop_group&& other) noexcept;
    ~loop_group();

    /// Serves every connection to `local` with a Session of its own, as serve() does, and says
    /// where, with the port that the system chose for port 0.
    ///
    /// Each loop keeps a copy of `args`, from which its sessions are made on its thread: what they
    /// refer to (std::ref, pointers) is used by all threads at once, and must bear that.
    /// Errors: as serve(); not_supported where the system or its backend cannot spread in that way,
    /// invalid_argument where the group is not made for it, errc::loop_running on a thread of the
    /// group, operation_canceled once it is ending. Then nothing is served.
    template <typename Session, typename... Args>
    requires(stream_session<Session>) result<endpoint> serve(listen_argument local,
                                                             const group_serve_options& options,
                                                             const Args&... args) {
        return start(std::move(local), options,
                     [&] { return detail::source_of_sessions<Session>(args...); });
    }
    template <typename Session, typename... Args>
    requires(stream_session<Session> && !(std::is_same_v<Args, group_serve_options> ||
                                          ...)) result<endpoint> serve(listen_argument local,
                                                                       const Args&... args) {
        return serve<Session>(std::move(local), group_serve_options{}, args...);
    }

    /// The same with one callable for all connections of a loop: each loop has a copy of its own.
    template <typename Callable>
    requires(stream_service<Callable>) result<endpoint> serve(listen_argument local,
                                                              const group_serve_options& options,
                                                              const Callable& callable) {
        return start(std::move(local), options, [&] { return detail::shared_source(callable); });
    }
    template <typename Callable>
    requires(stream_service<Callable>) result<endpoint> serve(listen_argument local,
                                                              const Callable& callable) {
        return serve(std::move(local), group_serve_options{}, callable);
    }

    /// Serves the datagrams that come to `local`, each loop with a socket and a copy of `callable`
    /// of its own, and says where. Errors: as datagram_socket::open, and as above; not_supported
    /// for other spreads, other sockets than UDP, and where the system does not share a port out.
    template <typename Callable>
    requires(datagram_service<Callable> && !stream_service<Callable>) result<endpoint> serve(
        const endpoint_argument& local, const group_datagram_options& options,
        const Callable& callable) {
        return start(local, options,
                     [&](loop& owner, const endpoint& where, const datagram_options& each) {
                         return sockeye::serve(owner, where, each, callable);
                     });
    }
    template <typename Callable>
    requires(datagram_service<Callable> &&
             !stream_service<Callable>) result<endpoint> serve(const endpoint_argument& local,
                                                               const Callable& callable) {
        return serve(local, group_datagram_options{}, callable);
    }

    /// The same with a Session for each loop, made on its thread with `args`, and destroyed there.
    template <typename Session, typename... Args>
    requires(datagram_session<Session>) result<endpoint> serve(
        const endpoint_argument& local, const group_datagram_options& options,
        const Args&... args) {
        return start(local, options,
                     [&](loop& owner, const endpoint& where, const datagram_options& each) {
                         return sockeye::serve<Session>(owner, where, each, args...);
                     });
    }
    template <typename Session, typename... Args>
    requires(datagram_session<Session> &&
             !(std::is_same_v<Args, group_datagram_options> ||
               ...)) result<endpoint> serve(const endpoint_argument& local, const Args&... args) {
        return serve<Session>(local, group_datagram_options{}, args...);
    }

    // Three ways to end it; join() waits for the end.
    /// Nothing more is accepted, sockets of datagrams close, connections close once their output is
    /// sent, and the loops end when nothing is left on them.
    void close();
    /// The same, but connections go on, and are aborted where they are still open after `deadline`.
    void drain(duration deadline);
    /// The loops end after their current turn; what is open closes in silence. Threads: any.
    void stop() noexcept;

    /// Waits until all loops have ended. The first error of any of them; throws what a handler
    /// threw. errc::loop_running on a thread of the group. A second call returns at once.
    std::error_code join();

    [[nodiscard]] std::size_t size() const noexcept;
    /// What that loop has done, when all have ended; until then ask it itself, by its mailbox.
    /// Requires: join() has returned; index < size().
    [[nodiscard]] const loop_counters& counters(std::size_t index) const noexcept;
    /// The mailbox of that loop. Requires: index < size(). Threads: any.
    [[nodiscard]] sockeye::remote remote(std::size_t index) const;
    /// Open connections of that loop's servers; those that were taken over do not count.
    /// Requires: index < size(). Threads: any.
    [[nodiscard]] std::size_t connection_count(std::size_t index) const;
    /// Of all loops.
    [[nodiscard]] std::size_t connection_count() const;

private:
    explicit loop_group(std::unique_ptr<loop_group_core> core) noexcept;
    result<endpoint> start(listen_argument local, const group_serve_options& options,
                           unique_function<session_source()> make);
    using socket_maker =
        unique_function<result<datagram_socket>(loop&, const endpoint&, const datagram_options&)>;
    result<endpoint> start(const endpoint_argument& local, const group_datagram_options& options,
                           socket_maker make);

    std::unique_ptr<loop_group_core> core_;
};

} // namespace sockeye
