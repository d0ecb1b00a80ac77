#include <sockeye/timer.hpp>

#include "base/memory.hpp"
#include "loop/timer_state.hpp"

#include <algorithm>
#include <cassert>
#include <memory>

namespace sockeye {
namespace {

constexpr std::int64_t ticks_made_up_max = 16;

void arm(timer_state& state, time_point when) noexcept {
    if (!state.queue.restart(state.name, when)) {
        state.core.add_life();
    }
    state.planned = when;
    state.was_started = true;
}

void disarm(timer_state& state) noexcept {
    if (state.queue.cancel(state.name)) {
        state.core.drop_life();
    }
}

time_point later(time_point from, duration delay) noexcept {
    return from + std::clamp(delay, duration::zero(), time_point::max() - from);
}

/// The real now of its clock.
time_point clock_now(timer_state& state) {
    return state.clock != nullptr ? state.clock->now() : state.core.system().now();
}

/// The same, as the turn knows it.
time_point turn_now(timer_state& state) {
    return state.clock != nullptr ? state.clock->now() : state.core.io().now();
}

/// The next tick of a plan of which `missed` whole periods have passed beside the one that fired.
time_point next_tick(const timer_state& state, std::int64_t missed) noexcept {
    switch (state.policy) {
    case missed_ticks::skip:
        break;
    case missed_ticks::catch_up:
        missed = std::max<std::int64_t>(missed - ticks_made_up_max, 0);
        break;
    case missed_ticks::delay:
        return time_point::max(); // until its handler has ended
    }
    // No overflow: what has passed lies between the plan and now.
    return later(state.planned + missed * state.period, state.period);
}

void arm_next(timer_state& state) {
    // A wall clock that was set back may be before its plan.
    const auto late = std::max(turn_now(state) - state.planned, duration::zero());
    arm(state, next_tick(state, late / state.period));
}

void after_handler(timer_state& state, unique_function<void()> ran, bool threw) noexcept {
    if (threw && !state.was_started) {
        disarm(state);
        return;
    }
    if (!state.handler) {
        state.handler = std::move(ran);
    }
    const bool waits_for_its_end = state.policy == missed_ticks::delay && !state.was_started &&
                                   state.queue.is_armed(state.name);
    if (waits_for_its_end) {
        arm(state, later(clock_now(state), state.period));
    }
}

/// Where a verb comes in that makes it wait.
timer_state& begun(timer_state* state) noexcept {
    assert(state != nullptr || misuse("a timer", "is used after it was moved from"));
    assert(may_begin(state->core, "a timer"));
    return *state;
}

void destroy(timer_state* state) noexcept {
    if (state != nullptr) {
        assert(may_use(state->core, "a timer"));
        disarm(*state);
        state->core.retire(std::unique_ptr<timer_state>(state));
    }
}

/// In nanoseconds since its epoch, like those of clock_timers.
time_point point_of(std::chrono::system_clock::time_point when) noexcept {
    using wall_duration = std::chrono::system_clock::duration;
    constexpr auto last = std::chrono::duration_cast<wall_duration>(duration::max());
    const auto since = std::clamp(when.time_since_epoch(), -last, last);
    return time_point(std::chrono::duration_cast<duration>(since));
}

} // namespace

timer_state::timer_state(loop_core& owner, clock_timers* owned_clock)
    : queue(owned_clock != nullptr ? owned_clock->queue() : owner.timers()),
      name(queue.keep({fire_timer, this, 0})), core(owner), clock(owned_clock) {}

timer_state::~timer_state() {
    queue.release(name);
    if (clock != nullptr) {
        core.drop_clock(*clock);
    }
}

void fire_timer(void* owner, std::uint64_t) {
    auto& state = *static_cast<timer_state*>(owner);
    state.core.drop_life();
    if (state.period != duration::zero()) {
        arm_next(state);
    }
    state.is_running = true;
    state.was_started = false;
    // Moved out, so that a handler may start its own timer with another one.
    auto running = std::move(state.handler);
    const bool threw = !state.core.call(running);
    state.is_running = false;
    after_handler(state, std::move(running), threw);
    state.core.io().handler_ran("timer");
}

timer::timer(sockeye::loop& owner) : state_(new timer_state(core_of(owner), nullptr)) {}

result<timer> timer::open(sockeye::loop& owner, timer_clock which) {
    auto& core = core_of(owner);
    auto made = without_throwing([&]() -> result<timer_state*> {
        if (which == timer_clock::steady) {
            return new timer_state(core, nullptr);
        }
        const auto kind = which == timer_clock::boot ? clock_kind::boot : clock_kind::wall;
        const auto timers = core.use_clock(kind);
        if (!timers) {
            return timers.error();
        }
        try {
            return new timer_state(core, *timers);
        } catch (...) {
            core.drop_clock(**timers);
            throw;
        }
    });
    if (!made) {
        return made.error();
    }
    return timer(*made);
}

timer& timer::operator=(timer&& other) noexcept {
    if (this != &other) {
        destroy(std::exchange(state_, std::exchange(other.state_, nullptr)));
    }
    return *this;
}

timer::~timer() {
    destroy(state_);
}

void timer::begin(time_point when, duration period, unique_function<void()> handler) {
    assert(handler || misuse("a timer", "is started without a handler"));
    arm(begun(state_), when);
    state_->handler = std::move(handler);
    state_->period = period;
    state_->policy = missed_ticks::skip;
}

void timer::start(duration delay, unique_function<void()> handler) {
    begin(later(clock_now(begun(state_)), delay), {}, std::move(handler));
}

void timer::start_at(time_point when, unique_function<void()> handler) {
    assert(begun(state_).clock == nullptr);
    begin(when, {}, std::move(handler));
}

void timer::start_at(std::chrono::system_clock::time_point when, unique_function<void()> handler) {
    assert(begun(state_).clock != nullptr && state_->clock->kind() == clock_kind::wall);
    begin(point_of(when), {}, std::move(handler));
}

void timer::start_every(duration period, unique_function<void()> handler) {
    start_every(period, missed_ticks::skip, std::move(handler));
}

void timer::start_every(duration period, missed_ticks policy, unique_function<void()> handler) {
    assert(period > duration::zero());
    begin(later(clock_now(begun(state_)), period), period, std::move(handler));
    state_->policy = policy;
}

void timer::restart(duration delay) {
    again(later(turn_now(begun(state_)), delay));
}

void timer::restart_at(time_point when) {
    assert(begun(state_).clock == nullptr);
    again(when);
}

void timer::again(time_point when) {
    assert(state_->handler || state_->is_running ||
           misuse("a timer", "is restarted that was never started"));
    arm(begun(state_), when);
}

void timer::cancel() noexcept {
    if (state_ != nullptr) {
        assert(may_use(state_->core, "a timer"));
        disarm(*state_);
    }
}

bool timer::is_armed() const noexcept {
    assert(state_ == nullptr || may_use(state_->core, "a timer"));
    return state_ != nullptr && state_->queue.is_armed(state_->name);
}

} // namespace sockeye
