#include "bench/judge/checks.hpp"

#include "cli/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

constexpr flag_meaning meanings[] = {
    {"debug-build", "C", "The program was built with assertions.",
     "Build it with --buildtype=release."},
    {"sanitizer", "C", "The program was built with a sanitizer.", "Build it without b_sanitize."},
    {"few-cpus", "B",
     "There are two CPUs or fewer, so that the kernel's network work of client and server shares "
     "them.",
     "Measure on a larger machine; on this one believe CPU per message more than the rate."},
    {"shared-core", "B",
     "Server and client run on one CPU, or on two threads of one core, and wait for each other.",
     "Give CPUs of different cores to --pin, or leave the choice to it."},
    {"frequency", "B",
     "CPUs may run faster or slower from round to round: the governor is not performance, or "
     "turbo is on.",
     "sudo cpupower frequency-set -g performance; turbo is switched off in intel_pstate/no_turbo "
     "or cpufreq/boost below /sys/devices/system/cpu."},
    {"clock", "B",
     "The kernel does not read the CPU's own counter, so that reading the time is slow and may "
     "be coarse.",
     "Look with 'dmesg | grep -i clocksource' why; where the counter is known to be good, boot "
     "with tsc=reliable."},
    {"timer", "B", "Sleeping ends late, so that messages of an open loop are sent late.",
     "Measure with --pace spin, on a CPU that nobody else uses."},
    {"contended", "B or C",
     "Other programs used more than 5 % of the CPUs, or tasks waited for a CPU for more than 5 % "
     "of the time, or server or client for more than 2 %. It is grave where it was so in more "
     "than a third of the rounds.",
     "Stop what else runs; 'top' shows it. Isolate CPUs with isolcpus= and --pin."},
    {"steal", "B or C",
     "The host of this virtual machine ran somebody else instead: grave above 1 %, noted above "
     "0.1 %.",
     "Take a machine, or a CPU, of your own; try again at another hour."},
    {"quota", "B or C",
     "A control group limits CPU time. It is grave where the limit stopped us during the run.",
     "Run in a group without cpu.max, such as a container started without --cpus."},
    {"lag", "B or C",
     "Messages of an open loop left the client late; their response times hold the client's own "
     "lateness.",
     "Offer a lower rate, more --threads, or --pace spin."},
    {"client-bound", "B",
     "The client was busy all the time and the server was not: the server could do more, and "
     "rates mean \"at least\".",
     "Give the client more --threads, or another machine."},
    {"not-warm", "B or C", "The beginning of a round was unlike the rest of it.",
     "Make --warmup longer."},
    {"drift", "B or C", "The rate rose or fell over a round.",
     "Make --warmup and --duration longer; look for a CPU that heats up."},
    {"stall", "B or C", "For a moment in a round nearly nothing was answered.",
     "Look at 'contended' and 'steal', and at the server."},
    {"spread", "B", "Rounds of one server differ much: the median from the median by over 5 %.",
     "More --rounds, a longer --duration, a quieter machine."},
    {"control", "C", "Two identical servers could be told apart, so that nothing can be told.",
     "Measure again on a quieter machine."},
    {"rounds", "B",
     "Fewer than six rounds give no interval of 95 %, fewer than eight none of 99 %, and so no "
     "verdict.",
     "Give --rounds 6 or more; with --rounds auto, a shorter --duration."},
    {"errors", "B", "Connections failed.", "Look at the errors of the rounds in the saved run."},
    {"loss", "B", "Datagrams were lost, came late, or came twice.",
     "Keep fewer on their way; give the server a larger --receive-buffer."},
    {"order", "B", "Datagrams were answered after later ones.",
     "Expect it of real networks; on this machine look at the server."},
    {"unfinished", "B", "Messages had no answer when the round ended.",
     "Make --timeout longer, or look why the server does not answer."},
    {"verify-off", "B", "The bytes of the answers were not compared.", "Leave --no-verify out."},
};

