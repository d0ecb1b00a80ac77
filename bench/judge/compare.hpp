#pragma once

#include "bench/judge/statistics.hpp"
#include "bench/judge/summary.hpp"
#include "bench/saved_run.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// A saved run, or one lane of it.
struct compared_side {
    saved_run run;
    std::optional<std::string> lane;
};

/// One number of one lane, as both sides have it.
struct comparison_row {
    enum class unit : std::uint8_t { rate, time };

    std::string name; ///< `throughput epoll`, `throughput epoll p99`
    std::string test;
    unit what = unit::rate;
    double before = 0; ///< the medians
    double after = 0;
    ratio times_better; ///< above 1: the second side is better, whatever the number is
    std::optional<ratio> noise;
    verdict said = verdict::none;
};

struct comparison_report {
    std::vector<comparison_row> rows;
    std::vector<std::string> noise;       ///< of the controls: `throughput two-cores: 0.98..1.02`
    std::vector<std::string> differences; ///< of the machines and builds: `kernel 6.1 -> 6.18`
    bool is_paired = false;               ///< lanes of one run, whose rounds took turns
};

/// Compares the lanes that both sides have; or, where each side is one lane, these two.
///
/// Of two runs the rounds are not paired: the shift of the logarithms by Hodges and Lehmann, with
/// the exact interval of Mann and Whitney. Throws cli::command_error with exit_usage where there
/// is nothing to compare, and where the loads differ and `is_forced` is not set.
[[nodiscard]] comparison_report compare_runs(const compared_side& before,
                                             const compared_side& after, bool is_forced);

/// How many rounds it would take to tell more, where the verdict is unclear.
[[nodiscard]] std::optional<std::size_t> rounds_needed(const comparison_row& row);

/// The report as a table for people.
[[nodiscard]] std::string comparison_text(const comparison_report& made,
                                          const compared_side& before, const compared_side& after);

} // namespace sockeye::bench
