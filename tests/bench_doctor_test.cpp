#include "bench/judge/trust.hpp"
#include "support/program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include <unistd.h>

namespace bench = sockeye::bench;
using json = nlohmann::json;

namespace {

/// A run of one test of one lane on a machine that may be made bad.
class made_run {
public:
    made_run() {
        record_.what.test = "throughput";
        record_.what.lanes = {{"epoll"}};
        record_.lanes.resize(1);
        for (int round = 0; round < 6; ++round) {
            auto& result = record_.lanes[0].emplace_back();
            result.seconds = 1;
            result.host_seconds = 2;
            result.counted.messages = 1000;
            result.host = bench::host::cpu_usage{};
            result.server = bench::account{};
            result.server_run_delay_ns = 0;
            result.client_run_delay_ns = 0;
        }
        around.facts.cpus_online = 8;
        around.facts.clock_source = "tsc";
    }

    std::vector<bench::lane_result>& rounds() { return record_.lanes[0]; }

    /// All flags but those of how this test was built.
    [[nodiscard]] std::vector<bench::trust_flag> flags() const {
        auto found = assess();
        std::erase_if(found.flags, [](const auto& flag) {
            return flag.id == "debug-build" || flag.id == "sanitizer";
        });
        return found.flags;
    }
    [[nodiscard]] bench::trust assess() const {
        return bench::assess(plan, around, {bench::summarize(record_, "epoll")});
    }
    /// `id`, or `id!` where it forbids verdicts, of the only flag; empty where there is none.
    [[nodiscard]] std::string only_flag() const {
        const auto found = flags();
        CHECK(found.size() <= 1);
        return found.empty() ? "" : found.front().id + (found.front().forbids_verdicts ? "!" : "");
    }

    bench::plan plan;
    bench::circumstances around;

private:
    bench::pass_record record_;
};

bool has_check(const json& document, std::string_view id) {
    return std::ranges::any_of(document["checks"],
                               [id](const auto& each) { return each["id"] == id; });
}

} // namespace

TEST_CASE("trust: a good machine has no flag, and each fault of a bad one has its own") {
    made_run run;
    CHECK(run.only_flag() == "");
    SUBCASE("governor") {
        run.around.facts.governor = "powersave";
        CHECK(run.only_flag() == "frequency");
    }
    SUBCASE("turbo") {
        run.around.facts.governor = "performance";
        run.around.facts.turbo = true;
        CHECK(run.only_flag() == "frequency");
    }
    SUBCASE("clock source") {
        run.around.facts.clock_source = "hpet";
        CHECK(run.only_flag() == "clock");
    }
    SUBCASE("few CPUs allowed") {
        run.around.facts.cpus_allowed = {3, 4};
        CHECK(run.only_flag() == "few-cpus");
    }
    SUBCASE("a limit of CPU time that was not reached") {
        run.around.facts.cpu_quota = "50000 100000";
        run.around.throttled = 0;
        CHECK(run.only_flag() == "quota");
    }
    SUBCASE("a limit of CPU time that was reached") {
        run.around.facts.cpu_quota = "50000 100000";
        run.around.throttled = 7;
        CHECK(run.only_flag() == "quota!");
        CHECK(run.assess().grade == 'C');
    }
    SUBCASE("two threads of one core") {
        run.around.facts.cpus.cpus = {{1, 1, 0, 0, 0}, {2, 2, 0, 0, 0}, {5, 1, 0, 0, 0}};
        run.plan.server_cpus = {1};
        run.plan.client_cpus = {2};
        CHECK(run.only_flag() == "");
        run.plan.client_cpus = {5};
        CHECK(run.only_flag() == "shared-core");
    }
}

