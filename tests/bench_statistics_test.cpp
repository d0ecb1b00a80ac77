#include "bench/judge/precision.hpp"
#include "bench/judge/statistics.hpp"
#include "bench/judge/summary.hpp"
#include "bench/order.hpp"
#include "bench/report.hpp"
#include "bench/table.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace std::chrono_literals;
namespace bench = sockeye::bench;

namespace {

bench::ratio ratio_of(double lo, double estimate, double hi) {
    return {estimate, bench::interval{lo, hi}, 10};
}

/// So many rounds of epoll, poll and the control; poll answers so many times as much.
bench::pass_record record_of(int rounds, double times) {
    bench::pass_record made;
    for (const char* name : {"epoll", "poll", "control"}) {
        auto& lane = made.what.lanes.emplace_back();
        lane.name = name;
        lane.is_control = lane.name == "control";
        auto& results = made.lanes.emplace_back();
        for (int round = 0; round < rounds; ++round) {
            auto& result = results.emplace_back();
            result.seconds = 1;
            const double messages = (lane.name == "poll" ? times : 1) * (100'000 + 1000 * round);
            result.counted.messages = static_cast<std::uint64_t>(std::llround(messages));
            result.server = bench::account{};
            result.server->cpu_ns = 1'000'000'000;
        }
    }
    return made;
}

} // namespace

TEST_CASE("statistics: the critical values of the signed-rank test are those of the tables") {
    // Two-sided 5 %, n = 6 to 25, as textbooks print them (Wilcoxon and Wilcox, 1964).
    const std::size_t published[] = {0,  2,  3,  5,  8,  10, 13, 17, 21, 25,
                                     29, 34, 40, 46, 52, 58, 65, 73, 81, 89};
    for (std::size_t n = 6; n <= 25; ++n) {
        CAPTURE(n);
        REQUIRE(bench::signed_rank_critical(n).has_value());
        CHECK(*bench::signed_rank_critical(n) == published[n - 6]);
    }
    for (std::size_t n = 0; n < 6; ++n) {
        CAPTURE(n);
        CHECK_FALSE(bench::signed_rank_critical(n).has_value());
    }
}

TEST_CASE("statistics: the critical values at 99 % are those of the tables, and need eight pairs") {
    // Two-sided 1 %, n = 8 to 25.
    const std::size_t published[] = {0,  1,  3,  5,  7,  9,  12, 15, 19,
                                     23, 27, 32, 37, 42, 48, 54, 61, 68};
    for (std::size_t n = 8; n <= 25; ++n) {
        CAPTURE(n);
        REQUIRE(bench::signed_rank_critical(n, 0.99).has_value());
        CHECK(*bench::signed_rank_critical(n, 0.99) == published[n - 8]);
    }
    CHECK_FALSE(bench::signed_rank_critical(7, 0.99).has_value());
    CHECK(bench::signed_rank_pairs_min(0.95) == 6);
    CHECK(bench::signed_rank_pairs_min(0.99) == 8);
}

TEST_CASE("rounds: auto ends when every interval is narrow, and not before") {
    using bench::ending;
    using bench::ending_of;
    const auto asked = bench::automatic_rounds;
    const bench::ratio narrow = ratio_of(0.985, 1.0, 1.015);
    const bench::ratio wide = ratio_of(0.9, 0.95, 1.0);
    const bench::ratio unknown = {1.0, std::nullopt, 7};
    const std::vector<bench::ratio> all_narrow = {narrow, ratio_of(1.96, 2.0, 2.03)};
    const std::vector<bench::ratio> one_wide = {narrow, wide};
    const std::vector<bench::ratio> one_unknown = {narrow, unknown};
    CHECK(ending_of(asked, 5, 1s, all_narrow) == ending::none);
    CHECK(ending_of(asked, 6, 1s, all_narrow) == ending::precise);
    CHECK(ending_of(asked, 6, 1s, one_wide) == ending::none);
    CHECK(ending_of(asked, 7, 1s, one_unknown) == ending::none);
    CHECK(ending_of(asked, 39, 1s, one_wide) == ending::none);
    CHECK(ending_of(asked, 40, 1s, one_wide) == ending::most);
    CHECK(ending_of(asked, 40, 1s, all_narrow) == ending::precise);
    CHECK(ending_of(asked, 6, 299s, one_wide) == ending::none);
    CHECK(ending_of(asked, 6, 300s, one_wide) == ending::time);
    CHECK(ending_of(asked, 5, 300s, one_wide) == ending::none);
    CHECK(ending_of(asked, 6, 1s, {}) == ending::nothing);
    CHECK(ending_of({10, 10}, 9, 301s, one_wide) == ending::none);
}

TEST_CASE("rounds: an interval is as wide as it reaches from its middle, whatever the ratio") {
    CHECK(*bench::widest(std::vector{ratio_of(1 / 1.02, 1.0, 1.02)}) == doctest::Approx(0.02));
    CHECK(*bench::widest(std::vector{ratio_of(3 / 1.05, 3.0, 3 * 1.05), ratio_of(1, 1, 1)}) ==
          doctest::Approx(0.05));
    CHECK_FALSE(bench::widest({}).has_value());
    CHECK_FALSE(bench::widest(std::vector{bench::ratio{}}).has_value());
}

TEST_CASE("rounds: the ratios that decide are those the test is judged by, and at 99 %") {
    auto record = record_of(8, 1.05);
    auto found = bench::primary_ratios(record, "epoll", 0.99);
    REQUIRE(found.size() == 2); // of poll and the control
    CHECK(found[0].estimate == doctest::Approx(1.05));
    REQUIRE(found[0].bounds.has_value());
    const auto shown = bench::summarize(record, "epoll", 0.99);
    const auto* ratio = bench::compared(*shown.find("poll"), shown.primary);
    REQUIRE(ratio != nullptr);
    CHECK(ratio->against_baseline.bounds->lo == found[0].bounds->lo);
    CHECK_FALSE(bench::primary_ratios(record_of(7, 1), "epoll", 0.99)[0].bounds.has_value());
    record.what.is_one_core = true;
    for (auto& each : record.lanes[1]) {
        each.server->cpu_ns *= 2;
    }
    found = bench::primary_ratios(record, "epoll", 0.99);
    CHECK(found[0].estimate == doctest::Approx(0.525)); // of more messages, twice the CPU
    CHECK(bench::primary_ratios(record, "none", 0.99).empty());
}

TEST_CASE("summary: what the system counted is by the second and by the message, where it did") {
    auto record = record_of(6, 1);
    for (auto& each : record.lanes[0]) {
        each.seconds = 2;
        auto& counts = each.server->counts;
        counts.voluntary_switches = 500;
        counts.involuntary_switches = 20;
        counts.minor_faults = 3;
        counts.major_faults = 1;
    }
    bench::plan plan;
    bench::run_record run;
    const auto text_of = [&](bool is_verbose) {
        bench::report made;
        made.whole = &plan;
        made.record = &run;
        made.passes = {bench::summarize(record, "epoll")};
        return bench::result_text(made, {80, is_verbose, false});
    };
    const auto seen = bench::summarize(record, "epoll").find("epoll")->system;
    CHECK(*seen.sleeps_per_s == doctest::Approx(250));
    CHECK(*seen.preemptions_per_s == doctest::Approx(10));
    CHECK(*seen.faults_per_s == doctest::Approx(2));
    CHECK_FALSE(seen.instructions_per_message.has_value());
    CHECK_FALSE(bench::summarize(record, "epoll").find("poll")->system.sleeps_per_s.has_value());
    CHECK(text_of(false).find("sleeps/s ") == std::string::npos);
    const std::string row = "\n  epoll               250           10              2";
    CHECK(text_of(true).find("  sleeps/s  preempted/s  page faults/s\n") != std::string::npos);
    CHECK(text_of(true).find(row + "\n") != std::string::npos);
    for (auto& each : record.lanes[0]) {
        each.server->counts.instructions = each.counted.messages * 5000;
        each.server->counts.cycles = each.counted.messages * 2500;
    }
    const auto told = bench::summarize(record, "epoll").find("epoll")->system;
    CHECK(*told.instructions_per_message == doctest::Approx(5000));
    CHECK(*told.instructions_per_cycle == doctest::Approx(2));
    CHECK(text_of(true).find(row + "         5 k         2.00\n") != std::string::npos);
    record.lanes[0][3].server->counts.cycles.reset(); // one round in which others had the counter
    CHECK_FALSE(
        bench::summarize(record, "epoll").find("epoll")->system.instructions_per_cycle.has_value());
}

TEST_CASE("statistics: Hodges and Lehmann's estimate is the median of all pairwise means") {
    // The means are 1, 1.5, 2, 2.5, 3 and 4.
    CHECK(bench::hodges_lehmann(std::vector<double>{1, 2, 4}) == doctest::Approx(2.25));
    CHECK(bench::hodges_lehmann(std::vector<double>{5}) == doctest::Approx(5));
    // One wild value hardly moves it.
    CHECK(bench::hodges_lehmann(std::vector<double>{1, 1, 1, 1, 1, 1, 1, 1, 1, 1000}) ==
          doctest::Approx(1));
}

TEST_CASE("statistics: the interval of six values reaches from the least to the greatest") {
    const std::vector<double> values = {3, 1, 4, 1.5, 9, 2.6};
    const auto found = bench::signed_rank_interval(values);
    REQUIRE(found.has_value());
    CHECK(found->lo == 1);
    CHECK(found->hi == 9);
    CHECK_FALSE(bench::signed_rank_interval(std::vector<double>{1, 2, 3, 4, 5}).has_value());
}

TEST_CASE("statistics: the interval covers the truth in at least 95 of 100 experiments") {
    std::mt19937_64 random(11);
    std::normal_distribution<double> noise(0.3, 1);
    const int experiments = 4000;
    int covered = 0;
    for (int i = 0; i < experiments; ++i) {
        std::vector<double> values(10);
        for (auto& value : values) {
            value = noise(random);
        }
        covered += bench::signed_rank_interval(values)->contains(0.3) ? 1 : 0;
    }
    // The exact level for ten is 95.1 %; four standard errors are 1.4 %.
    CHECK(covered >= experiments * 937 / 1000);
    CHECK(covered <= experiments * 965 / 1000);
}

TEST_CASE("statistics: the median has the exact interval of its order statistics") {
    std::vector<double> ten = {10, 9, 8, 7, 6, 5, 4, 3, 2, 1};
    CHECK(bench::median(ten) == 5.5);
    const auto of_ten = bench::median_interval(ten);
    REQUIRE(of_ten.has_value());
    CHECK(of_ten->lo == 2); // the 2nd to the 9th: 97.9 %
    CHECK(of_ten->hi == 9);
    const auto of_six = bench::median_interval(std::vector<double>{6, 5, 4, 3, 2, 1});
    REQUIRE(of_six.has_value());
    CHECK(of_six->lo == 1); // the 1st to the 6th: 96.9 %
    CHECK(of_six->hi == 6);
    CHECK_FALSE(bench::median_interval(std::vector<double>{1, 2, 3, 4, 5}).has_value());
    CHECK(bench::median(std::vector<double>{3, 1, 2}) == 2);
    CHECK(bench::relative_spread(std::vector<double>{9, 10, 11, 10, 30}) == doctest::Approx(0.1));
}

TEST_CASE("statistics: ratios are paired by round, so that a drift common to both cancels") {
    std::vector<double> base;
    std::vector<double> subject;
    for (int round = 0; round < 10; ++round) {
        base.push_back(100.0 * std::pow(1.2, round));
        subject.push_back(base.back() * (round % 2 == 0 ? 1.05 : 1.07));
    }
    const auto found = bench::paired_ratio(subject, base);
    CHECK(found.estimate == doctest::Approx(1.06).epsilon(0.001));
    REQUIRE(found.bounds.has_value());
    CHECK(found.bounds->lo >= doctest::Approx(1.05));
    CHECK(found.bounds->hi <= doctest::Approx(1.07));
    CHECK(found.pairs == 10);
    const auto inverse = bench::paired_ratio(base, subject);
    CHECK(inverse.estimate == doctest::Approx(1 / found.estimate));
}

TEST_CASE("order: over all orders every lane takes every position equally often") {
    for (std::size_t lanes = 1; lanes <= 13; ++lanes) {
        CAPTURE(lanes);
        const auto orders = bench::williams_orders(lanes);
        CHECK(orders.size() == (lanes % 2 == 0 || lanes == 1 ? lanes : 2 * lanes));
        std::map<std::pair<std::size_t, std::size_t>, std::size_t> at;
        for (const auto& order : orders) {
            CHECK(std::set<std::size_t>(order.begin(), order.end()).size() == lanes);
            for (std::size_t position = 0; position < lanes; ++position) {
                ++at[{order[position], position}];
            }
        }
        CHECK(at.size() == lanes * lanes);
        for (const auto& [where, count] : at) {
            CHECK(count == orders.size() / lanes);
        }
    }
}

TEST_CASE("order: over all orders every lane follows every other equally often") {
    for (std::size_t lanes = 2; lanes <= 13; ++lanes) {
        CAPTURE(lanes);
        std::map<std::pair<std::size_t, std::size_t>, std::size_t> follows;
        for (const auto& order : bench::williams_orders(lanes)) {
            for (std::size_t i = 1; i < order.size(); ++i) {
                ++follows[{order[i - 1], order[i]}];
            }
        }
        CHECK(follows.size() == lanes * (lanes - 1));
        for (const auto& [pair, count] : follows) {
            CHECK(count == (lanes % 2 == 0 ? 1 : 2));
        }
    }
}

TEST_CASE("verdict: a difference must be sure, large, and beyond the noise of the control") {
    using bench::judge;
    using bench::verdict;
    const auto quiet = ratio_of(0.99, 1.0, 1.01);
    CHECK(judge(ratio_of(1.03, 1.05, 1.07), quiet) == verdict::faster);
    CHECK(judge(ratio_of(0.90, 0.95, 0.97), quiet) == verdict::slower);
    CHECK(judge(ratio_of(1.03, 1.05, 1.07), std::nullopt) == verdict::faster);
    SUBCASE("within three per cent it is the same, however sure") {
        CHECK(judge(ratio_of(1.012, 1.015, 1.02), quiet) == verdict::same);
        CHECK(judge(ratio_of(0.98, 1.0, 1.02), quiet) == verdict::same);
    }
    SUBCASE("a wide interval around 1 tells nothing") {
        CHECK(judge(ratio_of(0.9, 1.04, 1.2), quiet) == verdict::unclear);
    }
    SUBCASE("a noisy control hides small differences") {
        const auto noisy = ratio_of(0.93, 1.0, 1.06);
        CHECK(judge(ratio_of(1.03, 1.05, 1.07), noisy) == verdict::unclear);
        CHECK(judge(ratio_of(0.94, 1.0, 1.05), noisy) == verdict::same);
        CHECK(judge(ratio_of(1.1, 1.2, 1.3), noisy) == verdict::faster);
    }
    SUBCASE("a control that could be anything does not make two the same") {
        const auto wild = ratio_of(0.2, 1.0, 5.0);
        CHECK(judge(ratio_of(0.5, 1.0, 2.0), wild) == verdict::unclear);
        CHECK(judge(ratio_of(0.98, 1.0, 1.02), wild) == verdict::same);
    }
    SUBCASE("where two identical servers differ there is no verdict") {
        CHECK(judge(ratio_of(1.4, 1.5, 1.6), ratio_of(1.03, 1.05, 1.08)) == verdict::none);
    }
    SUBCASE("nor without an interval") {
        CHECK(judge({1.5, std::nullopt, 3}, quiet) == verdict::none);
    }
}
