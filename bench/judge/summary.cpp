#include "bench/judge/summary.hpp"

#include <algorithm>
#include <cmath>

namespace sockeye::bench {
namespace {

/// Intervals within this of 1 are called the same.
constexpr double same_band = 0.03;
/// What lies within the noise of two identical servers is the same, where that is within this of 1.
constexpr double quiet_band = 0.1;

template <typename Value>
std::vector<double> collect(const std::vector<lane_result>& rounds, Value value) {
    std::vector<double> values;
    values.reserve(rounds.size());
    for (const auto& each : rounds) {
        values.push_back(value(each));
    }
    return values;
}

std::vector<double> rates(const std::vector<lane_result>& rounds) {
    return collect(rounds, [](const lane_result& r) { return r.rate(); });
}

double percentile_of(const lane_result& result, double share) {
    return static_cast<double>(result.counted.response.percentile(share));
}

bool has_server(const std::vector<lane_result>& rounds) {
    return std::all_of(rounds.begin(), rounds.end(), [](const lane_result& r) {
        return r.server.has_value() && r.server->cpu_ns > 0;
    });
}

bool counts_calls(const std::vector<lane_result>& rounds) {
    return std::all_of(rounds.begin(), rounds.end(),
                       [](const lane_result& r) { return r.server->has_calls(); });
}

/// Whether every round kept up and has values enough.
bool can_tell(const std::vector<lane_result>& rounds, double share) {
    return std::all_of(rounds.begin(), rounds.end(), [share](const lane_result& r) {
        return !r.is_overloaded && r.counted.response.can_tell(share);
    });
}

/// A number of each round of which more is better. Nothing where a round does not have it.
std::vector<double> merits(const pass_record& pass, const std::vector<lane_result>& rounds,
                           metric by) {
    const bool is_loaded_by_plan = pass.what.what.is_open_loop();
    switch (by) {
    case metric::rate:
        return is_loaded_by_plan && !pass.what.find_rate ? std::vector<double>() : rates(rounds);
    case metric::cpu:
        return has_server(rounds)
                   ? collect(rounds,
                             [](const lane_result& r) { return 1e9 / r.cpu_ns_per_message(); })
                   : std::vector<double>();
    case metric::response_p50:
    case metric::response_p99:
        break;
    }
    const double share = by == metric::response_p50 ? 0.5 : 0.99;
    if (!is_loaded_by_plan || !can_tell(rounds, share)) {
        return {};
    }
    return collect(rounds, [share](const lane_result& r) {
        return 1e9 / std::max(percentile_of(r, share), 1.0);
    });
}

estimate estimate_of(const std::vector<double>& values) {
    return {median(values), median_interval(values), relative_spread(values)};
}

/// The median of what the rounds tell; nothing where one of them does not.
template <typename Value>
std::optional<double> median_of(const std::vector<lane_result>& rounds, Value value) {
    std::vector<double> values;
    for (const auto& each : rounds) {
        const std::optional<double> found = value(each);
        if (!found) {
            return std::nullopt;
        }
        values.push_back(*found);
    }
    return median(values);
}

using count_member = std::optional<std::uint64_t> system_counts::*;

/// A count of the server by `unit`; nothing where it is not told, or nothing is there to go by.
std::optional<double> count_by(const lane_result& round, count_member what, double unit) {
    const auto count = round.server ? round.server->counts.*what : std::nullopt;
    return count && unit > 0 ? std::optional(static_cast<double>(*count) / unit) : std::nullopt;
}

system_summary summarize_system(const std::vector<lane_result>& rounds) {
    const auto each_second = [&rounds](count_member what) {
        return median_of(rounds,
                         [what](const lane_result& r) { return count_by(r, what, r.seconds); });
    };
    system_summary made;
    made.sleeps_per_s = each_second(&system_counts::voluntary_switches);
    made.preemptions_per_s = each_second(&system_counts::involuntary_switches);
    made.faults_per_s = median_of(rounds, [](const lane_result& r) -> std::optional<double> {
        const auto minor = count_by(r, &system_counts::minor_faults, r.seconds);
        const auto major = count_by(r, &system_counts::major_faults, r.seconds);
        return minor && major ? std::optional(*minor + *major) : std::nullopt;
    });
    made.instructions_per_message = median_of(rounds, [](const lane_result& r) {
        return count_by(r, &system_counts::instructions, static_cast<double>(r.counted.messages));
    });
    made.instructions_per_cycle = median_of(rounds, [](const lane_result& r) {
        const auto cycles = count_by(r, &system_counts::cycles, 1);
        return count_by(r, &system_counts::instructions, cycles.value_or(0));
    });
    return made;
}

lane_summary summarize_lane(const lane& what, const std::vector<lane_result>& rounds) {
    lane_summary made;
    made.what = &what;
    made.rounds = &rounds;
    made.rate = estimate_of(rates(rounds));
    if (has_server(rounds)) {
        made.cpu_ns = estimate_of(
            collect(rounds, [](const lane_result& r) { return r.cpu_ns_per_message(); }));
    }
    if (has_server(rounds) && counts_calls(rounds)) {
        made.system_calls = median(
            collect(rounds, [](const lane_result& r) { return r.system_calls_per_message(); }));
        made.events_per_wait =
            median(collect(rounds, [](const lane_result& r) { return r.events_per_wait(); }));
    }
    if (rounds.front().resident_bytes_per_connection) {
        made.resident_bytes_per_connection = median(collect(rounds, [](const lane_result& r) {
            return r.resident_bytes_per_connection.value_or(0);
        }));
    }
    made.system = summarize_system(rounds);
    for (const auto& each : rounds) {
        made.service.merge(each.counted.service);
        made.response.merge(each.counted.response);
        made.send_lag.merge(each.counted.send_lag);
        made.overloaded_rounds += each.is_overloaded ? 1 : 0;
    }
    for (std::size_t i = 0; i < response_shares.size(); ++i) {
        const double share = response_shares[i];
        if (can_tell(rounds, share)) {
            made.response_by_round[i] = estimate_of(
                collect(rounds, [share](const lane_result& r) { return percentile_of(r, share); }));
        }
    }
    return made;
}

std::optional<ratio> control_ratio(const pass_summary& pass, metric by) {
    const auto* control = pass.control();
    const auto* found = control == nullptr ? nullptr : compared(*control, by);
    return found == nullptr ? std::nullopt : std::optional(found->against_baseline);
}

void compare_all(pass_summary& pass, std::string_view baseline, metric by, double confidence) {
    const auto* base = pass.find(baseline);
    const auto base_merits =
        base == nullptr ? std::vector<double>() : merits(*pass.record, *base->rounds, by);
    if (base_merits.empty()) {
        return;
    }
    for (auto& each : pass.lanes) {
        const auto found = merits(*pass.record, *each.rounds, by);
        if (each.what->name != baseline && !found.empty()) {
            each.comparisons[static_cast<std::size_t>(by)] =
                comparison{paired_ratio(found, base_merits, confidence)};
        }
    }
    const auto control = control_ratio(pass, by);
    for (auto& each : pass.lanes) {
        auto* const found = compared(each, by);
        if (found != nullptr && !each.what->is_control) {
            found->said = judge(found->against_baseline, control);
        }
    }
}

double primary_merit(const pass_summary& pass, const lane_summary& lane) {
    switch (pass.primary) {
    case metric::cpu:
        return -lane.cpu_ns->median;
    case metric::response_p50:
        return -lane.response_by_round[0]->median;
    case metric::response_p99:
        return -lane.response_by_round[2]->median;
    case metric::rate:
        break;
    }
    return lane.rate.median;
}

void sort_best_first(pass_summary& pass) {
    std::stable_sort(pass.lanes.begin(), pass.lanes.end(),
                     [&pass](const lane_summary& a, const lane_summary& b) {
                         if (a.what->is_control != b.what->is_control) {
                             return b.what->is_control;
                         }
                         return primary_merit(pass, a) > primary_merit(pass, b);
                     });
}

/// What the lanes of a test are ranked by: on one core the sharp number is CPU per message, of a
/// load that is the same for all it is the response time.
metric primary_of(const pass_record& pass) {
    const auto all_have = [&pass](auto has) {
        return std::all_of(pass.lanes.begin(), pass.lanes.end(), has);
    };
    if (pass.what.is_one_core && all_have(has_server)) {
        return metric::cpu;
    }
    if (pass.what.what.is_open_loop() && !pass.what.find_rate) {
        for (const auto& [by, share] :
             {std::pair{metric::response_p99, 0.99}, std::pair{metric::response_p50, 0.5}}) {
            if (all_have([part = share](const auto& rounds) { return can_tell(rounds, part); })) {
                return by;
            }
        }
    }
    return metric::rate;
}

/// Whether two identical servers differed: as surely and as much as a verdict would ask for.
bool is_off(const ratio& control) noexcept {
    return control.bounds && !control.bounds->contains(1) &&
           std::abs(control.estimate - 1) >= difference_min;
}

} // namespace

std::string_view name_of(metric what) noexcept {
    switch (what) {
    case metric::rate:
        return "rate_per_s";
    case metric::cpu:
        return "cpu_ns_per_message";
    case metric::response_p50:
        return "response_p50_ns";
    case metric::response_p99:
        return "response_p99_ns";
    }
    return "";
}

std::string_view name_of(verdict what) noexcept {
    switch (what) {
    case verdict::none:
        return "";
    case verdict::faster:
        return "faster";
    case verdict::slower:
        return "slower";
    case verdict::same:
        return "same";
    case verdict::unclear:
        return "unclear";
    }
    return "";
}

const lane_summary* pass_summary::find(std::string_view name) const noexcept {
    for (const auto& each : lanes) {
        if (each.what->name == name) {
            return &each;
        }
    }
    return nullptr;
}

const lane_summary* pass_summary::control() const noexcept {
    for (const auto& each : lanes) {
        if (each.what->is_control) {
            return &each;
        }
    }
    return nullptr;
}

bool pass_summary::is_control_off(metric by) const noexcept {
    const auto* lane = control();
    const auto* found = lane == nullptr ? nullptr : compared(*lane, by);
    return found != nullptr && is_off(found->against_baseline);
}

pass_summary summarize(const pass_record& record, std::string_view baseline, double confidence) {
    pass_summary made;
    made.record = &record;
    for (std::size_t i = 0; i < record.lanes.size(); ++i) {
        made.lanes.push_back(summarize_lane(record.what.lanes[i], record.lanes[i]));
    }
    made.primary = primary_of(record);
    for (const metric by : all_metrics) {
        compare_all(made, baseline, by, confidence);
    }
    sort_best_first(made);
    return made;
}

std::vector<ratio> primary_ratios(const pass_record& record, std::string_view baseline,
                                  double confidence) {
    const metric by = primary_of(record);
    const auto& lanes = record.what.lanes;
    const auto base = std::find_if(lanes.begin(), lanes.end(),
                                   [&](const lane& each) { return each.name == baseline; });
    if (base == lanes.end()) {
        return {};
    }
    const auto base_index = static_cast<std::size_t>(base - lanes.begin());
    const auto base_merits = merits(record, record.lanes[base_index], by);
    std::vector<ratio> found;
    for (std::size_t i = 0; i < lanes.size() && !base_merits.empty(); ++i) {
        const auto values = merits(record, record.lanes[i], by);
        if (i != base_index && !values.empty()) {
            found.push_back(paired_ratio(values, base_merits, confidence));
        }
    }
    return found;
}

verdict judge(const ratio& found, const std::optional<ratio>& control) {
    if (!found.bounds || (control && is_off(*control))) {
        return verdict::none;
    }
    const interval& bounds = *found.bounds;
    const auto noise = control && control->bounds ? *control->bounds : interval{1, 1};
    const bool is_beyond_noise = bounds.lo > noise.hi || bounds.hi < noise.lo;
    if (!bounds.contains(1) && is_beyond_noise && std::abs(found.estimate - 1) >= difference_min) {
        return found.estimate > 1 ? verdict::faster : verdict::slower;
    }
    const bool is_near_one = bounds.lo >= 1 - same_band && bounds.hi <= 1 + same_band;
    // A machine whose noise is wide cannot say that two are the same, either.
    const bool is_quiet = noise.lo >= 1 - quiet_band && noise.hi <= 1 + quiet_band;
    const bool is_noise = is_quiet && bounds.lo >= noise.lo && bounds.hi <= noise.hi;
    return is_near_one || is_noise ? verdict::same : verdict::unclear;
}

const comparison* compared(const lane_summary& lane, metric by) noexcept {
    const auto& found = lane.comparisons[static_cast<std::size_t>(by)];
    return found ? &*found : nullptr;
}

comparison* compared(lane_summary& lane, metric by) noexcept {
    auto& found = lane.comparisons[static_cast<std::size_t>(by)];
    return found ? &*found : nullptr;
}

} // namespace sockeye::bench
