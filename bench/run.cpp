#include "bench/run.hpp"

#include "bench/order.hpp"

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

} // namespace

run_record run_plan(const plan& whole, progress& shown) {
    run_record record;
    const ring content(whole.seed);
    try {
        for (const auto& test : whole.passes) {
            const auto orders = williams_orders(test.lanes.size());
            auto& kept = record.passes.emplace_back();
            kept.what = test;
            kept.lanes.resize(test.lanes.size());
            for (std::size_t round = 0; round < whole.rounds; ++round) {
                shown.begin_round(test.test + (test.is_one_core ? " on one core" : ""), round + 1,
                                  whole.rounds);
                auto results =
                    run_round(whole, test, orders[round % orders.size()], content, shown);
                for (std::size_t i = 0; i < results.size(); ++i) {
                    kept.lanes[i].push_back(std::move(results[i]));
                }
                shown.end_round();
            }
        }
    } catch (const interrupted&) {
        record.interrupt = host::interrupt();
    } catch (const round_failed& failed) {
        record.failure = failed.what();
    }
    shown.erase();
    return record;
}

} // namespace sockeye::bench
