#include "bench/export/run_view.hpp"

#include "bench/export/markup.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

ratio ratio_of(const json& from) {
    ratio found;
    found.estimate = from["ratio"].get<double>();
    found.pairs = from["pairs"].get<std::size_t>();
    if (from.contains("lo") && from.contains("hi")) {
        found.bounds = interval{from["lo"].get<double>(), from["hi"].get<double>()};
    }
    return found;
}

comparison_group& group_of(pass_view& pass, const std::string& metric) {
    const auto found = std::ranges::find(pass.comparisons, metric, &comparison_group::metric);
    if (found != pass.comparisons.end()) {
        return *found;
    }
    pass.comparisons.push_back({metric, {}});
    return pass.comparisons.back();
}

void read_comparisons(run_view& run, const json& all, bool of_control) {
    for (const auto& each : all) {
        for (auto& pass : run.passes) {
            if (pass.test != each["test"] || pass.placement != each["placement"]) {
                continue;
            }
            comparison_view made;
            made.backend = of_control ? "control" : each["backend"].get<std::string>();
            made.baseline = each["baseline"].get<std::string>();
            made.found = ratio_of(each);
            made.verdict = of_control ? "" : each["verdict"].get<std::string>();
            made.is_control = of_control;
            group_of(pass, each["metric"].get<std::string>()).lanes.push_back(std::move(made));
        }
    }
}

bool is_open_loop(const json& result) {
    return result.contains("loop") ? result["loop"] == "open"
                                   : result["summary"].contains("response_ns");
}

/// The styles of the lanes: of one name, the same wherever it occurs.
std::size_t style_of(std::vector<std::string>& names, const std::string& name) {
    const auto found = std::ranges::find(names, name);
    if (found == names.end()) {
        names.push_back(name);
        return names.size() - 1;
    }
    return static_cast<std::size_t>(found - names.begin());
}

/// The backends of sockeye first, so that each looks the same in every report.
std::vector<std::string> known_names() {
    return {"epoll", "io_uring", "poll", "select"};
}

} // namespace

std::optional<double> number_at(const json& from, const std::string& path) {
    const json::json_pointer place(path);
    if (!from.contains(place) || !from[place].is_number()) {
        return std::nullopt;
    }
    return from[place].get<double>();
}

const comparison_view* comparison_group::control() const {
    const auto found = std::ranges::find_if(lanes, &comparison_view::is_control);
    return found == lanes.end() ? nullptr : &*found;
}

const comparison_view* comparison_group::find(std::string_view backend) const {
    const auto found = std::ranges::find_if(
        lanes, [&](const comparison_view& one) { return one.backend == backend; });
    return found == lanes.end() ? nullptr : &*found;
}

std::string pass_view::title() const {
    return test + (is_one_core() ? " on one core" : "");
}

std::string pass_view::load() const {
    const json& result = *lanes.front().result;
    const auto whole = [&](const char* name) { return result[name].get<std::uint64_t>(); };
    const bool is_datagram = result["transport"] == "udp" || result["transport"] == "unix-dgram";
    auto text = fmt::format("{} {}", whole("connections"), is_datagram ? "peers" : "connections");
    if (whole("idle") > 0) {
        text += fmt::format(" among {} idle", whole("idle"));
    }
    if (!is_open) {
        text += fmt::format(" x {} in flight", whole("pipeline"));
    }
    const auto least = result["size_bytes"][0].get<std::uint64_t>();
    const auto most = result["size_bytes"][1].get<std::uint64_t>();
    text += least == most ? fmt::format(", {} B", least) : fmt::format(", {} to {} B", least, most);
    text += ", " + result["transport"].get<std::string>();
    if (!is_open) {
        return text + ", closed loop";
    }
    text += ", open loop";
    if (const auto rate = number_at(result, "/offered_per_s")) {
        text += fmt::format(
            ", {}{}", result.contains("arrival") ? result["arrival"].get<std::string>() + " " : "",
            short_rate(*rate));
    }
    return text;
}

std::vector<const comparison_group*> pass_view::key_comparisons() const {
    std::vector<std::string_view> wanted = {"rate_per_s"};
    if (is_one_core()) {
        wanted = {"cpu_ns_per_message"};
    } else if (is_open) {
        wanted = {"response_p50_ns", "response_p99_ns"};
    }
    std::vector<const comparison_group*> found;
    for (const auto& group : comparisons) {
        if (std::ranges::find(wanted, group.metric) != wanted.end()) {
            found.push_back(&group);
        }
    }
    return found;
}

run_view::run_view(const json& from) : document(from) {
    auto names = known_names();
    for (const auto& result : document["results"]) {
        const auto test = result["test"].get<std::string>();
        const auto placement = result["placement"].get<std::string>();
        auto pass = std::ranges::find_if(passes, [&](const pass_view& one) {
            return one.test == test && one.placement == placement;
        });
        if (pass == passes.end()) {
            passes.push_back({test, placement, is_open_loop(result), {}, {}});
            pass = std::prev(passes.end());
        }
        lane_view lane;
        lane.name = result["backend"].get<std::string>();
        lane.result = &result;
        lane.is_control = lane.name == "control";
        lane.style = lane.is_control ? 0 : style_of(names, lane.name);
        pass->lanes.push_back(std::move(lane));
    }
    read_comparisons(*this, document["comparisons"], false);
    read_comparisons(*this, document["control"], true);
}

const pass_view* run_view::find(std::string_view test, std::string_view placement) const {
    const auto found = std::ranges::find_if(passes, [&](const pass_view& one) {
        return one.test == test && one.placement == placement;
    });
    return found == passes.end() ? nullptr : &*found;
}

bool run_view::is_side_pass(const pass_view& pass) const {
    return pass.is_one_core() && find(pass.test, "two-cores") != nullptr;
}

std::uint64_t run_view::seed() const {
    return document["plan"]["seed"].get<std::uint64_t>();
}

std::string run_view::text(const char* name) const {
    return document.contains(name) ? document[name].get<std::string>() : std::string();
}

bool is_replaced(const json& round) {
    return round.value("is_replaced", false);
}

std::string_view metric_title(std::string_view metric) {
    if (metric == "rate_per_s") {
        return "messages per second";
    }
    if (metric == "cpu_ns_per_message") {
        return "server CPU per message";
    }
    if (metric == "response_p50_ns") {
        return "response time p50";
    }
    return metric == "response_p99_ns" ? "response time p99" : metric;
}

} // namespace sockeye::bench::exporting
