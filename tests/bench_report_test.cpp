#include "bench/export.hpp"
#include "bench/export/curves.hpp"
#include "bench/export/documents.hpp"
#include "bench/export/drawing.hpp"
#include "bench/export/markup.hpp"
#include "bench/packed.hpp"
#include "support/program.hpp"
#include "support/sample_run.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

using nlohmann::json;
using support::run_program;
namespace exporting = sockeye::bench::exporting;

namespace {

/// Small, with all that the schema knows.
const json& small_run() {
    static const json made = support::sample_run({.rounds = 6, .backends = {"epoll", "poll"}});
    return made;
}

/// One round of a made-up lane, told from another by its numbers.
json numbered_round(json round, std::size_t lane, std::size_t number) {
    const auto varied = [&](std::size_t i) {
        return 1 + 0.013 * static_cast<double>((lane * 7 + number * 5 + i) % 9);
    };
    const auto scale = [&](json& value) {
        value = static_cast<std::uint64_t>(value.get<double>() * varied(0));
    };
    round["round"] = number;
    for (const char* name : {"messages", "bytes"}) {
        scale(round[name]);
    }
    for (const char* name : {"p50", "p99"}) {
        scale(round["service_ns"][name]);
    }
    // The bands of all lanes would take minutes without optimisation.
    if (lane > 0) {
        round.erase("curve_ns");
    }
    round["windows"] = {{"ns", 100000000}, {"warmup", 10}};
    for (std::size_t i = 0; i < 50; ++i) {
        round["windows"]["messages"].push_back(std::lround(3500 * varied(i * i)));
        round["windows"]["server_run_delay_ns"].push_back(std::lround(50000 * varied(i * i)));
        round["windows"]["client_run_delay_ns"].push_back(std::lround(90000 * varied(i * 3)));
    }
    return round;
}

/// A run of any size, out of one lane: `lane0` and so on in `test0` and so on.
json large_run(std::size_t lanes, std::size_t tests, std::size_t rounds) {
    auto made = support::sample_run({.rounds = 1, .backends = {"epoll"}});
    const auto lane = made["results"][0];
    const auto comparison = small_run()["comparisons"][0];
    for (const char* name : {"results", "comparisons", "control"}) {
        made[name] = json::array();
    }
    for (std::size_t test = 0; test < tests; ++test) {
        for (std::size_t i = 0; i < lanes; ++i) {
            auto result = lane;
            result["test"] = "test" + std::to_string(test);
            result["backend"] = "lane" + std::to_string(i);
            result["rounds"] = json::array();
            for (std::size_t round = 0; round < rounds; ++round) {
                result["rounds"].push_back(
                    numbered_round(lane["rounds"][0], i * tests + test, round + 1));
            }
            made["results"].push_back(std::move(result));
            auto found = comparison;
            found["test"] = "test" + std::to_string(test);
            found["backend"] = "lane" + std::to_string(i);
            made["comparisons"].push_back(std::move(found));
        }
    }
    return made;
}

/// What the program makes of a run, file by file.
class reports {
public:
    std::string save(const json& document, const std::string& name = "run.json") {
        return save_text(document.dump(), name);
    }
    std::string save_text(const std::string& text, const std::string& name) {
        const auto path = directory_.file(name);
        std::ofstream(path, std::ios::binary) << text;
        return path;
    }
    /// The run in the form that `ending` names, as `bench -o` and `report` write it.
    std::string report(const json& document, const std::string& ending) {
        const auto target = directory_.file("out" + ending);
        const auto names = sockeye::bench::export_run(document.dump(), document, target);
        CHECK(names == std::vector<std::string>{target});
        return read(target);
    }
    [[nodiscard]] std::string file(const std::string& name) const { return directory_.file(name); }
    static std::string read(const std::string& path) {
        std::ifstream file(path, std::ios::binary);
        REQUIRE(file.good());
        std::ostringstream text;
        text << file.rdbuf();
        return text.str();
    }

private:
    support::scratch_directory directory_;
};

bool holds(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

std::size_t count_of(const std::string& text, const std::string& part) {
    std::size_t found = 0;
    for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) {
        ++found;
    }
    return found;
}

/// What is wrong with the elements of a document; empty where all are closed in order.
///
/// `optional` are those whose end HTML lets out, and that end with what is around them.
std::string wrong_nesting(const std::string& text, const std::vector<std::string>& optional) {
    std::vector<std::string> open;
    for (auto at = text.find('<'); at != std::string::npos; at = text.find('<', at)) {
        const auto end = text.find('>', at);
        if (end == std::string::npos) {
            return "an open tag at the end";
        }
        const auto tag = text.substr(at + 1, end - at - 1);
        at = end;
        if (tag.starts_with('!') || tag.starts_with('?') || tag.ends_with('/')) {
            continue;
        }
        const bool is_end = tag.starts_with('/');
        const auto name = tag.substr(is_end ? 1 : 0, tag.find(' ') - (is_end ? 1 : 0));
        if (!is_end) {
            open.push_back(name);
            continue;
        }
        while (!open.empty() && open.back() != name &&
               std::ranges::find(optional, open.back()) != optional.end()) {
            open.pop_back();
        }
        if (open.empty() || open.back() != name) {
            return "</" + name + "> at " + std::to_string(at);
        }
        open.pop_back();
    }
    return open.empty() ? "" : "<" + open.back() + "> never ends";
}

/// Each ampersand begins a reference that XML knows.
bool has_bare_ampersand(const std::string& text) {
    for (auto at = text.find('&'); at != std::string::npos; at = text.find('&', at + 1)) {
        constexpr std::array known = {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"};
        if (std::ranges::none_of(known, [&](const char* one) {
                return text.compare(at, std::string(one).size(), one) == 0;
            })) {
            return true;
        }
    }
    return false;
}

const std::vector<std::string> optional_ends = {"td", "th", "tr", "thead", "tbody"};

void check_page(const std::string& page, bool holds_run = true) {
    const auto body = page.substr(0, page.find("<script"));
    CHECK(page.starts_with("<!DOCTYPE html>\n"));
    CHECK(wrong_nesting(page, optional_ends) == "");
    CHECK_FALSE(has_bare_ampersand(body));
    const std::size_t scripts = holds_run ? 1 : 0;
    CHECK(count_of(page, "<script") == scripts);
    CHECK(count_of(page, "</script") == scripts);
    for (const char* load : {"src=", "href=\"h", "href=\"/", "@import", "url(http", "url(//",
                             "<link", "<iframe", "<img", "<object", "onload", "javascript:"}) {
        CAPTURE(load);
        CHECK_FALSE(holds(body, load));
    }
    CHECK(holds(page, "default-src 'none'"));
    CHECK_FALSE(holds(body, "nan"));
    CHECK_FALSE(holds(body, " inf"));
}

json run_inside(const std::string& page) {
    const std::string start = "<script type=\"application/json\" id=\"run\">";
    const auto from = page.find(start);
    REQUIRE(from != std::string::npos);
    const auto text =
        page.substr(from + start.size(), page.find("</script>") - from - start.size());
    return json::parse(text);
}

std::vector<std::string> split_csv(const std::string& line) {
    std::vector<std::string> fields(1);
    bool is_quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '"' && is_quoted && i + 1 < line.size() && line[i + 1] == '"') {
            fields.back() += line[i++];
        } else if (line[i] == '"') {
            is_quoted = !is_quoted;
        } else if (line[i] == ',' && !is_quoted) {
            fields.emplace_back();
        } else {
            fields.back() += line[i];
        }
    }
    return fields;
}

