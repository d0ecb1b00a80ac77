#pragma once

#include "bench/account.hpp"
#include "bench/plan.hpp"
#include "bench/progress.hpp"
#include "bench/ring.hpp"
#include "bench/tally.hpp"

#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>

namespace sockeye::bench {

/// What one lane did in one round.
struct lane_result {
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

    [[nodiscard]] double rate() const noexcept {
        return static_cast<double>(counted.messages) / seconds;
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
