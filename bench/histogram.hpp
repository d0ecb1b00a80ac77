#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace sockeye::bench {

/// Counts times in nanoseconds, in buckets at most 0.1 % wide, from 0 to 2^63.
///
/// Each octave has 1024 buckets of one width (the idea of HdrHistogram). Count, least, greatest
/// and sum are exact; a percentile is the upper end of its bucket, never interpolated.
class histogram {
public:
    histogram() : counts_(bucket_count) {}

    void record(std::uint64_t value) noexcept {
        value = std::min(value, value_max);
        ++counts_[index_of(value)];
        ++count_;
        sum_ += value;
        min_ = std::min(min_, value);
        max_ = std::max(max_, value);
    }

    /// Adds what `other` counted: the same as having recorded all of it here.
    void merge(const histogram& other) noexcept;
    void clear() noexcept;
    /// Gives back what lies above the greatest value, most of its memory. It is for keeping:
    /// Requires: nothing is recorded or merged into it any more, and it is not cleared.
    void shrink();

    [[nodiscard]] std::uint64_t count() const noexcept { return count_; }
    /// Requires: count() > 0, as for the three below.
    [[nodiscard]] std::uint64_t min() const noexcept { return min_; }
    [[nodiscard]] std::uint64_t max() const noexcept { return max_; }
    [[nodiscard]] double mean() const noexcept {
        return static_cast<double>(sum_) / static_cast<double>(count_);
    }
    /// The value that the part `share` (0 to 1) of all does not exceed, 0.1 % too high at most.
    [[nodiscard]] std::uint64_t percentile(double share) const noexcept;

    /// Whether there are enough values for this percentile: at least ten lie above it.
    [[nodiscard]] bool can_tell(double share) const noexcept {
        return static_cast<double>(count_) * (1 - share) >= 10 - 1e-6;
    }

    /// Calls `visit(upper_end, count)` for each bucket that is not empty, upwards.
    template <typename Visit>
    void for_each_bucket(Visit visit) const {
        for (std::size_t i = 0; i < counts_.size(); ++i) {
            if (counts_[i] != 0) {
                visit(upper_end(i), counts_[i]);
            }
        }
    }

private:
    static constexpr unsigned sub_bits = 10;
    static constexpr std::uint64_t sub_count = std::uint64_t{1} << sub_bits;
    static constexpr std::uint64_t value_max = (std::uint64_t{1} << 63) - 1;
    static constexpr std::size_t bucket_count = (63 - sub_bits + 1) * sub_count;

    /// Values below 2 * sub_count have buckets of their own; above, each octave has sub_count.
    static std::size_t index_of(std::uint64_t value) noexcept {
        const unsigned width = static_cast<unsigned>(std::bit_width(value | sub_count));
        const unsigned shift = width - sub_bits - 1;
        return static_cast<std::size_t>((value >> shift) + shift * sub_count);
    }
    static std::uint64_t upper_end(std::size_t index) noexcept;

    std::vector<std::uint64_t> counts_;
    std::uint64_t count_ = 0;
    std::uint64_t sum_ = 0;
    std::uint64_t min_ = std::numeric_limits<std::uint64_t>::max();
    std::uint64_t max_ = 0;
};

} // namespace sockeye::bench
