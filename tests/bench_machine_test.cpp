#include "bench/doctor.hpp"
#include "bench/judge/checks.hpp"
#include "bench/machine/machine.hpp"
#include "bench/machine/placement.hpp"
#include "bench/machine/surroundings.hpp"
#include "bench/thread_search.hpp"
#include "support/fixture_tree.hpp"
#include "support/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <vector>

#include <unistd.h>

namespace bench = sockeye::bench;
using bench::fitness;
using cpus = bench::host::cpu_list;

namespace {

/// `core_of[cpu]` is the core of each CPU, `node_of` its memory and its cache.
bench::topology made_topology(const cpus& core_of, const cpus& node_of) {
    bench::topology made;
    for (unsigned cpu = 0; cpu < core_of.size(); ++cpu) {
        made.cpus.push_back({cpu, core_of[cpu], node_of[cpu], node_of[cpu], node_of[cpu]});
    }
    return made;
}

std::pair<cpus, cpus> chosen(const cpus& allowed, const bench::topology& known,
                             const bench::cpu_choice& given = {}) {
    const auto made = bench::choose_cpus(allowed, known, given);
    return {made.server, made.client};
}

std::string text_of(const bench::machine& facts, std::string_view key) {
    const auto* fact = facts.find(key);
    const auto* text = fact == nullptr ? nullptr : std::get_if<std::string>(&fact->value);
    return text == nullptr ? "" : *text;
}

std::vector<std::string> list_of(const bench::machine& facts, std::string_view key) {
    const auto* fact = facts.find(key);
    const auto* list =
        fact == nullptr ? nullptr : std::get_if<std::vector<std::string>>(&fact->value);
    return list == nullptr ? std::vector<std::string>() : *list;
}

/// Of several with one name the worst.
fitness found_of(const std::vector<bench::check>& checks, std::string_view id) {
    auto worst = fitness::good;
    bool is_there = false;
    for (const auto& each : checks) {
        if (each.id == id) {
            worst = std::max(worst, each.found);
            is_there = true;
        }
    }
    CHECK_MESSAGE(is_there, "no check " << id);
    return worst;
}

std::string remedy_of(const std::vector<bench::check>& checks, std::string_view id) {
    const auto at = std::ranges::find(checks, id, &bench::check::id);
    return at == checks.end() ? "" : at->remedy;
}

fitness machine_check(const support::fixture_tree& tree, std::string_view id) {
    return found_of(bench::check_machine(bench::read_machine(bench::system_files(tree.root())), {}),
                    id);
}

} // namespace

TEST_CASE("placement: server and client get cores of their own, and leave the first CPU alone") {
    using pair = std::pair<cpus, cpus>;
    CHECK(chosen({}, {}) == pair{{}, {}});
    CHECK(chosen({5}, {}) == pair{{5}, {5}});
    CHECK(chosen({0, 1}, {}) == pair{{1}, {0}});
    CHECK(chosen({0, 1, 2, 3}, {}) == pair{{1}, {2}});
    // Two cores of two threads, as most desktops number them, and as some servers do.
    CHECK(chosen({0, 1, 2, 3}, made_topology({0, 1, 0, 1}, {0, 0, 0, 0})) == pair{{1}, {2}});
    CHECK(chosen({0, 1, 2, 3}, made_topology({0, 0, 2, 2}, {0, 0, 0, 0})) == pair{{1}, {2}});
    // With a core to spare, the threads of the first core stay free.
    const auto six = made_topology({0, 0, 2, 2, 4, 4}, {0, 0, 0, 0, 0, 0});
    CHECK(chosen({0, 1, 2, 3, 4, 5}, six) == pair{{2}, {4}});
    // One core of two threads is all there is.
    CHECK(chosen({0, 1}, made_topology({0, 0}, {0, 0})) == pair{{1}, {0}});
    CHECK(chosen({0, 1, 2}, made_topology({0, 1, 1}, {0, 0, 0})) == pair{{1}, {0}});
}

