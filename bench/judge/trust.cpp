#include "bench/judge/trust.hpp"

#include "cli/text.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

/// Of the window: a client that works all of it, while the server has time left, is the limit.
constexpr double fully_busy = 0.9;
constexpr double ceiling_share_max = 0.7;

/// All of one kind that the rounds showed: in how many, and the median of the shares.
struct sightings {
    std::vector<double> shares;

    [[nodiscard]] std::size_t above(double limit) const {
        return static_cast<std::size_t>(
            std::count_if(shares.begin(), shares.end(), [=](double s) { return s > limit; }));
    }
    /// One bad round in ten is a disturbance; more than a third is the state of the machine.
    [[nodiscard]] bool is_usual(double limit) const { return above(limit) * 3 > shares.size(); }
};

template <typename Visit>
void for_each_result(const std::vector<pass_summary>& passes, Visit visit) {
    for (const auto& pass : passes) {
        for (const auto& lane : pass.lanes) {
            for (const auto& result : *lane.rounds) {
                visit(*pass.record, result);
            }
        }
    }
}

/// The share of the CPUs that others used.
double foreign_share(const lane_result& result) {
    const double own = static_cast<double>(result.client.cpu_ns) +
                       (result.server ? static_cast<double>(result.server->cpu_ns) : 0);
    const double foreign = static_cast<double>(result.host->busy_ns) - own;
    return std::max(foreign, 0.0) / (result.host_seconds * 1e9);
}

bool has_flag(const lane_result& result, std::string_view flag) {
    return std::find(result.flags.begin(), result.flags.end(), flag) != result.flags.end();
}

/// What the lanes of the test are ranked by.
const estimate& primary_estimate(const pass_summary& pass, const lane_summary& lane) {
    switch (pass.primary) {
    case metric::cpu:
        return *lane.cpu_ns;
    case metric::response_p50:
        return *lane.response_by_round[0];
    case metric::response_p99:
        return *lane.response_by_round[2];
    case metric::rate:
        break;
    }
    return lane.rate;
}

class assessor {
public:
    assessor(const plan& whole, const circumstances& around,
             const std::vector<pass_summary>& passes)
        : plan_(whole), around_(around), passes_(passes) {}

    trust run() {
        check_machine();
        check_placement();
        check_neighbours();
        check_steal();
        check_surroundings();
        check_client();
        check_spread();
        check_steadiness();
        check_lag();
        check_faults();
        check_control();
        check_rounds();
        for (const auto& flag : made_.flags) {
            const char worst = flag.forbids_verdicts ? 'C' : 'B';
            made_.grade = std::max(made_.grade, worst);
        }
        return std::move(made_);
    }

private:
    void add(std::string id, std::string text, std::optional<double> value, bool is_grave) {
        made_.flags.push_back({std::move(id), std::move(text), value, is_grave});
    }

    [[nodiscard]] bool has(std::string_view id) const {
        return std::ranges::any_of(made_.flags, [id](const auto& flag) { return flag.id == id; });
    }

    [[nodiscard]] bool is_near_ceiling(const pass_summary& pass, const lane_summary& lane) const;
    void check_machine();
    void check_placement();
    void check_neighbours();
    void check_steal();
    void check_surroundings();
    void check_client();
    void check_spread();
    void check_steadiness();
    void check_lag();
    void check_faults();
    void check_control();
    void check_rounds();

    const plan& plan_;
    const circumstances& around_;
    const std::vector<pass_summary>& passes_;
    trust made_;
};

void assessor::check_machine() {
    for (const auto& each : bench::check_machine(around_.facts, read_build())) {
        // Which CPUs this run had is looked at below.
        if (each.found >= fitness::note && each.id != "shared-core") {
            add(each.id, each.text, each.value, each.found == fitness::grave);
        }
    }
    if (around_.throttled.value_or(0) > 0) {
        std::erase_if(made_.flags, [](const auto& flag) { return flag.id == "quota"; });
        add("quota",
            fmt::format("the control group stopped us {} times during the run: CPU time is "
                        "limited{}",
                        *around_.throttled,
                        around_.facts.cpu_quota ? " (cpu.max " + *around_.facts.cpu_quota + ")"
                                                : ""),
            static_cast<double>(*around_.throttled), true);
    }
    if (!passes_.empty() && !passes_.front().record->what.what.is_verified) {
        add("verify-off", "answers were not verified", {}, false);
    }
}

void assessor::check_placement() {
    const bool has_two_core_pass = std::any_of(
        passes_.begin(), passes_.end(), [](const auto& p) { return !p.record->what.is_one_core; });
    bool is_shared = false;
    bool is_same = false;
    for (const unsigned server : plan_.server_cpus) {
        for (const unsigned client : plan_.client_cpus) {
            is_same = is_same || server == client;
            is_shared = is_shared || around_.facts.cpus.share_core(server, client);
        }
    }
    // Where somebody else's server runs is not known.
    if (has_two_core_pass && is_shared && !plan_.target) {
        add("shared-core",
            is_same ? "server and client share a CPU: each waits for the other"
                    : "server and client are two threads of one core: each slows the other",
            {}, false);
    }
}

