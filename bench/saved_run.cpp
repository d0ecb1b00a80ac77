#include "bench/saved_run.hpp"

#include "bench/packed.hpp"
#include "bench/run_document.hpp"
#include "cli/common.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <memory>
#include <system_error>

#include <nlohmann/json.hpp>
#include <run_schema.hpp> // made of schema/run.json
#include <valijson/adapters/nlohmann_json_adapter.hpp>
#include <valijson/schema.hpp>
#include <valijson/schema_parser.hpp>
#include <valijson/validation_results.hpp>
#include <valijson/validator.hpp>

namespace sockeye::bench {
namespace {

using nlohmann::json;

/// More than any run needs.
constexpr std::size_t file_max = std::size_t{256} << 20;

[[noreturn]] void refuse_file(cli::exit_code code, const std::string& path, std::string_view why) {
    throw cli::command_error(code, fmt::format("{}: {}", cli::escape(path), why));
}

std::string read_text(const std::string& path) {
    const auto last_error = [] { return std::system_category().message(errno); };
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"),
                                                               std::fclose);
    if (file == nullptr) {
        refuse_file(cli::exit_failed, path, last_error());
    }
    std::string text;
    char room[65536];
    while (const auto got = std::fread(room, 1, sizeof room, file.get())) {
        text.append(room, got);
        if (text.size() > file_max) {
            refuse_file(cli::exit_usage, path, "too large for a run of sockeye bench");
        }
    }
    if (std::ferror(file.get()) != 0) {
        refuse_file(cli::exit_failed, path, last_error());
    }
    return text;
}

/// The run inside a page that was made of it, which JSON's own escapes keep from ending early.
/// A large one is packed there.
std::string run_of_page(const std::string& text, const std::string& path) {
    constexpr std::string_view start = "<script type=\"application/json\" id=\"run\">";
    constexpr std::string_view end = "</script>";
    const auto from = text.find(start);
    const auto to = from == std::string::npos ? from : text.find(end, from);
    if (to == std::string::npos) {
        refuse_file(cli::exit_usage, path,
                    "is a page without a run of sockeye bench in it; use the JSON it was made of");
    }
    return text.substr(from + start.size(), to - from - start.size());
}

run_document unpacked_document(const run_document& made, const std::string& path) {
    auto whole = unpacked(made.value);
    if (!whole) {
        refuse_file(cli::exit_usage, path, "holds a packed run that cannot be unpacked");
    }
    return {whole->dump(), std::move(*whole)};
}

/// What the schema says against `document`; empty where it says nothing.
std::string complaint(const json& document) {
    const auto schema_json = json::parse(run_schema_text);
    valijson::Schema schema;
    valijson::SchemaParser parser;
    const valijson::adapters::NlohmannJsonAdapter schema_adapter(schema_json);
    parser.populateSchema(schema_adapter, schema);
    valijson::Validator validator;
    valijson::ValidationResults results;
    const valijson::adapters::NlohmannJsonAdapter target(document);
    if (validator.validate(schema, target, &results)) {
        return {};
    }
    valijson::ValidationResults::Error error;
    results.popError(error);
    std::string place;
    for (const auto& step : error.context) {
        place += step;
    }
    return fmt::format("{}: {}", cli::escape(place, 80), cli::escape(error.description, 120));
}

std::string text_of(const json& value) {
    return value.is_string() ? value.get<std::string>() : value.dump();
}

/// Beside the schema: every number that is to be compared has to be above zero.
std::vector<double> rates_of(const json& rounds) {
    std::vector<double> values;
    for (const auto& round : rounds) {
        values.push_back(round["messages"].get<double>() / round["seconds"].get<double>());
    }
    return values;
}

std::string text_or(const json& from, const char* name, const char* otherwise) {
    return from.contains(name) ? text_of(from[name]) : otherwise;
}

/// One value of each round, or none at all.
std::vector<double> values_of(const json& rounds, const char* group, const char* name) {
    std::vector<double> values;
    for (const auto& round : rounds) {
        const bool is_there = round.contains(group) && round[group].contains(name);
        if (!is_there || round[group][name].get<double>() <= 0) {
            return {};
        }
        values.push_back(round[group][name].get<double>());
    }
    return values;
}

/// The rounds that count: not those that were run again.
json counting(const json& rounds) {
    json counted = json::array();
    for (const auto& round : rounds) {
        if (!round.value("is_replaced", false)) {
            counted.push_back(round);
        }
    }
    return counted;
}

saved_lane read_lane(const json& result) {
    const auto rounds = counting(result["rounds"]);
    const bool is_open = text_or(result, "loop", "closed") == "open";
    const char* const times = is_open ? "response_ns" : "service_ns";
    saved_lane lane = {.name = result["backend"].get<std::string>(),
                       .rate = rates_of(rounds),
                       .cpu_ns = values_of(rounds, "server", "cpu_ns_per_message"),
                       .p50_ns = values_of(rounds, times, "p50"),
                       .p99_ns = values_of(rounds, times, "p99")};
    if (std::ranges::any_of(lane.rate, [](double rate) { return rate <= 0; })) {
        lane.rate.clear();
    }
    return lane;
}

std::vector<std::string> load_of(const json& result) {
    std::vector<std::string> load = {
        text_of(result["transport"]),
        fmt::format("{} connections", result["connections"].get<std::uint64_t>()),
        fmt::format("{} in flight", result["pipeline"].get<std::uint64_t>()),
        fmt::format("{} idle", result["idle"].get<std::uint64_t>()),
        fmt::format("{} to {} B", result["size_bytes"][0].get<std::uint64_t>(),
                    result["size_bytes"][1].get<std::uint64_t>()),
        fmt::format("{} client threads", result.value("threads", std::uint64_t{1})),
        text_or(result, "loop", "closed") + " loop",
        result["verified"].get<bool>() ? "verified" : "not verified"};
    load.push_back(text_or(result, "mode", "echo"));
    for (const char* name : {"arrival", "kept"}) {
        if (result.contains(name)) {
            load.push_back(text_of(result[name]));
        }
    }
    return load;
}

saved_pass& pass_of(saved_run& run, const json& result) {
    const auto test = text_of(result["test"]);
    const auto placement = text_of(result["placement"]);
    const auto found = std::ranges::find_if(run.passes, [&](const saved_pass& one) {
        return one.test == test && one.placement == placement;
    });
    if (found != run.passes.end()) {
        return *found;
    }
    auto& made = run.passes.emplace_back();
    made.test = test;
    made.placement = placement;
    made.load = load_of(result);
    if (result.contains("offered_per_s")) {
        made.offered_per_s = result["offered_per_s"].get<double>();
    }
    return made;
}

ratio read_ratio(const json& from) {
    ratio found = {.estimate = from["ratio"].get<double>(),
                   .bounds = std::nullopt,
                   .pairs = from["pairs"].get<std::size_t>()};
    if (from.contains("lo") && from.contains("hi")) {
        found.bounds = interval{from["lo"].get<double>(), from["hi"].get<double>()};
    }
    return found;
}

void read_controls(saved_run& run, const json& controls) {
    for (const auto& each : controls) {
        for (auto& pass : run.passes) {
            if (pass.test == each["test"] && pass.placement == each["placement"]) {
                pass.controls.emplace(text_of(each["metric"]), read_ratio(each));
            }
        }
    }
}

std::vector<std::pair<std::string, std::string>> facts_of(const json& document) {
    std::vector<std::pair<std::string, std::string>> facts;
    for (const char* name : {"version", "build", "compiler", "flags"}) {
        facts.emplace_back(name, text_of(document["tool"][name]));
    }
    for (const char* name : {"cpu", "cpus_online", "kernel", "clocksource", "governor",
                             "tcp_congestion", "mitigations"}) {
        const auto& machine = document["machine"];
        facts.emplace_back(name, machine.contains(name) ? text_of(machine[name]) : "unknown");
    }
    facts.emplace_back("pinning", document["plan"]["pin"].dump());
    return facts;
}

} // namespace

