#pragma once

#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

namespace sockeye {

class loop;
struct timer_state;

/// The clock that a timer goes by.
enum class timer_clock : std::uint8_t {
    /// Never jumps; where it stops while the machine sleeps (Linux), timers do too.
    steady,
    /// Counts on while the machine sleeps: what fell due then fires when it wakes up.
    boot,
    /// The time of day. Where somebody sets it, timers follow: those that it was set past fire.
    wall,
};

/// What a repeating timer does about ticks that a busy loop has missed.
enum class missed_ticks : std::uint8_t {
    skip,     ///< leaves them out and keeps to its plan
    catch_up, ///< makes up the last 16 of them, one in each turn, and keeps to its plan
    delay,    ///< has no plan: a whole period passes from the end of a handler to the next one
};

/// Calls a handler after a time, once or again and again. Its destructor cancels.
///
/// In nanoseconds, never early. Repeats from the plan, not from the delay: ticks that a busy loop
/// missed are skipped, unless it was started otherwise. Goes by the steady clock, unless opened on
/// another one: setting the time of day changes nothing then.
/// What is ready in the turn of a deadline is told before the timer, and may cancel it.
/// Memory: the constructor may throw bad_alloc; nothing else of it wants any.
/// Lifetime: dies before its loop. A handler may restart, cancel or destroy its own timer.
class timer {
public:
    /// On the steady clock.
    explicit timer(loop& owner);
    /// Errors: not_supported where the system has no such clock, not_enough_memory. A wall clock
    /// that is set is noticed at once on Linux, else within a second: where the system has no
    /// timerfd_create(2), or no descriptor left for it.
    static result<timer> open(loop& owner, timer_clock which);
    timer(timer&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    timer& operator=(timer&& other) noexcept;
    ~timer();

    /// Calls `handler` once after `delay`; 0 or less is the next turn. Replaces an earlier start.
    void start(duration delay, unique_function<void()> handler);
    /// As start, at a point of time; what is past is the next turn. Reads no clock.
    /// Requires: on the steady clock.
    void start_at(time_point when, unique_function<void()> handler);
    /// The same at a time of day. Requires: on the wall clock.
    void start_at(std::chrono::system_clock::time_point when, unique_function<void()> handler);
    /// Calls `handler` every `period`. Requires: period > 0.
    void start_every(duration period, unique_function<void()> handler);
    void start_every(duration period, missed_ticks policy, unique_function<void()> handler);

    /// Starts again with the handler and period of the last start, which a timer keeps when it has
    /// fired or was cancelled: `delay` from the beginning of this turn, loop::now(). What an idle
    /// timeout does at each sign of life: on the steady clock it reads no clock and costs a few
    /// nanoseconds. Requires: was started, and its handler did not throw since then.
    void restart(duration delay);
    /// The same at a point of time. Requires: on the steady clock.
    void restart_at(time_point when);
    void cancel() noexcept;

    [[nodiscard]] bool is_armed() const noexcept;

private:
    explicit timer(timer_state* state) noexcept : state_(state) {}
    void begin(time_point when, duration period, unique_function<void()> handler);
    void again(time_point when);

    timer_state* state_;
};

} // namespace sockeye
