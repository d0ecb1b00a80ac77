#include "bench/run.hpp"

#include "bench/judge/statistics.hpp"
#include "bench/judge/summary.hpp"
#include "bench/order.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

/// Something in the answers of a lane that ends the run; empty where all is well.
std::string fault_of(const lane& subject, const tally& counted) {
    if (!counted.first_mismatch) {
        return {};
    }
    const auto& first = *counted.first_mismatch;
    return fmt::format("wrong bytes from {}: connection {}, offset {}: expected {}, got {}",
                       subject.name, first.connection, first.offset, first.expected, first.got);
}

/// Runs one round of all lanes; what they did is in the order of the lanes.
std::vector<lane_result> run_round(const plan& whole, const pass& test,
                                   const std::vector<std::size_t>& order, const ring& content,
                                   progress& shown) {
    std::vector<lane_result> results(test.lanes.size());
    for (std::size_t position = 0; position < order.size(); ++position) {
        const lane& subject = test.lanes[order[position]];
        shown.begin_lane(subject.name);
        auto result = run_lane(whole, test, subject, content, shown);
        result.position = position;
        if (const auto fault = fault_of(subject, result.counted); !fault.empty()) {
            throw round_failed(fault);
        }
        shown.end_lane(result.rate(),
                       plan::estimate(test) / static_cast<duration::rep>(order.size()));
        results[order[position]] = std::move(result);
    }
    return results;
}

/// Half of the rate of the slowest server in that test, to two digits: all of them can bear it.
double rate_for_all(const run_record& record, const std::string& test) {
    double slowest = 0;
    for (const auto& pass : record.passes) {
        if (pass.what.test != test || pass.what.is_one_core) {
            continue;
        }
        for (const auto& lane : pass.lanes) {
            std::vector<double> rates;
            for (const auto& each : lane) {
                rates.push_back(each.rate());
            }
            const double rate = median(rates);
            slowest = slowest == 0 ? rate : std::min(slowest, rate);
        }
    }
    const double unit = std::pow(10, std::floor(std::log10(slowest / 2)) - 1);
    return std::floor(slowest / 2 / unit) * unit;
}

/// Whether something other than the server shaped the round.
bool is_disturbed(const lane_result& result) {
    return std::any_of(result.flags.begin(), result.flags.end(),
                       [](const std::string& flag) { return flag != "lag"; });
}

/// The rounds in which any lane was disturbed; none where so many are that it is the machine's
/// usual state.
std::vector<std::size_t> rounds_to_repeat(const pass_record& kept) {
    std::vector<std::size_t> found;
    for (std::size_t round = 0; round < kept.rounds(); ++round) {
        if (std::any_of(kept.lanes.begin(), kept.lanes.end(),
                        [&](const auto& lane) { return is_disturbed(lane[round]); })) {
            found.push_back(round);
        }
    }
    return found.size() * 3 > kept.rounds() ? std::vector<std::size_t>() : found;
}

class plan_runner {
public:
    plan_runner(const plan& whole, progress& shown)
        : plan_(whole), shown_(shown), content_(whole.seed) {}

    run_record run();

private:
    void run_pass(pass test);
    void repeat_disturbed(pass_record& kept);

    const plan& plan_;
    progress& shown_;
    const ring content_;
    run_record record_;
};

void plan_runner::run_pass(pass test) {
    if (!test.rate_from.empty() && test.what.rate_per_s == 0) {
        test.what.rate_per_s = rate_for_all(record_, test.rate_from);
    }
    auto& kept = record_.passes.emplace_back();
    kept.what = std::move(test);
    kept.lanes.resize(kept.what.lanes.size());
    kept.replaced.resize(kept.what.lanes.size());
    const auto orders = williams_orders(kept.what.lanes.size());
    const std::string name = kept.what.test + (kept.what.is_one_core ? " on one core" : "");
    const time_point begun = clock::now();
    for (std::size_t round = 0; round < plan_.rounds.most && kept.ended == ending::none; ++round) {
        shown_.begin_round(name, round + 1, plan_.rounds);
        auto results = run_round(plan_, kept.what, orders[round % orders.size()], content_, shown_);
        for (std::size_t i = 0; i < results.size(); ++i) {
            results[i].round = round + 1;
            kept.lanes[i].push_back(std::move(results[i]));
        }
        shown_.end_round();
        if (plan_.rounds.is_auto()) {
            const auto ratios = primary_ratios(kept, plan_.baseline, plan_.confidence());
            kept.ended = ending_of(plan_.rounds, round + 1, clock::now() - begun, ratios);
        }
    }
    const auto run = static_cast<duration::rep>(kept.rounds());
    shown_.skip(std::max(plan_.estimate_most(kept.what) - plan::estimate(kept.what) * run,
                         duration::zero()));
    if (plan_.repeats_disturbed) {
        repeat_disturbed(kept);
    }
}

/// Runs them once more, all lanes, so that the rounds stay pairs.
void plan_runner::repeat_disturbed(pass_record& kept) {
    const auto orders = williams_orders(kept.what.lanes.size());
    for (const std::size_t round : rounds_to_repeat(kept)) {
        shown_.begin_round(kept.what.test + ", once more", round + 1, plan_.rounds);
        auto results = run_round(plan_, kept.what, orders[round % orders.size()], content_, shown_);
        for (std::size_t i = 0; i < results.size(); ++i) {
            results[i].round = round + 1;
            results[i].is_repeat = true;
            auto& old = kept.lanes[i][round];
            old.is_replaced = true;
            kept.replaced[i].push_back(std::exchange(old, std::move(results[i])));
        }
        shown_.end_round();
    }
}

run_record plan_runner::run() {
    try {
        for (const auto& test : plan_.passes) {
            run_pass(test);
        }
    } catch (const interrupted&) {
        record_.interrupt = host::interrupt();
    } catch (const round_failed& failed) {
        record_.failure = failed.what();
    }
    shown_.erase();
    return std::move(record_);
}

} // namespace

run_record run_plan(const plan& whole, progress& shown) {
    return plan_runner(whole, shown).run();
}

} // namespace sockeye::bench
