#include "bench/histogram.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

using sockeye::bench::histogram;

namespace {

/// Times spread over ten orders of magnitude, as services have them.
std::vector<std::uint64_t> random_times(std::size_t count, std::uint64_t seed) {
    std::mt19937_64 random(seed);
    std::uniform_real_distribution<double> exponent(0, 10);
    std::vector<std::uint64_t> values(count);
    for (auto& value : values) {
        value = static_cast<std::uint64_t>(std::pow(10, exponent(random)));
    }
    return values;
}

histogram histogram_of(const std::vector<std::uint64_t>& values) {
    histogram made;
    for (const auto value : values) {
        made.record(value);
    }
    return made;
}

std::uint64_t true_percentile(const std::vector<std::uint64_t>& sorted, double share) {
    const auto rank =
        static_cast<std::size_t>(std::ceil(share * static_cast<double>(sorted.size())));
    return sorted[std::max<std::size_t>(rank, 1) - 1];
}

} // namespace

TEST_CASE("histogram: every percentile of a million values is within 0.1 % above the truth") {
    auto values = random_times(1'000'000, 42);
    const auto made = histogram_of(values);
    std::sort(values.begin(), values.end());
    for (int permille = 0; permille <= 1000; ++permille) {
        const double share = permille / 1000.0;
        const auto truth = true_percentile(values, share);
        const auto told = made.percentile(share);
        CAPTURE(share);
        CHECK(told >= truth);
        CHECK(static_cast<double>(told) <= static_cast<double>(truth) * 1.001);
    }
}

TEST_CASE("histogram: count, least, greatest and mean are exact") {
    const auto values = random_times(10'000, 7);
    const auto made = histogram_of(values);
    double sum = 0;
    for (const auto value : values) {
        sum += static_cast<double>(value);
    }
    CHECK(made.count() == values.size());
    CHECK(made.min() == *std::min_element(values.begin(), values.end()));
    CHECK(made.max() == *std::max_element(values.begin(), values.end()));
    CHECK(made.mean() == doctest::Approx(sum / 10'000));
    CHECK(made.percentile(1) == made.max());
}

TEST_CASE("histogram: small values have buckets of their own, up to 2047") {
    for (const std::uint64_t value : {0u, 1u, 1023u, 1024u, 2047u}) {
        CAPTURE(value);
        histogram made;
        made.record(value);
        made.record(1'000'000);
        CHECK(made.percentile(0.5) == value);
    }
}

TEST_CASE("histogram: every power of two and its neighbours land in a bucket that holds them") {
    for (unsigned bit = 1; bit < 63; ++bit) {
        for (const std::int64_t offset : {-1, 0, 1}) {
            const std::uint64_t value =
                (std::uint64_t{1} << bit) + static_cast<std::uint64_t>(offset);
            CAPTURE(value);
            histogram made;
            made.record(value);
            std::uint64_t upper_end = 0;
            made.for_each_bucket([&](std::uint64_t upper, std::uint64_t) { upper_end = upper; });
            CHECK(upper_end >= value);
            CHECK(upper_end - value <= value / 1024);
        }
    }
}

TEST_CASE("histogram: values beyond the range count as the greatest there is") {
    histogram made;
    made.record(~std::uint64_t{0});
    CHECK(made.max() == (std::uint64_t{1} << 63) - 1);
    CHECK(made.percentile(0.5) == made.max());
}

TEST_CASE("histogram: merging is the same as recording everything in one") {
    const auto left = random_times(5'000, 1);
    const auto right = random_times(7'000, 2);
    auto all = left;
    all.insert(all.end(), right.begin(), right.end());
    auto merged = histogram_of(left);
    merged.merge(histogram_of(right));
    const auto whole = histogram_of(all);

    using bucket = std::pair<std::uint64_t, std::uint64_t>;
    const auto buckets_of = [](const histogram& from) {
        std::vector<bucket> found;
        from.for_each_bucket([&](std::uint64_t u, std::uint64_t n) { found.emplace_back(u, n); });
        return found;
    };
    CHECK(buckets_of(merged) == buckets_of(whole));
    CHECK(merged.count() == whole.count());
    CHECK(merged.min() == whole.min());
    CHECK(merged.max() == whole.max());
    CHECK(merged.mean() == whole.mean());
}

TEST_CASE("histogram: shrunk it tells the same, and can be merged into another") {
    histogram kept;
    histogram nothing;
    histogram whole;
    for (std::uint64_t value = 0; value < 5'000'000; value += 997) {
        kept.record(value);
        whole.record(value);
    }
    kept.shrink();
    nothing.shrink();
    CHECK(kept.count() == whole.count());
    CHECK(kept.max() == whole.max());
    for (const double share : {0.0, 0.5, 0.99, 1.0}) {
        CAPTURE(share);
        CHECK(kept.percentile(share) == whole.percentile(share));
    }
    histogram sum;
    sum.record(std::uint64_t{1} << 40);
    sum.merge(kept);
    sum.merge(nothing);
    CHECK(sum.count() == whole.count() + 1);
    CHECK(sum.percentile(0.5) == whole.percentile(0.5));
    CHECK(sum.max() == std::uint64_t{1} << 40);
    CHECK(nothing.count() == 0);
}

TEST_CASE("histogram: a percentile is told only where ten values lie above it") {
    histogram made;
    for (int i = 0; i < 999; ++i) {
        made.record(1);
    }
    CHECK(made.can_tell(0.5));
    CHECK_FALSE(made.can_tell(0.99));
    made.record(1);
    CHECK(made.can_tell(0.99));
    CHECK_FALSE(made.can_tell(0.999));
    made.clear();
    CHECK(made.count() == 0);
    CHECK_FALSE(made.can_tell(0.5));
}
