#pragma once

#include <chrono>
#include <cstddef>

namespace sockeye::micro {

/// Posts `count` tasks that capture 32 bytes and runs them, a thousand at a time, on one thread:
/// the processor time of one, all in all.
std::chrono::duration<double, std::nano> post_and_run(std::size_t count);
/// The time of one, by the clock, while a loop on another thread runs them.
std::chrono::duration<double, std::nano> post_across(std::size_t count);

} // namespace sockeye::micro
