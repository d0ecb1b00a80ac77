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
/// Memory: the constructor and the first start may throw bad_alloc, and then nothing has changed.
/// One that is armed, or whose handler runs, starts again without memory; so do repetitions.
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
    void cancel() noexcept;

    [[nodiscard]] bool is_armed() const noexcept;

private:
    timer_state* state_;
};

} // namespace sockeye