/// The lines of a table, each by the names of its columns.
std::vector<std::map<std::string, std::string>> read_csv(const std::string& text) {
    std::vector<std::map<std::string, std::string>> rows;
    std::vector<std::string> names;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find("\r\n", at);
        REQUIRE(end != std::string::npos);
        const auto fields = split_csv(text.substr(at, end - at));
        at = end + 2;
        if (names.empty()) {
            names = fields;
            continue;
        }
        REQUIRE(fields.size() == names.size());
        std::map<std::string, std::string> row;
        for (std::size_t i = 0; i < names.size(); ++i) {
            row[names[i]] = fields[i];
        }
        rows.push_back(std::move(row));
    }
    return rows;
}

/// The points of an SVG path as path_data writes them.
std::vector<exporting::point> read_path(const std::string& data) {
    std::vector<double> numbers;
    for (std::size_t at = 0; at < data.size();) {
        if (data[at] == 'M' || data[at] == 'l' || data[at] == ' ' || data[at] == 'z') {
            ++at;
            continue;
        }
        std::size_t used = 0;
        numbers.push_back(std::stod(data.substr(at), &used));
        at += used;
    }
    REQUIRE(numbers.size() % 2 == 0);
    std::vector<exporting::point> points = {{numbers[0], numbers[1]}};
    for (std::size_t i = 2; i < numbers.size(); i += 2) {
        points.push_back({points.back().x + numbers[i], points.back().y + numbers[i + 1]});
    }
    return points;
}

