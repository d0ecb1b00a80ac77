#pragma once

#include "cli/common.hpp"
#include "cli/control_port.hpp"
#include "cli/event_log.hpp"
#include "cli/service.hpp"
#include "cli/service_host.hpp"
#include "cli/service_state.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/time.hpp>
#include <sockeye/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {

/// One service on one endpoint, before it is started.
struct assignment {
    const service* what;
    endpoint local;
    service_options options;
};

/// What holds for all services of one run.
struct serving_options {
    std::uint64_t connections_max = 1; ///< for the first line
    std::size_t threads = 1;
    std::size_t queued_bytes_max = 0; ///< of each thread
    std::size_t log_lines_per_second = 10;
    bool reuse_port = false;
    bool is_once = false; ///< ends after the first connection or answer
    reply_options replies;
    duration delay = duration::zero();
    duration stop_time = std::chrono::seconds(10); ///< for what is unsent at the end
    std::optional<duration> stats_period;
    std::optional<endpoint> control; ///< where `bench` may ask
};

/// Services at work, from their start to the line of totals.
class serving {
public:
    /// Throws command_error.
    serving(const common_options& common, serving_options options);
    serving(const serving&) = delete;
    serving& operator=(const serving&) = delete;

    /// Throws command_error; whatever was started until then is closed.
    /// Lifetime: `work` outlives this.
    void start(const std::vector<assignment>& work);
    /// Until a signal, or --once, ends it. Throws command_error.
    void run();

private:
    void watch_signals();
    void start_one(const assignment& entry);
    void start_control();
    void announce(const std::vector<assignment>& work) const;
    void stop();
    void look_at_drain();
    void report(const traffic& now);
    [[nodiscard]] std::string totals(const traffic& did) const;
    void talk(const std::string& line) const;

    const common_options& common_;
    const serving_options options_;
    const time_point started_ = clock::now();
    event_log log_;
    service_state state_;
    loop loop_;
    service_host host_;
    std::vector<endpoint> places_; ///< as bound, in the order of the work
    std::optional<control_port> control_;
    std::optional<signal_set> stop_signals_;
    std::optional<signal_set> report_signal_;
    timer drain_timer_;
    timer stats_timer_;
    time_point drain_deadline_;
    bool is_stopping_ = false;
    std::size_t unfinished_ = 0; ///< connections that were cut off
    traffic last_report_;
    time_point last_reported_;
};

} // namespace sockeye::cli
