#include "bench/export/charts.hpp"
#include "bench/export/documents.hpp"
#include "bench/export/markup.hpp"
#include "bench/export/number_table.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

constexpr std::string_view page_style = R"CSS(:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:#fff;color:#1b1b1b;
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif}
main{max-width:1120px;margin:0 auto;padding:20px 16px 48px}
h1{font-size:26px;line-height:1.25;margin:0}h2{font-size:20px;margin:40px 0 4px;padding-top:12px;
border-top:1px solid #ddd}
h3{font-size:16px;margin:24px 0 0}p{margin:6px 0;max-width:72ch}.note{color:#595959;font-size:14px}
.label{font-size:18px}.grade{display:inline-block;padding:0 9px;border:1px solid currentColor;
border-radius:4px;font-weight:600}
ul{margin:8px 0;padding-left:22px}li{margin:3px 0}.fail{font-weight:600;color:#b00020}
figure{margin:16px 0 0;min-width:0}figcaption{font-size:14px;color:#595959}
figcaption b{color:#1b1b1b;font-size:16px}
svg.chart{display:block;width:100%;height:auto;overflow:visible}
svg.wide{max-width:720px}
.two{display:grid;gap:8px 32px;grid-template-columns:repeat(auto-fill,minmax(min(100%,480px),1fr))}
.three{display:grid;gap:14px 20px;
grid-template-columns:repeat(auto-fill,minmax(min(100%,310px),1fr));margin-top:8px}
.scroll{overflow-x:auto;margin-top:6px}
table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:3px 10px 3px 0;text-align:right;vertical-align:top;border-bottom:1px solid #e8e8e8;
white-space:nowrap}
th:first-child{text-align:left;white-space:normal;min-width:150px;max-width:210px;position:sticky;
left:0;background:#fff;padding-right:14px;font-weight:400}
thead th{font-weight:600}td i{display:block;font-style:normal;color:#595959;font-size:.86em;
line-height:1.2}
dl{display:grid;grid-template-columns:minmax(9em,max-content) 1fr;gap:2px 16px;margin:8px 0;
font-size:14px}
dt{color:#595959}dd{margin:0;overflow-wrap:anywhere}
pre{font-size:13px;background:#f4f4f4;padding:10px 12px;white-space:pre-wrap;
overflow-wrap:anywhere;border-radius:4px}
summary{cursor:pointer;margin:10px 0 4px;font-size:14px}
@media(max-width:560px){main{padding:14px 12px 32px}h1{font-size:22px}
dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:6px}
th:first-child{min-width:104px;max-width:120px}table{font-size:13px}}
@media(prefers-color-scheme:dark){body,th:first-child{background:#14171a}
body,figcaption b{color:#e6e6e6}
.note,figcaption,td i,dt{color:#a9a9a9}h2{border-color:#3a3f44}th,td{border-color:#2b3035}
pre{background:#1f2429}.fail{color:#ff7b8a}}
@media print{body{font-size:11pt}main{max-width:none;padding:0}figure,tr,li{break-inside:avoid}
h2,h3,h2+p,h3+p{break-after:avoid}details:not([open]){display:none}
.scroll{overflow:visible}table{font-size:7.5pt}th,td{white-space:normal;padding-right:6px}
th:first-child{position:static}.two{grid-template-columns:1fr 1fr}
.three{grid-template-columns:1fr 1fr 1fr}.chart text{font-size:14px}
.wide text,.wide .n{font-size:18px}}
.chart .warm{fill:url(#hatch);opacity:1}
)CSS";

/// Drawn once; the charts over time refer to it.
constexpr std::string_view hatch =
    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"0\" height=\"0\" aria-hidden=\"true\" "
    "style=\"position:absolute\"><defs><pattern id=\"hatch\" width=\"7\" height=\"7\" "
    "patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
    "<path class=\"hatch\" d=\"M0 0V7\"/></pattern></defs></svg>\n";

std::string shown(std::string_view text, std::size_t length_max = 200) {
    return xml(short_name(text, length_max));
}

/// `Throughput`.
std::string heading(const pass_view& pass) {
    auto title = pass.title();
    if (!title.empty() && title.front() >= 'a' && title.front() <= 'z') {
        title.front() = static_cast<char>(title.front() - 'a' + 'A');
    }
    return shown(title, 60);
}

std::string load_line(const pass_view& pass) {
    auto text = shown(pass.load());
    if (const auto cross = text.find(" x "); cross != std::string::npos) {
        text.replace(cross, 3, " \xc3\x97 ");
    }
    return text;
}

std::string caption(const pass_view& pass, std::string_view what) {
    return fmt::format("<figcaption><b>{}</b> {}<br/>{}</figcaption>", heading(pass), what,
                       load_line(pass));
}

std::string page_head(const run_view& run) {
    const auto& document = run.document;
    const auto label = run.text("label");
    const auto name = fmt::format("sockeye bench {}{}{}", shown(run.text("id"), 20),
                                  label.empty() ? "" : ": ", shown(label));
    const auto started = run.text("started");
    auto text = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"/>\n"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\"/>\n"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\"/>\n<title>{}</title>\n<style>\n{}{}</style></head>\n"
        "<body><main>\n{}<header><h1>sockeye bench, run {}</h1>\n",
        name, chart_style(), page_style, hatch, shown(run.text("id"), 20));
    if (!label.empty()) {
        text += fmt::format("<p class=\"label\"><bdi>{}</bdi></p>\n", shown(label));
    }
    const auto& machine = document["machine"];
    text +=
        fmt::format("<p>{} {} UTC, {}{} CPUs, {}. Trust <span class=\"grade\">{}</span></p>"
                    "</header>\n",
                    started.substr(0, 10), started.substr(11, 5),
                    machine.contains("cpu") ? shown(machine["cpu"].get<std::string>(), 60) + ", "
                                            : std::string(),
                    machine["cpus_online"].dump(), shown(machine["kernel"].get<std::string>(), 60),
                    document["trust"]["grade"].get<std::string>());
    return text;
}

std::string limit_item(const json& limit) {
    const bool is_crossed = limit["failed"].get<bool>();
    auto text =
        fmt::format("<li{}>limit {} {}", is_crossed ? " class=\"fail\"" : "",
                    shown(limit["expr"].get<std::string>(), 100), is_crossed ? "crossed" : "held");
    if (is_crossed && limit.contains("test") && limit.contains("backend")) {
        text += fmt::format(" by {} in {}", shown(limit["backend"].get<std::string>(), 40),
                            shown(limit["test"].get<std::string>(), 40));
    }
    return text + "</li>\n";
}

std::string words_section(const run_view& run) {
    std::string text = "<section><h2>In words</h2><ul>\n";
    for (const auto& each : sentences(run)) {
        text += fmt::format("<li>{}</li>\n", xml(each));
    }
    for (const auto& each : run.document.value("thresholds", json::array())) {
        text += limit_item(each);
    }
    return text + "</ul></section>\n";
}

/// `95 %`, or what the rounds of --rounds auto need.
std::string confidence_of(const run_view& run) {
    constexpr const char* place = "/plan/adaptive/confidence";
    return fmt::format("{:.0f} %", number_at(run.document, place).value_or(0.95) * 100);
}

/// What a page says of one test, whatever of it there is room for.
struct test_parts {
    std::string title;
    std::string head; ///< the title and the load
    std::string forests;
    std::string percentiles; ///< empty where there are none, or where they are not asked for
    bool is_side = false;    ///< of which only the CPU time tells
    bool has_service_times = false;
    bool has_bands = false;
    std::string round_lines; ///< over time, the rounds as lines
    std::string round_bands; ///< over time, the rounds as bands
    std::string numbers;
    std::string rounds; ///< the numbers of each round
};

/// How much of a run a page shows: of a large one less.
struct page_detail {
    std::size_t timed;   ///< of so many tests there are charts over time
    std::size_t charted; ///< of so many tests there are other charts
    std::size_t listed;  ///< of so many tests there are numbers
    bool has_rounds = false;
    round_shape shape = round_shape::bands;
    bool has_run = false; ///< as JSON
};

/// The best first.
std::vector<page_detail> details_for(std::size_t tests) {
    const auto all = tests;
    std::vector<page_detail> made = {{all, all, all, true, round_shape::lines, true},
                                     {all, all, all, false, round_shape::lines, true},
                                     {all, all, all, false, round_shape::bands, true},
                                     {all, all, all}};
    for (auto left = all; left-- > 0;) {
        made.push_back({left, all, all});
    }
    for (auto left = all; left-- > 0;) {
        made.push_back({0, left, all});
    }
    for (auto left = all; left-- > 0;) {
        made.push_back({0, 0, left});
    }
    return made;
}

std::string forest_figures(const pass_view& pass, std::size_t index) {
    std::string figures;
    std::size_t number = 0;
    for (const auto* group : pass.key_comparisons()) {
        const auto id = fmt::format("f{}-{}", index, number++);
        if (const auto chart = forest_chart(pass, *group, id)) {
            figures +=
                fmt::format("<figure>{}{}</figure>\n",
                            caption(pass, xml(metric_title(group->metric))), chart->element());
        }
    }
    return figures;
}

void add_percentiles(test_parts& parts, const run_view& run, const pass_view& pass,
                     std::size_t index) {
    const auto chart = percentile_chart(pass, run.seed(), fmt::format("p{}", index));
    if (!chart) {
        return;
    }
    const auto element = chart->element();
    parts.percentiles =
        fmt::format("<figure>{}{}</figure>\n",
                    caption(pass, pass.is_open ? "response time" : "service time"), element);
    parts.has_service_times = !pass.is_open;
    parts.has_bands = element.find("class=\"b ") != std::string::npos;
}

std::string time_figures(const pass_view& pass, round_shape shape, std::size_t index) {
    std::string figures;
    for (const auto& each : time_charts(pass, shape, fmt::format("w{}", index))) {
        figures += "<figure>" + each.element() + "</figure>\n";
    }
    return figures;
}

std::string cell_element(const table_cell& cell) {
    const auto bounds =
        cell.bounds.empty() ? std::string() : "<i>" + xml(with_micro(cell.bounds)) + "</i>";
    return fmt::format("<td>{}{}", xml(with_micro(cell.value)), bounds);
}

/// Without the end tags that HTML does not need: there are thousands of cells.
std::string table_element(const number_table& table, std::string_view corner) {
    std::string text = "<div class=\"scroll\" tabindex=\"0\"><table><thead><tr>";
    text += fmt::format("<th>{}", corner);
    for (const auto& each : table.columns) {
        text += "<th>" + shown(each, 24);
    }
    text += "<tbody>\n";
    for (const auto& row : table.rows) {
        text += "<tr><th>" + xml(with_micro(row.title));
        for (const auto& cell : row.cells) {
            text += cell_element(cell);
        }
        text += "\n";
    }
    return text + "</table></div>\n";
}

std::string round_tables(const run_view& run, const pass_view& pass) {
    std::string text = "<details><summary>Each round</summary>\n";
    for (const auto& lane : pass.lanes) {
        text += table_element(rounds_of(pass, lane, run.is_side_pass(pass)),
                              "<b>" + shown(lane.name, 40) + "</b>, round");
    }
    return text + "</details>\n";
}

std::vector<test_parts> parts_of(const run_view& run) {
    std::vector<test_parts> made;
    for (std::size_t i = 0; i < run.passes.size(); ++i) {
        const auto& pass = run.passes[i];
        auto& parts = made.emplace_back();
        parts.title = shown(pass.title(), 60);
        parts.head =
            fmt::format("<h3>{}</h3><p class=\"note\">{}</p>\n", heading(pass), load_line(pass));
        parts.forests = forest_figures(pass, i);
        parts.is_side = run.is_side_pass(pass);
        if (!parts.is_side) {
            add_percentiles(parts, run, pass, i);
            parts.round_lines = time_figures(pass, round_shape::lines, i);
            parts.round_bands = time_figures(pass, round_shape::bands, i);
        }
        parts.numbers = table_element(numbers_of(pass), "");
        parts.rounds = round_tables(run, pass);
    }
    return made;
}

/// The sections that show tests, in as much detail as they are told.
class test_sections {
public:
    test_sections(const std::vector<test_parts>& tests, std::string confidence,
                  const page_detail& detail)
        : confidence_(std::move(confidence)), timed_(std::span(tests).first(detail.timed)),
          charted_(std::span(tests).first(detail.charted)),
          listed_(std::span(tests).first(detail.listed)), detail_(detail), all_(tests.size()) {}

    [[nodiscard]] std::string text() const {
        return forests() + percentiles() + over_time() + numbers();
    }

private:
    [[nodiscard]] std::string forests() const;
    [[nodiscard]] std::string percentiles() const;
    [[nodiscard]] std::string over_time() const;
    [[nodiscard]] std::string numbers() const;
    [[nodiscard]] std::string left_out(std::size_t shown_count, std::string_view what) const;

    std::string confidence_; ///< of the intervals of ratios
    std::span<const test_parts> timed_;
    std::span<const test_parts> charted_;
    std::span<const test_parts> listed_;
    page_detail detail_;
    std::size_t all_;
};

/// ` There is room for the charts of the first 5 of 12 tests.`
std::string test_sections::left_out(std::size_t shown_count, std::string_view what) const {
    if (shown_count == all_) {
        return "";
    }
    return shown_count == 0 ? fmt::format(" There is no room for {} of {} tests.", what, all_)
                            : fmt::format(" There is room for {} of the first {} of {} tests.",
                                          what, shown_count, all_);
}

std::string test_sections::forests() const {
    std::string figures;
    for (const auto& each : charted_) {
        figures += each.forests;
    }
    if (figures.empty()) {
        return "";
    }
    return "<section><h2>Beside the baseline</h2>\n<p class=\"note\">How many times as good as the "
           "baseline each backend is, with its " +
           confidence_ +
           " interval over the rounds; above 1 is better, "
           "whatever is measured. Grey: how far the control, the baseline measured twice, differed "
           "from itself. What lies within it is noise." +
           left_out(charted_.size(), "the charts") + "</p><div class=\"two\">\n" + figures +
           "</div></section>\n";
}

std::string test_sections::percentiles() const {
    std::string figures;
    std::string lacking;
    bool has_closed = false;
    bool has_band = false;
    for (const auto& each : charted_) {
        figures += each.percentiles;
        has_closed = has_closed || each.has_service_times;
        has_band = has_band || each.has_bands;
        if (each.percentiles.empty() && !each.is_side) {
            lacking += (lacking.empty() ? "" : ", ") + each.title;
        }
    }
    std::string text = "<section><h2>Time by percentile</h2>\n<p class=\"note\">Lower is better. "
                       "Each line ends where fewer than ten messages were slower. ";
    text += has_band ? "The shaded band: 95 % of 2000 resamplings of the rounds; a band, not a "
                       "verdict."
                     : "Without bands: the file does not hold the curves of single rounds.";
    if (has_closed) {
        text += " In a closed loop the time is service time: nothing is sent while the server is "
                "slow, so that waiting which users would see is not in it.";
    }
    text += left_out(charted_.size(), "the charts") + "</p><div class=\"two\">\n" + figures +
            "</div>\n";
    if (!lacking.empty()) {
        text += fmt::format("<p class=\"note\">Not drawn, because the file holds no times that "
                            "would tell: {}.</p>\n",
                            lacking);
    }
    return text + "</section>\n";
}

std::string test_sections::over_time() const {
    std::string text;
    for (const auto& each : timed_) {
        const bool is_lines = detail_.shape == round_shape::lines;
        const auto& figures = is_lines ? each.round_lines : each.round_bands;
        if (!figures.empty()) {
            text += each.head + "<div class=\"three\">\n" + figures + "</div>\n";
        }
    }
    const std::string head = "<section><h2>Throughput over time</h2>\n<p class=\"note\">";
    if (text.empty() && !timed_.empty()) {
        return head + "Not drawn: this file holds sums of whole rounds and no windows within "
                      "them.</p></section>\n";
    }
    return head +
           (detail_.shape == round_shape::lines
                ? "A thin line for each round, their median in bold"
                : "In bold the median of the rounds, in a band all of them, which are too many "
                  "to draw each") +
           "; a round that was run again, and does not count, dashed in red. Hatched: warm-up, "
           "not measured. Below, on the same time: how late messages were sent and how long "
           "server and client waited for a CPU, so that a stall can be blamed; a red spot names "
           "the worst round when pointed at." +
           left_out(timed_.size(), "the charts") + "</p>\n" + text + "</section>\n";
}

std::string test_sections::numbers() const {
    std::string text =
        "<section><h2>Numbers</h2>\n<p class=\"note\">Rates and CPU are medians of "
        "the rounds, with 95 % intervals in brackets; percentiles are of all rounds "
        "together. What happened nowhere, such as lost or wrong messages, is left out.";
    if (!detail_.has_rounds) {
        text += " There is no room to show each round here: the run's CSV does.";
    }
    text += left_out(listed_.size(), "the numbers") + "</p>\n";
    for (const auto& each : listed_) {
        text += each.head + each.numbers + (detail_.has_rounds ? each.rounds : "");
    }
    return text + "</section>\n";
}

/// `cpus_online` as `CPUs online`: what people call it, or the key in plain words.
std::string fact_name(const std::string& key) {
    static constexpr std::pair<const char*, const char*> names[] = {
        {"cpu", "CPU"},
        {"cpus_online", "CPUs online"},
        {"cpus_allowed", "CPUs allowed"},
        {"smt", "hardware threads"},
        {"numa_nodes", "NUMA nodes"},
        {"virtual", "virtual machine"},
        {"tcp_congestion", "TCP congestion control"},
        {"somaxconn", "listen backlog at most"},
        {"nofile", "open files at most"},
        {"cgroup_cpu_max", "CPU quota"},
        {"mem_bytes", "memory"}};
    for (const auto& [from, to] : names) {
        if (key == from) {
            return to;
        }
    }
    return shown(key, 40);
}

std::string fact_value(const std::string& key, const json& value) {
    if (key == "mem_bytes") {
        return bytes_text(value.get<double>());
    }
    if (value.is_boolean()) {
        return value.get<bool>() ? "yes" : "no";
    }
    if (value.is_array()) {
        std::string text;
        for (const auto& each : value) {
            text += (text.empty() ? "" : ", ") +
                    (each.is_string() ? each.get<std::string>() : each.dump());
        }
        return text.empty() ? "none" : shown(text, 1000);
    }
    return shown(value.is_string() ? value.get<std::string>() : value.dump(), 300);
}

std::string fact_list(const json& facts) {
    std::string text = "<dl>\n";
    for (const auto& [key, value] : facts.items()) {
        text += fmt::format("<dt>{}</dt><dd>{}</dd>\n", fact_name(key), fact_value(key, value));
    }
    return text + "</dl>\n";
}

/// The number, or from which one to which they went on.
json rounds_fact(const json& plan) {
    if (!plan.contains("adaptive")) {
        return plan["rounds"];
    }
    return fmt::format("{} to {}, until the ratios are known",
                       plan["adaptive"]["rounds_min"].get<std::uint64_t>(),
                       plan["rounds"].get<std::uint64_t>());
}

json plan_facts(const run_view& run) {
    const auto& plan = run.document["plan"];
    json facts = {{"rounds", rounds_fact(plan)},
                  {"order of the rounds", plan["order"]},
                  {"seed", plan["seed"]},
                  {"server on CPUs", plan["pin"]["server"]},
                  {"client on CPUs", plan["pin"]["client"]}};
    for (const char* name : {"baseline", "endpoint"}) {
        if (plan.contains(name)) {
            facts[name] = plan[name];
        }
    }
    if (!run.passes.empty()) {
        const auto& first = *run.passes.front().lanes.front().result;
        facts["warm-up"] = time_text(first["warmup_ns"].get<double>());
        facts["measured in each round"] = time_text(first["duration_ns"].get<double>());
    }
    return facts;
}

std::string trust_list(const run_view& run) {
    const auto& trust = run.document["trust"];
    auto text = fmt::format("<h3>Trust <span class=\"grade\">{}</span></h3>\n",
                            trust["grade"].get<std::string>());
    if (trust["flags"].empty()) {
        return text + "<p>Nothing speaks against these numbers.</p>\n";
    }
    text += "<ul>\n";
    for (const auto& flag : trust["flags"]) {
        text += fmt::format("<li><b>{}</b>: {}</li>\n", shown(flag["id"].get<std::string>(), 40),
                            shown(flag["text"].get<std::string>(), 400));
    }
    return text + "</ul>\n";
}

std::string fact_section(const run_view& run, bool has_run) {
    std::string command;
    for (const auto& word : run.document["command"]) {
        command += (command.empty() ? "" : " ") + shell_text(word.get<std::string>());
    }
    return fmt::format("<section><h2>How it was measured</h2>\n{}<h3>Command</h3><pre>{}</pre>\n"
                       "<h3>Plan</h3>{}<h3>Machine</h3>{}<h3>Program</h3>{}{}</section>\n",
                       trust_list(run), shown(command, 4000), fact_list(plan_facts(run)),
                       fact_list(run.document["machine"]), fact_list(run.document["tool"]),
                       has_run ? ""
                               : "<p class=\"note\">The run itself is too large to be inside this "
                                 "page: compare takes its JSON.</p>");
}

} // namespace

std::string html_document(const run_view& run) {
    const auto tests = parts_of(run);
    const auto head = page_head(run) + words_section(run);
    const std::string script = "<script type=\"application/json\" id=\"run\">";
    const std::string script_end = "</script>\n";
    const std::string end = "</body></html>\n";
    const auto least_run = embedded_run(run.document, 0).size() + script.size() + script_end.size();
    std::string text;
    for (const auto& detail : details_for(tests.size())) {
        text = head + test_sections(tests, confidence_of(run), detail).text() +
               fact_section(run, detail.has_run) + "</main>\n";
        const auto taken = text.size() + end.size();
        if (taken + (detail.has_run ? least_run : 0) > html_bytes_max) {
            continue;
        }
        if (detail.has_run) {
            const auto room = html_bytes_max - taken - script.size() - script_end.size();
            text += script + embedded_run(run.document, room) + script_end;
        }
        break;
    }
    return text + end;
}

} // namespace sockeye::bench::exporting
