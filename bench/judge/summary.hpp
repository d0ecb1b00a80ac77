#pragma once

#include "bench/histogram.hpp"
#include "bench/judge/statistics.hpp"
#include "bench/run.hpp"

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// What a number of a lane is compared by. Ratios are times the baseline, above 1 always better.
enum class metric : std::uint8_t { rate, cpu, response_p50, response_p99 };

inline constexpr std::array all_metrics = {metric::rate, metric::cpu, metric::response_p50,
                                           metric::response_p99};

[[nodiscard]] std::string_view name_of(metric what) noexcept;

enum class verdict : std::uint8_t {
    none, ///< the baseline itself, too few rounds, or a machine that cannot tell
    faster,
    slower,
    same,
    unclear,
};

[[nodiscard]] std::string_view name_of(verdict what) noexcept;

/// The median over the rounds, and how sure it is.
struct estimate {
    double median = 0;
    std::optional<interval> bounds;
    double spread = 0; ///< relative_spread()
};

struct comparison {
    ratio against_baseline;
    verdict said = verdict::none;
};

/// What the system counted of a server: medians over the rounds. Absent is what it does not count.
struct system_summary {
    std::optional<double> sleeps_per_s;      ///< voluntary switches
    std::optional<double> preemptions_per_s; ///< involuntary ones
    std::optional<double> faults_per_s;
    std::optional<double> instructions_per_message;
    std::optional<double> instructions_per_cycle;
};

/// What all rounds of a lane come to. What its server does not tell is absent.
struct lane_summary {
    const lane* what = nullptr;
    const std::vector<lane_result>* rounds = nullptr;
    estimate rate;
    std::optional<estimate> cpu_ns; ///< of the server, per message
    std::optional<double> system_calls;
    std::optional<double> events_per_wait;
    std::optional<double> resident_bytes_per_connection;
    system_summary system;
    histogram service;  ///< of all rounds together, as the two below
    histogram response; ///< of an open loop
    histogram send_lag;
    /// The percentiles 50, 90, 99 and 99.9 of each round; absent where a round cannot tell.
    std::array<std::optional<estimate>, 4> response_by_round;
    std::size_t overloaded_rounds = 0; ///< of an open loop: percentiles say nothing then
    std::array<std::optional<comparison>, all_metrics.size()> comparisons;
};

struct pass_summary {
    const pass_record* record = nullptr;
    metric primary = metric::rate;   ///< on one core the sharp number is CPU per message
    std::vector<lane_summary> lanes; ///< best first, the control last

    [[nodiscard]] const lane_summary* find(std::string_view name) const noexcept;
    [[nodiscard]] const lane_summary* control() const noexcept;
    /// Two identical servers differ here, so that no other difference means anything.
    [[nodiscard]] bool is_control_off(metric by) const noexcept;
};

/// Differences smaller than this are not called differences.
inline constexpr double difference_min = 0.02;

/// The shares of lane_summary::response_by_round.
inline constexpr std::array response_shares = {0.5, 0.9, 0.99, 0.999};

/// Lifetime: `record` outlives the summary. Requires: one whole round at least.
[[nodiscard]] pass_summary summarize(const pass_record& record, std::string_view baseline,
                                     double confidence = usual_confidence);

/// Only the ratios that the test is judged by: those of the primary metric. The control's is among
/// them. Requires: one whole round at least.
[[nodiscard]] std::vector<ratio> primary_ratios(const pass_record& record,
                                                std::string_view baseline, double confidence);

/// The word for a ratio. `control` is the interval of two identical servers, if that was measured.
[[nodiscard]] verdict judge(const ratio& found, const std::optional<ratio>& control);

/// The comparison of a lane by that metric, if there is one.
[[nodiscard]] const comparison* compared(const lane_summary& lane, metric by) noexcept;
[[nodiscard]] comparison* compared(lane_summary& lane, metric by) noexcept;

} // namespace sockeye::bench
