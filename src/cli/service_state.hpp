#pragma once

#include "cli/event_log.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/datagram.hpp>
#include <sockeye/datagram_options.hpp>
#include <sockeye/reply_policy.hpp>
#include <sockeye/serve.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>

namespace sockeye::cli {

/// How a service is to treat its peers on one endpoint.
struct service_options {
    serve_options stream;
    datagram_options datagram;
    /// `timestamp` frames by line.
    bool by_lines = false;
    /// Bytes of one line, where a service frames by line.
    std::size_t line_max = std::size_t{64} << 10;
    /// What `greet` says.
    std::string text;
};

/// What the endpoints of one run of services share. Outlives them.
/// Threads: any, but for the members that are set before anything is served.
class service_state {
public:
    // Set before anything is served.
    /// Hears of connections and messages; null: nobody does.
    event_log* log = nullptr;
    /// How long each answer is held back.
    duration delay = duration::zero();
    /// Called, on any thread, when a connection is over or a datagram is answered. May be empty.
    unique_function<void()> on_served;

    void set_policy(reply_options options) { policy_ = reply_policy(std::move(options)); }
    void add_own_port(std::uint16_t port);
    void add_broadcast(const endpoint& address);

    /// Whether `reply` may be sent in answer to `in`; counts and logs what is said.
    [[nodiscard]] bool may_answer(const datagram& in, const endpoint& bound, bytes reply,
                                  time_point now);

    /// Datagrams that were not answered because they did not come whole, because their sender has
    /// no name, or because too many answers were held back already.
    std::atomic<std::uint64_t> unanswered = 0;

    /// How often anything but `allowed` was said.
    [[nodiscard]] std::uint64_t refused() const;
    /// Of these, because nobody who may be answered sends from there.
    [[nodiscard]] std::uint64_t forbidden() const;

private:
    mutable std::mutex guard_;
    reply_policy policy_;
};

} // namespace sockeye::cli
