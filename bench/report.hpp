#pragma once

#include "bench/calibration.hpp"
#include "bench/judge/gate.hpp"
#include "bench/judge/summary.hpp"
#include "bench/judge/trust.hpp"
#include "bench/machine/machine.hpp"
#include "bench/plan.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sockeye::bench {

/// Everything there is to say of a run, in whatever form.
struct report {
    std::string id;      ///< four hex digits
    std::string started; ///< UTC, `2026-11-21T03:40:11Z`
    std::vector<std::string> command;
    const plan* whole = nullptr;
    const run_record* record = nullptr;
    circumstances around;
    build_facts build;
    std::vector<pass_summary> passes; ///< those with a whole round at least
    trust grade;
    std::vector<gate_result> gates;
    std::string label;

    /// `complete`, `interrupted` or `failed`.
    [[nodiscard]] std::string status() const;
};

/// Sums up the run and judges it. Grade C takes the verdicts away.
/// Lifetime: plan and record outlive the report.
[[nodiscard]] report make_report(const plan& whole, const run_record& record,
                                 const circumstances& around);

} // namespace sockeye::bench
