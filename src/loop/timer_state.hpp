#pragma once

#include "loop/clock_timers.hpp"
#include "loop/loop_core.hpp"

#include <sockeye/timer.hpp>
#include <sockeye/unique_function.hpp>

namespace sockeye {

/// What a timer owns. While its handler runs it is kept, whatever the handler does to its timer.
struct timer_state : retirable {
    /// `owned_clock` is null for the steady one. Throws bad_alloc.
    timer_state(loop_core& owner, clock_timers* owned_clock);
    ~timer_state();

    // First what restart and cancel touch.
    timer_queue& queue;
    timer_id name; ///< kept: what its timer can do once, it can do again without memory
    loop_core& core;
    time_point planned;
    duration period = duration::zero(); ///< zero: once
    missed_ticks policy = missed_ticks::skip;
    bool is_running = false;  ///< its handler
    bool was_started = false; ///< since that began
    unique_function<void()> handler;
    clock_timers* clock; ///< null for the steady one
};

/// The target of all timers of users.
void fire_timer(void* state, std::uint64_t);

} // namespace sockeye
