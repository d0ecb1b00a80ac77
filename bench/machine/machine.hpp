#pragma once

#include "bench/machine/host.hpp"
#include "bench/machine/placement.hpp"
#include "bench/machine/system_files.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace sockeye::bench {

/// Something about the machine that may explain a number.
struct machine_fact {
    using content = std::variant<std::string, std::uint64_t, double, bool, std::vector<std::string>,
                                 host::cpu_list>;

    std::string_view key; ///< in saved runs: `cpuidle_driver`
    content value;
};

/// What a run was made with and on. Whatever the system does not tell is absent.
struct machine {
    std::optional<std::string> cpu;
    std::size_t cpus_online = 0;
    host::cpu_list cpus_allowed;
    topology cpus;
    std::optional<bool> smt;
    std::optional<std::size_t> numa_nodes;
    bool is_virtual = false;
    std::string kernel; ///< `Linux 6.1.0`
    std::optional<std::string> clock_source;
    std::optional<std::string> governor;
    std::optional<bool> turbo;
    std::vector<std::string> mitigations; ///< `spectre_v2: Mitigation: ...`
    std::optional<std::string> tcp_congestion;
    std::optional<std::uint64_t> listen_backlog_max;
    std::uint64_t open_files_max = 0;
    std::optional<std::string> cpu_quota; ///< of the control group, where there is one
    std::optional<std::uint64_t> memory_bytes;
    std::optional<std::string> host_name; ///< nobody reads it but who asked for it
    std::vector<machine_fact> more;       ///< what no code decides by

    [[nodiscard]] const machine_fact* find(std::string_view key) const noexcept;
};

/// Requires: nothing of this process is pinned yet, or it shows as what is allowed.
[[nodiscard]] machine read_machine(const system_files& files = {});

/// The facts that read_machine() puts into `more`.
[[nodiscard]] std::vector<machine_fact> read_facts(const system_files& files, const topology& cpus);

/// All that is known, those of `more` last, by the names that saved runs have for them.
[[nodiscard]] std::vector<machine_fact> all_facts(const machine& known);

/// The control groups this process is in that bound its CPU time, the innermost first: folders.
[[nodiscard]] std::vector<std::string> cpu_groups(const system_files& files);

/// How this program was built.
struct build_facts {
    std::string version;
    std::string type; ///< `Release`, `Debug`
    std::string compiler;
    std::string flags;
    std::string revision; ///< of the sources, as git names it; empty outside a checkout
    bool has_assertions = false;
    bool has_sanitizer = false;
};

[[nodiscard]] build_facts read_build();

} // namespace sockeye::bench