TEST_CASE("placement: server and client are near the same memory where that can be") {
    using pair = std::pair<cpus, cpus>;
    const auto known = made_topology({0, 1, 2, 3, 4, 5}, {0, 0, 1, 1, 1, 1});
    CHECK(chosen({0, 1, 2, 3, 4, 5}, known) == pair{{2}, {3}});
    CHECK(chosen({0, 1, 2}, known) == pair{{1}, {2}});
}

TEST_CASE("placement: what was given stays, and the rest is chosen to go with it") {
    using pair = std::pair<cpus, cpus>;
    const auto known = made_topology({0, 1, 2, 0, 1, 2}, {0, 0, 0, 0, 0, 0});
    CHECK(chosen({0, 1, 2, 3, 4, 5}, known, {{4}, {}}) == pair{{4}, {2}});
    CHECK(chosen({0, 1, 2, 3, 4, 5}, known, {{}, {2, 5}}) == pair{{1}, {2, 5}});
    CHECK(chosen({0, 1}, known, {{0}, {1}}) == pair{{0}, {1}});
    CHECK(chosen({}, known, {{0}, {1}}) == pair{{0}, {1}});
}

TEST_CASE("placement: further threads of the client get cores of their own, then what is left") {
    // Eight CPUs: cores 0 to 3, each with two threads n and n + 4; two caches.
    bench::topology known;
    for (unsigned cpu = 0; cpu < 8; ++cpu) {
        known.cpus.push_back({cpu, cpu % 4, 0, 0, cpu % 4 < 2 ? 0u : 2u});
    }
    const bench::host::cpu_list all = {0, 1, 2, 3, 4, 5, 6, 7};
    bench::cpu_choice chosen = {{1}, {2}};
    bench::add_client_cpus(all, known, 1, chosen);
    CHECK(chosen.client == bench::host::cpu_list{2});
    bench::add_client_cpus(all, known, 4, chosen);
    // Core 3 is free; then core 0, the first CPU's, before a second thread of a core it has.
    CHECK(chosen.client == bench::host::cpu_list{2, 3, 0, 6});
    CHECK(chosen.server == bench::host::cpu_list{1});
    bench::add_client_cpus(all, known, 100, chosen);
    CHECK(chosen.client.size() == 7);
    CHECK(chosen.client.back() == 5); // the other thread of the server's core comes last
    bench::cpu_choice unpinned;
    bench::add_client_cpus({}, known, 4, unpinned);
    CHECK(unpinned.client.empty());
    bench::cpu_choice pair = {{1}, {0}};
    bench::add_client_cpus({0, 1}, {}, 2, pair);
    CHECK(pair.client == bench::host::cpu_list{0});
}

TEST_CASE("threads: auto doubles them for as long as that brings 3 % more") {
    const auto found = [](std::size_t most, std::vector<double> rates) {
        std::size_t calls = 0;
        const auto chosen = bench::search_threads(most, [&](std::size_t threads) {
            CHECK(threads == std::size_t{1} << calls);
            REQUIRE(calls < rates.size());
            return rates[calls++];
        });
        CHECK(chosen.tried.size() == calls);
        return chosen.threads;
    };
    CHECK(found(1, {}) == 1);
    CHECK(found(3, {100, 190}) == 2);
    CHECK(found(64, {100, 190, 300, 308}) == 4);
    CHECK(found(64, {100, 102}) == 1);
    CHECK(found(64, {100, 103.5, 106}) == 2);
    CHECK(found(8, {100, 200, 400, 800}) == 8);
    CHECK(found(7, {100, 200, 400}) == 4);
}

TEST_CASE("threads: auto tries no more than there are CPUs and connections for") {
    bench::request wanted;
    CHECK(bench::threads_max(wanted, 2, 64) == 1);
    CHECK(bench::threads_max(wanted, 3, 64) == 1);
    CHECK(bench::threads_max(wanted, 4, 64) == 3);
    CHECK(bench::threads_max(wanted, 128, 64) == 64);
    CHECK(bench::threads_max(wanted, 1024, 5000) == 256);
    wanted.server_cpus = {0, 1, 2, 3, 4, 5};
    CHECK(bench::threads_max(wanted, 8, 64) == 2);
    CHECK(bench::threads_max(wanted, 6, 64) == 1);
    wanted.client_cpus = {4, 5};
    CHECK(bench::threads_max(wanted, 16, 64) == 2);
    wanted.is_one_core = true;
    CHECK(bench::threads_max(wanted, 16, 64) == 1);
}

