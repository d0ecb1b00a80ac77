#pragma once

#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <memory>
#include <utility>

namespace sockeye {

class loop;
struct timer_state;

/// Calls a handler after a time, once or again and again. Its destructor cancels.
///
/// On the steady clock, in nanoseconds, never early. Repeats from the plan, not from the delay:
/// ticks that a busy loop missed are skipped, never made up in a burst. Setting the time of day
/// changes nothing. Where a steady clock stops while the machine sleeps (Linux), timers do too.
/// What is ready in the turn of a deadline is told before the timer, and may cancel it.
/// Memory: the constructor may throw bad_alloc; nothing else of it wants any.
/// Lifetime: dies before its loop. A handler may restart, cancel or destroy its own timer.
class timer {
public:
    explicit timer(loop& owner);
    timer(timer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    timer& operator=(timer&& other) noexcept;
    ~timer();

    /// Calls `handler` once after `delay`; 0 or less is the next turn. Replaces an earlier start.
    void start(duration delay, unique_function<void()> handler);
    /// Calls `handler` every `period`. Requires: period > 0.
    void start_every(duration period, unique_function<void()> handler);
    /// As start, at a point of time; what is past is the next turn. Reads no clock.
    void start_at(time_point when, unique_function<void()> handler);

    /// Starts again with the handler and period of the last start, which a timer keeps when it has
    /// fired or was cancelled: `delay` from the beginning of this turn, loop::now(). What an idle
    /// timeout does at each sign of life: reads no clock and costs a few nanoseconds.
    /// Requires: was started, and its handler did not throw since then.
    void restart(duration delay);
    /// The same at a point of time.
    void restart_at(time_point when);
    void cancel() noexcept;

    [[nodiscard]] bool is_armed() const noexcept;

private:
    timer_state* state_;
};

} // namespace sockeye
