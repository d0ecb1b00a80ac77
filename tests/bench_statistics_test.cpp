#include "bench/order.hpp"
#include "bench/statistics.hpp"
#include "bench/summary.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

namespace bench = sockeye::bench;

namespace {

bench::ratio ratio_of(double lo, double estimate, double hi) {
    return {estimate, bench::interval{lo, hi}, 10};
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