std::string percent_text(double share) {
    return fmt::format("{:.1f} %", share * 100);
}

class checker {
public:
    void add(const char* id, fitness found, std::string text, std::string remedy = {},
             std::optional<double> value = {}) {
        made_.push_back({id, found, std::move(text), std::move(remedy), value});
    }

    std::vector<check> take() { return std::move(made_); }

private:
    std::vector<check> made_;
};

void check_build(const build_facts& build, checker& to) {
    if (build.has_assertions) {
        to.add("debug-build", fitness::grave, "built with assertions: a release build is faster",
               "meson setup --buildtype=release build");
    } else {
        to.add("debug-build", fitness::good, "built without assertions");
    }
    if (build.has_sanitizer) {
        to.add("sanitizer", fitness::grave,
               "built with a sanitizer: nothing here says how fast it is",
               "meson configure -Db_sanitize=none build");
    } else {
        to.add("sanitizer", fitness::good, "built without a sanitizer");
    }
}

void check_cpus(const machine& facts, checker& to) {
    const std::size_t count = facts.cpus_allowed.empty()
                                  ? facts.cpus_online
                                  : std::min(facts.cpus_online, facts.cpus_allowed.size());
    const auto value = static_cast<double>(count);
    if (count <= limits::few_cpus) {
        to.add("few-cpus", fitness::note,
               fmt::format("{} CPU{} only: kernel network work of client and server shares them",
                           count, count == 1 ? "" : "s"),
               {}, value);
    } else {
        to.add("few-cpus", fitness::good, fmt::format("{} CPUs may be used", count), {}, value);
    }
    const auto choice = choose_cpus(facts.cpus_allowed, facts.cpus);
    if (choice.server.empty()) {
        to.add("shared-core", fitness::unknown,
               "this system does not let a process choose its CPU");
    } else if (facts.cpus.share_core(choice.server.front(), choice.client.front())) {
        to.add("shared-core", fitness::note,
               "one core only: server and client share it and wait for each other");
    } else {
        to.add("shared-core", fitness::good,
               fmt::format("server and client have cores of their own: CPU {} and {}",
                           choice.server.front(), choice.client.front()));
    }
}

void check_frequency(const machine& facts, checker& to) {
    if (facts.governor && *facts.governor != "performance") {
        to.add("frequency", fitness::note,
               "CPU frequency governor is " + *facts.governor + ", not performance",
               "sudo cpupower frequency-set -g performance");
    } else if (facts.turbo.value_or(false)) {
        const auto* driver = facts.find("scaling_driver");
        const auto* name = driver == nullptr ? nullptr : std::get_if<std::string>(&driver->value);
        const bool is_intel = name != nullptr && name->starts_with("intel");
        to.add("frequency", fitness::note, "turbo is on: CPUs slow down when they get warm",
               is_intel ? "echo 1 | sudo tee /sys/devices/system/cpu/intel_pstate/no_turbo"
                        : "echo 0 | sudo tee /sys/devices/system/cpu/cpufreq/boost");
    } else if (facts.governor) {
        to.add("frequency", fitness::good, "CPU frequency governor is performance");
    } else {
        to.add("frequency", fitness::unknown,
               facts.is_virtual ? "the host of this virtual machine decides, and does not tell"
                                : "this system does not tell");
    }
}

void check_clock(const machine& facts, checker& to) {
    if (!facts.clock_source) {
        to.add("clock", fitness::unknown, "this system does not tell");
        return;
    }
    const auto& source = *facts.clock_source;
    if (source == "tsc" || source == "arch_sys_counter") {
        to.add("clock", fitness::good, "clock source is " + source);
        return;
    }
    to.add("clock", fitness::note, "clock source is " + source + ": reading the time is slow",
           "dmesg | grep -i clocksource tells why");
}

