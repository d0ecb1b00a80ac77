#pragma once

#include <sockeye/datagram_socket.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/error.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/loop_group.hpp>
#include <sockeye/serve.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <system_error>
#include <utility>
#include <vector>

namespace sockeye::cli {

/// What servers have done, in all.
struct traffic {
    std::uint64_t accepted = 0;
    std::uint64_t open = 0; ///< now
    std::uint64_t datagrams = 0;
    std::uint64_t bytes_in = 0;
    std::uint64_t bytes_out = 0;
    std::uint64_t errors = 0; ///< connections that could not be taken, datagrams that were lost
    std::uint64_t refused = 0;
    std::uint64_t unsent_bytes = 0; ///< now
    // What the loops called for it.
    std::uint64_t waits = 0;
    std::uint64_t events = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t registrations = 0;
    std::uint64_t would_blocks = 0;
    traffic& operator+=(const traffic& other) noexcept;
};

/// The loops on which services run: the program's own, or a group of threads beside it.
///
/// Threads: that of the program's loop. Lifetime: dies before that.
class service_host {
public:
    struct options {
        std::size_t threads = 1; ///< 1: the program's own loop
        backend_kind backend = backend_kind::automatic;
        std::size_t queued_bytes_max = 0; ///< of each loop
        bool reuse_port = false;          ///< threads have listeners of their own
        /// The threads have ended, because of close() or of a failure.
        unique_function<void()> on_threads_gone = {};
    };

    /// Throws command_error where the threads cannot be had.
    service_host(loop& own, options how);
    service_host(const service_host&) = delete;
    service_host& operator=(const service_host&) = delete;
    ~service_host();

    /// Serves connections with a Session each, made with `args`; says where. Errors: as serve().
    template <typename Session, typename... Args>
    result<endpoint> serve_streams(const endpoint& local, const serve_options& options,
                                   const Args&... args);
    /// Serves datagrams with one Session for each loop that has a socket. Those that cannot be
    /// shared out among threads are served on the program's own loop. Errors: as serve().
    template <typename Session, typename... Args>
    result<endpoint> serve_datagrams(const endpoint& local, const datagram_options& options,
                                     const Args&... args);

    /// Stops accepting and closes every connection once its output is sent; no datagram is read
    /// any more.
    void close();
    /// Ends the threads; connections that are open are closed. Throws what a handler of theirs
    /// threw. The error of a loop, where there is one.
    std::error_code finish();

    [[nodiscard]] std::size_t connection_count() const;
    /// Calls `then` once with the sum over all loops, from the program's loop.
    void collect(unique_function<void(const traffic&)> then);
    /// The same at once. Requires: finish() was called, or there are no threads.
    [[nodiscard]] traffic total() const;

private:
    class thread_watcher;

    void lose_thread(const std::exception_ptr& problem);
    result<endpoint> keep(result<server> made);
    result<endpoint> keep(result<datagram_socket> made);

    loop& own_;
    bool reuse_port_;
    unique_function<void()> on_threads_gone_;
    std::size_t threads_left_ = 0; ///< that have not ended
    std::exception_ptr problem_;
    std::vector<server> servers_;
    std::vector<datagram_socket> sockets_;
    std::optional<loop_group> group_;
};

template <typename Session, typename... Args>
result<endpoint> service_host::serve_streams(const endpoint& local, const serve_options& options,
                                             const Args&... args) {
    if (group_) {
        const auto how =
            reuse_port_ && !local.is_local() ? spread::reuse_port : spread::least_connections;
        return group_->serve<Session>(local, {.spread = how, .listen = options}, args...);
    }
    return keep(serve<Session>(own_, local, options, args...));
}

template <typename Session, typename... Args>
result<endpoint> service_host::serve_datagrams(const endpoint& local,
                                               const datagram_options& options,
                                               const Args&... args) {
    if (group_ && local.kind() == transport::udp) {
        auto made = group_->serve<Session>(local, {.socket = options}, args...);
        if (made || made.error() != std::errc::not_supported) {
            return made;
        }
    }
    return keep(serve<Session>(own_, local, options, args...));
}

} // namespace sockeye::cli
