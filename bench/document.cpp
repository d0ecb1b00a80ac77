#include "bench/document.hpp"

#include "bench/words.hpp"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <optional>

#include <nlohmann/json.hpp>

namespace sockeye::bench {
namespace {

using nlohmann::ordered_json;

template <typename T>
void put(ordered_json& target, const char* name, const std::optional<T>& value) {
    if (value) {
        target[name] = *value;
    }
}

std::int64_t whole(double value) {
    return static_cast<std::int64_t>(value + 0.5);
}

ordered_json machine_json(const machine& known) {
    ordered_json made;
    for (const auto& fact : all_facts(known)) {
        std::visit([&](const auto& value) { made[std::string(fact.key)] = value; }, fact.value);
    }
    return made;
}

ordered_json tool_json(const build_facts& build, const circumstances& around) {
    ordered_json made = {{"version", build.version},
                         {"build", build.type},
                         {"compiler", build.compiler},
                         {"flags", build.flags}};
    if (!build.revision.empty()) {
        made["revision"] = build.revision;
    }
    for (const auto& [name, version] : around.libraries) {
        made["libraries"][name] = version;
    }
    return made;
}

ordered_json plan_json(const plan& made) {
    ordered_json result = {
        {"rounds", made.rounds.most}, {"seed", made.seed}, {"order", "williams"}};
    if (made.rounds.is_auto()) {
        result["adaptive"] = {{"rounds_min", made.rounds.least},
                              {"within", enough::within},
                              {"confidence", made.confidence()},
                              {"budget_ns", enough::budget.count()}};
    }
    if (made.threads_found) {
        result["threads_tried"] = ordered_json::array();
        for (const auto& each : made.threads_found->tried) {
            result["threads_tried"].push_back(
                {{"threads", each.threads}, {"rate_per_s", each.rate_per_s}});
        }
    }
    put(result, "messages", made.messages);
    result["timeout_ns"] = made.timeout.count();
    result["pin"] = {{"server", made.server_cpus}, {"client", made.client_cpus}};
    if (!made.baseline.empty()) {
        result["baseline"] = made.baseline;
    }
    if (made.target) {
        result["endpoint"] = made.target->to_string();
    }
    bool has_control = false;
    for (const auto& each : made.passes) {
        for (const auto& lane : each.lanes) {
            has_control = has_control || lane.is_control;
        }
    }
    result["control"] = has_control;
    return result;
}

/// The percentiles for which there are enough values; none where `is_overload`: they would tell how
/// long the queue grew.
ordered_json times_json(const histogram& times, bool is_overload = false) {
    ordered_json made = {{"count", times.count()}};
    if (times.count() == 0) {
        return made;
    }
    made["min"] = times.min();
    made["mean"] = times.mean();
    constexpr std::pair<const char*, double> shares[] = {
        {"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p999", 0.999}, {"p9999", 0.9999}};
    for (const auto& [name, share] : shares) {
        if (!is_overload && times.can_tell(share)) {
            made[name] = times.percentile(share);
        }
    }
    made["max"] = times.max();
    return made;
}

ordered_json histogram_json(const histogram& times) {
    ordered_json pairs = ordered_json::array();
    times.for_each_bucket([&pairs](std::uint64_t upper, std::uint64_t count) {
        pairs.push_back({upper, count});
    });
    return {{"format", "loglin/1"}, {"unit", "ns"}, {"digits", 3}, {"pairs", std::move(pairs)}};
}

void put_counts(ordered_json& target, const system_counts& counted) {
    put(target, "voluntary_switches", counted.voluntary_switches);
    put(target, "involuntary_switches", counted.involuntary_switches);
    put(target, "minor_faults", counted.minor_faults);
    put(target, "major_faults", counted.major_faults);
    put(target, "instructions", counted.instructions);
    put(target, "cycles", counted.cycles);
}

ordered_json server_json(const lane_result& result) {
    const account& used = *result.server;
    ordered_json made;
    made["cpu_ns_per_message"] = whole(result.cpu_ns_per_message());
    made["cpu_ns"] = used.cpu_ns;
    made["user_ns"] = used.user_ns;
    made["system_ns"] = used.system_ns;
    put(made, "run_delay_ns", result.server_run_delay_ns);
    if (used.has_calls()) {
        made["syscalls"] = {{"wait", used.waits},
                            {"read", used.reads},
                            {"write", used.writes},
                            {"register", used.registrations},
                            {"accept", used.accepts}};
        made["events"] = used.events;
        made["would_blocks"] = used.would_blocks;
    }
    put(made, "rss_bytes", result.server_resident_bytes);
    put_counts(made, used.counts);
    return made;
}

ordered_json client_json(const lane_result& result) {
    ordered_json made;
    if (result.counted.messages > 0) {
        made["cpu_ns_per_message"] = whole(static_cast<double>(result.client.cpu_ns) /
                                           static_cast<double>(result.counted.messages));
    }
    made["busy"] = static_cast<double>(result.client.cpu_ns) / 1e9 / result.seconds;
    put(made, "run_delay_ns", result.client_run_delay_ns);
    put_counts(made, result.client.counts);
    return made;
}

ordered_json host_json(const lane_result& result) {
    const double capacity = result.host_seconds * 1e9;
    ordered_json made = {{"busy", static_cast<double>(result.host->busy_ns) / capacity},
                         {"steal", static_cast<double>(result.host->steal_ns) / capacity},
                         {"softirq", static_cast<double>(result.host->softirq_ns) / capacity}};
    put(made, "psi_cpu_ns", result.host->pressure_ns);
    return made;
}

/// The percentiles 1 - 10^(-i/20), as far as there are values to tell.
ordered_json curve_json(const histogram& times) {
    constexpr int points_max = 101;
    ordered_json made = ordered_json::array();
    for (int i = 0; i < points_max; ++i) {
        const double share = 1 - std::pow(10, -i / 20.0);
        if (times.count() == 0 || !times.can_tell(share)) {
            break;
        }
        made.push_back(times.percentile(share));
    }
    return made;
}

ordered_json course_json(const round_course& course, bool is_open_loop) {
    ordered_json made = {{"ns", duration(round_course::window_length).count()},
                         {"warmup", course.warmup},
                         {"messages", ordered_json::array()}};
    for (const auto& window : course.windows) {
        made["messages"].push_back(window.messages);
        if (is_open_loop) {
            made["send_lag_max_ns"].push_back(window.send_lag_max_ns);
        }
        if (course.has_run_delays) {
            made["server_run_delay_ns"].push_back(window.server_run_delay_ns);
            made["client_run_delay_ns"].push_back(window.client_run_delay_ns);
        }
    }
    return made;
}

/// What only an open loop has.
void add_open_loop(const lane_result& result, ordered_json& made) {
    const tally& counted = result.counted;
    made["response_ns"] = times_json(counted.response, result.is_overloaded);
    made["send_lag_ns"] = times_json(counted.send_lag);
    made["offered"] = counted.offered;
    made["answered"] = counted.messages;
    made["overloaded"] = result.is_overloaded;
}

ordered_json round_json(const load& what, const lane_result& result) {
    const tally& counted = result.counted;
    ordered_json made = {
        {"round", result.round},          {"slot", result.position + 1},
        {"seconds", result.seconds},      {"messages", counted.messages},
        {"bytes", counted.bytes},         {"service_ns", times_json(counted.service)},
        {"errors", counted.errors},       {"unfinished", counted.unfinished},
        {"lost", counted.lost},           {"late", counted.late},
        {"duplicate", counted.duplicate}, {"wrong", counted.wrong}};
    if (counted.errors.empty()) {
        made["errors"] = ordered_json::object();
    }
    if (result.server) {
        made["server"] = server_json(result);
    }
    made["client"] = client_json(result);
    if (result.host) {
        made["host"] = host_json(result);
    }
    if (what.is_open_loop()) {
        add_open_loop(result, made);
    }
    if (!is_stream(what.carrier)) {
        made["reordered"] = counted.reordered;
    }
    if (!result.flags.empty()) {
        made["flags"] = result.flags;
    }
    if (result.is_repeat) {
        made["is_repeat"] = true;
    }
    if (result.is_replaced) {
        made["is_replaced"] = true;
    }
    made["curve_ns"] = result.is_overloaded
                           ? ordered_json::array()
                           : curve_json(what.is_open_loop() ? counted.response : counted.service);
    made["windows"] = course_json(result.course, what.is_open_loop());
    return made;
}

ordered_json estimate_json(const estimate& value) {
    ordered_json made = {{"median", value.median}};
    if (value.bounds) {
        made["lo"] = value.bounds->lo;
        made["hi"] = value.bounds->hi;
    }
    made["spread"] = value.spread;
    return made;
}

ordered_json summary_json(const load& what, const lane_summary& lane) {
    ordered_json made = {{"rate_per_s", estimate_json(lane.rate)}};
    if (lane.cpu_ns) {
        made["server_cpu_ns_per_message"] = estimate_json(*lane.cpu_ns);
    }
    put(made, "syscalls_per_message", lane.system_calls);
    put(made, "events_per_wait", lane.events_per_wait);
    put(made, "rss_bytes_per_connection", lane.resident_bytes_per_connection);
    made["service_ns"] = times_json(lane.service);
    if (lane.response.count() > 0) {
        made["response_ns"] = times_json(lane.response, lane.overloaded_rounds > 0);
        made["send_lag_ns"] = times_json(lane.send_lag);
        ordered_json by_round = ordered_json::object();
        constexpr const char* names[] = {"p50", "p90", "p99", "p999"};
        for (std::size_t i = 0; i < response_shares.size(); ++i) {
            if (lane.response_by_round[i]) {
                by_round[names[i]] = estimate_json(*lane.response_by_round[i]);
            }
        }
        made["response_by_round_ns"] = std::move(by_round);
    }
    if (lane.overloaded_rounds > 0) {
        made["overloaded"] = {{"rounds", lane.overloaded_rounds},
                              {"offered_per_s", what.rate_per_s},
                              {"answered_per_s", lane.rate.median}};
    }
    return made;
}

std::string placement_name(const pass& what) {
    return what.is_one_core ? "one-core" : "two-cores";
}

/// All rounds in the order they were run in.
ordered_json rounds_json(const pass_summary& pass, const lane_summary& lane) {
    const auto index = static_cast<std::size_t>(lane.what - pass.record->what.lanes.data());
    const load& what = pass.record->what.what;
    ordered_json rounds = ordered_json::array();
    for (const auto* each : {&pass.record->lanes[index], &pass.record->replaced[index]}) {
        for (const auto& result : *each) {
            if (!result.is_repeat) {
                rounds.push_back(round_json(what, result));
            }
        }
    }
    std::stable_sort(
        rounds.begin(), rounds.end(),
        [](const ordered_json& a, const ordered_json& b) { return a["round"] < b["round"]; });
    for (const auto& result : pass.record->lanes[index]) {
        if (result.is_repeat) {
            rounds.push_back(round_json(what, result));
        }
    }
    return rounds;
}

ordered_json result_json(const plan& whole, const pass_summary& pass, const lane_summary& lane) {
    const auto& test = pass.record->what;
    const load& what = test.what;
    ordered_json made = {{"test", test.test},
                         {"placement", placement_name(test)},
                         {"backend", lane.what->name},
                         {"mode", name_of(what.how)},
                         {"loop", what.is_open_loop() || test.find_rate ? "open" : "closed"},
                         {"transport", name_of(what.carrier)},
                         {"connections", what.connections},
                         {"idle", what.idle},
                         {"pipeline", what.pipeline},
                         {"threads", what.threads},
                         {"size_bytes", {what.sizes.least(), what.sizes.most()}},
                         {"sizes", what.sizes.to_string()},
                         {"verified", what.is_verified},
                         {"warmup_ns", test.warmup.count()},
                         {"duration_ns", test.window.count()}};
    if (what.is_open_loop()) {
        made["offered_per_s"] = what.rate_per_s;
        made["arrival"] = name_of(what.law);
        made["in_flight_max"] = what.in_flight_max;
        made["pace"] = whole.how_paced == pace::spin ? "spin" : "sleep";
    }
    if (test.find_rate) {
        made["kept"] = test.find_rate->text;
    }
    if (pass.record->ended != ending::none) {
        made["rounds_ended"] = name_of(pass.record->ended);
    }
    made["summary"] = summary_json(what, lane);
    made["histogram"] = histogram_json(lane.service);
    if (lane.response.count() > 0) {
        made["response_histogram"] = histogram_json(lane.response);
    }
    made["rounds"] = rounds_json(pass, lane);
    return made;
}

ordered_json ratio_json(const pass_summary& pass, metric by, const ratio& found,
                        double confidence) {
    ordered_json made = {{"test", pass.record->what.test},
                         {"placement", placement_name(pass.record->what)},
                         {"metric", name_of(by)},
                         {"ratio", found.estimate}};
    if (found.bounds) {
        made["lo"] = found.bounds->lo;
        made["hi"] = found.bounds->hi;
    }
    made["confidence"] = confidence;
    made["method"] = "paired-signed-rank";
    made["pairs"] = found.pairs;
    return made;
}

/// The ratios of the control, or of all others.
ordered_json comparisons_json(const report& made, bool of_control) {
    ordered_json all = ordered_json::array();
    for (const auto& pass : made.passes) {
        for (const auto& lane : pass.lanes) {
            for (const metric by : all_metrics) {
                const auto* found = compared(lane, by);
                if (found == nullptr || lane.what->is_control != of_control) {
                    continue;
                }
                ordered_json each =
                    ratio_json(pass, by, found->against_baseline, made.whole->confidence());
                if (!of_control) {
                    each["backend"] = lane.what->name;
                    each["verdict"] = found->said == verdict::none ? "none" : name_of(found->said);
                }
                each["baseline"] = made.whole->baseline;
                all.push_back(std::move(each));
            }
        }
    }
    return all;
}

ordered_json trust_json(const trust& grade) {
    ordered_json flags = ordered_json::array();
    for (const auto& each : grade.flags) {
        ordered_json flag = {{"id", each.id}};
        put(flag, "value", each.value);
        flag["text"] = each.text;
        flags.push_back(std::move(flag));
    }
    return {{"grade", std::string(1, grade.grade)}, {"flags", std::move(flags)}};
}

ordered_json gates_json(const std::vector<gate_result>& gates) {
    ordered_json all = ordered_json::array();
    for (const auto& each : gates) {
        ordered_json made = {{"expr", each.what->text}, {"failed", each.is_crossed}};
        put(made, "worst", each.value);
        if (!each.lane.empty()) {
            made["test"] = each.test;
            made["backend"] = each.lane;
        }
        all.push_back(std::move(made));
    }
    return all;
}

ordered_json failure_json(const run_record& record) {
    ordered_json made = {{"text", record.failure}};
    return made;
}

std::string dump(const ordered_json& value) {
    // What came from a foreign server's system may be no UTF-8; the document stays valid.
    return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

/// One line for each member, and for each element of a list of objects: it can be read and
/// compared line by line, and is not larger than need be.
std::string to_lines(const ordered_json& document) {
    std::string text = "{\n";
    bool is_first = true;
    for (const auto& [name, value] : document.items()) {
        text += is_first ? "" : ",\n";
        is_first = false;
        text += dump(ordered_json(name)) + ": ";
        if (!value.is_array() || value.empty() || !value.front().is_object()) {
            text += dump(value);
            continue;
        }
        text += "[";
        for (std::size_t i = 0; i < value.size(); ++i) {
            text += (i == 0 ? "\n " : ",\n ") + dump(value[i]);
        }
        text += "\n]";
    }
    return text + "\n}\n";
}

} // namespace

std::string to_json(const report& made) {
    ordered_json document = {{"schema", "sockeye.bench/1"},
                             {"id", made.id},
                             {"started", made.started},
                             {"status", made.status()}};
    if (!made.record->failure.empty()) {
        document["failure"] = failure_json(*made.record);
    }
    if (!made.label.empty()) {
        document["label"] = made.label;
    }
    document["tool"] = tool_json(made.build, made.around);
    document["command"] = made.command;
    document["machine"] = machine_json(made.around.facts);
    document["plan"] = plan_json(*made.whole);
    ordered_json results = ordered_json::array();
    for (const auto& pass : made.passes) {
        for (const auto& lane : pass.lanes) {
            results.push_back(result_json(*made.whole, pass, lane));
        }
    }
    document["results"] = std::move(results);
    document["comparisons"] = comparisons_json(made, false);
    document["control"] = comparisons_json(made, true);
    document["words"] = words_of(made);
    document["trust"] = trust_json(made.grade);
    if (made.around.ceiling) {
        document["calibration"] = {{"ceiling_per_s", made.around.ceiling->ceiling_per_s},
                                   {"clock_read_ns", made.around.ceiling->clock_read_ns}};
    }
    if (!made.gates.empty()) {
        document["thresholds"] = gates_json(made.gates);
    }
    return to_lines(document);
}

} // namespace sockeye::bench
