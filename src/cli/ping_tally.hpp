#pragma once

#include "cli/ping_check.hpp"

#include "bench/histogram.hpp"

#include <cstdint>
#include <string>

namespace sockeye::cli {

/// Counts the answers of a ping. Times are kept in a histogram of fixed size whose buckets are
/// 0.1 % wide: least and most are exact, the median is that exact.
class ping_tally {
public:
    void count(const ping_verdict& one);

    [[nodiscard]] std::uint64_t answered() const noexcept { return answered_; }
    [[nodiscard]] std::uint64_t wrong() const noexcept { return wrong_; }

    /// `4 sent, 4 answered, 0 wrong, 0 % lost; min 0.029  median 0.030  max 0.034 ms`
    [[nodiscard]] std::string summary(std::uint64_t sent, std::uint64_t waiting) const;

private:
    std::uint64_t answered_ = 0;
    std::uint64_t wrong_ = 0;
    std::uint64_t late_ = 0;
    std::uint64_t duplicates_ = 0;
    std::uint64_t unexpected_ = 0;
    bench::histogram times_;
};

/// `0.031`, in milliseconds.
[[nodiscard]] std::string format_milliseconds(duration value);

} // namespace sockeye::cli
