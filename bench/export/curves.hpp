#pragma once

#include "bench/export/run_view.hpp"

#include <cstdint>
#include <vector>

namespace sockeye::bench::exporting {

/// How many points of a curve there are to a decade of 1 / (1 - p).
inline constexpr std::size_t points_per_decade = 20;

/// Times by percentile: element i is the one of the share 1 - 10^(-i / 20), in nanoseconds.
struct percentile_curve {
    std::vector<double> values;
    /// Where 95 % of 2000 resamplings of the rounds lie; empty where the rounds are not known.
    std::vector<double> lo;
    std::vector<double> hi;
};

/// The times of all rounds of a lane together, as far as ten values lie above; empty where the
/// run holds neither a histogram nor the curves of its rounds, or the server was overloaded.
[[nodiscard]] percentile_curve read_curve(const lane_view& lane, bool is_open, std::uint64_t seed);

/// The buckets of a saved histogram, upwards, and how many values they hold.
struct saved_histogram {
    struct bucket {
        double upper = 0;
        double count = 0;
    };
    std::vector<bucket> buckets;
    double count = 0;

    /// The value that all but `share` do not exceed. Requires: not empty.
    [[nodiscard]] double above(double share) const;
};
[[nodiscard]] saved_histogram read_histogram(const lane_view& lane, bool is_open);

} // namespace sockeye::bench::exporting
