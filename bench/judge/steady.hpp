#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace sockeye::bench {

/// Where the warm-up ends by the MSER-5 rule: how many of the first values to leave out, so that
/// the mean of the rest is surest. In steps of five; it looks at the first half alone.
/// See: White, An effective truncation heuristic, 1997.
[[nodiscard]] std::size_t mser5_truncation(std::span<const double> values);

/// How likely so clear a trend is where there is none, two-sided, by Mann and Kendall's test.
/// 1 for fewer than four values.
[[nodiscard]] double mann_kendall_p(std::span<const double> values);

/// The median slope between all pairs of values, for each step (Theil and Sen).
/// Requires: two values at least.
[[nodiscard]] double theil_sen_slope(std::span<const double> values);

/// What is wrong with a window whose slices brought so many messages, in order: `not-warm`,
/// `drift`, `stall`. Nothing for fewer than ten slices.
[[nodiscard]] std::vector<std::string> unsteady_flags(std::span<const double> messages);

/// Whether what waits has grown all through the window, by more than `growth_max`.
[[nodiscard]] bool is_growing(std::span<const double> backlog, double growth_max);

} // namespace sockeye::bench
