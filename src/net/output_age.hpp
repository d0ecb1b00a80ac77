#pragma once

#include "reactor/slot_wheel.hpp"

#include <array>
#include <cstddef>
#include <cstdint>

namespace sockeye {

/// Since when the bytes of a queue have waited, and how fast they leave it.
///
/// Those that came within a short span are one group and pass for as old as the last of them.
class output_age {
public:
    static constexpr std::size_t groups_max = 8;

    /// `count` bytes more wait since `now`. A group spans at most `span` ticks, or more where there
    /// are groups_max already.
    void queued(std::size_t count, tick now, tick span) noexcept {
        if (queued_ == sent_) {
            count_ = 0;
            begin_window(now);
        }
        forget_sent();
        queued_ += count;
        if (count_ == 0 || (now - groups_[count_ - 1].began > span && count_ < groups_max)) {
            groups_[count_++] = {now, now, queued_};
        } else {
            groups_[count_ - 1].ended = now;
            groups_[count_ - 1].last = queued_;
        }
    }
    void sent(std::size_t count) noexcept { sent_ += count; }

    [[nodiscard]] bool is_empty() const noexcept { return queued_ == sent_; }
    /// When the oldest of those that wait was queued, or a little later. Requires: not empty.
    [[nodiscard]] tick oldest() const noexcept {
        std::size_t at = 0;
        while (at + 1 < count_ && groups_[at].last <= sent_) {
            ++at;
        }
        return groups_[at].ended;
    }

    /// A window in which so much has to leave begins.
    void begin_window(tick now) noexcept {
        window_began_ = now;
        window_sent_ = sent_;
    }
    [[nodiscard]] tick window_began() const noexcept { return window_began_; }
    [[nodiscard]] std::uint64_t sent_in_window() const noexcept { return sent_ - window_sent_; }

private:
    struct group {
        tick began;
        tick ended;
        std::uint64_t last; ///< as queued_ counts
    };

    void forget_sent() noexcept {
        std::size_t gone = 0;
        while (gone < count_ && groups_[gone].last <= sent_) {
            ++gone;
        }
        for (std::size_t i = gone; i < count_; ++i) {
            groups_[i - gone] = groups_[i];
        }
        count_ -= gone;
    }

    std::array<group, groups_max> groups_;
    std::size_t count_ = 0;
    std::uint64_t queued_ = 0;
    std::uint64_t sent_ = 0;
    tick window_began_ = 0;
    std::uint64_t window_sent_ = 0;
};

} // namespace sockeye
