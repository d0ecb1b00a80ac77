#include "bench/report.hpp"

#include <algorithm>

namespace sockeye::bench {
namespace {

void withhold_verdicts(std::vector<pass_summary>& passes) {
    for (auto& pass : passes) {
        for (auto& lane : pass.lanes) {
            for (auto& found : lane.comparisons) {
                if (found) {
                    found->said = verdict::none;
                }
            }
        }
    }
}

} // namespace

std::string report::status() const {
    if (!record->failure.empty()) {
        return "failed";
    }
    return record->interrupt != 0 ? "interrupted" : "complete";
}

report make_report(const plan& whole, const run_record& record, const circumstances& around) {
    report made;
    made.whole = &whole;
    made.record = &record;
    made.around = around;
    made.build = read_build();
    for (const auto& pass : record.passes) {
        if (pass.rounds() > 0) {
            made.passes.push_back(summarize(pass, whole.baseline, whole.confidence()));
        }
    }
    made.grade = assess(whole, made.around, made.passes);
    if (made.grade.grade == 'C') {
        withhold_verdicts(made.passes);
    }
    return made;
}

} // namespace sockeye::bench
