#include "bench/machine/host.hpp"

#include <algorithm>
#include <charconv>
#include <csignal>
#include <ctime>
#include <fstream>
#include <sstream>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

namespace sockeye::bench::host {
namespace {

volatile std::sig_atomic_t first_signal = 0;

extern "C" void remember_signal(int signal) {
    if (first_signal != 0) {
        ::_exit(128 + signal);
    }
    first_signal = signal;
}

std::uint64_t to_ns(const timeval& time) noexcept {
    return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
           static_cast<std::uint64_t>(time.tv_usec) * 1000;
}

std::string process_file(pid_t process, const char* name) {
    return "/proc/" + std::to_string(process) + "/" + name;
}

/// Whether `name`, the first word of a line of /proc/stat, is one of `cpus`; all is "cpu".
bool is_wanted(const std::string& name, const cpu_list& cpus) {
    if (cpus.empty()) {
        return name == "cpu";
    }
    unsigned number = 0;
    const char* digits = name.data() + 3;
    const char* end = name.data() + name.size();
    return name.size() > 3 && std::from_chars(digits, end, number).ec == std::errc() &&
           std::find(cpus.begin(), cpus.end(), number) != cpus.end();
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=4711`, in microseconds.
std::optional<std::uint64_t> pressure_ns() {
    std::ifstream file("/proc/pressure/cpu");
    std::string words[5];
    for (auto& word : words) {
        file >> word;
    }
    constexpr std::string_view name = "total=";
    std::uint64_t microseconds = 0;
    const auto& total = words[4];
    if (words[0] != "some" || !total.starts_with(name) ||
        std::from_chars(total.data() + name.size(), total.data() + total.size(), microseconds).ec !=
            std::errc()) {
        return std::nullopt;
    }
    return microseconds * 1000;
}

} // namespace

process_times own_times() noexcept {
    timespec cpu = {};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    rusage usage = {};
    ::getrusage(RUSAGE_SELF, &usage);
    process_times used;
    used.cpu_ns = static_cast<std::uint64_t>(cpu.tv_sec) * 1'000'000'000 +
                  static_cast<std::uint64_t>(cpu.tv_nsec);
    used.user_ns = to_ns(usage.ru_utime);
    used.system_ns = to_ns(usage.ru_stime);
    used.counts.voluntary_switches = static_cast<std::uint64_t>(usage.ru_nvcsw);
    used.counts.involuntary_switches = static_cast<std::uint64_t>(usage.ru_nivcsw);
    used.counts.minor_faults = static_cast<std::uint64_t>(usage.ru_minflt);
    used.counts.major_faults = static_cast<std::uint64_t>(usage.ru_majflt);
    return used;
}

std::optional<std::uint64_t> run_delay_ns(pid_t process) {
    std::ifstream file(process_file(process, "schedstat"));
    std::uint64_t running = 0;
    std::uint64_t waiting = 0;
    if (!(file >> running >> waiting)) {
        return std::nullopt;
    }
    return waiting;
}

std::optional<std::uint64_t> resident_bytes(pid_t process) {
    std::ifstream file(process_file(process, "statm"));
    std::uint64_t total_pages = 0;
    std::uint64_t resident_pages = 0;
    if (!(file >> total_pages >> resident_pages)) {
        return std::nullopt;
    }
    return resident_pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

std::optional<cpu_usage> usage_of(const cpu_list& cpus) {
    std::ifstream file("/proc/stat");
    const auto tick_ns = 1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    cpu_usage sum;
    bool is_found = false;
    for (std::string line; std::getline(file, line) && line.starts_with("cpu");) {
        std::istringstream words(line);
        std::string name;
        std::uint64_t user = 0, nice = 0, system = 0, idle = 0, io_wait = 0;
        std::uint64_t irq = 0, softirq = 0, steal = 0;
        words >> name >> user >> nice >> system >> idle >> io_wait >> irq >> softirq >> steal;
        if (!words || !is_wanted(name, cpus)) {
            continue;
        }
        is_found = true;
        sum.busy_ns += (user + nice + system + irq + softirq) * tick_ns;
        sum.softirq_ns += softirq * tick_ns;
        sum.steal_ns += steal * tick_ns;
    }
    sum.pressure_ns = pressure_ns();
    return is_found ? std::optional(sum) : std::nullopt;
}

std::size_t online_cpus() noexcept {
    return static_cast<std::size_t>(std::max(::sysconf(_SC_NPROCESSORS_ONLN), 1L));
}

result<std::array<unique_fd, 2>> socket_pair() {
    std::array<int, 2> made = {};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, made.data()) != 0) {
        return std::error_code(errno, std::generic_category());
    }
    return std::array<unique_fd, 2>{unique_fd(made[0]), unique_fd(made[1])};
}

void watch_interrupts() noexcept {
    struct sigaction action = {};
    action.sa_handler = remember_signal;
    ::sigaction(SIGINT, &action, nullptr);
    ::sigaction(SIGTERM, &action, nullptr);
}

int interrupt() noexcept {
    return static_cast<int>(first_signal);
}

} // namespace sockeye::bench::host
