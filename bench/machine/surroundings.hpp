#pragma once

#include "bench/machine/system_files.hpp"

#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>

namespace sockeye::bench {

/// What the whole machine has done since it started. Absent: it does not tell.
struct activity {
    time_point taken;
    std::size_t cpus = 0; ///< those online
    std::optional<std::uint64_t> busy_ns;
    std::optional<std::uint64_t> steal_ns; ///< taken by other guests of a virtual machine's host
    /// While a task was ready to run and waited for a CPU. See: /proc/pressure/cpu.
    std::optional<std::uint64_t> pressure_ns;
    /// How often a control group of ours was stopped for having used up its CPU time.
    std::optional<std::uint64_t> throttled;
    std::optional<std::size_t> running; ///< tasks now, without the one that asks
};

[[nodiscard]] activity read_activity(const system_files& files = {});

/// What the machine did for a while in which we did nothing, and how exactly it keeps time.
struct surroundings {
    double seconds = 0;
    std::size_t cpus = 0;
    std::optional<double> foreign;  ///< share of all CPUs that others used
    std::optional<double> steal;    ///< share of all CPUs
    std::optional<double> pressure; ///< share of the time
    std::optional<std::uint64_t> throttled;
    std::optional<double> running; ///< tasks beside us, on average
    std::optional<double> clock_read_ns;
    std::optional<double> sleep_late_ns;     ///< the median, of sleeping for a millisecond
    std::optional<double> sleep_late_max_ns; ///< the worst
};

/// Requires: `after` was taken later. Nothing of us, the clock or sleeping is in it.
[[nodiscard]] surroundings between(const activity& before, const activity& after);

/// Watches the machine for so long, sleeping most of it.
[[nodiscard]] surroundings watch_surroundings(duration length, const system_files& files = {});

} // namespace sockeye::bench
