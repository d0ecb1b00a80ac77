#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::bench {

/// What a run was made with and on. Whatever the system does not tell is absent.
struct machine {
    std::optional<std::string> cpu;
    std::size_t cpus_online = 0;
    std::vector<unsigned> cpus_allowed;
    std::optional<bool> smt;
    std::optional<std::size_t> numa_nodes;
    bool is_virtual = false;
    std::string kernel; ///< `Linux 6.1.0`
    std::optional<std::string> clock_source;
    std::optional<std::string> governor;
    std::vector<std::string> mitigations; ///< `spectre_v2: Mitigation: ...`
    std::optional<std::string> tcp_congestion;
    std::optional<std::uint64_t> listen_backlog_max;
    std::uint64_t open_files_max = 0;
    std::optional<std::string> cpu_quota; ///< of the control group, where there is one
    std::optional<std::uint64_t> memory_bytes;
};

[[nodiscard]] machine read_machine();

/// How this program was built.
struct build_facts {
    std::string version;
    std::string type; ///< `Release`, `Debug`
    std::string compiler;
    std::string flags;
    bool has_assertions = false;
    bool has_sanitizer = false;
};

[[nodiscard]] build_facts read_build();

} // namespace sockeye::bench