/// The places of what the y axis of a chart says: `100 us` in nanoseconds.
std::vector<std::pair<double, double>> read_ticks(const std::string& chart) {
    std::vector<std::pair<double, double>> ticks;
    const std::map<std::string, double> units = {
        {"ns", 1}, {"\xc2\xb5s", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    const std::string start = "<text class=\"e q\" x=\"68\" y=\"";
    for (auto at = chart.find(start); at != std::string::npos; at = chart.find(start, at + 1)) {
        const double y = std::stod(chart.substr(at + start.size())) - 5;
        const auto from = chart.find('>', at) + 1;
        const auto words = chart.substr(from, chart.find('<', from) - from);
        const auto space = words.find(' ');
        ticks.emplace_back(y, std::stod(words) * units.at(words.substr(space + 1)));
    }
    return ticks;
}

/// Compares two files that hold the same run.
void check_same(const std::string& one, const std::string& other) {
    const auto ended = run_program({"compare", one, other});
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    CHECK(holds(ended.output, "throughput epoll "));
    CHECK(holds(ended.output, "1.000 [1.000, 1.000]"));
    CHECK_FALSE(holds(ended.output, "slower"));
}

} // namespace

TEST_CASE("report: the page of the default tests is one small file that loads and runs nothing") {
    reports files;
    const auto page = files.report(
        support::sample_run({.backends = {"io_uring", "epoll", "poll", "select", "other"}}),
        ".html");
    check_page(page);
    CHECK(page.size() < 300 * 1024);
    std::size_t before = 0;
    for (const char* section : {"In words", "Beside the baseline", "Time by percentile",
                                "Throughput over time", "Numbers", "How it was measured"}) {
        CAPTURE(section);
        const auto at = page.find("<h2>" + std::string(section));
        REQUIRE(at != std::string::npos);
        CHECK(at > before);
        before = at;
    }
    for (const char* part :
         {"a quiet evening", "io_uring is faster than epoll in throughput (1.03x the rate).",
          "class=\"noise\"", "class=\"warm\"", "prefers-color-scheme:dark", "@media print",
          "round 3, replaced by another: stall", "95 % band over the rounds", "send lag, greatest",
          "waits for a CPU", "sockeye bench --label &#39;a quiet evening&#39;", "few-cpus",
          "limit rate&lt;200k/s crossed by select in throughput", "#0b6e4f", "stroke-dasharray"}) {
        CAPTURE(part);
        CHECK(holds(page, part));
    }
    // Four tests on two cores are drawn over time, each lane and the control in a panel.
    CHECK(count_of(page, "throughput over time</title>") == 4 * 6);
}

TEST_CASE("report: a page stays small however many lanes, tests and rounds there are") {
    struct run_size {
        std::size_t lanes;
        std::size_t tests;
        std::size_t rounds;
        bool holds_run;
        bool has_bands; ///< over time, in place of a line for each round
        std::size_t panels;
    };
    const run_size sizes[] = {{4, 4, 6, true, false, 16},
                              {8, 5, 30, true, true, 40},
                              {16, 12, 2, false, true, 0},
                              {4, 80, 1, false, true, 0}};
    reports files;
    for (const auto& size : sizes) {
        CAPTURE(size.lanes);
        const auto run = large_run(size.lanes, size.tests, size.rounds);
        const auto page = files.report(run, ".html");
        check_page(page, size.holds_run);
        CHECK(page.size() <= 300 * 1024);
        CHECK(holds(page, "The run itself is too large") == !size.holds_run);
        CHECK(count_of(page, "throughput over time</title>") >= size.panels);
        CHECK(holds(page, " room for the ") == (size.panels == 0));
        CHECK(holds(page, "Each round</summary>") == (size.rounds == 6));
        CHECK(holds(page, "no room to show each round") == (size.rounds != 6));
        CHECK(holds(page, "in a band all of them") == size.has_bands);
    }
}

TEST_CASE("report: what a page packs is compared as the run is") {
    reports files;
    const auto path = files.save(small_run());
    const auto inside = exporting::embedded_run(small_run(), 0);
    REQUIRE(holds(inside, "#columns"));
    const auto page = files.save_text(
        "<script type=\"application/json\" id=\"run\">" + inside + "</script>", "a.html");
    check_same(page, path);
    CHECK(run_program({"report", page, "-o", files.file("again.json")}).status == 0);
    CHECK(json::parse(reports::read(files.file("again.json")))["label"] == small_run()["label"]);
    const auto broken = files.save_text("<script type=\"application/json\" id=\"run\">"
                                        "{\"#rows\":2,\"#columns\":{\"a\":[1]}}</script>",
                                        "b.html");
    const auto refused = run_program({"compare", broken, path});
    CHECK(refused.status == 2);
    CHECK(holds(refused.talk, "holds a packed run that cannot be unpacked"));
}

TEST_CASE("packed: what is unpacked is what was packed") {
    const json values[] = {{{{"a", 1}, {"b", 0}}, {{"a", 2}, {"b", 0}}},
                           {{"rows", {{{"a", {{"b", 1}}}}, {{"a", {{"b", 2}}}, {"c", true}}}}},
                           {{{"x", json::object()}}, {{"x", json::object()}}},
                           {{{"x", {1, 2}}}, {{"x", {1, 2}}}},
                           {json::object(), {{"x", "y"}}},
                           {1, "two", {{"x", 0.25}}, nullptr, true},
                           json::array(),
                           json::object(),
                           7};
    for (const auto& each : values) {
        CAPTURE(each.dump());
        const auto again = sockeye::bench::unpacked(sockeye::bench::packed(each));
        REQUIRE(again.has_value());
        CHECK(*again == each);
    }
    const auto again = sockeye::bench::unpacked(sockeye::bench::packed(small_run()["plan"]));
    CHECK(again == small_run()["plan"]);
    CHECK(sockeye::bench::packed(values[0]).dump() ==
          R"({"#columns":{"a":[1,2],"b":{"#all":0}},"#rows":2})");
}

TEST_CASE("packed: what stands for too much, or for nothing, is not unpacked") {
    std::string deep(200, '[');
    deep += std::string(200, ']');
    for (const auto& text : {std::string(R"({"#rows":3,"#columns":{"a":[1,2]}})"),
                             std::string(R"({"#rows":"x","#columns":{"a":[1,2]}})"),
                             std::string(R"({"#columns":{"a":[1,2]}})"),
                             std::string(R"({"#rows":1000000000,"#columns":{}})"),
                             std::string(R"({"#rows":-1,"#columns":{}})"),
                             std::string(R"({"#rows":600000,"#columns":{"a":{"#all":0}}})"),
                             std::string(R"({"#rows":2,"#columns":{"a":{"#all":[1,2]}}})"), deep}) {
        CAPTURE(text);
        CHECK_FALSE(sockeye::bench::unpacked(json::parse(text)).has_value());
    }
}

TEST_CASE("report: every chart names each of its curves, and an open loop's time is response") {
    reports files;
    const auto page = files.report(small_run(), ".html");
    CHECK(count_of(page, ": service time by percentile</title>") == 3);
    CHECK(count_of(page, ": response time by percentile</title>") == 1);
    CHECK(holds(page, "latency: response time by percentile"));
    for (const std::string name : {"epoll", "poll", "control"}) {
        CAPTURE(name);
        // Beside its curves in four charts, above its panels in four tests.
        CHECK(count_of(page, ">" + name + "</text>") >= 8);
        CHECK(count_of(page, "<title>" + name + ": 95 % band over the rounds</title>") == 4);
    }
}

TEST_CASE("report: what is drawn by percentile is what the run says") {
    reports files;
    const auto page = files.report(small_run(), ".html");
    for (const auto& result : small_run()["results"]) {
        if (result["placement"] != "two-cores") {
            continue;
        }
        const bool is_open = result["loop"] == "open";
        const auto& times = result["summary"][is_open ? "response_ns" : "service_ns"];
        const auto test = result["test"].get<std::string>();
        const auto title = page.find(">" + test + ": " + (is_open ? "response" : "service") +
                                     " time by percentile</title>");
        REQUIRE(title != std::string::npos);
        const auto chart = page.substr(title, page.find("</svg>", title) - title);
        const auto ticks = read_ticks(chart);
        REQUIRE(ticks.size() >= 2);
        const auto hover = chart.find("<title>" + result["backend"].get<std::string>() + ": p90");
        REQUIRE(hover != std::string::npos);
        const auto data = chart.rfind(" d=\"M", hover) + 4;
        const auto points = read_path(chart.substr(data, chart.find('"', data) - data));
        const double decade = (std::log(ticks.back().second) - std::log(ticks.front().second)) /
                              (ticks.back().first - ticks.front().first);
        // Where 90 % and 99 % stand on the other axis.
        for (const std::string digits : {"90", "99"}) {
            const auto name = "p" + digits;
            const auto words = ">" + digits + "</text>";
            CAPTURE(test);
            CAPTURE(name);
            const auto label = chart.rfind(" x=\"", chart.find(words)) + 4;
            const double x = std::stod(chart.substr(label));
            const auto found = std::ranges::find_if(
                points, [x](const exporting::point& one) { return std::abs(one.x - x) < 0.6; });
            REQUIRE(found != points.end());
            const double drawn =
                ticks.front().second * std::exp(decade * (found->y - ticks.front().first));
            CHECK(drawn == doctest::Approx(times[name].get<double>()).epsilon(0.01));
        }
    }
}

TEST_CASE("report: a band holds its curve, is the same each time, and ends where the curve ends") {
    const exporting::run_view run(small_run());
    const auto& pass = *run.find("latency", "two-cores");
    REQUIRE(pass.is_open);
    for (const auto& lane : pass.lanes) {
        CAPTURE(lane.name);
        const auto curve = exporting::read_curve(lane, true, 1);
        const auto again = exporting::read_curve(lane, true, 1);
        CHECK(curve.lo == again.lo);
        CHECK(curve.hi == again.hi);
        REQUIRE(curve.lo.size() == curve.values.size());
        REQUIRE(curve.hi.size() == curve.values.size());
        const auto& times = (*lane.result)["summary"]["response_ns"];
        CHECK(curve.values[20] == times["p90"].get<double>());
        CHECK(curve.values[40] == times["p99"].get<double>());
        for (std::size_t i = 0; i < curve.values.size(); ++i) {
            CHECK(curve.lo[i] <= curve.values[i]);
            CHECK(curve.hi[i] >= curve.values[i]);
        }
        // In the middle, where rounds differ by 3 %, the band is narrow.
        CHECK(curve.hi[20] / curve.lo[20] < 1.1);
        const auto count = times["count"].get<double>();
        const double last = static_cast<double>(curve.values.size() - 1) / 20;
        CHECK(count * std::pow(10, -last) >= 10 - 1e-6);
        CHECK(count * std::pow(10, -last - 0.05) < 10);
    }
}

TEST_CASE("report: labels that hold markup are text, and end no element") {
    const std::string hostile = "</script><script>alert(1)</script>\x1b[31m &amp; \"'<!--";
    auto run = small_run();
    run["label"] = hostile;
    run["id"] = "<b>";
    run["command"] = {"sockeye", hostile};
    run["trust"]["flags"] = {{{"id", hostile}, {"text", hostile}}};
    run["thresholds"] = {
        {{"expr", hostile}, {"failed", true}, {"test", hostile}, {"backend", hostile}}};
    run["machine"]["kernel"] = hostile;
    run["plan"]["baseline"] = hostile;
    for (auto& result : run["results"]) {
        if (result["backend"] == "poll") {
            result["backend"] = hostile;
        }
        if (result["test"] == "idle") {
            result["test"] = "../" + hostile;
        }
    }
    for (auto& each : run["comparisons"]) {
        each["backend"] = each["backend"] == "poll" ? json(hostile) : each["backend"];
    }
    reports files;
    const auto page = files.report(run, ".html");
    check_page(page);
    CHECK(run_inside(page)["label"] == hostile);
    CHECK(holds(page, "&lt;/script&gt;&lt;script&gt;alert(1)"));
    CHECK_FALSE(holds(page, "\x1b"));
    const auto picture = files.report(run, ".svg");
    CHECK(wrong_nesting(picture, {}) == "");
    CHECK_FALSE(has_bare_ampersand(picture));
    CHECK_FALSE(holds(picture, "<script"));
    CHECK_FALSE(holds(picture, "\x1b"));
    const auto tables = files.report(run, ".md");
    CHECK_FALSE(holds(tables, "<script"));
    CHECK_FALSE(holds(tables, "\x1b"));
    const auto rows = read_csv(files.report(run, ".csv"));
    CHECK(std::ranges::any_of(rows, [&](const auto& row) { return row.at("backend") == hostile; }));
    // No name of a file leaves its folder.
    const auto ended = run_program({"report", files.save(run), "-o", files.file("x.hgrm")});
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    CHECK(holds(ended.output, "x-----"));
    CHECK_FALSE(holds(ended.output, ".."));
}

TEST_CASE("report: the picture stands alone") {
    reports files;
    const auto picture = files.report(small_run(), ".svg");
    CHECK(picture.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns="));
    CHECK(wrong_nesting(picture, {}) == "");
    CHECK_FALSE(has_bare_ampersand(picture));
    // Seven forest plots: the latency has two. Four charts by percentile.
    CHECK(count_of(picture, "<svg ") == 1 + 7 + 4);
    CHECK(count_of(picture, "http") == 1);
    CHECK(holds(picture, "latency: response time by percentile"));
    if (support::is_installed("xmllint")) {
        const auto path = files.file("out.svg");
        const auto checked = support::run({"xmllint", "--noout", path});
        CAPTURE(checked.talk);
        CHECK(checked.status == 0);
    }
}

TEST_CASE("report: compare takes a page in place of the run it was made of") {
    reports files;
    const auto path = files.save(small_run(), "a.json");
    CHECK(run_program({"report", path}).status == 0);
    const auto page = files.file("a.html");
    check_same(page, path);
    CHECK(run_program({"compare", page + ":poll", path + ":epoll"}).status == 0);
    // A page can be made of a page, and holds what the other did.
    const auto again = files.file("b.html");
    CHECK(run_program({"report", page, "-o", again}).status == 0);
    CHECK(run_inside(reports::read(again)) == run_inside(reports::read(page)));
    CHECK(run_program({"report", page}).status == 2);
}

TEST_CASE("report: a round that was run again does not count in a comparison") {
    reports files;
    auto run = small_run();
    const auto path = files.save(run, "with.json");
    for (auto& result : run["results"]) {
        auto& rounds = result["rounds"];
        rounds.erase(
            std::remove_if(rounds.begin(), rounds.end(),
                           [](const json& one) { return one.value("is_replaced", false); }),
            rounds.end());
    }
    const auto ended = run_program({"compare", path + ":poll", path + ":epoll"});
    const auto other = files.save(run, "without.json");
    CHECK(ended.status == 0);
    CHECK(ended.output == run_program({"compare", other + ":poll", other + ":epoll"}).output);
}

TEST_CASE("report: the table of rounds has a line for each, with the values of the run") {
    reports files;
    const auto rows = read_csv(files.report(small_run(), ".csv"));
    std::size_t line = 0;
    for (const auto& result : small_run()["results"]) {
        for (const auto& round : result["rounds"]) {
            REQUIRE(line < rows.size());
            auto row = rows[line++];
            CHECK(row["test"] == result["test"].get<std::string>());
            CHECK(row["placement"] == result["placement"].get<std::string>());
            CHECK(row["backend"] == result["backend"].get<std::string>());
            CHECK(std::stoull(row["round"]) == round["round"]);
            CHECK(std::stoull(row["messages"]) == round["messages"]);
            CHECK(std::stod(row["seconds"]) == round["seconds"]);
            CHECK(std::stoull(row["service_p50_ns"]) == round["service_ns"]["p50"]);
            CHECK(std::stoull(row["server_cpu_ns"]) == round["server"]["cpu_ns"]);
            CHECK(std::stod(row["host_steal"]) == round["host"]["steal"]);
            CHECK(row["errors"] == "0");
            const auto response = round.contains(nlohmann::json::json_pointer("/response_ns/p99"))
                                      ? round["response_ns"]["p99"].dump()
                                      : std::string();
            CHECK(row["response_p99_ns"] == response);
            const std::string replaced = round.value("is_replaced", false) ? "true" : "";
            CHECK(row["is_replaced"] == replaced);
        }
    }
    CHECK(line == rows.size());
}

TEST_CASE("report: percentiles for HdrHistogram's plotter are those of the run") {
    reports files;
    const auto ended = run_program({"report", files.save(small_run()), "-o", files.file("x.hgrm")});
    CHECK(ended.status == 0);
    CHECK(count_of(ended.output, "saved  ") == small_run()["results"].size());
    const auto text = reports::read(files.file("x-latency-epoll.hgrm"));
    std::istringstream lines(text);
    std::string line;
    std::getline(lines, line);
    CHECK(line == "       Value     Percentile TotalCount 1/(1-Percentile)");
    std::getline(lines, line);
    CHECK(line.empty());
    const auto& results = small_run()["results"];
    const auto result = std::ranges::find_if(results, [](const json& one) {
        return one["test"] == "latency" && one["backend"] == "epoll";
    });
    const auto& times = (*result)["summary"]["response_ns"];
    double value = 0;
    double share = -1;
    double count = 0;
    std::map<std::string, double> at;
    while (std::getline(lines, line) && !line.starts_with('#')) {
        std::istringstream fields(line);
        const double before = value;
        const double share_before = share;
        fields >> value >> share >> count;
        REQUIRE_FALSE(fields.fail());
        CHECK(value >= before);
        CHECK(share > share_before);
        CHECK(count <= times["count"].get<double>());
        CHECK(count >= share * times["count"].get<double>() - 1);
        double inverse = 0;
        if (fields >> inverse) {
            CHECK(inverse == doctest::Approx(1 / (1 - share)).epsilon(0.01));
        }
        if (share == 0.5) {
            at["p50"] = value;
        } else if (share == 0.9) {
            at["p90"] = value;
        }
    }
    CHECK(share == 1);
    CHECK(count == times["count"].get<double>());
    CHECK(value == doctest::Approx(times["max"].get<double>() / 1e6).epsilon(0.001));
    CHECK(at.at("p50") == doctest::Approx(times["p50"].get<double>() / 1e6).epsilon(0.001));
    CHECK(at.at("p90") == doctest::Approx(times["p90"].get<double>() / 1e6).epsilon(0.001));
    CHECK(line.starts_with("#[Mean    = "));
    CHECK(holds(text, "#[Max     = "));
    CHECK(holds(text, "Total count    = "));
    CHECK(text.ends_with("]\n"));
}

TEST_CASE("report: one lane's percentiles go to the very file, and none are an error") {
    reports files;
    auto run = small_run();
    run["results"] = json::array({run["results"][0]});
    run["comparisons"] = json::array();
    run["control"] = json::array();
    const auto text = files.report(run, ".hgrm");
    CHECK(holds(text, "Percentile TotalCount"));
    run["results"][0]["histogram"]["pairs"] = json::array();
    const auto ended = run_program({"report", files.save(run), "-o", files.file("y.hgrm")});
    CHECK(ended.status == 2);
    CHECK(holds(ended.talk, "holds no histograms"));
    CHECK_FALSE(std::filesystem::exists(files.file("y.hgrm")));
}

TEST_CASE("report: tables for a page of text have a column for each backend") {
    reports files;
    const auto text = files.report(small_run(), ".md");
    CHECK(count_of(text, "\n| | epoll | poll | control |\n|---|---:|---:|---:|\n") == 6);
    CHECK(holds(text, "\n#### latency\n\n64 connections, 64 B, tcp, open loop, poisson 83 k/s\n"));
    CHECK(holds(text, "\n| response p99 | "));
    CHECK(holds(text,
                "\n- poll is as fast as epoll in throughput: no difference that matters here."));
    CHECK(holds(text, "Trust B"));
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
        if (line.starts_with('|')) {
            CAPTURE(line);
            CHECK(std::ranges::count(line, '|') == 5);
        }
    }
}

TEST_CASE("report: the run as it was, and several forms at once") {
    reports files;
    const auto path = files.save(small_run());
    const auto copy = files.file("copy.json");
    const auto ended = run_program({"report", path, "-o", copy, "--output", files.file("a.csv"),
                                    "-o", files.file("a.md"), "-q"});
    CHECK(ended.status == 0);
    CHECK(ended.output.empty());
    CHECK(reports::read(copy) == reports::read(path));
    CHECK(std::filesystem::exists(files.file("a.csv")));
    CHECK(std::filesystem::exists(files.file("a.md")));
}

TEST_CASE("report: what a run does not hold is said and not drawn") {
    reports files;
    auto run = support::sample_run({.rounds = 2,
                                    .backends = {"epoll", "poll"},
                                    .has_histograms = false,
                                    .has_windows = false,
                                    .has_curves = false});
    for (const char* name : {"label", "thresholds", "calibration"}) {
        run.erase(name);
    }
    const auto page = files.report(run, ".html");
    check_page(page);
    CHECK(holds(page, "this file holds sums of whole rounds"));
    CHECK(holds(page, "because the file holds no times"));
    CHECK_FALSE(holds(page, "95 % band over"));
    auto loaded = small_run();
    for (auto& result : loaded["results"]) {
        if (result["test"] == "latency" && result["backend"] == "poll") {
            result["summary"]["overloaded"] = {
                {"rounds", 6}, {"offered_per_s", 83000}, {"answered_per_s", 71000}};
        }
    }
    const auto overloaded = files.report(loaded, ".html");
    CHECK(count_of(overloaded, "<title>poll: 95 % band over the rounds</title>") == 3);
    run["results"] = json::array();
    run["comparisons"] = json::array();
    run["control"] = json::array();
    check_page(files.report(run, ".html"));
    CHECK(read_csv(files.report(run, ".csv")).empty());
}

TEST_CASE("report: numbers that no run has are drawn nowhere, and break nothing") {
    reports files;
    auto run = small_run();
    run["comparisons"][0]["ratio"] = 1e300;
    run["comparisons"][0]["hi"] = 1e308;
    run["comparisons"][1]["ratio"] = 1e-300;
    run["control"][0]["lo"] = 0;
    auto& rounds = run["results"][0]["rounds"];
    rounds[0]["seconds"] = 1e-300;
    rounds[1]["windows"]["ns"] = 0;
    rounds[2]["windows"]["messages"] = json::array();
    rounds[3]["curve_ns"] = json::array({0, 18446744073709551615ULL, 5});
    rounds[4]["messages"] = 18446744073709551615ULL;
    rounds[5]["curve_ns"] = std::vector<int>(5000, 7);
    run["results"][1]["histogram"]["pairs"] =
        json::array({{0, 0}, {18446744073709551615ULL, 18446744073709551615ULL}, {3, 1}});
    run["results"][2]["windows"] = nullptr;
    run["results"][2].erase("windows");
    run["machine"]["mem_bytes"] = 18446744073709551615ULL;
    check_page(files.report(run, ".html"));
    CHECK(wrong_nesting(files.report(run, ".svg"), {}) == "");
    CHECK(files.report(run, ".md").size() > 1000);
    CHECK(read_csv(files.report(run, ".csv")).size() > 10);
}

TEST_CASE("report: mistakes are one line each") {
    reports files;
    const auto good = files.save(small_run());
    const auto refused = [](const support::words& words, int status, const std::string& part) {
        support::words all = {"report"};
        all.insert(all.end(), words.begin(), words.end());
        const auto ended = run_program(all);
        CAPTURE(ended.talk);
        CHECK(ended.status == status);
        CHECK(ended.output.empty());
        CHECK(std::ranges::count(ended.talk, '\n') == 1);
        CHECK(ended.talk.starts_with("sockeye report: "));
        CHECK(holds(ended.talk, part));
    };
    refused({good, "-o", files.file("x.xml")}, 2, "must end in .html, .svg, .csv, .md, .hgrm or");
    refused({good, "-o", ".html"}, 2, "must end in .html");
    refused({good, "-o", files.file("x.html"), "-o", "y"}, 2, "--output 'y'");
    CHECK_FALSE(std::filesystem::exists(files.file("x.html")));
    refused({good, "-o", good}, 2, "is the run itself");
    refused({files.file("none.json")}, 1, "No such file");
    refused({good, "-o", files.file("none/x.html")}, 1, "no such directory");
    auto wrong = small_run();
    wrong["results"][0]["backnd"] = "x";
    refused({files.save(wrong, "wrong.json")}, 2, "sockeye.bench/1: ");
    const auto whole = small_run().dump();
    refused({files.save_text(whole.substr(0, whole.size() / 2), "cut.json")}, 2, "is no JSON");
    refused({files.save_text("", "empty.json")}, 2, "is no JSON");
    refused({files.save_text("<!DOCTYPE html><p>", "page.htm")}, 2, "is a page without a run");
    refused({files.save_text("<script type=\"application/json\" id=\"run\">{", "cut.htm")}, 2,
            "is a page without a run");
    refused(
        {files.save_text("\n <script type=\"application/json\" id=\"run\">{</script>", "bad.htm")},
        2, "is no JSON");
}

TEST_CASE("report: a full disk is one line, and leaves nothing behind") {
    if (!std::filesystem::is_character_file("/dev/full")) {
        return;
    }
    reports files;
    const auto good = files.save(small_run());
    const auto full = files.file("full.html");
    std::filesystem::create_symlink("/dev/full", full);
    const auto ended = run_program({"report", good, "-o", full});
    CAPTURE(ended.talk);
    CHECK(ended.status == 1);
    CHECK(ended.output.empty());
    CHECK(std::ranges::count(ended.talk, '\n') == 1);
    CHECK(holds(ended.talk, "No space left on device"));
    CHECK(std::filesystem::is_character_file("/dev/full"));
    CHECK_FALSE(std::filesystem::exists(full + ".part"));
}

TEST_CASE("report: bench writes the same forms, and a report of what it saved is whole") {
    reports files;
    const auto ended = run_program({"bench",       "-b",
                                    "poll,select", "--rounds",
                                    "6",           "-d",
                                    "20ms",        "--warmup",
                                    "5ms",         "-c",
                                    "2",           "-q",
                                    "-o",          files.file("r.json"),
                                    "-o",          files.file("r.html"),
                                    "-o",          files.file("r.md"),
                                    "-o",          files.file("r.csv"),
                                    "-o",          files.file("r.hgrm")});
    CAPTURE(ended.talk);
    REQUIRE(ended.status == 0);
    CHECK(holds(ended.output, "saved  " + files.file("r.html")));
    const auto page = reports::read(files.file("r.html"));
    check_page(page);
    CHECK(run_inside(page)["id"] == json::parse(reports::read(files.file("r.json")))["id"]);
    CHECK(holds(page, ">select</text>"));
    CHECK(holds(reports::read(files.file("r-throughput-select.hgrm")), "#[Max"));
    CHECK(read_csv(reports::read(files.file("r.csv"))).size() == 18);
    const auto again = files.file("again.html");
    CHECK(run_program({"report", files.file("r.json"), "-o", again}).status == 0);
    CHECK(reports::read(again) == page);
    const auto refused = run_program({"bench", "-o", "run.xml"});
    CHECK(refused.status == 2);
    CHECK(holds(refused.talk, "must end in .html, .svg, .csv, .md, .hgrm or .json"));
}

TEST_CASE("report: labels are moved apart, and no farther than need be") {
    using exporting::spread_labels;
    CHECK(spread_labels({10, 50}, 20, 0, 100) == std::vector<double>{10, 50});
    CHECK(spread_labels({50, 50}, 20, 0, 100) == std::vector<double>{40, 60});
    CHECK(spread_labels({52, 48}, 20, 0, 100) == std::vector<double>{60, 40});
    CHECK(spread_labels({0, 0}, 20, 0, 100) == std::vector<double>{0, 20});
    CHECK(spread_labels({100, 100}, 20, 0, 100) == std::vector<double>{80, 100});
    CHECK(spread_labels({}, 20, 0, 100).empty());
    const auto crowded = spread_labels({5, 5, 5, 5, 5, 5, 5, 5}, 20, 0, 100);
    CHECK(std::ranges::is_sorted(crowded));
    CHECK(crowded.back() - crowded.front() == doctest::Approx(140));
}

TEST_CASE("report: numbers are written as people read them") {
    using namespace exporting;
    CHECK(time_text(850) == "850 ns");
    CHECK(time_text(31400) == "31.4 us");
    CHECK(time_text(999'600) == "1.00 ms");
    CHECK(time_text(1.9e9) == "1.90 s");
    CHECK(short_time(5e4) == "50 us");
    CHECK(short_rate(150e3) == "150 k/s");
    CHECK(rate_text(177'204) == "177.2 k/s");
    CHECK(count_text(950) == "950");
    CHECK(ratio_text(0.0821) == "0.082");
    CHECK(ratio_text(1.031) == "1.03");
    CHECK(with_micro("5 us, 3 us [2 us]") == "5 \xc2\xb5s, 3 \xc2\xb5s [2 \xc2\xb5s]");
    CHECK(xml("a<b>&\"'\x01\xff") == "a&lt;b&gt;&amp;&quot;&#39;\\x01\\xff");
    CHECK(short_name("abcdef", 4) == "abc\xe2\x80\xa6");
    CHECK(short_name("abcd", 4) == "abcd");
    CHECK(shell_text("it's") == "'it'\\''s'");
}
