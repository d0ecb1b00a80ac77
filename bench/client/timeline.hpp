#pragma once

#include <sockeye/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sockeye::bench {

/// What happened in each slice of time since the first message was due.
class timeline {
public:
    static constexpr duration slice_length = std::chrono::milliseconds(20);

    struct slice {
        std::uint64_t messages = 0;        ///< answered
        std::uint64_t send_lag_max_ns = 0; ///< of an open loop
        std::size_t backlog = 0;           ///< due and not answered at the end
    };

    void begin(time_point start) {
        start_ = start;
        end_ = start + slice_length;
        slices_.assign(1, {});
    }
    /// Messages were answered.
    void note_answers(time_point now, std::uint64_t count = 1) {
        reach(now);
        slices_.back().messages += count;
    }
    void note_send_lag(time_point now, std::uint64_t lag_ns) {
        reach(now);
        slices_.back().send_lag_max_ns = std::max(slices_.back().send_lag_max_ns, lag_ns);
    }
    /// So many messages are due and not answered now.
    void note_backlog(time_point now, std::size_t backlog) {
        reach(now);
        slices_.back().backlog = backlog;
    }

    /// Adds what another thread saw in the same slices.
    void merge(const timeline& other);

    [[nodiscard]] const std::vector<slice>& slices() const noexcept { return slices_; }
    /// The whole slices from `from` to `until`.
    [[nodiscard]] std::vector<slice> between(time_point from, time_point until) const;
    [[nodiscard]] time_point start() const noexcept { return start_; }

private:
    void reach(time_point now) {
        if (now >= end_) [[unlikely]] {
            extend(now);
        }
    }
    void extend(time_point now);

    time_point start_ = {};
    time_point end_ = time_point::max(); ///< of the last slice
    std::vector<slice> slices_ = std::vector<slice>(1);
};

} // namespace sockeye::bench
