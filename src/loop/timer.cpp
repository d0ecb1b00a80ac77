#include <sockeye/timer.hpp>

#include "loop/loop_core.hpp"

#include <algorithm>
#include <cassert>
#include <memory>

namespace sockeye {

/// What a timer owns. While its handler runs it is kept, whatever the handler does to its timer.
struct timer_state : retirable {
    explicit timer_state(loop_core& owner);

    loop_core& core;
    unique_function<void()> handler;
    timer_id name = 0; ///< kept: what its timer can do once, it can do again without memory
    duration period = duration::zero(); ///< zero: once
    time_point planned;
    bool is_running = false;  ///< its handler
    bool was_started = false; ///< since that began
};

namespace {

void fire(void* owner, std::uint64_t);

void arm(timer_state& state, time_point when) noexcept {
    if (!state.core.timers().restart(state.name, when)) {
        state.core.add_life();
    }
    state.planned = when;
    state.was_started = true;
}

void disarm(timer_state& state) noexcept {
    if (state.core.timers().cancel(state.name)) {
        state.core.drop_life();
    }
}

time_point later(time_point from, duration delay) noexcept {
    return from + std::clamp(delay, duration::zero(), time_point::max() - from);
}

/// The next tick of the plan that is still to come: missed ones are skipped.
void arm_next(timer_state& state) noexcept {
    const auto missed = (state.core.io().now() - state.planned) / state.period;
    arm(state, state.planned + (missed + 1) * state.period);
}

void fire(void* owner, std::uint64_t) {
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
    state.core.io().handler_ran();
    if (threw && !state.was_started) {
        disarm(state);
    }
    if (!state.handler && !(threw && !state.was_started)) {
        state.handler = std::move(running);
    }
}

void destroy(timer_state* state) noexcept {
    if (state != nullptr) {
        disarm(*state);
        state->core.timers().release(state->name);
        state->core.retire(std::unique_ptr<timer_state>(state));
    }
}

} // namespace

timer_state::timer_state(loop_core& owner)
    : core(owner), name(owner.timers().keep({fire, this, 0})) {}

timer::timer(sockeye::loop& owner) : state_(new timer_state(core_of(owner))) {}

timer& timer::operator=(timer&& other) noexcept {
    if (this != &other) {
        destroy(std::exchange(state_, std::exchange(other.state_, nullptr)));
    }
    return *this;
}

timer::~timer() {
    destroy(state_);
}

void timer::start(duration delay, unique_function<void()> handler) {
    start_at(later(state_->core.system().now(), delay), std::move(handler));
}

void timer::start_at(time_point when, unique_function<void()> handler) {
    assert(handler);
    assert(state_->core.io().is_own_thread());
    arm(*state_, when);
    state_->handler = std::move(handler);
    state_->period = duration::zero();
}

void timer::start_every(duration period, unique_function<void()> handler) {
    assert(handler && period > duration::zero());
    start_at(later(state_->core.system().now(), period), std::move(handler));
    state_->period = period;
}

void timer::restart(duration delay) {
    restart_at(later(state_->core.io().now(), delay));
}

void timer::restart_at(time_point when) {
    assert(state_->handler || state_->is_running);
    assert(state_->core.io().is_own_thread());
    arm(*state_, when);
}

void timer::cancel() noexcept {
    if (state_ != nullptr) {
        disarm(*state_);
    }
}

bool timer::is_armed() const noexcept {
    return state_ != nullptr && state_->core.timers().is_armed(state_->name);
}

} // namespace sockeye
