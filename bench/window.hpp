#pragma once

#include "bench/client/crew.hpp"
#include "bench/client/driver.hpp"
#include "bench/control_client.hpp"
#include "bench/machine/hardware.hpp"
#include "bench/round.hpp"
#include "bench/server.hpp"

#include <memory>
#include <optional>
#include <vector>

namespace sockeye::bench {

/// A server under test while a round runs: a process of ours, or one that somebody else started.
struct subject_server {
    std::optional<server_process> process;   ///< ours
    std::unique_ptr<control_client> control; ///< tells of one that is not ours, where it does
    endpoint address;
    std::optional<std::uint64_t> resident_at_start;
    hardware_counters hardware = {}; ///< of ours
};

/// Puts one load on a server once: connections, warm-up, a window that is measured, drain.
class window_runner {
public:
    window_runner(const plan& whole, const pass& test, const load& what, subject_server& server,
                  const ring& content, progress& shown);

    /// Throws round_failed and interrupted.
    lane_result run();

private:
    /// Everything that is read at both ends of the window.
    struct snapshot {
        time_point taken;
        std::optional<account> server;
        std::optional<std::uint64_t> server_run_delay_ns;
        std::optional<std::uint64_t> client_run_delay_ns;
        process_times client;
        std::optional<host::cpu_usage> host;
    };
    /// The run delays of both sides so far, at a multiple of round_course::window_length.
    struct delay_sample {
        std::uint64_t server_ns = 0;
        std::uint64_t client_ns = 0;
    };

    void make_drivers(const ring& content);
    /// Has all drivers do it at the same time. Throws what became of them.
    template <typename Job>
    void each(Job job);
    /// Measures the window. Where the load has ended as overload by then, warm-up and all since
    /// `at_start` are the window: later there is nothing to measure.
    void measure(const std::optional<snapshot>& at_start);
    void end_round(time_point sent_until);
    [[nodiscard]] bool has_overflowed() const;
    [[nodiscard]] snapshot take_snapshot();
    [[nodiscard]] process_times client_times() const;
    void sample_delays(time_point now);
    void show_progress(time_point now);
    void note_window(const snapshot& before, const snapshot& after);
    void note_course(time_point window_start, time_point window_end);
    void judge(time_point window_start, time_point window_end);
    [[nodiscard]] host::cpu_list used_cpus() const;
    [[nodiscard]] std::string why_nothing() const;
    void check_result();

    const plan& plan_;
    const pass& pass_;
    const load& load_;
    subject_server& server_;
    progress& shown_;
    crew crew_;
    std::vector<std::unique_ptr<driver>> drivers_;
    lane_result result_;
    time_point start_ = {};
    std::optional<time_point> window_start_;
    std::vector<delay_sample> delays_;
};

} // namespace sockeye::bench
