#pragma once

#include <chrono>

namespace sockeye {

/// The clock of all deadlines: it never jumps and never goes back. See: clock_gettime(2).
using clock = std::chrono::steady_clock;

/// A length of time, in nanoseconds.
using duration = std::chrono::nanoseconds;

using time_point = std::chrono::time_point<clock, duration>;

} // namespace sockeye
