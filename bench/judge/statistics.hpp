#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace sockeye::bench {

struct interval {
    double lo = 0;
    double hi = 0;

    [[nodiscard]] bool contains(double value) const noexcept { return lo <= value && value <= hi; }
};

/// The middle value, or the mean of the two in the middle. Requires: not empty.
[[nodiscard]] double median(std::span<const double> values);

/// The median distance from the median, as a share of the median. Requires: not empty.
[[nodiscard]] double relative_spread(std::span<const double> values);

/// An interval that holds the true median with at least 95 % certainty, whatever the shape of
/// the distribution: two of the values themselves. Nothing for fewer than six values.
[[nodiscard]] std::optional<interval> median_interval(std::span<const double> values);

/// How sure an interval is where nothing else is said.
inline constexpr double usual_confidence = 0.95;

/// The critical value of Wilcoxon's signed-rank test for `count` pairs, two-sided: the largest rank
/// sum that is still significant. Nothing for fewer than six pairs, at 99 % fewer than eight.
[[nodiscard]] std::optional<std::size_t> signed_rank_critical(std::size_t count,
                                                              double confidence = usual_confidence);
/// The fewest pairs that have one.
[[nodiscard]] std::size_t signed_rank_pairs_min(double confidence);

/// The median of all pairwise means (Hodges and Lehmann's estimate). Requires: not empty.
[[nodiscard]] double hodges_lehmann(std::span<const double> values);

/// The interval of that estimate from the exact distribution of Wilcoxon's signed-rank sum, with
/// at least that certainty. Nothing for too few values: see signed_rank_critical().
[[nodiscard]] std::optional<interval> signed_rank_interval(std::span<const double> values,
                                                           double confidence = usual_confidence);

/// How many times `base` the `subject` is, from rounds in which both took their turn.
struct ratio {
    double estimate = 1;
    std::optional<interval> bounds;
    std::size_t pairs = 0;
};

/// Pairs the rounds and works on the logarithms, so that 2 and 1/2 are equally far from 1.
/// Requires: equally many, at least one, all above 0.
[[nodiscard]] ratio paired_ratio(std::span<const double> subject, std::span<const double> base,
                                 double confidence = usual_confidence);

/// The critical value of Mann and Whitney's U for so many values on each side, two-sided at 5 %:
/// the largest U that is still significant. Nothing for too few values.
[[nodiscard]] std::optional<std::size_t> mann_whitney_critical(std::size_t left, std::size_t right);

/// The same as paired_ratio for rounds that have nothing to do with each other: the shift of the
/// logarithms by Hodges and Lehmann, with the exact interval of Mann and Whitney.
/// Requires: neither is empty, all above 0.
[[nodiscard]] ratio unpaired_ratio(std::span<const double> subject, std::span<const double> base);

} // namespace sockeye::bench
