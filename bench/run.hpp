#pragma once

#include "bench/judge/precision.hpp"
#include "bench/plan.hpp"
#include "bench/progress.hpp"
#include "bench/round.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace sockeye::bench {

/// One pass of the plan and what its whole rounds brought.
struct pass_record {
    pass what;
    /// lanes[l][r] is what lane l did in round r; all lanes have equally many.
    std::vector<std::vector<lane_result>> lanes;
    /// For each lane, the rounds that were disturbed and run again, which do not count.
    std::vector<std::vector<lane_result>> replaced;
    ending ended = ending::none; ///< of --rounds auto

    [[nodiscard]] std::size_t rounds() const noexcept { return lanes.front().size(); }
};

/// A run, whole or not.
struct run_record {
    std::vector<pass_record> passes; ///< those begun
    int interrupt = 0;               ///< the signal that ended it early
    std::string failure;             ///< why it ended early; empty where it did not
};

/// Runs the plan: all rounds of a pass, then the next pass. Lanes take turns within each round,
/// in orders that are fair to all.
[[nodiscard]] run_record run_plan(const plan& whole, progress& shown);

} // namespace sockeye::bench
