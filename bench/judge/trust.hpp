#pragma once

#include "bench/calibration.hpp"
#include "bench/judge/checks.hpp"
#include "bench/judge/summary.hpp"
#include "bench/machine/machine.hpp"
#include "bench/machine/surroundings.hpp"
#include "bench/plan.hpp"

#include <cstdint>
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

/// The machine of a run, read before anything is pinned, and what else it did.
struct circumstances {
    machine facts;
    std::optional<surroundings> before;                         ///< while we did nothing
    std::vector<std::pair<std::string, std::string>> libraries; ///< of peers, with their versions
    std::optional<calibration> ceiling;
    std::optional<std::uint64_t> throttled; ///< how often a control group stopped us meanwhile
};

[[nodiscard]] trust assess(const plan& whole, const circumstances& around,
                           const std::vector<pass_summary>& passes);

} // namespace sockeye::bench
