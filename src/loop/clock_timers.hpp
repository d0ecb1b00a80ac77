#pragma once

#include "kernel/kernel.hpp"
#include "loop/loop_core.hpp"

namespace sockeye {

/// The timers of a clock beside the steady one. Its points of time are nanoseconds of that clock,
/// in the type of the steady one's.
///
/// The system wakes the loop by an alarm where it gives one. Else a waiting loop looks at the clock
/// each second, which is as late as it may notice that the clock was set.
/// Lifetime: until the last timer of its clock goes.
class clock_timers : public retirable {
public:
    clock_timers(loop_core& core, clock_kind which) noexcept : core_(core), which_(which) {}
    clock_timers(const clock_timers&) = delete;
    clock_timers& operator=(const clock_timers&) = delete;
    ~clock_timers();

    /// Errors: not_supported where there is no such clock. Throws bad_alloc.
    [[nodiscard]] std::error_code start();

    [[nodiscard]] timer_queue& queue() noexcept { return queue_; }
    [[nodiscard]] clock_kind kind() const noexcept { return which_; }
    /// Reads the clock.
    [[nodiscard]] time_point now() noexcept;

    /// Sets the alarm. How long the loop may wait where there is none.
    [[nodiscard]] std::optional<duration> time_to_wait() noexcept;
    /// How long until it is due, or at least to be looked at; nothing where there are no timers.
    [[nodiscard]] std::optional<duration> time_left() noexcept;
    /// Fires what is due, and says how many did.
    std::size_t run(std::size_t budget, lag_histogram& lag);

    std::size_t users = 0; ///< timers

private:
    static void on_alarm(slot& place, const event&);
    static void on_loop_end(slot& place) noexcept;
    void set_up_alarm();
    void free_slot() noexcept;

    loop_core& core_;
    clock_kind which_;
    timer_queue queue_;
    owned_fd alarm_;
    slot_key key_ = 0; ///< of the alarm's slot
    duration set_for_ = duration::max();
    time_point last_; ///< what the clock showed, should it ever fail
};

} // namespace sockeye
