#include "bench/machine.hpp"

#include "bench/host.hpp"
#include "cli/host.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <string_view>

#include <sys/utsname.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

std::optional<std::string> first_line(const std::string& path) {
    std::ifstream file(path);
    std::string line;
    if (!std::getline(file, line) || line.empty()) {
        return std::nullopt;
    }
    return line;
}

std::optional<std::uint64_t> first_number(const std::string& path) {
    std::ifstream file(path);
    std::uint64_t number = 0;
    return file >> number ? std::optional(number) : std::nullopt;
}

/// What follows the colon in the first line of /proc/cpuinfo that begins with `name`.
std::optional<std::string> cpu_fact(std::string_view name) {
    std::ifstream file("/proc/cpuinfo");
    for (std::string line; std::getline(file, line);) {
        const std::size_t colon = line.find(": ");
        if (line.starts_with(name) && colon != std::string::npos) {
            return line.substr(colon + 2);
        }
    }
    return std::nullopt;
}

std::size_t count_files(const std::string& folder, std::string_view prefix) {
    std::error_code error;
    std::size_t count = 0;
    for (const auto& each : std::filesystem::directory_iterator(folder, error)) {
        count += each.path().filename().string().starts_with(prefix) ? 1 : 0;
    }
    return count;
}

std::vector<std::string> read_mitigations() {
    std::vector<std::string> found;
    std::error_code error;
    const std::string folder = "/sys/devices/system/cpu/vulnerabilities";
    for (const auto& each : std::filesystem::directory_iterator(folder, error)) {
        const auto state = first_line(each.path().string());
        if (state && state->starts_with("Mitigation")) {
            found.push_back(each.path().filename().string() + ": " + *state);
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

std::string kernel_name() {
    utsname names = {};
    ::uname(&names);
    return std::string(names.sysname) + " " + names.release;
}

std::optional<std::uint64_t> memory_bytes() {
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_size = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_size <= 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size);
}

} // namespace

machine read_machine() {
    const std::string system = "/sys/devices/system/";
    machine facts;
    facts.cpu = cpu_fact("model name");
    facts.cpus_online = host::online_cpus();
    facts.cpus_allowed = host::allowed_cpus();
    if (const auto active = first_number(system + "cpu/smt/active")) {
        facts.smt = *active != 0;
    }
    if (const std::size_t nodes = count_files(system + "node", "node"); nodes > 0) {
        facts.numa_nodes = nodes;
    }
    facts.is_virtual =
        (" " + cpu_fact("flags").value_or("") + " ").find(" hypervisor ") != std::string::npos;
    facts.kernel = kernel_name();
    facts.clock_source = first_line(system + "clocksource/clocksource0/current_clocksource");
    facts.governor = first_line(system + "cpu/cpu0/cpufreq/scaling_governor");
    facts.mitigations = read_mitigations();
    facts.tcp_congestion = first_line("/proc/sys/net/ipv4/tcp_congestion_control");
    facts.listen_backlog_max = first_number("/proc/sys/net/core/somaxconn");
    facts.open_files_max = cli::read_descriptor_limits().hard;
    if (const auto quota = first_line("/sys/fs/cgroup/cpu.max");
        quota && !quota->starts_with("max")) {
        facts.cpu_quota = quota;
    }
    facts.memory_bytes = memory_bytes();
    return facts;
}

build_facts read_build() {
    build_facts facts;
    facts.version = SOCKEYE_VERSION;
    facts.type = SOCKEYE_BUILD_TYPE;
    facts.compiler = SOCKEYE_COMPILER;
    facts.flags = SOCKEYE_BUILD_FLAGS;
    facts.has_sanitizer = std::string_view(SOCKEYE_SANITIZER) != "none";
#if !defined(NDEBUG)
    facts.has_assertions = true;
#endif
    return facts;
}

} // namespace sockeye::bench
