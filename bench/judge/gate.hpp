#pragma once

#include "bench/judge/limit.hpp"
#include "bench/judge/summary.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sockeye::bench {

/// What became of one --fail-if.
struct gate_result {
    const limit* what = nullptr;
    /// Where it was crossed, or what came nearest; empty where no result has that number.
    std::string test;
    std::string lane;
    std::optional<double> value; ///< absent where the server was overloaded
    bool is_crossed = false;
};

/// Checks the limits against every lane but the control. Percentiles without a test are those of
/// response times where there is an open loop. Lifetime: `limits` outlives what is returned.
[[nodiscard]] std::vector<gate_result> check_gates(const std::vector<limit>& limits,
                                                   const std::vector<pass_summary>& passes);

/// One line for people: `limit p99>2ms crossed by epoll in latency: 3.4 ms`.
[[nodiscard]] std::string to_string(const gate_result& result);

} // namespace sockeye::bench
