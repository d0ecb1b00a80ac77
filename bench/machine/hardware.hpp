#pragma once

#include "bench/account.hpp"
#include "bench/machine/host.hpp"

#include <sockeye/unique_fd.hpp>

#include <optional>

#include <sys/types.h>

namespace sockeye::bench {

/// Counts the instructions and cycles that a thread or a process spends in user space, by counters
/// of the CPU. Where the system or the machine has none, or refuses, it counts nothing.
class hardware_counters {
public:
    hardware_counters() = default;
    /// Of the thread that calls, and of no other, from now on.
    [[nodiscard]] static hardware_counters of_this_thread();
    /// Of a process of one thread from now on, and of all that it starts later.
    [[nodiscard]] static hardware_counters of_process(pid_t process);

    /// What they have counted so far: instructions and cycles of it, all else is absent.
    /// Threads: any.
    [[nodiscard]] system_counts read() const;

private:
    hardware_counters(pid_t process, host::counter_scope scope);

    unique_fd instructions_;
    unique_fd cycles_;
};

/// The count of a counter that has counted all the time; nothing where others had it at times, or
/// where it ran on another kind of CPU: an estimate would look as exact as a count.
[[nodiscard]] std::optional<std::uint64_t>
whole_count(const std::optional<host::counter_reading>& told) noexcept;

} // namespace sockeye::bench
