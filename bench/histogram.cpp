#include "bench/histogram.hpp"

#include <cmath>

namespace sockeye::bench {

void histogram::merge(const histogram& other) noexcept {
    for (std::size_t i = 0; i < other.counts_.size(); ++i) {
        counts_[i] += other.counts_[i];
    }
    count_ += other.count_;
    sum_ += other.sum_;
    min_ = std::min(min_, other.min_);
    max_ = std::max(max_, other.max_);
}

void histogram::clear() noexcept {
    std::fill(counts_.begin(), counts_.end(), 0);
    count_ = 0;
    sum_ = 0;
    min_ = std::numeric_limits<std::uint64_t>::max();
    max_ = 0;
}

void histogram::shrink() {
    counts_.resize(count_ == 0 ? 0 : index_of(max_) + 1);
    counts_.shrink_to_fit();
}

std::uint64_t histogram::percentile(double share) const noexcept {
    const double wanted = std::ceil(share * static_cast<double>(count_));
    const auto rank = std::max<std::uint64_t>(1, static_cast<std::uint64_t>(wanted));
    std::uint64_t passed = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        passed += counts_[i];
        if (passed >= rank) {
            return std::min(upper_end(i), max_);
        }
    }
    return max_;
}

std::uint64_t histogram::upper_end(std::size_t index) noexcept {
    if (index < 2 * sub_count) {
        return index;
    }
    const auto shift = static_cast<unsigned>(index / sub_count) - 1;
    const std::uint64_t top = index - shift * sub_count;
    return ((top + 1) << shift) - 1;
}

} // namespace sockeye::bench
