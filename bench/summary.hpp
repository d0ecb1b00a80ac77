#pragma once

#include "bench/histogram.hpp"
#include "bench/run.hpp"
#include "bench/statistics.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// What a number of a lane is compared by. Ratios are times the baseline, above 1 always better.
enum class metric : std::uint8_t { rate, cpu };

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

/// What all rounds of a lane come to. What its server does not tell is absent.
struct lane_summary {
    const lane* what = nullptr;
    const std::vector<lane_result>* rounds = nullptr;
    estimate rate;
    std::optional<estimate> cpu_ns; ///< of the server, per message
    std::optional<double> system_calls;
    std::optional<double> events_per_wait;
    std::optional<double> resident_bytes_per_connection;
    histogram service; ///< of all rounds together
    std::optional<comparison> by_rate;
    std::optional<comparison> by_cpu;
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

/// Lifetime: `record` outlives the summary. Requires: one whole round at least.
[[nodiscard]] pass_summary summarize(const pass_record& record, std::string_view baseline);

/// The word for a ratio. `control` is the interval of two identical servers, if that was measured.
[[nodiscard]] verdict judge(const ratio& found, const std::optional<ratio>& control);

/// The comparison of a lane by that metric, if there is one.
[[nodiscard]] const comparison* compared(const lane_summary& lane, metric by) noexcept;

} // namespace sockeye::bench
