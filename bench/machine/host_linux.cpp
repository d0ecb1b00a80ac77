#include "bench/machine/host.hpp"

#include <algorithm>
#include <climits>
#include <csignal>
#include <fstream>

#include <linux/perf_event.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

namespace sockeye::bench::host {

cpu_list allowed_cpus() {
    cpu_set_t set;
    cpu_list allowed;
    if (::sched_getaffinity(0, sizeof set, &set) == 0) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
            if (CPU_ISSET(cpu, &set)) {
                allowed.push_back(cpu);
            }
        }
    }
    return allowed;
}

bool place(const placement& where) noexcept {
    bool is_placed = true;
    if (!where.cpus.empty()) {
        cpu_set_t set;
        CPU_ZERO(&set);
        for (const unsigned cpu : where.cpus) {
            CPU_SET(cpu, &set);
        }
        is_placed = ::sched_setaffinity(0, sizeof set, &set) == 0;
    }
    const sched_param parameters = {};
    const int policy = where.is_batch ? SCHED_BATCH : SCHED_OTHER;
    return ::sched_setscheduler(0, policy, &parameters) == 0 && is_placed;
}

void die_with_parent(pid_t parent) noexcept {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) { // it ended before the line above
        ::_exit(1);
    }
}

std::string program_path() {
    std::string path(PATH_MAX, '\0');
    const ssize_t size = ::readlink("/proc/self/exe", path.data(), path.size());
    path.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return path;
}

std::vector<std::string> command_line() {
    std::ifstream file("/proc/self/cmdline");
    std::vector<std::string> words;
    for (std::string word; std::getline(file, word, '\0');) {
        words.push_back(word);
    }
    return words;
}

unique_fd open_counter(counted_event what, pid_t thread, counter_scope scope) noexcept {
    perf_event_attr asked = {};
    asked.size = sizeof asked;
    const bool is_clock = what == counted_event::task_clock;
    asked.type = is_clock ? PERF_TYPE_SOFTWARE : PERF_TYPE_HARDWARE;
    asked.config = is_clock                        ? std::uint64_t{PERF_COUNT_SW_TASK_CLOCK}
                   : what == counted_event::cycles ? std::uint64_t{PERF_COUNT_HW_CPU_CYCLES}
                                                   : std::uint64_t{PERF_COUNT_HW_INSTRUCTIONS};
    asked.read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING;
    asked.inherit = scope == counter_scope::with_children;
    asked.exclude_kernel = 1; // more is not allowed without privilege: perf_event_paranoid is 2
    asked.exclude_hv = 1;
    constexpr int any_cpu = -1;
    constexpr int no_group = -1;
    return unique_fd(static_cast<int>(
        ::syscall(SYS_perf_event_open, &asked, thread, any_cpu, no_group, PERF_FLAG_FD_CLOEXEC)));
}

std::optional<counter_reading> read_counter(int counter) noexcept {
    std::uint64_t words[3] = {};
    if (::read(counter, words, sizeof words) != static_cast<ssize_t>(sizeof words)) {
        return std::nullopt;
    }
    return counter_reading{words[0], words[1], words[2]};
}

void be_punctual() noexcept {
    ::prctl(PR_SET_TIMERSLACK, 1UL);
}

unique_fd open_alarm() {
    be_punctual();
    return unique_fd(::timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
}

void set_alarm(int alarm, time_point when) noexcept {
    constexpr duration::rep second = 1'000'000'000;
    const auto ns = std::max<duration::rep>(when.time_since_epoch().count(), 1); // 0 would disarm
    itimerspec setting = {};
    setting.it_value.tv_sec = ns / second;
    setting.it_value.tv_nsec = ns % second;
    ::timerfd_settime(alarm, TFD_TIMER_ABSTIME, &setting, nullptr);
}

void take_alarm(int alarm) noexcept {
    std::uint64_t times = 0;
    [[maybe_unused]] const auto got = ::read(alarm, &times, sizeof times);
}

} // namespace sockeye::bench::host
