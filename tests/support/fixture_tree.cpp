#include "support/fixture_tree.hpp"

#include <filesystem>
#include <fstream>

namespace support {

void fixture_tree::write(std::string_view path, std::string_view text) const {
    const std::filesystem::path file = root() + std::string(path);
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
}

void fixture_tree::write_good_machine() const {
    const std::string cpus = "/sys/devices/system/cpu/";
    for (int cpu = 0; cpu < 4; ++cpu) {
        const auto folder = cpus + "cpu" + std::to_string(cpu);
        const std::string siblings = cpu % 2 == 0 ? "0,2\n" : "1,3\n";
        write(folder + "/topology/thread_siblings_list", siblings);
        write(folder + "/topology/physical_package_id", "0\n");
        write(folder + "/node0/cpulist", "0-3\n");
        write(folder + "/cache/index0/level", "1\n");
        write(folder + "/cache/index0/type", "Data\n");
        write(folder + "/cache/index0/size", "32K\n");
        write(folder + "/cache/index0/shared_cpu_list", siblings);
        write(folder + "/cache/index3/level", "3\n");
        write(folder + "/cache/index3/type", "Unified\n");
        write(folder + "/cache/index3/size", "8192K\n");
        write(folder + "/cache/index3/shared_cpu_list", "0-3\n");
    }
    write(cpus + "online", "0-3\n");
    write(cpus + "smt/active", "1\n");
    write(cpus + "cpu0/cpufreq/scaling_governor", "performance\n");
    write(cpus + "cpu0/cpufreq/scaling_driver", "intel_pstate\n");
    write(cpus + "intel_pstate/no_turbo", "1\n");
    write(cpus + "cpuidle/current_driver", "intel_idle\n");
    write(cpus + "isolated", "\n");
    write(cpus + "nohz_full", "(null)\n");
    write(cpus + "vulnerabilities/meltdown", "Not affected\n");
    write(cpus + "vulnerabilities/spectre_v2", "Mitigation: Retpolines\n");
    write(cpus + "vulnerabilities/mds", "Vulnerable\n");
    write("/sys/devices/system/node/node0/meminfo", "");
    write("/sys/devices/system/clocksource/clocksource0/current_clocksource", "tsc\n");
    write("/sys/class/dmi/id/sys_vendor", "Example\n");
    write("/sys/class/dmi/id/product_name", "Tower 9\n");
    write("/sys/class/net/lo/mtu", "65536\n");
    write("/sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");
    write("/sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_throttled 0\n");
    write("/proc/self/status", "Name:\tx\nCpus_allowed:\tf\nCpus_allowed_list:\t0-3\n");
    write("/proc/self/cgroup", "0::/\n");
    write("/proc/cpuinfo", "processor\t: 0\nmodel name\t: Example 9000\nflags\t\t: fpu sse2\n");
    write("/proc/cmdline", "root=/dev/sda1 quiet\n");
    write("/proc/meminfo", "MemTotal:        8000 kB\nHugePages_Total:       3\n");
    write("/proc/loadavg", "0.10 0.20 0.30 1/200 4711\n");
    write("/proc/stat", "cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 1 0 1 1 0 0 0 0\n"
                        "procs_running 1\n");
    write("/proc/pressure/cpu", "some avg10=0.25 avg60=0.00 avg300=0.00 total=1000\n");
    write("/proc/sys/kernel/ostype", "Linux\n");
    write("/proc/sys/kernel/osrelease", "6.1.0\n");
    write("/proc/sys/kernel/version", "#1 SMP PREEMPT_DYNAMIC Debian\n");
    write("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
}

} // namespace support
