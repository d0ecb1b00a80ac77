#include "bench/machine/machine.hpp"

#include "cli/host.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

// Every fact that stands in a file as it is, and those that are put together from several.

namespace sockeye::bench {
namespace {

using fact_content = machine_fact::content;
using read_fact = std::optional<fact_content> (*)(const system_files& files, const topology& cpus);

/// A fact: one file of a line or a number, or else a function.
struct fact_row {
    std::string_view key;
    const char* line_of;
    const char* number_of;
    read_fact read;
};

constexpr fact_row in_line(std::string_view key, const char* path) {
    return {key, path, nullptr, nullptr};
}

constexpr fact_row in_number(std::string_view key, const char* path) {
    return {key, nullptr, path, nullptr};
}

constexpr fact_row found_by(std::string_view key, read_fact read) {
    return {key, nullptr, nullptr, read};
}

template <typename T>
std::optional<fact_content> wrap_content(const std::optional<T>& value) {
    return value ? std::optional<fact_content>(*value) : std::nullopt;
}

std::optional<fact_content> count_content(std::size_t value) {
    return value > 0 ? std::optional<fact_content>(std::uint64_t{value}) : std::nullopt;
}

std::optional<fact_content> list_content(std::vector<std::string> words) {
    return words.empty() ? std::nullopt : std::optional<fact_content>(std::move(words));
}

/// The threads of each core that has several: `0,4`.
std::optional<fact_content> read_siblings(const system_files&, const topology& cpus) {
    std::map<unsigned, std::vector<unsigned>> cores;
    for (const auto& each : cpus.cpus) {
        cores[each.core].push_back(each.cpu);
    }
    std::vector<std::string> found;
    for (const auto& [core, threads] : cores) {
        if (threads.size() > 1) {
            found.push_back(fmt::format("{}", fmt::join(threads, ",")));
        }
    }
    return list_content(std::move(found));
}

/// The caches of the first CPU: `L1 Data 32K`, `L3 Unified 32768K, CPUs 0-7`.
std::optional<fact_content> read_caches(const system_files& files, const topology&) {
    const std::string folder = "/sys/devices/system/cpu/cpu0/cache";
    std::vector<std::string> found;
    for (const auto& name : files.names(folder)) {
        const auto file = [&](const char* what) {
            return files.line(folder + "/" + name + "/" + what);
        };
        const auto level = file("level");
        const auto size = file("size");
        if (!level || !size) {
            continue;
        }
        auto text = fmt::format("L{} {} {}", *level, file("type").value_or("?"), *size);
        const auto sharing = file("shared_cpu_list").value_or("0");
        text += parse_cpus(sharing).size() > 1 ? ", CPUs " + sharing : "";
        found.push_back(std::move(text));
    }
    return list_content(std::move(found));
}

std::optional<fact_content> read_product(const system_files& files, const topology&) {
    const auto vendor = files.line("/sys/class/dmi/id/sys_vendor");
    const auto product = files.line("/sys/class/dmi/id/product_name");
    if (!vendor || !product) {
        return wrap_content(vendor ? vendor : product);
    }
    return fact_content(*vendor + " " + *product);
}

/// The build of a kernel names its model, but for those that are preempted at few places only.
std::optional<fact_content> read_preemption(const system_files& files, const topology&) {
    const auto version = files.line("/proc/sys/kernel/version");
    if (!version) {
        return std::nullopt;
    }
    for (const auto* name : {"PREEMPT_DYNAMIC", "PREEMPT_RT", "PREEMPT_LAZY", "PREEMPT"}) {
        if (version->find(name) != std::string::npos) {
            return fact_content(std::string(name));
        }
    }
    return fact_content(std::string("none or voluntary"));
}

std::optional<fact_content> read_vulnerabilities(const system_files& files, const topology&) {
    const std::string folder = "/sys/devices/system/cpu/vulnerabilities";
    std::vector<std::string> found;
    for (const auto& name : files.names(folder)) {
        const auto state = files.line(folder + "/" + name);
        if (state && *state != "Not affected") {
            found.push_back(name + ": " + *state);
        }
    }
    return list_content(std::move(found));
}

/// The word in brackets of `always [madvise] never`.
std::optional<fact_content> read_transparent_pages(const system_files& files, const topology&) {
    const auto line = files.line("/sys/kernel/mm/transparent_hugepage/enabled").value_or("");
    const auto begin = line.find('[');
    const auto end = line.find(']');
    if (begin == std::string::npos || end == std::string::npos || end < begin) {
        return std::nullopt;
    }
    return fact_content(line.substr(begin + 1, end - begin - 1));
}

std::optional<fact_content> read_huge_pages(const system_files& files, const topology&) {
    return wrap_content(files.entry_number("/proc/meminfo", "HugePages_Total"));
}

std::optional<fact_content> read_memory_limit(const system_files& files, const topology&) {
    for (const auto& group : cpu_groups(files)) {
        if (const auto bytes = files.number(group + "/memory.max")) {
            return fact_content(*bytes);
        }
    }
    return std::nullopt;
}

std::optional<fact_content> read_soft_limit(const system_files&, const topology&) {
    return fact_content(cli::read_descriptor_limits().soft);
}

/// `None` and `(null)` are how some kernels say that there are none.
std::optional<fact_content> read_nohz(const system_files& files, const topology&) {
    const auto line = files.line("/sys/devices/system/cpu/nohz_full");
    return line && !parse_cpus(*line).empty() ? wrap_content(line) : std::nullopt;
}

/// A line of columns between tabs.
std::optional<fact_content> read_columns(const system_files& files, const char* path) {
    const auto line = files.line(path);
    if (!line) {
        return std::nullopt;
    }
    std::string words = *line;
    std::ranges::replace(words, '\t', ' ');
    return fact_content(std::move(words));
}

/// `0.5 0.4 0.3` of `0.5 0.4 0.3 2/104 4711`.
std::optional<fact_content> read_load(const system_files& files, const topology&) {
    auto line = files.line("/proc/loadavg");
    if (line) {
        for (int words = 0; words < 2 && line->rfind(' ') != std::string::npos; ++words) {
            line->resize(line->rfind(' '));
        }
    }
    return wrap_content(line);
}

std::optional<fact_content> read_running(const system_files& files, const topology&) {
    const auto running = files.entry_number("/proc/stat", "procs_running");
    // We are one of them.
    return running && *running > 0 ? std::optional<fact_content>(*running - 1) : std::nullopt;
}

std::optional<fact_content> read_pressure(const system_files& files, const topology&) {
    const auto some = files.entry("/proc/pressure/cpu", "some").value_or("");
    constexpr std::string_view head = "avg10=";
    return some.starts_with(head)
               ? std::optional<fact_content>(std::atof(some.c_str() + head.size()))
               : std::nullopt;
}

constexpr fact_row fact_rows[] = {
    found_by("cpu_flags",
             [](const system_files& files, const topology&) {
                 return wrap_content(files.entry("/proc/cpuinfo", "flags"));
             }),
    found_by("sockets", [](const system_files&,
                           const topology& cpus) { return count_content(cpus.count_sockets()); }),
    found_by("cores", [](const system_files&,
                         const topology& cpus) { return count_content(cpus.count_cores()); }),
    found_by("smt_siblings", read_siblings),
    found_by("caches", read_caches),
    in_line("scaling_driver", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_driver"),
    in_line("cpuidle_driver", "/sys/devices/system/cpu/cpuidle/current_driver"),
    in_line("isolated_cpus", "/sys/devices/system/cpu/isolated"),
    found_by("nohz_full_cpus", read_nohz),
    in_line("hypervisor", "/sys/hypervisor/type"),
    found_by("product", read_product),
    found_by("preemption", read_preemption),
    in_line("kernel_command_line", "/proc/cmdline"),
    found_by("vulnerabilities", read_vulnerabilities),
    found_by("huge_pages", read_huge_pages),
    found_by("transparent_huge_pages", read_transparent_pages),
    found_by("cgroup_memory_max", read_memory_limit),
    found_by("nofile_soft", read_soft_limit),
    in_number("nr_open", "/proc/sys/fs/nr_open"),
    found_by("ip_local_port_range",
             [](const system_files& files, const topology&) {
                 return read_columns(files, "/proc/sys/net/ipv4/ip_local_port_range");
             }),
    found_by("tcp_rmem",
             [](const system_files& files, const topology&) {
                 return read_columns(files, "/proc/sys/net/ipv4/tcp_rmem");
             }),
    found_by("tcp_wmem",
             [](const system_files& files, const topology&) {
                 return read_columns(files, "/proc/sys/net/ipv4/tcp_wmem");
             }),
    in_number("mtu", "/sys/class/net/lo/mtu"),
    in_number("io_uring_disabled", "/proc/sys/kernel/io_uring_disabled"),
    in_line("perf_event_paranoid", "/proc/sys/kernel/perf_event_paranoid"),
    found_by("load_average", read_load),
    found_by("running_tasks", read_running),
    found_by("psi_cpu_avg10", read_pressure),
};

std::optional<fact_content> read_row(const fact_row& row, const system_files& files,
                                     const topology& cpus) {
    if (row.line_of != nullptr) {
        return wrap_content(files.line(row.line_of));
    }
    return row.number_of != nullptr ? wrap_content(files.number(row.number_of))
                                    : row.read(files, cpus);
}

} // namespace

std::vector<machine_fact> read_facts(const system_files& files, const topology& cpus) {
    std::vector<machine_fact> found;
    for (const auto& row : fact_rows) {
        if (auto value = read_row(row, files, cpus)) {
            found.push_back({row.key, std::move(*value)});
        }
    }
    return found;
}

std::vector<machine_fact> all_facts(const machine& known) {
    std::vector<machine_fact> all;
    const auto put = [&all](std::string_view key, const auto& value) {
        if (value) {
            all.push_back({key, *value});
        }
    };
    put("cpu", known.cpu);
    all.push_back({"cpus_online", std::uint64_t{known.cpus_online}});
    all.push_back({"cpus_allowed", known.cpus_allowed});
    put("smt", known.smt);
    put("numa_nodes", known.numa_nodes);
    all.push_back({"virtual", known.is_virtual});
    all.push_back({"kernel", known.kernel});
    put("clocksource", known.clock_source);
    put("governor", known.governor);
    put("turbo", known.turbo);
    all.push_back({"mitigations", known.mitigations});
    put("tcp_congestion", known.tcp_congestion);
    put("somaxconn", known.listen_backlog_max);
    all.push_back({"nofile", known.open_files_max});
    put("cgroup_cpu_max", known.cpu_quota);
    put("mem_bytes", known.memory_bytes);
    put("hostname", known.host_name);
    all.insert(all.end(), known.more.begin(), known.more.end());
    return all;
}

} // namespace sockeye::bench
