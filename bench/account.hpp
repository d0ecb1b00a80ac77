#pragma once

#include <sockeye/loop.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sockeye::bench {

/// What the system, and the CPU, count of a process or thread. Absent is what they do not count,
/// and what nobody tells.
struct system_counts {
    std::optional<std::uint64_t> voluntary_switches;   ///< it had nothing to do and waited
    std::optional<std::uint64_t> involuntary_switches; ///< it had to leave the CPU to another one
    std::optional<std::uint64_t> minor_faults; ///< pages that were mapped when they were touched
    std::optional<std::uint64_t> major_faults; ///< pages that had to be read from a disk
    std::optional<std::uint64_t> instructions; ///< in user space, as the cycles
    std::optional<std::uint64_t> cycles;
};

/// What was counted from `before` to `after`; absent where one of them does not tell.
[[nodiscard]] system_counts difference(const system_counts& after,
                                       const system_counts& before) noexcept;
/// Both together; absent where one of them does not tell.
[[nodiscard]] system_counts sum(const system_counts& one, const system_counts& other) noexcept;

/// What a server has used and done since it began, in its own words.
///
/// The server under test, ours or a peer, is a child process that speaks lines over its standard
/// input and output. It says `ready ENDPOINT` once; to `stats` it answers a line of this account;
/// at the end of its input it ends.
struct account {
    std::uint64_t cpu_ns = 0; ///< exact; the two below are sampled by the kernel's tick
    std::uint64_t user_ns = 0;
    std::uint64_t system_ns = 0;
    std::uint64_t waits = 0;
    std::uint64_t events = 0;
    std::uint64_t reads = 0;
    std::uint64_t writes = 0;
    std::uint64_t registrations = 0;
    std::uint64_t accepts = 0;
    std::uint64_t would_blocks = 0;
    system_counts counts = {};

    /// Whether the server counts its calls: whoever answers has waited. On a library that does not
    /// tell what it calls, it counts none.
    [[nodiscard]] bool has_calls() const noexcept { return waits > 0; }
    /// Every system call that serving makes; failed ones are among the reads and writes.
    [[nodiscard]] std::uint64_t system_calls() const noexcept {
        return waits + reads + writes + registrations + accepts;
    }
};

/// What a process of ours has used so far.
struct process_times {
    std::uint64_t cpu_ns = 0;
    std::uint64_t user_ns = 0;
    std::uint64_t system_ns = 0;
    system_counts counts = {};
};

[[nodiscard]] account make_account(const process_times& used, const loop_counters& counters);

/// What happened from `before` to `after`.
[[nodiscard]] account difference(const account& after, const account& before) noexcept;

/// `stats cpu_ns=1 user_ns=2 ...`, without a line end.
[[nodiscard]] std::string format_account(const account& value);
/// Reads such a line; unknown names are passed over. Nothing where it is no such line.
[[nodiscard]] std::optional<account> parse_account(std::string_view line);

} // namespace sockeye::bench
