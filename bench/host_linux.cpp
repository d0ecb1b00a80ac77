#include "bench/host.hpp"

#include <algorithm>
#include <climits>
#include <csignal>
#include <fstream>

#include <sched.h>
#include <sys/prctl.h>
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

unique_fd open_alarm() {
    ::prctl(PR_SET_TIMERSLACK, 1UL); // the default lets the system be 50 us late
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
