#include <sockeye/timer.hpp>

#include "loop/loop_core.hpp"

#include <algorithm>
#include <cassert>
#include <memory>

namespace sockeye {

/// What a timer owns. While its handler runs it is kept, whatever the handler does to its timer.
struct timer_state : retirable {
    loop_core& core;
    unique_function<void()> handler;
    timer_id armed = 0;
    duration period = duration::zero(); ///< zero: once
    time_point planned;
};

namespace {

void fire(void* owner, std::uint64_t);

void arm(timer_state& state, duration delay) {
    state.armed = state.core.start_timer(delay, {fire, &state, 0});
    state.core.add_life();
}

void disarm(timer_state& state) noexcept {
    if (state.core.timers().cancel(std::exchange(state.armed, 0))) {
        state.core.drop_life();
    }
}

/// The next tick of the plan that is still to come: missed ones are skipped. It takes the room of
/// the tick that has just fired, so that a repeating timer never wants for memory.
void arm_next(timer_state& state) {
    const auto now = state.core.io().now();
    state.planned += ((now - state.planned) / state.period + 1) * state.period;
    state.armed = state.core.timers().start(state.planned, {fire, &state, 0});
    state.core.add_life();
}

void fire(void* owner, std::uint64_t) {
    auto& state = *static_cast<timer_state*>(owner);
    state.armed = 0;
    state.core.drop_life();
    if (state.period != duration::zero()) {
        arm_next(state);
    }
    // Moved out, so that a handler may start its own timer with another one.
    auto running = std::move(state.handler);
    const auto before = state.armed;
    const bool threw = !state.core.call(running);
    state.core.io().handler_ran();
    if (threw && state.armed == before) {
        disarm(state);
    }
    if (!state.handler && state.armed != 0) {
        state.handler = std::move(running);
    }
}

void destroy(timer_state* state) noexcept {
    if (state != nullptr) {
        disarm(*state);
        state->core.retire(std::unique_ptr<timer_state>(state));
    }
}

} // namespace

timer::timer(sockeye::loop& owner) : state_(new timer_state{{}, core_of(owner), {}, 0, {}, {}}) {}

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
    assert(handler);
    disarm(*state_);
    arm(*state_, delay);
    state_->handler = std::move(handler);
    state_->period = duration::zero();
}

void timer::start_every(duration period, unique_function<void()> handler) {
    assert(handler && period > duration::zero());
    const auto now = state_->core.system().now();
    const auto planned = now + std::min(period, time_point::max() - now);
    disarm(*state_);
    state_->armed = state_->core.timers().start(planned, {fire, state_, 0});
    state_->core.add_life();
    state_->handler = std::move(handler);
    state_->period = period;
    state_->planned = planned;
}

void timer::cancel() noexcept {
    if (state_ != nullptr) {
        disarm(*state_);
    }
}

bool timer::is_armed() const noexcept {
    return state_ != nullptr && state_->core.timers().is_armed(state_->armed);
}

} // namespace sockeye
