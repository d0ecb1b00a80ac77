#pragma once

#include "cli/values.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// A bound on one number of a result, as in `p99<1ms`, `errors>0` or `latency.rate<100k/s`.
struct limit {
    std::string text;      ///< as it was written
    std::string test;      ///< of which test; empty: of all that have the number
    std::string metric;    ///< one of metric_names()
    bool is_above = false; ///< `>`, and not `<`
    double value = 0;      ///< of times: in nanoseconds; of rates: per second

    [[nodiscard]] static cli::parsed<limit> parse(std::string_view text);
    /// Whether `found` is on the side that the text names.
    [[nodiscard]] bool holds(double found) const noexcept {
        return is_above ? found > value : found < value;
    }
};

/// What a limit may be on: `rate`, `p99`, `errors`, ...
[[nodiscard]] const std::vector<std::string_view>& metric_names();

} // namespace sockeye::bench
