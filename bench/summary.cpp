#include "bench/summary.hpp"

#include <algorithm>
#include <cmath>

namespace sockeye::bench {
namespace {

/// Intervals within this of 1 are called the same.
constexpr double same_band = 0.03;

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

/// Messages per second of server CPU, so that more is better here, too.
std::vector<double> cpu_rates(const std::vector<lane_result>& rounds) {
    return collect(rounds, [](const lane_result& r) { return 1e9 / r.cpu_ns_per_message(); });
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

estimate estimate_of(const std::vector<double>& values) {
    return {median(values), median_interval(values), relative_spread(values)};
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
    for (const auto& each : rounds) {
        made.service.merge(each.counted.service);
    }
    return made;
}

std::optional<ratio> control_ratio(const pass_summary& pass, metric by) {
    const auto* control = pass.control();
    const auto* found = control == nullptr ? nullptr : compared(*control, by);
    return found == nullptr ? std::nullopt : std::optional(found->against_baseline);
}

void compare_all(pass_summary& pass, std::string_view baseline) {
    const auto* base = pass.find(baseline);
    if (base == nullptr) {
        return;
    }
    const auto* base_rounds = base->rounds;
    for (auto& each : pass.lanes) {
        if (each.what->name == baseline) {
            continue;
        }
        each.by_rate = comparison{paired_ratio(rates(*each.rounds), rates(*base_rounds))};
        if (each.cpu_ns && has_server(*base_rounds)) {
            each.by_cpu =
                comparison{paired_ratio(cpu_rates(*each.rounds), cpu_rates(*base_rounds))};
        }
    }
    const auto rate_control = control_ratio(pass, metric::rate);
    const auto cpu_control = control_ratio(pass, metric::cpu);
    for (auto& each : pass.lanes) {
        if (each.by_rate && !each.what->is_control) {
            each.by_rate->said = judge(each.by_rate->against_baseline, rate_control);
        }
        if (each.by_cpu && !each.what->is_control) {
            each.by_cpu->said = judge(each.by_cpu->against_baseline, cpu_control);
        }
    }
}

void sort_best_first(pass_summary& pass) {
    const bool by_cpu = pass.primary == metric::cpu;
    std::stable_sort(pass.lanes.begin(), pass.lanes.end(),
                     [by_cpu](const lane_summary& a, const lane_summary& b) {
                         if (a.what->is_control != b.what->is_control) {
                             return b.what->is_control;
                         }
                         return by_cpu ? a.cpu_ns->median < b.cpu_ns->median
                                       : a.rate.median > b.rate.median;
                     });
}

/// Whether two identical servers differed: as surely and as much as a verdict would ask for.
bool is_off(const ratio& control) noexcept {
    return control.bounds && !control.bounds->contains(1) &&
           std::abs(control.estimate - 1) >= difference_min;
}

} // namespace

std::string_view name_of(metric what) noexcept {
    return what == metric::rate ? "rate_per_s" : "cpu_ns_per_message";
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

pass_summary summarize(const pass_record& record, std::string_view baseline) {
    pass_summary made;
    made.record = &record;
    bool all_have_cpu = true;
    for (std::size_t i = 0; i < record.lanes.size(); ++i) {
        made.lanes.push_back(summarize_lane(record.what.lanes[i], record.lanes[i]));
        all_have_cpu = all_have_cpu && made.lanes.back().cpu_ns.has_value();
    }
    made.primary = record.what.is_one_core && all_have_cpu ? metric::cpu : metric::rate;
    compare_all(made, baseline);
    sort_best_first(made);
    return made;
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
    const bool is_noise = bounds.lo >= noise.lo && bounds.hi <= noise.hi;
    return is_near_one || is_noise ? verdict::same : verdict::unclear;
}

const comparison* compared(const lane_summary& lane, metric by) noexcept {
    const auto& found = by == metric::rate ? lane.by_rate : lane.by_cpu;
    return found ? &*found : nullptr;
}

} // namespace sockeye::bench
