#include "bench/machine/surroundings.hpp"

#include "bench/machine/machine.hpp"

#include <algorithm>
#include <sstream>
#include <thread>
#include <vector>

#include <unistd.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration short_sleep = 1ms;
constexpr int clock_reads = 500;

template <typename T>
std::optional<T> increase(std::optional<T> after, std::optional<T> before) {
    return after && before && *after >= *before ? std::optional<T>(*after - *before) : std::nullopt;
}

void read_processors(const system_files& files, activity& seen) {
    const auto tick_ns = 1'000'000'000 / static_cast<std::uint64_t>(::sysconf(_SC_CLK_TCK));
    std::istringstream words(files.entry("/proc/stat", "cpu").value_or(""));
    std::uint64_t user = 0, nice = 0, system = 0, idle = 0, io_wait = 0;
    std::uint64_t irq = 0, softirq = 0, steal = 0;
    if (words >> user >> nice >> system >> idle >> io_wait >> irq >> softirq >> steal) {
        seen.busy_ns = (user + nice + system + irq + softirq) * tick_ns;
        seen.steal_ns = steal * tick_ns;
    }
    const auto running = files.entry_number("/proc/stat", "procs_running");
    if (running && *running > 0) {
        seen.running = static_cast<std::size_t>(*running - 1);
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=4711`, in microseconds.
std::optional<std::uint64_t> read_pressure_ns(const system_files& files) {
    const auto some = files.entry("/proc/pressure/cpu", "some").value_or("");
    constexpr std::string_view name = "total=";
    const auto at = some.find(name);
    std::uint64_t microseconds = 0;
    std::istringstream digits(at == std::string::npos ? "" : some.substr(at + name.size()));
    return digits >> microseconds ? std::optional(microseconds * 1000) : std::nullopt;
}

std::optional<std::uint64_t> read_throttled(const system_files& files) {
    std::optional<std::uint64_t> sum;
    for (const auto& group : cpu_groups(files)) {
        if (const auto count = files.entry_number(group + "/cpu.stat", "nr_throttled")) {
            sum = sum.value_or(0) + *count;
        }
    }
    return sum;
}

/// The best of several tries: who is put aside meanwhile measures that, and not the clock.
double clock_cost_ns() {
    constexpr int tries = 10;
    duration best = duration::max();
    for (int i = 0; i < tries; ++i) {
        const time_point start = clock::now();
        time_point last = start;
        for (int k = 0; k < clock_reads; ++k) {
            last = clock::now();
        }
        best = std::min(best, last - start);
    }
    return static_cast<double>(best.count()) / clock_reads;
}

} // namespace

activity read_activity(const system_files& files) {
    activity seen;
    const auto online = parse_cpus(files.line("/sys/devices/system/cpu/online").value_or(""));
    seen.cpus = online.empty() ? host::online_cpus() : online.size();
    read_processors(files, seen);
    seen.pressure_ns = read_pressure_ns(files);
    seen.throttled = read_throttled(files);
    seen.taken = clock::now();
    return seen;
}

surroundings between(const activity& before, const activity& after) {
    surroundings made;
    made.seconds = std::chrono::duration<double>(after.taken - before.taken).count();
    made.cpus = after.cpus;
    const double wall_ns = std::max(made.seconds, 1e-9) * 1e9;
    const double capacity = wall_ns * static_cast<double>(std::max<std::size_t>(after.cpus, 1));
    if (const auto busy = increase(after.busy_ns, before.busy_ns)) {
        made.foreign = static_cast<double>(*busy) / capacity;
    }
    if (const auto steal = increase(after.steal_ns, before.steal_ns)) {
        made.steal = static_cast<double>(*steal) / capacity;
    }
    if (const auto pressure = increase(after.pressure_ns, before.pressure_ns)) {
        made.pressure = static_cast<double>(*pressure) / wall_ns;
    }
    made.throttled = increase(after.throttled, before.throttled);
    return made;
}

surroundings watch_surroundings(duration length, const system_files& files) {
    constexpr duration step = 20ms;
    const activity before = read_activity(files);
    const auto own_before = host::own_times();
    const double read_ns = clock_cost_ns();
    std::vector<double> late;
    double running = 0;
    std::size_t looks = 0;
    for (time_point now = clock::now(); now < before.taken + length; now = clock::now()) {
        std::this_thread::sleep_for(short_sleep);
        late.push_back(static_cast<double>((clock::now() - now - short_sleep).count()));
        const auto seen = files.entry_number("/proc/stat", "procs_running");
        if (seen && *seen > 0) {
            running += static_cast<double>(*seen - 1);
            ++looks;
        }
        std::this_thread::sleep_for(step);
    }
    auto made = between(before, read_activity(files));
    if (made.foreign) {
        const auto own = static_cast<double>(host::own_times().cpu_ns - own_before.cpu_ns);
        const double capacity = made.seconds * 1e9 * static_cast<double>(made.cpus);
        made.foreign = std::max(*made.foreign - own / capacity, 0.0);
    }
    made.clock_read_ns = read_ns;
    if (!late.empty()) {
        std::sort(late.begin(), late.end());
        made.sleep_late_ns = late[late.size() / 2];
        made.sleep_late_max_ns = late.back();
    }
    made.running = looks > 0 ? std::optional(running / static_cast<double>(looks)) : std::nullopt;
    return made;
}

} // namespace sockeye::bench