TEST_CASE("threads: auto measures before it plans, and leaves the process where it was") {
    bench::request wanted;
    wanted.has_auto_threads = true;
    wanted.connections = 4;
    wanted.binaries = {support::program_path(), support::program_path()};
    const auto allowed = bench::host::allowed_cpus();
    const auto made = bench::plan_with_threads(wanted, 2);
    CHECK(bench::host::allowed_cpus() == allowed);
    REQUIRE(made.threads_found.has_value());
    const auto& tried = made.threads_found->tried;
    REQUIRE(tried.size() == 2);
    CHECK(tried[0].rate_per_s > 0);
    CHECK(tried[1].rate_per_s > 0);
    CHECK(made.threads_found->threads ==
          (tried[1].rate_per_s < 1.03 * tried[0].rate_per_s ? 1 : 2));
    CHECK(made.passes.front().what.threads == made.threads_found->threads);
    // Tests of fewer connections have fewer threads.
    wanted.binaries.clear();
    wanted.connections.reset();
    wanted.threads = 16;
    const auto all = bench::make_plan(wanted);
    CHECK(all.passes.front().what.threads == 16);
    for (const auto& each : all.passes) {
        CHECK(each.what.threads == std::min<std::size_t>(16, each.what.connections));
    }
}

TEST_CASE("machine: every fact is read from the files of the machine") {
    const support::fixture_tree tree;
    tree.write_good_machine();
    const auto facts = bench::read_machine(bench::system_files(tree.root()));
    CHECK(facts.cpu == "Example 9000");
    CHECK(facts.cpus_online == 4);
    CHECK(facts.cpus_allowed == cpus{0, 1, 2, 3});
    CHECK(facts.kernel == "Linux 6.1.0");
    CHECK(facts.smt == true);
    CHECK(facts.turbo == false);
    CHECK(facts.numa_nodes == 1);
    CHECK(facts.memory_bytes == 8000u * 1024);
    CHECK_FALSE(facts.is_virtual);
    CHECK_FALSE(facts.cpu_quota);
    CHECK(facts.mitigations == std::vector<std::string>{"spectre_v2: Mitigation: Retpolines"});
    CHECK(facts.cpus.share_core(1, 3));
    CHECK_FALSE(facts.cpus.share_core(0, 1));
    CHECK(facts.cpus.count_cores() == 2);
    CHECK(facts.cpus.count_sockets() == 1);
    CHECK(list_of(facts, "smt_siblings") == std::vector<std::string>{"0,2", "1,3"});
    CHECK(list_of(facts, "caches") ==
          std::vector<std::string>{"L1 Data 32K, CPUs 0,2", "L3 Unified 8192K, CPUs 0-3"});
    CHECK(list_of(facts, "vulnerabilities") ==
          std::vector<std::string>{"mds: Vulnerable", "spectre_v2: Mitigation: Retpolines"});
    CHECK(text_of(facts, "preemption") == "PREEMPT_DYNAMIC");
    CHECK(text_of(facts, "product") == "Example Tower 9");
    CHECK(text_of(facts, "transparent_huge_pages") == "madvise");
    CHECK(text_of(facts, "tcp_rmem") == "4096 131072 6291456");
    CHECK(text_of(facts, "load_average") == "0.10 0.20 0.30");
    CHECK(text_of(facts, "kernel_command_line") == "root=/dev/sda1 quiet");
    CHECK(std::get<double>(facts.find("psi_cpu_avg10")->value) == doctest::Approx(0.25));
    CHECK(std::get<std::uint64_t>(facts.find("running_tasks")->value) == 0);
    CHECK(std::get<std::uint64_t>(facts.find("mtu")->value) == 65536);
    CHECK(facts.find("isolated_cpus") == nullptr);
    CHECK(facts.find("nohz_full_cpus") == nullptr);
    CHECK(facts.find("hypervisor") == nullptr);
}

