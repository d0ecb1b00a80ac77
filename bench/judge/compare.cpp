#include "bench/judge/compare.hpp"

#include "cli/common.hpp"
#include "cli/values.hpp"

#include <algorithm>
#include <cmath>

namespace sockeye::bench {
namespace {

constexpr std::string_view control_name = "control";

/// The numbers of a lane that are compared.
struct number {
    std::string_view suffix;
    std::vector<double> saved_lane::*values;
    comparison_row::unit what;
    bool is_better_higher;
    std::string_view metric; ///< what the control of the run has it as; empty: it has not
};

/// On one core the CPU per message is the sharp number; on two, rate and time, and of an open loop
/// the response times alone.
std::vector<number> numbers_of(const saved_pass& pass) {
    using unit = comparison_row::unit;
    if (pass.placement == "one-core") {
        return {{" cpu/msg", &saved_lane::cpu_ns, unit::time, false, "cpu_ns_per_message"}};
    }
    if (pass.offered_per_s) {
        return {{" p50", &saved_lane::p50_ns, unit::time, false, "response_p50_ns"},
                {" p99", &saved_lane::p99_ns, unit::time, false, "response_p99_ns"}};
    }
    return {{"", &saved_lane::rate, unit::rate, true, "rate_per_s"},
            {" p99", &saved_lane::p99_ns, unit::time, false, ""}};
}

/// Where two runs know how far identical servers differ, the wider of both.
std::optional<ratio> wider(const std::optional<ratio>& one, const std::optional<ratio>& other) {
    if (!one || !one->bounds || !other || !other->bounds) {
        return one && one->bounds ? one : other;
    }
    ratio both = *one;
    both.bounds = interval{std::min(one->bounds->lo, other->bounds->lo),
                           std::max(one->bounds->hi, other->bounds->hi)};
    // What is off in one of them is off.
    both.estimate = std::abs(std::log(one->estimate)) > std::abs(std::log(other->estimate))
                        ? one->estimate
                        : other->estimate;
    return both;
}

std::optional<ratio> control_of(const saved_pass& pass, std::string_view metric) {
    const auto found = pass.controls.find(metric);
    return found == pass.controls.end() ? std::nullopt : std::optional(found->second);
}

std::optional<ratio> noise_of(const saved_pass& before, const saved_pass& after,
                              const number& what) {
    return wider(control_of(before, what.metric), control_of(after, what.metric));
}

/// Open loops at rates further apart than this are different loads.
constexpr double offered_apart_max = 0.1;

bool is_offered_alike(const saved_pass& before, const saved_pass& after) {
    if (!before.offered_per_s || !after.offered_per_s) {
        return before.offered_per_s.has_value() == after.offered_per_s.has_value();
    }
    return std::abs(std::log(*after.offered_per_s / *before.offered_per_s)) < offered_apart_max;
}

std::optional<comparison_row> make_row(const number& what, const saved_lane& before,
                                       const saved_lane& after, bool is_paired) {
    const auto& old_values = before.*what.values;
    const auto& new_values = after.*what.values;
    if (old_values.empty() || new_values.empty()) {
        return std::nullopt;
    }
    comparison_row row;
    row.what = what.what;
    row.before = median(old_values);
    row.after = median(new_values);
    const auto& subject = what.is_better_higher ? new_values : old_values;
    const auto& base = what.is_better_higher ? old_values : new_values;
    row.times_better = is_paired ? paired_ratio(subject, base) : unpaired_ratio(subject, base);
    return row;
}

class comparing {
public:
    comparing(const compared_side& before, const compared_side& after, bool is_forced)
        : before_(before), after_(after), is_forced_(is_forced) {
        made_.is_paired = before.run.id == after.run.id && before.run.started == after.run.started;
    }

    comparison_report run() {
        for (const auto& old_pass : before_.run.passes) {
            const auto found = std::ranges::find_if(after_.run.passes, [&](const saved_pass& one) {
                return one.test == old_pass.test && one.placement == old_pass.placement;
            });
            if (found != after_.run.passes.end()) {
                compare_passes(old_pass, *found);
            }
        }
        if (made_.rows.empty()) {
            throw cli::command_error(cli::exit_usage, "the two have no test and no lane in common");
        }
        note_differences();
        return std::move(made_);
    }

private:
    void compare_passes(const saved_pass& before, const saved_pass& after) {
        if (before.load != after.load && !is_forced_) {
            throw cli::command_error(
                cli::exit_usage,
                fmt::format("{} is not the same test in both: {} and {}; --force compares all "
                            "the same",
                            cli::escape(before.test), fmt::join(before.load, ", "),
                            fmt::join(after.load, ", ")));
        }
        if (!is_offered_alike(before, after) && !is_forced_) {
            made_.differences.push_back(fmt::format(
                "{}: {} and {} were offered; it is left out, --force compares all the same",
                cli::escape(before.test, 20), cli::format_count(before.offered_per_s.value_or(0)),
                cli::format_count(after.offered_per_s.value_or(0))));
            return;
        }
        note_noise(before, after);
        for (const auto& lane : before.lanes) {
            const bool is_wanted =
                before_.lane ? lane.name == *before_.lane : lane.name != control_name;
            const auto* other = after.find(after_.lane ? *after_.lane : lane.name);
            if (is_wanted && other != nullptr) {
                compare_lanes(before, after, lane, *other);
            }
        }
    }

