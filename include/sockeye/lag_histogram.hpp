#pragma once

#include <sockeye/time.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace sockeye {

/// How late things were, counted by powers of two: below 1 us, below 2 us, ..., above half an hour.
///
/// Takes its 264 bytes and no more, whatever comes.
class lag_histogram {
public:
    static constexpr std::size_t bucket_count = 32;

    void add(duration late) noexcept {
        const auto ns = std::clamp(late, duration::zero(), longest).count();
        ++counts_[static_cast<std::size_t>(std::bit_width(static_cast<std::uint64_t>(ns) >> 10))];
        sum_ += std::chrono::nanoseconds(ns);
    }

    /// How many were below limit(bucket) and not below the limit of the bucket before.
    [[nodiscard]] std::uint64_t count(std::size_t bucket) const noexcept { return counts_[bucket]; }
    /// duration::max() for the last bucket.
    [[nodiscard]] static constexpr duration limit(std::size_t bucket) noexcept {
        return bucket + 1 < bucket_count ? duration(std::int64_t{1024} << bucket) : duration::max();
    }

    [[nodiscard]] std::uint64_t total() const noexcept {
        std::uint64_t all = 0;
        for (const auto one : counts_) {
            all += one;
        }
        return all;
    }
    /// Of all that were counted; what was later than half an hour counts as that.
    [[nodiscard]] duration sum() const noexcept { return sum_; }

    /// A limit that `share` of all were below, 0.99 for the slowest hundredth; 0 where nothing was
    /// counted. Right to a factor of two.
    [[nodiscard]] duration quantile(double share) const noexcept {
        const auto wanted = share * static_cast<double>(total());
        std::uint64_t below = 0;
        for (std::size_t bucket = 0; bucket < bucket_count; ++bucket) {
            below += counts_[bucket];
            if (below > 0 && static_cast<double>(below) >= wanted) {
                return limit(bucket);
            }
        }
        return duration::zero();
    }

private:
    static constexpr duration longest = duration((std::int64_t{1024} << (bucket_count - 1)) - 1);

    std::array<std::uint64_t, bucket_count> counts_ = {};
    duration sum_ = duration::zero();
};

} // namespace sockeye