void assessor::check_neighbours() {
    sightings foreign;
    sightings waiting;
    sightings pressure;
    for_each_result(passes_, [&](const pass_record& pass, const lane_result& result) {
        if (result.host && (result.server || plan_.target)) {
            foreign.shares.push_back(plan_.target ? 0 : foreign_share(result));
        }
        if (!pass.what.is_one_core && result.host && result.host->pressure_ns) {
            pressure.shares.push_back(static_cast<double>(*result.host->pressure_ns) / 1e9 /
                                      result.seconds);
        }
        // On one core they wait for each other, as they should.
        if (!pass.what.is_one_core && result.server_run_delay_ns && result.client_run_delay_ns) {
            const auto delay = std::max(*result.server_run_delay_ns, *result.client_run_delay_ns);
            waiting.shares.push_back(static_cast<double>(delay) / 1e9 / result.seconds);
        }
    });
    struct cause {
        const sightings& seen;
        double limit;
        std::string_view text;
    };
    const cause causes[] = {
        {foreign, limits::foreign_max, "other programs used more than 5 % of our CPUs"},
        {waiting, limits::run_delay_max,
         "server or client waited for a CPU more than 2 % of the time"},
        {pressure, limits::pressure_max, "tasks waited for a CPU more than 5 % of the time"},
    };
    // The first that is seen explains those behind it.
    for (const auto& each : causes) {
        if (const std::size_t count = each.seen.above(each.limit); count > 0) {
            const double share = median(each.seen.shares);
            add("contended",
                fmt::format("{} in {} of {} rounds (median {:.1f} %)", each.text, count,
                            each.seen.shares.size(), share * 100),
                share, each.seen.is_usual(each.limit));
            return;
        }
    }
}

void assessor::check_steal() {
    sightings steal;
    for_each_result(passes_, [&](const pass_record&, const lane_result& result) {
        if (result.host) {
            steal.shares.push_back(static_cast<double>(result.host->steal_ns) /
                                   (result.host_seconds * 1e9));
        }
    });
    if (steal.shares.empty()) {
        return;
    }
    double sum = 0;
    for (const double share : steal.shares) {
        sum += share;
    }
    const double mean = sum / static_cast<double>(steal.shares.size());
    if (mean > limits::steal_noted) {
        add("steal",
            fmt::format("steal {:.1f} %: a neighbour of this virtual machine took some time",
                        mean * 100),
            mean, mean > limits::steal_max);
    }
}

/// What was wrong before the run is a note where the run itself has nothing to say of it.
void assessor::check_surroundings() {
    if (!around_.before) {
        return;
    }
    for (const auto& each : bench::check_surroundings(*around_.before)) {
        if (each.found >= fitness::note && each.id != "timer" && !has(each.id)) {
            add(each.id, "before the run: " + each.text, each.value, false);
        }
    }
}

/// Whether the client could not have done much more even where nobody has to answer it.
bool assessor::is_near_ceiling(const pass_summary& pass, const lane_summary& lane) const {
    const load& what = pass.record->what.what;
    const bool is_alike = what.how == mode::echo && what.pipeline == 1 && what.threads == 1 &&
                          is_stream(what.carrier) && !what.is_open_loop();
    return around_.ceiling && is_alike &&
           lane.rate.median > ceiling_share_max * around_.ceiling->ceiling_per_s;
}

void assessor::check_client() {
    for (const auto& pass : passes_) {
        std::vector<std::string> bound;
        for (const auto& lane : pass.lanes) {
            sightings client_only;
            for (const auto& result : *lane.rounds) {
                const double window_ns = result.seconds * 1e9;
                const bool is_bound =
                    result.server && !pass.record->what.what.is_open_loop() &&
                    static_cast<double>(result.client.cpu_ns) > fully_busy * window_ns &&
                    static_cast<double>(result.server->cpu_ns) < fully_busy * window_ns;
                client_only.shares.push_back(is_bound ? 1 : 0);
            }
            if (client_only.is_usual(0.5) || is_near_ceiling(pass, lane)) {
                bound.push_back(lane.what->name);
            }
        }
        if (!bound.empty() && !pass.record->what.is_one_core) {
            add("client-bound",
                fmt::format("{}: the client was the limit for {}: rates are \"at least\"",
                            pass.record->what.test, cli::join_and(bound)),
                {}, false);
        }
    }
}

