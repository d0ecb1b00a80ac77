#pragma once

#include <sockeye/loop.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

namespace sockeye::bench {

/// Wakes a loop at a time that is exact to the system's own timers, where the timeout of its
/// backend may be whole milliseconds. Where the system has no such thing, it does nothing.
/// Lifetime: dies before the loop. See: timerfd_create(2).
class pace_alarm {
public:
    explicit pace_alarm(loop& owner);

    /// At `when` and no longer at the time before.
    void set(time_point when) noexcept;
    /// Whether it wakes at all.
    [[nodiscard]] bool is_exact() const noexcept { return fd_.get() >= 0; }

private:
    unique_fd fd_;
    watch watch_;
};

} // namespace sockeye::bench
