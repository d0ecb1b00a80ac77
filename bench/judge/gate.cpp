#include "bench/judge/gate.hpp"

#include "bench/rate_search.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

bool is_response_time(const limit& what) {
    return what.metric == "max" || what.metric.starts_with("p");
}

bool is_count(const limit& what) {
    return what.metric == "errors" || what.metric == "lost" || what.metric == "unfinished" ||
           what.metric == "overloaded";
}

/// The number of all rounds together: counts add up, of the rest it is the median.
std::optional<double> value_of_lane(const lane_summary& lane, const limit& what) {
    std::vector<double> values;
    for (const auto& each : *lane.rounds) {
        if (const auto value = value_of(each, what.metric)) {
            values.push_back(*value);
        }
    }
    if (values.empty()) {
        return std::nullopt;
    }
    if (!is_count(what)) {
        return median(values);
    }
    double sum = 0;
    for (const double each : values) {
        sum += each;
    }
    return sum;
}

gate_result check_lane(const limit& what, const pass_summary& pass, const lane_summary& lane) {
    gate_result made = {&what, pass.record->what.test, lane.what->name, {}, false};
    if (is_response_time(what) && lane.overloaded_rounds > 0) {
        made.is_crossed = what.is_above; // it grows for as long as the run lasts
        return made;
    }
    made.value = value_of_lane(lane, what);
    made.is_crossed = made.value && what.holds(*made.value);
    return made;
}

/// Whether `candidate` says more about the limit than what was found so far.
bool is_worse(const gate_result& candidate, const gate_result& found) {
    if (found.lane.empty() || candidate.is_crossed != found.is_crossed) {
        return found.lane.empty() || candidate.is_crossed;
    }
    if (!candidate.value || !found.value) {
        return found.value.has_value();
    }
    return candidate.what->is_above ? *candidate.value > *found.value
                                    : *candidate.value < *found.value;
}

gate_result check_gate(const limit& what, const std::vector<pass_summary>& passes) {
    const bool has_open_loop = std::any_of(passes.begin(), passes.end(), [](const auto& pass) {
        return pass.record->what.what.is_open_loop();
    });
    gate_result worst = {&what, {}, {}, {}, false};
    for (const auto& pass : passes) {
        const auto& test = pass.record->what;
        const bool is_meant = what.test.empty() || what.test == test.test;
        const bool is_closed = !test.what.is_open_loop();
        if (!is_meant ||
            (what.test.empty() && is_response_time(what) && has_open_loop && is_closed)) {
            continue;
        }
        for (const auto& lane : pass.lanes) {
            auto found = check_lane(what, pass, lane);
            if (!lane.what->is_control && (found.value || found.is_crossed) &&
                is_worse(found, worst)) {
                worst = std::move(found);
            }
        }
    }
    return worst;
}

std::string value_text(const gate_result& result) {
    if (!result.value) {
        return "overloaded";
    }
    const auto& name = result.what->metric;
    if (name == "rate") {
        return cli::format_rate({*result.value, cli::rate::kind::per_second});
    }
    if (is_count(*result.what) || name == "calls") {
        return fmt::format("{:.4g}", *result.value);
    }
    return cli::format_time(duration(static_cast<duration::rep>(*result.value)));
}

} // namespace

std::vector<gate_result> check_gates(const std::vector<limit>& limits,
                                     const std::vector<pass_summary>& passes) {
    std::vector<gate_result> results;
    for (const auto& each : limits) {
        results.push_back(check_gate(each, passes));
    }
    return results;
}

std::string to_string(const gate_result& result) {
    const auto& text = result.what->text;
    if (result.lane.empty()) {
        return fmt::format("limit {} was not checked: no result has that number", text);
    }
    const auto where = fmt::format("{} in {}: {}", result.lane, result.test, value_text(result));
    return result.is_crossed ? fmt::format("limit {} crossed by {}", text, where)
                             : fmt::format("limit {} kept; nearest is {}", text, where);
}

} // namespace sockeye::bench