const saved_lane* saved_pass::find(std::string_view lane) const noexcept {
    const auto found = std::ranges::find(lanes, lane, &saved_lane::name);
    return found == lanes.end() ? nullptr : &*found;
}

run_document read_run_document(const std::string& path) {
    run_document made = {read_text(path), {}};
    const auto first = made.text.find_first_not_of(" \t\r\n");
    const bool is_page = first != std::string::npos && made.text[first] == '<';
    if (is_page) {
        made.text = run_of_page(made.text, path);
    }
    made.value = json::parse(made.text, nullptr, false);
    if (made.value.is_discarded()) {
        refuse_file(cli::exit_usage, path, "is no JSON, and so no run that sockeye bench saved");
    }
    if (is_page) {
        made = unpacked_document(made, path);
    }
    if (const auto wrong = complaint(made.value); !wrong.empty()) {
        refuse_file(cli::exit_usage, path, "is no run of the schema sockeye.bench/1: " + wrong);
    }
    return made;
}

saved_run read_run(const std::string& path) {
    const auto document = read_run_document(path).value;
    saved_run run = {.path = path,
                     .id = text_of(document["id"]),
                     .started = text_of(document["started"]),
                     .facts = facts_of(document),
                     .passes = {}};
    for (const auto& result : document["results"]) {
        pass_of(run, result).lanes.push_back(read_lane(result));
    }
    read_controls(run, document["control"]);
    return run;
}

std::string_view run_schema() noexcept {
    return run_schema_text;
}

} // namespace sockeye::bench