void assessor::check_spread() {
    for (const auto& pass : passes_) {
        double worst = 0;
        const lane_summary* widest = nullptr;
        for (const auto& lane : pass.lanes) {
            const auto& shown = primary_estimate(pass, lane);
            if (shown.spread > worst) {
                worst = shown.spread;
                widest = &lane;
            }
        }
        if (worst > limits::spread_max) {
            add("spread",
                fmt::format("{}{}: rounds of {} differ by {:.0f} % (median from the median)",
                            pass.record->what.test,
                            pass.record->what.is_one_core ? " on one core" : "", widest->what->name,
                            worst * 100),
                worst, false);
        }
    }
}

/// Rounds that were disturbed, were they run again or not.
void assessor::check_steadiness() {
    for (const auto& [id, text] : {std::pair{"not-warm", "were not warm when they began"},
                                   std::pair{"drift", "changed speed all the way"},
                                   std::pair{"stall", "stood still for a while"}}) {
        std::size_t seen = 0;
        std::size_t all = 0;
        for (const auto& pass : passes_) {
            for (const auto* kept : {&pass.record->lanes, &pass.record->replaced}) {
                for (const auto& lane : *kept) {
                    for (const auto& result : lane) {
                        ++all;
                        seen += has_flag(result, id) ? 1 : 0;
                    }
                }
            }
        }
        if (seen > 0) {
            add(id, fmt::format("{} of {} windows {}", seen, all, text), static_cast<double>(seen),
                seen * 3 > all);
        }
    }
}

/// An open loop whose client was late itself.
void assessor::check_lag() {
    for (const auto& pass : passes_) {
        std::vector<std::string> late;
        for (const auto& lane : pass.lanes) {
            const auto& rounds = *lane.rounds;
            const auto seen = std::count_if(rounds.begin(), rounds.end(), [](const auto& result) {
                return has_flag(result, "lag");
            });
            if (static_cast<std::size_t>(seen) * 3 > rounds.size()) {
                late.push_back(lane.what->name);
            }
        }
        if (!late.empty()) {
            add("lag",
                fmt::format("{}: the client sent late with {}: response times hold its own lag",
                            pass.record->what.test, cli::join_and(late)),
                {}, false);
        }
    }
}

void assessor::check_faults() {
    tally sum;
    std::uint64_t errors = 0;
    for_each_result(passes_, [&](const pass_record&, const lane_result& result) {
        sum.lost += result.counted.lost;
        sum.late += result.counted.late;
        sum.duplicate += result.counted.duplicate;
        sum.unfinished += result.counted.unfinished;
        sum.reordered += result.counted.reordered;
        for (const auto& [text, count] : result.counted.errors) {
            errors += count;
        }
    });
    if (errors > 0) {
        add("errors", fmt::format("{} connections failed", errors), static_cast<double>(errors),
            false);
    }
    if (sum.lost + sum.late + sum.duplicate > 0) {
        add("loss",
            fmt::format("datagrams: {} lost, {} late, {} duplicate", sum.lost, sum.late,
                        sum.duplicate),
            static_cast<double>(sum.lost), false);
    }
    if (sum.reordered > 0) {
        add("order", fmt::format("datagrams: {} answered after a later one", sum.reordered),
            static_cast<double>(sum.reordered), false);
    }
    if (sum.unfinished > 0) {
        add("unfinished", fmt::format("{} messages had no answer in time", sum.unfinished),
            static_cast<double>(sum.unfinished), false);
    }
}

void assessor::check_control() {
    for (const auto& pass : passes_) {
        if (pass.is_control_off(pass.primary)) {
            const auto* found = compared(*pass.control(), pass.primary);
            add("control",
                fmt::format("this machine cannot tell two identical servers apart today ({}: "
                            "{:.2f}): no verdicts",
                            pass.record->what.test, found->against_baseline.estimate),
                found->against_baseline.estimate, true);
        }
    }
}

void assessor::check_rounds() {
    const bool is_compared = std::any_of(passes_.begin(), passes_.end(),
                                         [](const auto& p) { return p.lanes.size() > 1; });
    if (passes_.empty() || !is_compared) {
        return;
    }
    std::size_t rounds = passes_.front().record->rounds();
    for (const auto& pass : passes_) {
        rounds = std::min(rounds, pass.record->rounds());
    }
    const std::size_t needed = signed_rank_pairs_min(plan_.confidence());
    if (rounds < needed) {
        add("rounds",
            fmt::format("{} no {:.0f} % interval ({} needed): no verdicts",
                        rounds == 1 ? "1 round gives" : fmt::format("{} rounds give", rounds),
                        plan_.confidence() * 100, needed),
            static_cast<double>(rounds), false);
    }
}

} // namespace

trust assess(const plan& whole, const circumstances& around,
             const std::vector<pass_summary>& passes) {
    return assessor(whole, around, passes).run();
}

} // namespace sockeye::bench