    void compare_lanes(const saved_pass& before, const saved_pass& after,
                       const saved_lane& old_lane, const saved_lane& new_lane) {
        for (const auto& what : numbers_of(before)) {
            auto row = make_row(what, old_lane, new_lane, made_.is_paired);
            if (!row) {
                continue;
            }
            row->test = before.test;
            const bool is_same_lane = old_lane.name == new_lane.name;
            row->name = cli::escape(before.test, 20) +
                        (is_same_lane ? " " + cli::escape(old_lane.name, 20) : "") +
                        std::string(what.suffix);
            row->noise = noise_of(before, after, what);
            row->said = judge(row->times_better, row->noise);
            made_.rows.push_back(std::move(*row));
        }
    }

    void note_noise(const saved_pass& before, const saved_pass& after) {
        const auto shown = [](const saved_pass& pass) {
            const auto control = control_of(pass, numbers_of(pass).front().metric);
            return control && control->bounds
                       ? fmt::format("{:.2f}..{:.2f}", control->bounds->lo, control->bounds->hi)
                       : std::string("not measured");
        };
        const auto old_noise = shown(before);
        made_.noise.push_back(
            fmt::format("{} {}: {}", cli::escape(before.test, 20), before.placement,
                        made_.is_paired ? old_noise : old_noise + " and " + shown(after)));
    }

    void note_differences() {
        const auto& old_facts = before_.run.facts;
        const auto& new_facts = after_.run.facts;
        for (std::size_t i = 0; i < old_facts.size(); ++i) {
            if (old_facts[i].second != new_facts[i].second) {
                made_.differences.push_back(fmt::format("{} {} -> {}", old_facts[i].first,
                                                        cli::escape(old_facts[i].second, 40),
                                                        cli::escape(new_facts[i].second, 40)));
            }
        }
        if (!made_.is_paired) {
            made_.differences.push_back(fmt::format("taken {} and {}, not interleaved",
                                                    cli::escape(before_.run.started, 30),
                                                    cli::escape(after_.run.started, 30)));
        }
    }

    const compared_side& before_;
    const compared_side& after_;
    bool is_forced_;
    comparison_report made_;
};

std::string shown(const comparison_row& row, double value) {
    return row.what == comparison_row::unit::rate
               ? cli::format_count(value) + "/s"
               : cli::format_time(duration(static_cast<duration::rep>(value)));
}

std::string verdict_text(const comparison_row& row) {
    switch (row.said) {
    case verdict::faster:
    case verdict::slower:
    case verdict::same:
        return std::string(name_of(row.said));
    case verdict::unclear:
        if (const auto rounds = rounds_needed(row)) {
            return fmt::format("unclear (needs about {} rounds)", *rounds);
        }
        return "unclear";
    case verdict::none:
        break;
    }
    return row.times_better.bounds ? "none: the control differs too" : "none: too few rounds";
}

} // namespace

comparison_report compare_runs(const compared_side& before, const compared_side& after,
                               bool is_forced) {
    return comparing(before, after, is_forced).run();
}

std::optional<std::size_t> rounds_needed(const comparison_row& row) {
    if (row.said != verdict::unclear) {
        return std::nullopt;
    }
    // The width falls with the root of the rounds; +-2 % is what a verdict asks for.
    constexpr double wanted_width = 0.04;
    const double width = std::log(row.times_better.bounds->hi / row.times_better.bounds->lo);
    const double rounds =
        static_cast<double>(row.times_better.pairs) * width * width / (wanted_width * wanted_width);
    return static_cast<std::size_t>(std::ceil(rounds));
}

std::string comparison_text(const comparison_report& made, const compared_side& before,
                            const compared_side& after) {
    const auto title = [](const compared_side& side) {
        return side.lane ? cli::escape(*side.lane, 12) : cli::escape(side.run.id, 12);
    };
    auto text = fmt::format("{:<28}{:>12} {:>12}    {:<25} {}\n", "", title(before), title(after),
                            "times better [95 %]", "verdict");
    for (const auto& row : made.rows) {
        const auto& found = row.times_better;
        const auto bounds = found.bounds ? fmt::format("{:.3f} [{:.3f}, {:.3f}]", found.estimate,
                                                       found.bounds->lo, found.bounds->hi)
                                         : fmt::format("{:.3f}", found.estimate);
        text += fmt::format("{:<28}{:>12} {:>12}    {:<25} {}\n", row.name, shown(row, row.before),
                            shown(row, row.after), bounds, verdict_text(row));
    }
    text += fmt::format("noise    two identical servers differed by {}; smaller differences are "
                        "ignored\n",
                        fmt::join(made.noise, ", "));
    for (const auto& difference : made.differences) {
        text += "differs  " + difference + "\n";
    }
    if (made.is_paired) {
        text += "rounds of one run took turns, so that they are compared in pairs\n";
    }
    return text;
}

} // namespace sockeye::bench