TEST_CASE("trust: what was wrong before the run is a note, where the run does not say worse") {
    made_run run;
    run.around.before = bench::surroundings();
    run.around.before->cpus = 8;
    run.around.before->foreign = 0.01;
    run.around.before->pressure = 0.01;
    run.around.before->steal = 0;
    run.around.before->running = 1;
    CHECK(run.only_flag() == "");
    SUBCASE("others use the CPUs") {
        run.around.before->foreign = 0.4;
        CHECK(run.only_flag() == "contended");
        run.rounds()[0].host->busy_ns = 2'000'000'000;
        CHECK(run.only_flag() == "contended");
        for (auto& each : run.rounds()) {
            each.host->busy_ns = 2'000'000'000;
        }
        CHECK(run.only_flag() == "contended!");
    }
    SUBCASE("tasks wait for a CPU") {
        run.around.before->pressure = 0.4;
        CHECK(run.only_flag() == "contended");
    }
    SUBCASE("many tasks run") {
        run.around.before->running = 6;
        CHECK(run.only_flag() == "contended");
    }
    SUBCASE("a neighbour takes time") {
        run.around.before->steal = 0.2;
        CHECK(run.only_flag() == "steal");
    }
    SUBCASE("a limit of CPU time was reached") {
        run.around.before->throttled = 2;
        CHECK(run.only_flag() == "quota");
    }
}

TEST_CASE("trust: pressure in the rounds is contention, grave where it is usual") {
    made_run run;
    for (auto& each : run.rounds()) {
        each.host->pressure_ns = 0;
    }
    CHECK(run.only_flag() == "");
    run.rounds()[0].host->pressure_ns = 200'000'000;
    CHECK(run.only_flag() == "contended");
    for (auto& each : run.rounds()) {
        each.host->pressure_ns = 200'000'000;
    }
    CHECK(run.only_flag() == "contended!");
}

TEST_CASE("doctor: says whether the machine is fit, and exits 0 or 4 by it") {
    const auto ended = support::run_program({"doctor", "--json"});
    CHECK(ended.talk.empty());
    const auto document = json::parse(ended.output, nullptr, false);
    REQUIRE_FALSE(document.is_discarded());
    CHECK(document["schema"] == "sockeye.doctor/1");
    CHECK(ended.status == (document["fit"].get<bool>() ? 0 : 4));
    for (const auto* id : {"debug-build", "few-cpus", "shared-core", "frequency", "clock", "quota",
                           "contended", "steal", "timer"}) {
        CHECK_MESSAGE(has_check(document, id), id);
    }
    bool has_grave = false;
    for (const auto& each : document["checks"]) {
        has_grave = has_grave || each["found"] == "grave";
        CHECK_FALSE(each["text"].get<std::string>().empty());
    }
    CHECK(document["fit"] == !has_grave);
    CHECK(document["machine"]["cpus_online"] >= 1);
    const auto page = support::run_program({"doctor"});
    CHECK((page.status == 0 || page.status == 4));
    CHECK(page.output.find("\nChecks\n") != std::string::npos);
    CHECK(page.output.find(page.status == 0 ? "\nfit" : "\nNOT FIT") != std::string::npos);
    const auto wrong = support::run_program({"doctor", "-q"});
    CHECK(wrong.output.find("  ok ") == std::string::npos);
}

TEST_CASE("bench: the document knows the machine as it was before anything was pinned") {
    const auto run = [](support::words more) {
        support::words all = {"bench", "--rounds", "1",           "--warmup", "10ms",
                              "-d",    "20ms",     "-c",          "1",        "-b",
                              "poll",  "--json",   "--transport", "tcp",      "--no-save"};
        all.insert(all.end(), more.begin(), more.end());
        const auto ended = support::run_program(all);
        CHECK(ended.status == 0);
        const auto document = json::parse(ended.output, nullptr, false);
        REQUIRE_FALSE(document.is_discarded());
        return document;
    };
    const auto doctor = json::parse(support::run_program({"doctor", "--json"}).output);
    const auto document = run({});
    CHECK(document["machine"]["cpus_allowed"] == doctor["machine"]["cpus_allowed"]);
    CHECK_FALSE(document["machine"].contains("hostname"));
    std::string name(256, '\0');
    REQUIRE(::gethostname(name.data(), name.size()) == 0);
    CHECK(run({"--with-hostname"})["machine"]["hostname"] == name.c_str());
}
