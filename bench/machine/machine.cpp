#include "bench/machine/machine.hpp"

#include "cli/host.hpp"

#include <algorithm>
#include <cstdlib>

#include <revision.hpp> // made of revision.hpp.in

#include <sys/utsname.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

const std::string system_folder = "/sys/devices/system/";

std::size_t count_nodes(const system_files& files) {
    const auto names = files.names(system_folder + "node");
    return static_cast<std::size_t>(std::ranges::count_if(names, [](const std::string& name) {
        return name.size() > 4 && name.starts_with("node") && name[4] >= '0' && name[4] <= '9';
    }));
}

std::vector<std::string> read_mitigations(const system_files& files) {
    std::vector<std::string> found;
    const std::string folder = system_folder + "cpu/vulnerabilities";
    for (const auto& name : files.names(folder)) {
        const auto state = files.line(folder + "/" + name);
        if (state && state->starts_with("Mitigation")) {
            found.push_back(name + ": " + *state);
        }
    }
    return found;
}

std::string kernel_name(const system_files& files) {
    const auto system = files.line("/proc/sys/kernel/ostype");
    const auto release = files.line("/proc/sys/kernel/osrelease");
    if (system && release) {
        return *system + " " + *release;
    }
    utsname names = {};
    ::uname(&names);
    return std::string(names.sysname) + " " + names.release;
}

std::optional<std::uint64_t> memory_bytes(const system_files& files) {
    if (const auto kibibytes = files.entry_number("/proc/meminfo", "MemTotal")) {
        return *kibibytes * 1024;
    }
    const long pages = ::sysconf(_SC_PHYS_PAGES);
    const long page_size = ::sysconf(_SC_PAGESIZE);
    if (pages <= 0 || page_size <= 0) {
        return std::nullopt;
    }
    return static_cast<std::uint64_t>(pages) * static_cast<std::uint64_t>(page_size);
}

host::cpu_list read_allowed(const system_files& files) {
    return files.is_own()
               ? host::allowed_cpus()
               : parse_cpus(files.entry("/proc/self/status", "Cpus_allowed_list").value_or(""));
}

std::size_t count_online(const system_files& files) {
    const auto online = parse_cpus(files.line(system_folder + "cpu/online").value_or(""));
    return online.empty() ? host::online_cpus() : online.size();
}

/// Whether the CPUs may run faster than they can for ever; each driver has its own file.
std::optional<bool> read_turbo(const system_files& files) {
    if (const auto is_off = files.number(system_folder + "cpu/intel_pstate/no_turbo")) {
        return *is_off == 0;
    }
    const auto boost = files.number(system_folder + "cpu/cpufreq/boost");
    return boost ? std::optional(*boost != 0) : std::nullopt;
}

/// The tightest limit of the groups around this process, as cpu.max has it: `50000 100000`.
std::optional<std::string> read_quota(const system_files& files) {
    std::optional<std::string> tightest;
    double least = 0;
    for (const auto& group : cpu_groups(files)) {
        auto limit = files.line(group + "/cpu.max");
        const auto quota = files.line(group + "/cpu.cfs_quota_us");
        const auto period = files.line(group + "/cpu.cfs_period_us");
        if (!limit && quota && period) {
            limit = (quota->starts_with("-") ? "max" : *quota) + " " + *period;
        }
        if (!limit || limit->starts_with("max")) {
            continue;
        }
        const auto blank = limit->find(' ');
        const double length = blank == std::string::npos ? 0 : std::atof(limit->c_str() + blank);
        const double share = length > 0 ? std::atof(limit->c_str()) / length : 0;
        if (!tightest || share < least) {
            tightest = limit;
            least = share;
        }
    }
    return tightest;
}

} // namespace

std::vector<std::string> cpu_groups(const system_files& files) {
    std::vector<std::string> groups;
    std::string groups_text = files.text("/proc/self/cgroup").value_or("");
    std::string_view text = groups_text;
    while (!text.empty()) {
        const auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        // `0::/user.slice`, or in the first version `4:cpu,cpuacct:/docker/1f`.
        const auto first = line.find(':');
        const auto second = line.find(':', first + 1);
        if (first == std::string_view::npos || second == std::string_view::npos) {
            continue;
        }
        const auto kinds = "," + std::string(line.substr(first + 1, second - first - 1)) + ",";
        const bool has_cpu = kinds.find(",cpu,") != std::string::npos;
        std::string path(line.substr(second + 1));
        if ((kinds != ",," && !has_cpu) || path.find("..") != std::string::npos) {
            continue;
        }
        const std::string mount = has_cpu ? "/sys/fs/cgroup/cpu" : "/sys/fs/cgroup";
        for (path = path == "/" ? "" : path;; path.resize(path.rfind('/'))) {
            groups.push_back(mount + path);
            if (path.find('/') == std::string::npos) {
                break;
            }
        }
    }
    return groups;
}

const machine_fact* machine::find(std::string_view key) const noexcept {
    const auto at = std::ranges::find(more, key, &machine_fact::key);
    return at == more.end() ? nullptr : &*at;
}

machine read_machine(const system_files& files) {
    machine facts;
    facts.cpu = files.entry("/proc/cpuinfo", "model name");
    facts.cpus_online = count_online(files);
    facts.cpus_allowed = read_allowed(files);
    facts.cpus = read_topology(files);
    if (const auto active = files.number(system_folder + "cpu/smt/active")) {
        facts.smt = *active != 0;
    }
    if (const std::size_t nodes = count_nodes(files); nodes > 0) {
        facts.numa_nodes = nodes;
    }
    const auto flags = " " + files.entry("/proc/cpuinfo", "flags").value_or("") + " ";
    facts.is_virtual = flags.find(" hypervisor ") != std::string::npos;
    facts.kernel = kernel_name(files);
    facts.clock_source = files.line(system_folder + "clocksource/clocksource0/current_clocksource");
    facts.governor = files.line(system_folder + "cpu/cpu0/cpufreq/scaling_governor");
    facts.turbo = read_turbo(files);
    facts.mitigations = read_mitigations(files);
    facts.tcp_congestion = files.line("/proc/sys/net/ipv4/tcp_congestion_control");
    facts.listen_backlog_max = files.number("/proc/sys/net/core/somaxconn");
    facts.open_files_max = cli::read_descriptor_limits().hard;
    facts.cpu_quota = read_quota(files);
    facts.memory_bytes = memory_bytes(files);
    facts.more = read_facts(files, facts.cpus);
    return facts;
}

build_facts read_build() {
    build_facts facts;
    facts.version = SOCKEYE_VERSION;
    facts.type = SOCKEYE_BUILD_TYPE;
    facts.compiler = SOCKEYE_COMPILER;
    facts.flags = SOCKEYE_BUILD_FLAGS;
    facts.revision = SOCKEYE_REVISION;
    facts.has_sanitizer = std::string_view(SOCKEYE_SANITIZER) != "none";
#if !defined(NDEBUG)
    facts.has_assertions = true;
#endif
    return facts;
}

} // namespace sockeye::bench
