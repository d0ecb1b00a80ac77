#pragma once

#include "bench/client/schedule.hpp"
#include "bench/client/tally.hpp"
#include "bench/load.hpp"

#include <sockeye/time.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace sockeye::bench {

/// Messages that go out before answers are looked for again, however many are due.
inline constexpr std::size_t burst_max = 64;

/// The messages of an open loop that one client has yet to send: which connection is next, and
/// when. Empty in a closed loop.
class agenda {
public:
    agenda(const load& what, std::uint64_t seed)
        : connections_(what.connections), in_flight_max_(what.in_flight_max) {
        if (what.is_open_loop()) {
            schedule_.emplace(seed, what.rate_per_s, what.law);
        }
    }

    [[nodiscard]] bool is_open_loop() const noexcept { return schedule_.has_value(); }
    /// Until then nothing is due.
    void begin(time_point start) noexcept { start_ = start; }
    /// What is due from then on is never sent. Of several ends the earliest counts.
    void end_at(time_point end) noexcept { end_ = std::min(end_, end); }

    /// When the next message is due; `never` where there is none.
    [[nodiscard]] time_point next() const noexcept {
        if (!schedule_ || !start_) {
            return time_point::max();
        }
        const time_point due = *start_ + schedule_->next();
        return due < end_ ? due : time_point::max();
    }
    [[nodiscard]] bool is_due(time_point now) const noexcept { return next() <= now; }
    /// Whether some are due although sending has ended.
    [[nodiscard]] bool is_left() const noexcept {
        return end_ != time_point::max() && next() != time_point::max();
    }
    /// The connection that the next message is for; goes on to the one after it.
    /// Requires: an open loop.
    std::size_t take() {
        schedule_->advance();
        const std::size_t taken = connection_;
        connection_ = connection_ + 1 == connections_ ? 0 : connection_ + 1;
        return taken;
    }

    /// Sends what is due by `now`, a burst at most. For each, `send(connection, due, now)` keeps
    /// `on_way`, the messages without an answer, and returns the time it is then. Where
    /// load::in_flight_max are on their way, all sending ends. Returns when the next one is due.
    template <typename Send>
    time_point send_due(time_point now, const std::size_t& on_way, tally& counted, Send send);
    /// Counts the messages that were due and that nobody came to send.
    void note_unsent(tally& counted, time_point now) {
        for (; is_left(); take()) {
            counted.note_due(next(), now);
            counted.note_unfinished(next(), now);
            ++counted.unfinished;
        }
    }

private:
    std::optional<schedule> schedule_;
    std::size_t connections_;
    std::size_t in_flight_max_;
    std::size_t connection_ = 0;
    std::optional<time_point> start_;
    time_point end_ = time_point::max();
};

template <typename Send>
time_point agenda::send_due(time_point now, const std::size_t& on_way, tally& counted, Send send) {
    for (std::size_t sent = 0; sent < burst_max && is_due(now); ++sent) {
        const time_point due = next();
        if (on_way >= in_flight_max_) {
            counted.has_overflowed = true;
            end_at(due);
            break;
        }
        counted.note_due(due, now);
        now = send(take(), due, now);
    }
    if (is_open_loop()) {
        counted.over_time.note_backlog(now, on_way);
    }
    return next();
}

} // namespace sockeye::bench