void check_quota(const machine& facts, checker& to) {
    if (facts.cpu_quota) {
        to.add("quota", fitness::note,
               "the control group limits CPU time (cpu.max " + cli::escape(*facts.cpu_quota) + ")",
               "run outside that group, or start the container without --cpus");
    } else {
        to.add("quota", fitness::good, "no control group limits CPU time");
    }
}

void check_load(const surroundings& seen, checker& to) {
    constexpr auto remedy = "see what runs with 'top', and end it";
    if (seen.foreign) {
        const bool is_much = *seen.foreign > limits::foreign_max;
        to.add("contended", is_much ? fitness::grave : fitness::good,
               fmt::format("other programs use {} of the CPUs", percent_text(*seen.foreign)),
               is_much ? remedy : "", seen.foreign);
    } else {
        to.add("contended", fitness::unknown, "this system does not tell what others use");
    }
    if (seen.pressure) {
        const bool is_much = *seen.pressure > limits::pressure_max;
        to.add("contended", is_much ? fitness::grave : fitness::good,
               fmt::format("tasks wait for a CPU {} of the time", percent_text(*seen.pressure)),
               is_much ? remedy : "", seen.pressure);
    }
    if (seen.running) {
        const double each =
            *seen.running / static_cast<double>(std::max<std::size_t>(seen.cpus, 1));
        const bool is_much = each > limits::load_max;
        to.add("contended", is_much ? fitness::grave : fitness::good,
               fmt::format("{:.1f} other tasks are running or ready to run", *seen.running),
               is_much ? remedy : "", seen.running);
    }
}

void check_steal(const surroundings& seen, checker& to) {
    if (!seen.steal) {
        to.add("steal", fitness::unknown, "this system does not tell");
        return;
    }
    const double share = *seen.steal;
    const auto found = share > limits::steal_max     ? fitness::grave
                       : share > limits::steal_noted ? fitness::note
                                                     : fitness::good;
    to.add("steal", found,
           fmt::format("steal {}{}", percent_text(share),
                       found == fitness::good
                           ? ""
                           : ": a neighbour of this virtual machine takes some time"),
           found == fitness::good ? "" : "take a machine of your own, or try again later", share);
}

void check_time(const surroundings& seen, checker& to) {
    if (seen.clock_read_ns) {
        const bool is_slow = *seen.clock_read_ns > limits::clock_read_max_ns;
        to.add("clock", is_slow ? fitness::note : fitness::good,
               fmt::format("reading the time takes {:.0f} ns", *seen.clock_read_ns),
               is_slow ? "dmesg | grep -i clocksource tells why" : "", seen.clock_read_ns);
    }
    if (seen.sleep_late_ns) {
        const bool is_late = *seen.sleep_late_ns > limits::sleep_late_max_ns;
        to.add("timer", is_late ? fitness::note : fitness::good,
               fmt::format("a sleep of 1 ms ends {:.0f} us late, at worst {:.0f} us",
                           *seen.sleep_late_ns / 1000, *seen.sleep_late_max_ns / 1000),
               is_late ? "bench --pace spin does not sleep" : "", seen.sleep_late_ns);
    }
}

} // namespace

std::span<const flag_meaning> flag_meanings() noexcept {
    return meanings;
}

std::vector<check> check_machine(const machine& facts, const build_facts& build) {
    checker to;
    check_build(build, to);
    check_cpus(facts, to);
    check_frequency(facts, to);
    check_clock(facts, to);
    check_quota(facts, to);
    return to.take();
}

std::vector<check> check_surroundings(const surroundings& seen) {
    checker to;
    check_load(seen, to);
    check_steal(seen, to);
    if (seen.throttled && *seen.throttled > 0) {
        to.add("quota", fitness::grave,
               fmt::format("the control group stopped us {} times in {:.1f} s", *seen.throttled,
                           seen.seconds),
               "run outside that group, or start the container without --cpus",
               static_cast<double>(*seen.throttled));
    }
    check_time(seen, to);
    return to.take();
}

} // namespace sockeye::bench
