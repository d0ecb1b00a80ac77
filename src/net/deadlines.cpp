#include "net/connection.hpp"
#include "net/stream_extra.hpp"

#include <algorithm>
#include <chrono>
#include <limits>

namespace sockeye {
namespace {

constexpr tick never = std::numeric_limits<tick>::max();
constexpr duration half_closed_look_period = std::chrono::seconds(1);
/// Whatever is longer is no deadline: ticks are stored in 31 bits, of which half are the past.
constexpr duration deadline_max = std::chrono::days(50);

[[nodiscard]] bool is_limited(duration limit) noexcept {
    return limit > duration::zero() && limit <= deadline_max;
}

/// The whole tick of which these are the lower bits. Requires: it is near `now`.
tick widen(std::uint32_t stored, tick now) noexcept {
    return now + static_cast<tick>(static_cast<std::int64_t>(
                     static_cast<std::int32_t>(stored - static_cast<std::uint32_t>(now))));
}

/// The first tick that begins at `when` or later.
tick tick_from(time_point when) noexcept {
    return tick_of(when - duration(1)) + 1;
}

/// The first tick that begins `limit` or more after the last moment of `since`.
tick tick_after(tick since, duration limit) noexcept {
    return since + 1 + tick_from(time_point(limit));
}

} // namespace

void connection::begin_phase(duration limit) noexcept {
    state_.phase_ends = 0;
    if (limit <= deadline_max) {
        const auto ends = tick_from(core_.system().now() + std::max(limit, duration::zero()));
        // 0 says that there is none.
        state_.phase_ends = std::max(static_cast<std::uint32_t>(ends), std::uint32_t{1});
    }
    watch_deadlines();
}

void connection::begin_time() noexcept {
    state_.phase_ends = 0;
    state_.activity.said(core_.io().tick_now());
    state_.opened = static_cast<std::uint32_t>(core_.io().tick_now());
    watch_deadlines();
}

void connection::watch_deadlines() noexcept {
    if (is(flag_terminal)) {
        return;
    }
    if (const auto first = first_deadline(); first.when != never) {
        core_.io().look_at(place_, first.when);
    } else {
        core_.io().look_no_more(place_);
    }
}

connection::coming_deadline connection::first_deadline() const noexcept {
    const auto now = core_.io().tick_now();
    coming_deadline first = {never, deadline_kind::none};
    const auto consider = [&](tick when, deadline_kind which) {
        if (when < first.when) {
            first = {when, which};
        }
    };
    if (state_.phase_ends != 0) {
        consider(widen(state_.phase_ends, now), deadline_kind::none);
    }
    if (is(flag_connecting | flag_closing)) {
        return first;
    }
    const auto& limits = kind_.limits;
    const auto opened = widen(state_.opened, now);
    if (is_limited(limits.lifetime)) {
        consider(tick_after(opened, limits.lifetime), deadline_kind::lifetime);
    }
    // What waits for memory of ours is not to blame for its silence.
    const bool is_held_up = is(flag_paused_by_memory);
    if (is_limited(limits.first_byte) && !state_.activity.is_heard() && !is(flag_read_ended)) {
        consider(tick_after(is_held_up ? now : opened, limits.first_byte),
                 deadline_kind::first_byte);
    }
    if (is_limited(limits.idle)) {
        consider(tick_after(is_held_up ? now : state_.activity.last(now), limits.idle),
                 deadline_kind::idle);
    }
    if (state_.queue != nullptr && !state_.queue->age.is_empty()) {
        const auto& age = state_.queue->age;
        if (is_limited(limits.write)) {
            consider(tick_after(age.oldest(), limits.write), deadline_kind::write);
        }
        if (limits.min_rate != 0 && is_limited(limits.min_rate_window)) {
            consider(tick_after(age.window_began(), limits.min_rate_window), deadline_kind::rate);
        }
    }
    return first;
}

void connection::on_look(slot& place) {
    connection link(place);
    if (link.is(flag_terminal)) {
        return;
    }
    const auto first = link.first_deadline();
    if (first.when > tick_of(link.core_.io().now())) {
        link.watch_deadlines();
    } else if (first.which == deadline_kind::none) {
        link.end_phase();
    } else if (first.which == deadline_kind::rate && link.keeps_rate()) {
        link.watch_deadlines();
    } else {
        link.pass_deadline(first.which);
    }
}

void connection::end_phase() {
    state_.phase_ends = 0;
    if (is(flag_connecting)) {
        pass_deadline(deadline_kind::connect, state_.extra->connecting->late);
    } else if (is(flag_closing)) {
        pass_deadline(is_discarding() && is(flag_shut_done) ? deadline_kind::shutdown
                                                            : deadline_kind::linger);
    } else if (is(flag_shut_done)) {
        pass_deadline(deadline_kind::shutdown);
    } else {
        look_for_reset();
        look_again();
    }
}

/// Another window begins where enough was sent in the last one.
bool connection::keeps_rate() noexcept {
    const auto window = std::chrono::duration<double>(kind_.limits.min_rate_window).count();
    auto& age = state_.queue->age;
    const auto due = static_cast<double>(kind_.limits.min_rate) * window;
    const bool is_kept = static_cast<double>(age.sent_in_window()) >= due;
    if (is_kept) {
        age.begin_window(core_.io().tick_now());
    }
    return is_kept;
}

/// So much joined the queue. Those that wait without limits have no age.
void connection::note_queued(std::size_t count) noexcept {
    const auto& limits = kind_.limits;
    if (limits.min_rate == 0 && limits.write <= duration::zero()) {
        return;
    }
    auto& age = state_.queue->age;
    const bool is_first = age.is_empty();
    age.queued(count, core_.io().tick_now(), tick_of(time_point(limits.write)) / 8);
    if (is_first) {
        watch_deadlines();
    }
}

/// All that waits begins to wait now.
void connection::begin_waiting() noexcept {
    state_.queue->age = {};
    note_queued(state_.queue->size());
}

void connection::pass_deadline(deadline_kind passed, std::errc error) noexcept {
    state_.passed = passed;
    end(is(flag_connecting) ? close_reason::connect_failed : close_reason::failed,
        make_error_code(error));
}

/// Without an interest some backends cannot show that a half-closed stream was reset, so it is
/// asked from time to time.
void connection::look_again() noexcept {
    if (!core_.io().features().early_close && !is(flag_terminal | flag_closing)) {
        begin_phase(half_closed_look_period);
    }
}

} // namespace sockeye
