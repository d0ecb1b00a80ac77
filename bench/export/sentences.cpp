#include "bench/export/markup.hpp"
#include "bench/export/run_view.hpp"
#include "cli/text.hpp"

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// The lanes of one verdict, and what their ratios say.
struct told_lanes {
    std::vector<std::string> names;
    std::vector<std::string> ratios;

    [[nodiscard]] std::string subject() const {
        return cli::join_and(names) + (names.size() == 1 ? " is" : " are");
    }
};

/// `1.03x the rate`, `0.5x the server CPU`: of a time, how long it takes beside the baseline.
std::string amount_of(const told_lanes& told, std::string_view metric) {
    const auto ratios = cli::join_and(told.ratios);
    if (metric == "rate_per_s") {
        return ratios + " the rate";
    }
    return fmt::format("{} the {}", ratios, metric_title(metric));
}

told_lanes collect_lanes(const comparison_group& group, std::string_view verdict) {
    told_lanes told;
    for (const auto& each : group.lanes) {
        if (!each.is_control && each.verdict == verdict) {
            const double times =
                group.metric == "rate_per_s" ? each.found.estimate : 1 / each.found.estimate;
            told.names.push_back(short_name(each.backend, 40));
            told.ratios.push_back(ratio_text(times) + "x");
        }
    }
    return told;
}

void add_group(const pass_view& pass, const comparison_group& group,
               std::vector<std::string>& made) {
    const auto place = short_name(pass.title(), 60);
    const auto by = group.metric.starts_with("response_")
                        ? fmt::format(" by {}", metric_title(group.metric))
                        : std::string();
    const auto baseline = short_name(group.lanes.front().baseline, 40);
    for (const std::string verdict : {"faster", "slower"}) {
        if (const auto told = collect_lanes(group, verdict); !told.names.empty()) {
            made.push_back(fmt::format("{} {} than {} in {}: {}.", told.subject(), verdict,
                                       baseline, place, amount_of(told, group.metric)));
        }
    }
    if (const auto told = collect_lanes(group, "same"); !told.names.empty()) {
        made.push_back(fmt::format("{} as fast as {} in {}{}: no difference that matters here.",
                                   told.subject(), baseline, place, by));
    }
    if (const auto told = collect_lanes(group, "unclear"); !told.names.empty()) {
        made.push_back(fmt::format("{} too close to {} in {}{} to tell: more rounds would.",
                                   told.subject(), baseline, place, by));
    }
}

void add_overload(const pass_view& pass, std::vector<std::string>& made) {
    for (const auto& lane : pass.lanes) {
        const auto offered = number_at(*lane.result, "/summary/overloaded/offered_per_s");
        const auto answered = number_at(*lane.result, "/summary/overloaded/answered_per_s");
        if (offered && answered) {
            made.push_back(fmt::format("{} was overloaded in {}: {} offered, {} answered.",
                                       short_name(lane.name, 40), short_name(pass.title(), 60),
                                       rate_text(*offered), rate_text(*answered)));
        }
    }
}

} // namespace

std::vector<std::string> sentences(const run_view& run) {
    std::vector<std::string> made;
    if (run.document.contains("failure")) {
        made.push_back("The run failed: " +
                       short_name(run.document["failure"]["text"].get<std::string>(), 400));
    } else if (run.text("status") != "complete") {
        made.push_back(
            fmt::format("The run is not whole: it is {}.", short_name(run.text("status"), 60)));
    }
    bool is_compared = false;
    for (const auto& pass : run.passes) {
        is_compared = is_compared || !pass.comparisons.empty();
    }
    if (is_compared && run.document["trust"]["grade"] == "C") {
        made.push_back("No verdicts: the trust flags below could make any difference.");
    }
    for (const auto& pass : run.passes) {
        for (const auto* group : pass.key_comparisons()) {
            add_group(pass, *group, made);
        }
        add_overload(pass, made);
    }
    if (made.empty()) {
        made.push_back(is_compared ? "Too few rounds for verdicts: six give an interval."
                                   : "One server was measured; there is nothing to compare.");
    }
    return made;
}

} // namespace sockeye::bench::exporting
