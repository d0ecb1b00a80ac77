#include "bench/judge/statistics.hpp"
#include "support/program.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

using nlohmann::json;
using sockeye::bench::mann_whitney_critical;
using sockeye::bench::unpaired_ratio;
using support::run_program;

namespace {

/// A run that `bench` saved: six short rounds of two backends.
const json& real_run() {
    static const json made = [] {
        const support::scratch_directory directory;
        const auto path = directory.file("run.json");
        const auto ended = run_program({"bench", "-b", "poll,select", "--rounds", "6", "-d", "20ms",
                                        "--warmup", "5ms", "-c", "2", "-q", "-o", path});
        REQUIRE(ended.status == 0);
        std::ifstream file(path);
        return json::parse(file);
    }();
    return made;
}

/// The same, but every lane has these rates, and for each round a service time of its p99.
json run_of(const std::vector<double>& rates, std::uint64_t p99_ns, const std::string& id) {
    json made = real_run();
    made["id"] = id;
    for (auto& result : made["results"]) {
        const json round = result["rounds"][0];
        result["rounds"] = json::array();
        for (std::size_t i = 0; i < rates.size(); ++i) {
            json next = round;
            next["round"] = i + 1;
            next["messages"] = static_cast<std::uint64_t>(rates[i]);
            next["seconds"] = 1.0;
            next["service_ns"] = {{"count", 5000}, {"p99", p99_ns}};
            result["rounds"].push_back(std::move(next));
        }
    }
    made["control"] = json::array();
    return made;
}

std::vector<double> scaled(std::vector<double> rates, double by) {
    for (auto& rate : rates) {
        rate *= by;
    }
    return rates;
}

const std::vector<double> steady = {100000, 100400, 99700, 100100, 99900, 100300};

class saved_files {
public:
    std::string save(const json& document) {
        const auto path = directory_.file("run-" + std::to_string(count_++) + ".json");
        std::ofstream(path) << document.dump();
        return path;
    }
    std::string save_text(const std::string& text) {
        const auto path = directory_.file("text-" + std::to_string(count_++));
        std::ofstream(path) << text;
        return path;
    }

private:
    support::scratch_directory directory_;
    int count_ = 0;
};

bool has(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("statistics: Mann and Whitney's critical values are those of the published table") {
    struct row {
        std::size_t left;
        std::size_t right;
        std::size_t critical;
    };
    constexpr row table[] = {{4, 4, 0},   {5, 5, 2},    {5, 10, 8}, {6, 6, 5},    {6, 10, 11},
                             {7, 7, 8},   {7, 10, 14},  {8, 8, 13}, {8, 10, 17},  {9, 9, 17},
                             {9, 10, 20}, {10, 10, 23}, {10, 5, 8}, {20, 20, 127}};
    for (const auto& one : table) {
        CAPTURE(one.left);
        CAPTURE(one.right);
        CHECK(mann_whitney_critical(one.left, one.right) == one.critical);
    }
    CHECK_FALSE(mann_whitney_critical(3, 3));
    CHECK_FALSE(mann_whitney_critical(1, 30));
}

TEST_CASE("statistics: the ratio of runs that have nothing to do with each other") {
    const auto found = unpaired_ratio(scaled(steady, 1.1), steady);
    CHECK(found.estimate == doctest::Approx(1.1).epsilon(0.005));
    REQUIRE(found.bounds);
    CHECK(found.bounds->lo > 1.09);
    CHECK(found.bounds->hi < 1.11);
    const std::vector<double> few = {1, 2, 3};
    CHECK_FALSE(unpaired_ratio(few, few).bounds);
    CHECK(unpaired_ratio(few, few).estimate == doctest::Approx(1));
}

TEST_CASE("compare: what bench saves is what compare reads, and a run is the same as itself") {
    saved_files files;
    const auto path = files.save(real_run());
    const auto ended = run_program({"compare", path, path});
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    CHECK(has(ended.output, "1.000 [1.000, 1.000]"));
    CHECK(has(ended.output, "throughput poll "));
    CHECK(has(ended.output, "throughput select "));
    CHECK_FALSE(has(ended.output, "faster"));
    CHECK_FALSE(has(ended.output, "control"));
    CHECK_FALSE(has(ended.output, "differs"));
}

TEST_CASE("compare: faster, slower, same and unclear, each where it is") {
    saved_files files;
    const auto old_path = files.save(run_of(steady, 200'000, "old"));
    struct example {
        double factor;
        std::vector<double> rates;
        std::string verdict;
    };
    const std::vector<double> wild = {60000, 150000, 90000, 120000, 75000, 140000};
    const example table[] = {{1.1, steady, "faster"},
                             {0.9, steady, "slower"},
                             {1.001, steady, "same"},
                             {1.0, wild, "unclear (needs about "}};
    for (const auto& row : table) {
        CAPTURE(row.verdict);
        const auto path = files.save(run_of(scaled(row.rates, row.factor), 200'000, "new"));
        const auto ended = run_program({"compare", old_path, path});
        CHECK(ended.status == 0);
        CHECK(has(ended.output, row.verdict));
        CHECK(has(ended.output, "not interleaved"));
    }
}

TEST_CASE("compare: a response time that grew is slower, and limits are crossed only surely") {
    saved_files files;
    const auto old_path = files.save(run_of(steady, 200'000, "old"));
    const auto new_path = files.save(run_of(scaled(steady, 0.9), 260'000, "new"));
    const auto shown = run_program({"compare", old_path, new_path});
    CHECK(has(shown.output, "throughput poll p99"));
    CHECK(has(shown.output, "0.769"));
    CHECK(run_program({"compare", old_path, new_path, "--fail-if", "throughput<0.95"}).status == 3);
    CHECK(run_program({"compare", old_path, new_path, "--fail-if", "throughput<0.7"}).status == 0);
    CHECK(run_program({"compare", new_path, old_path, "--fail-if", "throughput>1.2"}).status == 3);
}

TEST_CASE("compare: two lanes of one run are compared in pairs") {
    saved_files files;
    const auto path = files.save(run_of(steady, 200'000, "one"));
    const auto ended = run_program({"compare", path + ":poll", path + ":select"});
    CHECK(ended.status == 0);
    CHECK(has(ended.output, "poll"));
    CHECK(has(ended.output, "select"));
    CHECK(has(ended.output, "compared in pairs"));
    CHECK(has(ended.output, "1.000 [1.000, 1.000]"));
}

TEST_CASE("compare: other loads are refused, unless --force says so") {
    saved_files files;
    const auto old_path = files.save(run_of(steady, 200'000, "old"));
    auto other = run_of(steady, 200'000, "new");
    for (auto& result : other["results"]) {
        result["connections"] = 500;
    }
    other["machine"]["kernel"] = "Linux 9.9\x1b[31m";
    const auto new_path = files.save(other);
    const auto refused = run_program({"compare", old_path, new_path});
    CHECK(refused.status == 2);
    CHECK(has(refused.talk, "throughput is not the same test in both: tcp, 2 connections"));
    const auto forced = run_program({"compare", old_path, new_path, "--force"});
    CHECK(forced.status == 0);
    CHECK(has(forced.output, "differs  kernel "));
    CHECK_FALSE(has(forced.output, "\x1b"));
}

TEST_CASE("compare: a file that is no saved run is one line that says why") {
    saved_files files;
    const auto good = files.save(real_run());
    json renamed = real_run();
    renamed["results"][0]["backnd"] = "x";
    json negative = real_run();
    negative["results"][0]["rounds"][0]["messages"] = -1;
    json empty = real_run();
    empty["results"][0]["rounds"] = json::array();
    json other = real_run();
    other["schema"] = "sockeye.bench/2";
    json lacking = real_run();
    lacking.erase("machine");
    for (const auto& path :
         {files.save(renamed), files.save(negative), files.save(empty), files.save(other),
          files.save(lacking), files.save(json::array()), files.save_text(""), files.save_text("{"),
          files.save_text("\xff\xfe"), files.save_text("null")}) {
        const auto ended = run_program({"compare", good, path});
        CAPTURE(ended.talk);
        CHECK(ended.status == 2);
        CHECK(ended.output.empty());
        CHECK(std::count(ended.talk.begin(), ended.talk.end(), '\n') == 1);
        CHECK((has(ended.talk, "is no JSON") || has(ended.talk, "sockeye.bench/1: ")));
    }
    CHECK(run_program({"compare", good, good + ".missing"}).status == 1);
    CHECK(run_program({"compare", good, good + ":epol"}).status == 2);
    for (const std::string limit :
         {"", "throughput", "<1", "throughput<", "throughput<x", "throughput<-1",
          "throughput<1e999", "throughput<0", "nothing<1"}) {
        CAPTURE(limit);
        CHECK(run_program({"compare", good, good, "--fail-if", limit}).status == 2);
    }
}
