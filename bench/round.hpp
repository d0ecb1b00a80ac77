#pragma once

#include "bench/account.hpp"
#include "bench/client/ring.hpp"
#include "bench/client/tally.hpp"
#include "bench/plan.hpp"
#include "bench/progress.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

namespace sockeye::bench {

/// A tenth of a second of a round.
struct round_window {
    std::uint64_t messages = 0;
    std::uint64_t send_lag_max_ns = 0;
    std::uint64_t server_run_delay_ns = 0;
    std::uint64_t client_run_delay_ns = 0;
};

/// A round from its first message on.
struct round_course {
    static constexpr duration window_length = std::chrono::milliseconds(100);

    std::vector<round_window> windows;
    std::size_t warmup = 0; ///< the first so many of them were not measured
    bool has_run_delays = false;
};

/// What one lane did in one round.
struct lane_result {
    std::size_t round = 0;    ///< its number, from 1 on
    std::size_t position = 0; ///< in the order of its round
    double seconds = 0;       ///< of the window
    tally counted;
    std::optional<account> server; ///< of the window; nothing of a server that is not ours
    std::optional<std::uint64_t> server_run_delay_ns;
    std::optional<std::uint64_t> server_resident_bytes;
    /// What the connections of an idle test added to it, each.
    std::optional<double> resident_bytes_per_connection;
    process_times client;
    std::optional<std::uint64_t> client_run_delay_ns;
    std::optional<host::cpu_usage> host; ///< of the CPUs that were used
    double host_seconds = 0;             ///< of them together
    round_course course;
    bool is_overloaded = false;     ///< the server did not keep up with an open loop
    std::vector<std::string> flags; ///< see unsteady_flags(); `lag`
    bool is_repeat = false;         ///< counts instead of one that is_replaced
    bool is_replaced = false;

    [[nodiscard]] double rate() const noexcept {
        return static_cast<double>(counted.messages) / seconds;
    }
    [[nodiscard]] double bytes_per_s() const noexcept {
        return static_cast<double>(counted.bytes) / seconds;
    }
    /// Requires: `server`, and messages, for all below.
    [[nodiscard]] double cpu_ns_per_message() const noexcept {
        return static_cast<double>(server->cpu_ns) / static_cast<double>(counted.messages);
    }
    [[nodiscard]] double system_calls_per_message() const noexcept {
        return static_cast<double>(server->system_calls()) / static_cast<double>(counted.messages);
    }
    [[nodiscard]] double events_per_wait() const noexcept {
        return static_cast<double>(server->events) /
               static_cast<double>(server->waits > 0 ? server->waits : 1);
    }
};

/// Why a round could not be finished: one line for people.
class round_failed : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// The user has pressed Ctrl-C, or the like.
class interrupted {};

/// Runs one lane once: a fresh server, connections, warm-up, window, drain.
///
/// Throws round_failed, and interrupted as soon as host::interrupt() says so.
[[nodiscard]] lane_result run_lane(const plan& whole, const pass& test, const lane& subject,
                                   const ring& content, progress& shown);

} // namespace sockeye::bench
