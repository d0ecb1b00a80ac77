#pragma once

#include "bench/account.hpp"

#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

// What the bench asks of the operating system and sockeye does not offer. All of it is here, in
// child.hpp and in machine.hpp; what only Linux has, is in host_linux.cpp.
namespace sockeye::bench::host {

using cpu_list = std::vector<unsigned>;

/// Where a process runs, and whether it is a batch process (which is not woken to preempt).
struct placement {
    cpu_list cpus; ///< empty: wherever the system likes
    bool is_batch = false;
};

/// The CPUs that this process may use. Empty where the system does not tell.
[[nodiscard]] cpu_list allowed_cpus();
/// Moves this process there; false where the system refuses or cannot.
bool place(const placement& where) noexcept;
/// Ends this process when its parent ends, where the system can do that.
void die_with_parent(pid_t parent) noexcept;
/// The file of the running program.
[[nodiscard]] std::string program_path();
/// The words this process was started with. Empty where the system does not tell.
[[nodiscard]] std::vector<std::string> command_line();

/// What this process has used.
[[nodiscard]] process_times own_times() noexcept;

/// What a counter of the CPU, or of the kernel, counts; in user space alone.
enum class counted_event : std::uint8_t {
    instructions,
    cycles,
    task_clock, ///< nanoseconds on a CPU: the kernel counts them without the CPU's help
};
/// Whose events a counter counts.
enum class counter_scope : std::uint8_t {
    one_thread,
    with_children, ///< those of the threads and processes too that it starts from then on
};
/// A counter as the system tells it. Where it ran for less time than it should have, it was not
/// always on the CPU.
struct counter_reading {
    std::uint64_t value = 0;
    std::uint64_t enabled_ns = 0;
    std::uint64_t running_ns = 0;
};
/// A counter of that thread, or of this one where it is 0. Empty where the system has none or
/// refuses. See: perf_event_open(2).
[[nodiscard]] unique_fd open_counter(counted_event what, pid_t thread,
                                     counter_scope scope) noexcept;
/// Nothing where it is no counter.
[[nodiscard]] std::optional<counter_reading> read_counter(int counter) noexcept;

/// The nanoseconds that a process was ready to run and had to wait. Nothing where unknown.
[[nodiscard]] std::optional<std::uint64_t> run_delay_ns(pid_t process);
[[nodiscard]] std::optional<std::uint64_t> resident_bytes(pid_t process);

/// Two connected Unix stream sockets. Errors: as socketpair(2).
[[nodiscard]] result<std::array<unique_fd, 2>> socket_pair();

/// The system does not let waits of this thread, and of those that it starts from now on, end late
/// to save power: by default it may be 50 us. See: PR_SET_TIMERSLACK in prctl(2).
void be_punctual() noexcept;
/// A descriptor that becomes readable at the time it is set to; empty where the system has none.
[[nodiscard]] unique_fd open_alarm();
void set_alarm(int alarm, time_point when) noexcept;
/// Makes it unreadable again.
void take_alarm(int alarm) noexcept;

/// What some CPUs have done since the machine started.
struct cpu_usage {
    std::uint64_t busy_ns = 0;
    std::uint64_t steal_ns = 0; ///< taken by other guests of a virtual machine's host
    std::uint64_t softirq_ns = 0;
    /// While any task of the machine was ready and waited for a CPU. See: /proc/pressure/cpu.
    std::optional<std::uint64_t> pressure_ns;
};
[[nodiscard]] std::size_t online_cpus() noexcept;
/// Empty `cpus` means all. Nothing where the system does not tell.
[[nodiscard]] std::optional<cpu_usage> usage_of(const cpu_list& cpus);

/// From now on the first SIGINT or SIGTERM is remembered; a second one ends the process.
void watch_interrupts() noexcept;
/// The signal that came; 0 while none has.
[[nodiscard]] int interrupt() noexcept;

} // namespace sockeye::bench::host