TEST_CASE("machine: what the system does not tell is absent") {
    const support::fixture_tree tree;
    tree.write("/proc/nothing", "");
    const auto facts = bench::read_machine(bench::system_files(tree.root()));
    CHECK_FALSE(facts.cpu);
    CHECK_FALSE(facts.governor);
    CHECK_FALSE(facts.turbo);
    CHECK_FALSE(facts.clock_source);
    CHECK(facts.cpus_allowed.empty());
    CHECK(facts.cpus.cpus.empty());
    CHECK(facts.cpus_online > 0);
    CHECK_FALSE(facts.kernel.empty());
    REQUIRE(facts.more.size() == 1); // the limit of descriptors, which is no file
    CHECK(facts.more.front().key == "nofile_soft");
    const auto seen = bench::read_activity(bench::system_files(tree.root()));
    CHECK_FALSE(seen.busy_ns);
    CHECK_FALSE(seen.pressure_ns);
    for (const auto& each : bench::check_surroundings(bench::between(seen, seen))) {
        CHECK(each.found == fitness::unknown);
    }
}

TEST_CASE("machine: the tightest limit of the control groups around us counts") {
    const support::fixture_tree tree;
    tree.write_good_machine();
    const bench::system_files files(tree.root());
    const auto quota = [&] { return bench::read_machine(files).cpu_quota; };
    tree.write("/proc/self/cgroup", "0::/a/b\n");
    tree.write("/sys/fs/cgroup/a/b/cpu.max", "max 100000\n");
    CHECK_FALSE(quota());
    tree.write("/sys/fs/cgroup/a/cpu.max", "50000 100000\n");
    CHECK(quota() == "50000 100000");
    tree.write("/sys/fs/cgroup/a/b/cpu.max", "80000 100000\n");
    CHECK(quota() == "50000 100000");
    CHECK(machine_check(tree, "quota") == fitness::note);
    tree.write("/proc/self/cgroup", "1:cpu,cpuacct:/box\n0::/\n");
    CHECK_FALSE(quota());
    tree.write("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "-1\n");
    tree.write("/sys/fs/cgroup/cpu/box/cpu.cfs_period_us", "100000\n");
    CHECK_FALSE(quota());
    tree.write("/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us", "25000\n");
    CHECK(quota() == "25000 100000");
    tree.write("/proc/self/cgroup", "0::/../elsewhere\nnonsense\n:\n");
    CHECK_FALSE(quota());
}

TEST_CASE("checks: a good machine has nothing wrong, and each fault of a bad one is named") {
    const support::fixture_tree tree;
    tree.write_good_machine();
    const std::string devices = "/sys/devices/system/";
    const bench::system_files files(tree.root());
    for (const auto& each : bench::check_machine(bench::read_machine(files), {})) {
        CHECK_MESSAGE(each.found == fitness::good, each.id << ": " << each.text);
        CHECK(each.remedy.empty());
    }
    tree.write(devices + "cpu/intel_pstate/no_turbo", "0\n");
    CHECK(machine_check(tree, "frequency") == fitness::note);
    tree.write(devices + "cpu/cpu0/cpufreq/scaling_governor", "powersave\n");
    const auto checks = bench::check_machine(bench::read_machine(files), {});
    CHECK(remedy_of(checks, "frequency") == "sudo cpupower frequency-set -g performance");
    tree.write(devices + "clocksource/clocksource0/current_clocksource", "hpet\n");
    CHECK(machine_check(tree, "clock") == fitness::note);
    tree.write("/proc/self/status", "Cpus_allowed_list:\t1,3\n");
    CHECK(machine_check(tree, "few-cpus") == fitness::note);
    CHECK(machine_check(tree, "shared-core") == fitness::note);
    bench::build_facts build;
    build.has_assertions = true;
    build.has_sanitizer = true;
    const auto of_build = bench::check_machine(bench::read_machine(files), build);
    CHECK(found_of(of_build, "debug-build") == fitness::grave);
    CHECK(found_of(of_build, "sanitizer") == fitness::grave);
}

TEST_CASE("checks: what others do is measured between two looks at the machine") {
    const support::fixture_tree tree;
    tree.write_good_machine();
    const bench::system_files files(tree.root());
    auto before = bench::read_activity(files);
    tree.write("/proc/stat", "cpu  120 0 110 2000 0 0 10 2 0 0\nprocs_running 9\n");
    tree.write("/proc/pressure/cpu", "some avg10=40.00 avg60=0.00 avg300=0.00 total=301000\n");
    tree.write("/sys/fs/cgroup/cpu.stat", "usage_usec 5\nnr_throttled 3\n");
    auto after = bench::read_activity(files);
    after.taken = before.taken + std::chrono::seconds(1);
    CHECK(after.running == 8u);
    auto seen = bench::between(before, after);
    const double tick = 1.0 / static_cast<double>(::sysconf(_SC_CLK_TCK));
    CHECK(*seen.foreign == doctest::Approx(40 * tick / 4));
    CHECK(*seen.steal == doctest::Approx(2 * tick / 4));
    CHECK(*seen.pressure == doctest::Approx(0.3));
    CHECK(seen.throttled == 3u);
    seen.running = 8;
    seen.clock_read_ns = 900;
    seen.sleep_late_ns = 2e6;
    seen.sleep_late_max_ns = 3e6;
    const auto checks = bench::check_surroundings(seen);
    CHECK(found_of(checks, "contended") == fitness::grave);
    CHECK(found_of(checks, "quota") == fitness::grave);
    CHECK(found_of(checks, "clock") == fitness::note);
    CHECK(found_of(checks, "timer") == fitness::note);
    CHECK(found_of(checks, "steal") == fitness::note);
}

TEST_CASE("doctor: every fact has a name that people are told, within 80 columns") {
    const support::fixture_tree tree;
    tree.write_good_machine();
    tree.write("/sys/devices/system/cpu/isolated", "2-3\n");
    tree.write("/sys/devices/system/cpu/nohz_full", "2-3\n");
    tree.write("/sys/hypervisor/type", "xen\n");
    tree.write("/proc/cmdline", "a\x1b[31m " + std::string(60, 'b') + " c\n");
    bench::diagnosis made;
    made.facts = bench::read_machine(bench::system_files(tree.root()));
    made.facts.host_name = "tower";
    for (const auto& fact : bench::all_facts(made.facts)) {
        CHECK_MESSAGE(bench::find_fact_words(fact.key) != nullptr, fact.key);
    }
    made.checks = bench::check_machine(made.facts, {});
    const auto page = bench::diagnosis_text(made, {.is_verbose = true});
    for (const auto& fact : bench::all_facts(made.facts)) {
        CHECK(page.find("  " + std::string(bench::find_fact_words(fact.key)->label)) !=
              std::string::npos);
    }
    for (std::size_t begin = 0; begin < page.size();) {
        const auto end = page.find('\n', begin);
        CHECK_MESSAGE(end - begin <= 80, page.substr(begin, end - begin));
        CHECK((begin == end || page[end - 1] != ' '));
        begin = end + 1;
    }
    CHECK(page.find('\x1b') == std::string::npos);
    CHECK(page.find("fit: a run here can have grade A\n") != std::string::npos);
}

TEST_CASE("doctor: only what is wrong is shown where that is asked for, with its remedy") {
    bench::diagnosis made;
    made.checks = {{"clock", fitness::good, "fine", "", {}},
                   {"frequency", fitness::note, "governor is powersave", "cpupower", {}}};
    const auto notes = bench::diagnosis_text(made, {.is_quiet = true});
    CHECK(notes.starts_with("  note  frequency     governor is powersave\n"
                            "                      mend: cpupower\nfit, with 1 note"));
    CHECK(made.is_fit());
    made.checks.push_back({"steal", fitness::grave, "steal 9.0 %", "", {}});
    CHECK_FALSE(made.is_fit());
    const auto text = bench::diagnosis_text(made, {.has_color = true});
    CHECK(text.find("\x1b[31mGRAVE \x1b[0msteal") != std::string::npos);
    CHECK(text.find("NOT FIT") != std::string::npos);
}
