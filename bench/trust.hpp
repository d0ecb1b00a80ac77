#pragma once

#include "bench/calibration.hpp"
#include "bench/machine.hpp"
#include "bench/plan.hpp"
#include "bench/summary.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sockeye::bench {

/// Something about the run or the machine that a reader of its numbers should know.
struct trust_flag {
    std::string id;
    std::string text;
    std::optional<double> value;
    bool forbids_verdicts = false; ///< grade C and not B
};

struct trust {
    char grade = 'A'; ///< A: nothing to say; B: notes; C: no verdicts
    std::vector<trust_flag> flags;
};

[[nodiscard]] trust assess(const plan& whole, const machine& facts,
                           const std::vector<pass_summary>& passes,
                           const std::optional<calibration>& ceiling);

} // namespace sockeye::bench
