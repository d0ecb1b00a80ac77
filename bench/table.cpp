#include "bench/table.hpp"

#include "bench/thread_search.hpp"
#include "bench/words.hpp"
#include "cli/values.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <chrono>
#include <functional>
#include <set>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace sockeye::bench {
namespace {

/// Of the columns that explain, where there is room for them.
constexpr std::size_t calls_width = 11;
constexpr std::size_t events_width = 13;
constexpr std::size_t time_width = 10;
constexpr std::size_t lag_width = 9;
constexpr std::size_t service_width = 12;
constexpr std::size_t cpu_width = 17;

std::string cpus_text(const host::cpu_list& cpus) {
    return fmt::format("CPU{} {}", cpus.size() == 1 ? "" : "s", fmt::join(cpus, ","));
}

std::string place_text(const plan& whole) {
    if (whole.server_cpus.empty() && whole.client_cpus.empty()) {
        return "wherever the system likes";
    }
    const bool one_core_only = std::all_of(whole.passes.begin(), whole.passes.end(),
                                           [](const pass& p) { return p.is_one_core; });
    if (one_core_only) {
        return fmt::format("server and client take turns on {}", cpus_text(whole.server_cpus));
    }
    if (whole.target) {
        return fmt::format("client {}", cpus_text(whole.client_cpus));
    }
    return fmt::format("server {}, client {}", cpus_text(whole.server_cpus),
                       cpus_text(whole.client_cpus));
}

/// `3 backends`, `1 peer`.
std::string counted(std::size_t count, const char* what) {
    return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

/// Who takes part in any of the tests: `(3 backends + 2 peers + control)`.
std::string lanes_text(const plan& whole) {
    std::set<std::string> backends;
    std::set<std::string> peers;
    bool has_control = false;
    for (const auto& test : whole.passes) {
        for (const auto& each : test.lanes) {
            if (each.what == lane::kind::target) {
                return "1 server";
            }
            has_control = has_control || each.is_control;
            if (!each.is_control) {
                (each.what == lane::kind::peer ? peers : backends).insert(each.name);
            }
        }
    }
    auto text = counted(backends.size(), "backend");
    text += peers.empty() ? "" : " + " + counted(peers.size(), "peer");
    text += has_control ? " + control" : "";
    return peers.empty() && !has_control ? text : "(" + text + ")";
}

std::string plan_text(const plan& whole) {
    std::size_t extra = 0;
    for (std::size_t i = 1; i < whole.passes.size(); ++i) {
        extra += whole.passes[i].test == whole.passes[i - 1].test ? 1 : 0;
    }
    const std::size_t tests = whole.passes.size() - extra;
    const auto seconds = [](duration time) {
        return cli::format_time(std::chrono::ceil<std::chrono::seconds>(time));
    };
    const auto least = whole.rounds.is_auto() ? seconds(whole.estimate_least()) + " to " : "";
    return fmt::format("{} test{} x {} x {} rounds{}, interleaved, about {}", tests,
                       tests == 1 ? "" : "s", lanes_text(whole), whole.rounds.to_string(),
                       extra > 0 ? fmt::format(", {} of them on one core too", extra) : "",
                       least + seconds(whole.estimate()));
}

/// How many threads `--threads auto` has found, and by what; empty where it was not asked.
std::string threads_text(const std::optional<thread_choice>& found) {
    if (!found) {
        return "";
    }
    if (found->tried.empty()) {
        return fmt::format(
            "threads  1 of the client: for more, auto needs {} CPUs, and connections to share\n",
            cpus_for_threads);
    }
    std::string tried;
    for (const auto& each : found->tried) {
        tried += fmt::format("{}{} {}{}/s", tried.empty() ? "" : ", ", each.threads,
                             tried.empty() ? "brings " : "", cli::format_count(each.rate_per_s));
    }
    return fmt::format("threads  {} of the client: {}\n", found->threads, tried);
}

std::string machine_text(const machine& facts) {
    std::string text = facts.cpu.value_or("unknown CPU");
    text += fmt::format(", {} CPU{}", facts.cpus_online, facts.cpus_online == 1 ? "" : "s");
    text += facts.is_virtual ? ", virtual" : "";
    text += ", " + facts.kernel;
    text += facts.clock_source ? ", clock " + *facts.clock_source : "";
    text += facts.tcp_congestion ? ", tcp " + *facts.tcp_congestion : "";
    return text;
}

/// `64 connections x 1 in flight`, `8 busy among 900 idle`.
std::string connections_text(const load& what) {
    std::string text =
        what.idle > 0 ? fmt::format("{} busy among {} idle", what.connections, what.idle)
                      : counted(what.connections, is_stream(what.carrier) ? "connection" : "peer");
    const bool has_depth = what.how == mode::echo && !what.is_open_loop();
    if (has_depth && (what.idle == 0 || what.pipeline > 1)) {
        text += fmt::format(" x {} in flight", what.pipeline);
    }
    text += what.threads > 1 ? fmt::format(" on {} threads", what.threads) : "";
    return text;
}

/// `closed loop`, `open loop, Poisson 83 k/s`.
std::string loop_text(const pass& test) {
    if (test.find_rate) {
        return fmt::format("open loop, the highest rate that keeps {}", test.find_rate->text);
    }
    if (test.what.is_open_loop()) {
        return fmt::format("open loop, {} {}",
                           test.what.law == arrival::poisson ? "Poisson" : "constant",
                           cli::format_rate({test.what.rate_per_s, cli::rate::kind::per_second}));
    }
    if (test.what.how == mode::upload || test.what.how == mode::download) {
        return "as fast as it goes";
    }
    return "closed loop";
}

std::string load_text(const pass& test) {
    const load& what = test.what;
    std::string text = connections_text(what) + ", " + what.sizes.to_string();
    if (what.carrier == transport::unix_stream || what.carrier == transport::unix_datagram) {
        text += fmt::format(", {}", name_of(what.carrier));
    }
    text += ", " + loop_text(test) + (test.is_one_core ? ", one core" : "");
    return text + (what.is_verified ? "" : ", not verified");
}

std::string time_text(std::uint64_t ns) {
    return cli::format_time(duration(static_cast<duration::rep>(ns)));
}

std::string percentile_text(const histogram& times, double share) {
    return times.count() > 0 && times.can_tell(share) ? time_text(times.percentile(share)) : "-";
}

std::string microseconds(double ns) {
    return fmt::format("{:.2f} us", ns / 1000);
}

std::string ratio_text(const ratio& found) {
    if (!found.bounds) {
        return fmt::format("{:.2f}", found.estimate);
    }
    return fmt::format("{:.2f} [{:.2f}, {:.2f}]", found.estimate, found.bounds->lo,
                       found.bounds->hi);
}

struct column {
    std::string title;
    std::size_t width = 0;
    bool is_left = false;
    std::function<std::string(const lane_summary&)> cell;
};

/// Writes the table of one test.
class table {
public:
    table(const report& made, const pass_summary& shown, const pass_summary* one_core,
          const table_style& style)
        : report_(made), shown_(shown), one_core_(one_core), style_(style) {}

    std::string text();

private:
    void choose_columns();
    void add_rate();
    void add_response();
    void choose_latency_columns();
    void add_cpu();
    void add_ratio();
    void add_calls();
    void add_events();
    void add_times();
    [[nodiscard]] std::size_t name_width() const;
    /// Whether there is room for so much more in a line.
    [[nodiscard]] bool fits(std::size_t more) const;
    [[nodiscard]] std::string verdict_cell(const lane_summary& lane, const comparison& found) const;
    [[nodiscard]] std::string line(const std::function<std::string(const column&)>& cell) const;
    [[nodiscard]] std::string title() const;
    /// The lane as the pass on one core saw it, if there was one.
    [[nodiscard]] const lane_summary* cpu_source(const lane_summary& lane) const {
        return one_core_ == nullptr ? &lane : one_core_->find(lane.what->name);
    }

    const report& report_;
    const pass_summary& shown_;
    const pass_summary* one_core_;
    const table_style style_;
    std::vector<column> columns_;
};

std::string table::title() const {
    std::string name = shown_.record->what.test;
    std::transform(name.begin(), name.end(), name.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    const auto left = fmt::format("{:<12} {}", name, load_text(shown_.record->what));
    const bool is_rate = shown_.primary == metric::rate && !shown_.record->what.what.is_open_loop();
    const std::string right = is_rate ? "higher is better" : "lower is better";
    const std::size_t width = std::min(style_.width, std::size_t{100});
    if (left.size() + right.size() + 2 > width) {
        return left + "\n" + std::string(13, ' ') + right + "\n";
    }
    return left + std::string(width - left.size() - right.size(), ' ') + right + "\n";
}

std::string table::text() {
    choose_columns();
    std::string text = title();
    text += line([](const column& c) { return c.title; });
    for (const auto& lane : shown_.lanes) {
        text += line([&lane](const column& c) { return c.cell(lane); });
    }
    return text;
}

std::string table::line(const std::function<std::string(const column&)>& cell) const {
    std::string text;
    for (const auto& each : columns_) {
        const auto content = cell(each);
        text += each.is_left ? fmt::format("{:<{}}", content, each.width)
                             : fmt::format("{:>{}}", content, each.width);
    }
    return text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
}

std::size_t table::name_width() const {
    std::size_t longest = 8;
    for (const auto& lane : shown_.lanes) {
        longest = std::max(longest, lane.what->name.size());
    }
    return longest + 2;
}

bool table::fits(std::size_t more) const {
    std::size_t width = more;
    for (const auto& each : columns_) {
        width += each.width;
    }
    return width <= style_.width;
}

/// What is counted: messages, connections that came and went, or bytes.
void table::add_rate() {
    const mode how = shown_.record->what.what.how;
    if (how == mode::upload || how == mode::download) {
        columns_.push_back({"bytes/s", 14, false, [this](const lane_summary& lane) {
                                const double size = shown_.record->what.what.sizes.mean();
                                const auto bytes =
                                    static_cast<std::uint64_t>(lane.rate.median * size);
                                return cli::format_size(bytes) + "/s";
                            }});
        return;
    }
    columns_.push_back(
        {how == mode::churn ? "connections/s" : "messages/s", how == mode::churn ? 15u : 12u, false,
         [](const lane_summary& lane) { return cli::format_count(lane.rate.median); }});
}

/// Response times of an open loop, or why there are none.
void table::add_response() {
    constexpr std::array shares = {std::pair{"resp. p50", 0.5}, std::pair{"p99", 0.99},
                                   std::pair{"p99.9", 0.999}};
    for (const auto& [title, share] : shares) {
        columns_.push_back(
            {title, time_width, false, [part = share](const lane_summary& lane) -> std::string {
                 return lane.overloaded_rounds > 0 ? "overload"
                                                   : percentile_text(lane.response, part);
             }});
    }
    columns_.push_back({"max", time_width, false, [](const lane_summary& lane) -> std::string {
                            return lane.overloaded_rounds > 0 || lane.response.count() == 0
                                       ? "-"
                                       : time_text(lane.response.max());
                        }});
}

void table::choose_latency_columns() {
    add_response();
    add_ratio();
    const bool has_cpu = shown_.lanes.front().cpu_ns.has_value();
    if (style_.is_verbose || fits(lag_width)) {
        columns_.push_back({"lag p99", lag_width, false, [](const lane_summary& lane) {
                                return percentile_text(lane.send_lag, 0.99);
                            }});
    }
    if (style_.is_verbose || fits(service_width)) {
        columns_.push_back({"service p99", service_width, false, [](const lane_summary& lane) {
                                return percentile_text(lane.service, 0.99);
                            }});
    }
    if (has_cpu && (style_.is_verbose || fits(cpu_width))) {
        add_cpu();
    }
}

void table::choose_columns() {
    columns_.push_back(
        {"backend", name_width(), true, [](const lane_summary& lane) { return lane.what->name; }});
    if (shown_.record->what.what.is_open_loop()) {
        choose_latency_columns();
        return;
    }
    const bool has_cpu = shown_.lanes.front().cpu_ns.has_value();
    if (shown_.primary == metric::cpu) {
        add_cpu();
        add_ratio();
        add_rate();
    } else {
        add_rate();
        add_ratio();
        if (has_cpu) {
            add_cpu();
        }
    }
    if (has_cpu && (style_.is_verbose || fits(calls_width))) {
        add_calls();
    }
    if (has_cpu && (style_.is_verbose || fits(events_width))) {
        add_events();
    }
    const bool has_times = shown_.lanes.front().service.count() > 0;
    if (has_times && (!has_cpu || style_.is_verbose || fits(2 * time_width))) {
        add_times();
    }
}

/// On one core it is what the ratio is of; elsewhere its own ratio stands beside it.
void table::add_cpu() {
    const bool has_own_ratio = shown_.primary != metric::cpu;
    columns_.push_back(
        {one_core_ != nullptr ? "CPU/msg, 1 core" : "server CPU/msg", has_own_ratio ? 17u : 16u,
         false, [this, has_own_ratio](const lane_summary& lane) -> std::string {
             const auto* source = cpu_source(lane);
             if (source == nullptr || !source->cpu_ns) {
                 return "-";
             }
             const auto text = microseconds(source->cpu_ns->median);
             if (!has_own_ratio) {
                 return text;
             }
             const auto* found = compared(*source, metric::cpu);
             return found != nullptr
                        ? fmt::format("{} {:.2f}", text, found->against_baseline.estimate)
                        : text + (report_.whole->baseline.empty() ? "" : " 1.00");
         }});
}

void table::add_ratio() {
    if (report_.whole->baseline.empty()) {
        return;
    }
    columns_.push_back({fmt::format("   ratio to {} [{:.0f} %]", report_.whole->baseline,
                                    report_.whole->confidence() * 100),
                        29, true, [this](const lane_summary& lane) -> std::string {
                            const auto* found = compared(lane, shown_.primary);
                            if (found == nullptr) {
                                const bool is_base = lane.what->name == report_.whole->baseline;
                                return is_base ? "   1.00" : "   -";
                            }
                            return "   " + verdict_cell(lane, *found);
                        }});
}

std::string table::verdict_cell(const lane_summary& lane, const comparison& found) const {
    const auto ratio = ratio_text(found.against_baseline);
    if (lane.what->is_control) {
        return ratio + " noise";
    }
    const auto text = fmt::format("{} {}", ratio, name_of(found.said));
    if (!style_.has_color || (found.said != verdict::faster && found.said != verdict::slower)) {
        return text;
    }
    const std::size_t padding = text.size() < 26 ? 26 - text.size() : 0;
    return fmt::format("\x1b[{}m{}\x1b[0m{}", found.said == verdict::faster ? 32 : 31, text,
                       std::string(padding, ' '));
}

void table::add_calls() {
    columns_.push_back(
        {"calls/msg", calls_width, false, [this](const lane_summary& lane) -> std::string {
             const auto* source = cpu_source(lane);
             return source != nullptr && source->system_calls
                        ? fmt::format("{:.2f}", *source->system_calls)
                        : "-";
         }});
}

void table::add_events() {
    columns_.push_back(
        {"events/wait", events_width, false, [](const lane_summary& lane) -> std::string {
             return lane.events_per_wait ? fmt::format("{:.1f}", *lane.events_per_wait) : "-";
         }});
}

void table::add_times() {
    for (const auto& [title, share] : {std::pair{"p50", 0.5}, std::pair{"p99", 0.99}}) {
        columns_.push_back(
            {title, time_width, false, [part = share](const lane_summary& lane) -> std::string {
                 return percentile_text(lane.service, part);
             }});
    }
}

std::string count_or_dash(const std::optional<double>& value) {
    return value ? cli::format_count(*value) : "-";
}

/// What the system counted of the servers, for those who asked for more; nothing where it told
/// nothing.
std::string system_text(const pass_summary& pass) {
    const auto tells = [&pass](std::optional<double> system_summary::*what) {
        return std::any_of(pass.lanes.begin(), pass.lanes.end(),
                           [what](const lane_summary& lane) { return lane.system.*what; });
    };
    if (!tells(&system_summary::sleeps_per_s)) {
        return "";
    }
    const bool has_hardware = tells(&system_summary::instructions_per_message);
    auto text = fmt::format("of the server  {:>10}{:>13}{:>15}{}\n", "sleeps/s", "preempted/s",
                            "page faults/s", has_hardware ? "   instr/msg  instr/cycle" : "");
    for (const auto& lane : pass.lanes) {
        const auto& seen = lane.system;
        text += fmt::format("  {:<13}{:>10}{:>13}{:>15}", lane.what->name,
                            count_or_dash(seen.sleeps_per_s), count_or_dash(seen.preemptions_per_s),
                            count_or_dash(seen.faults_per_s));
        if (has_hardware) {
            text += fmt::format("{:>12}{:>13}", count_or_dash(seen.instructions_per_message),
                                seen.instructions_per_cycle
                                    ? fmt::format("{:.2f}", *seen.instructions_per_cycle)
                                    : "-");
        }
        text += "\n";
    }
    return text;
}

std::string trust_text(const trust& grade) {
    std::string text = fmt::format("Trust  {}", grade.grade);
    if (grade.flags.empty()) {
        return text + "\n";
    }
    const std::size_t count = grade.flags.size();
    text += fmt::format("   {} note{}\n", count, count == 1 ? "" : "s");
    for (const auto& flag : grade.flags) {
        text += fmt::format("  {:<5} {}\n", flag.forbids_verdicts ? "GRAVE" : "note", flag.text);
    }
    return text;
}

/// What the columns mean, for those who asked for more.
std::string legend_text() {
    return "Legend\n"
           "  ratio       times the baseline, above 1 always better: the median of all pairwise\n"
           "              means over the rounds, interval by Wilcoxon's signed-rank test\n"
           "  control     the baseline once more: what differs less than it is noise\n"
           "  CPU/msg     user and system time of the server; on loopback the receiver's TCP work\n"
           "              runs in the sender's call, so the sum of both sides is firm, the split\n"
           "              is not\n"
           "  calls/msg   waits, reads, writes, registrations and accepts for one message;\n"
           "              other libraries do not tell what they call\n"
           "  sleeps/s    how often the server waited for something to do; preempted/s, how often\n"
           "              it had to leave its CPU to another; instr/msg and instr/cycle are of "
           "user\n"
           "              space, where the CPU counts and the kernel lets us ask\n"
           "  response    of an open loop: from the time a message was due to the last byte of\n"
           "              its answer, so that messages a slow server delays count in full\n"
           "  lag p99     how late the client itself sent; the rest of a late start is the\n"
           "              server's, whose connections were full\n"
           "  overload    the server answered less than was due: its queue grew, and percentiles\n"
           "              would say no more than how long the run was\n"
           "  p50, p99    service time, from the system taking the message to the last byte of "
           "its\n"
           "              answer. A closed loop\n"
           "              sends no message before the last one is answered: waiting time of\n"
           "              messages that a slow server delays is not in it\n";
}

/// The same test on one core, whose CPU per message the table of `shown` takes.
const pass_summary* one_core_of(const report& made, const pass_summary& shown) {
    for (const auto& each : made.passes) {
        const bool is_same = each.record->what.test == shown.record->what.test;
        if (is_same && each.record->what.is_one_core && !shown.record->what.is_one_core) {
            return &each;
        }
    }
    return nullptr;
}

/// Whether the numbers of `pass` already stand in the table of the same test on two cores.
bool is_merged(const report& made, const pass_summary& pass) {
    return std::any_of(made.passes.begin(), made.passes.end(), [&](const pass_summary& other) {
        return one_core_of(made, other) == &pass;
    });
}

} // namespace

std::string header_text(const report& made) {
    const auto& build = made.build;
    const std::string day = made.started.substr(0, 10);
    const std::string minute = made.started.substr(11, 5);
    auto text = fmt::format("sockeye {} ({}, {} {})   run {}   {} {} UTC\n"
                            "machine  {}\n"
                            "place    {}\n"
                            "plan     {}\n",
                            build.version, build.type, build.compiler, build.flags, made.id, day,
                            minute, machine_text(made.around.facts), place_text(*made.whole),
                            plan_text(*made.whole));
    text += threads_text(made.whole->threads_found);
    std::string libraries;
    for (const auto& [name, version] : made.around.libraries) {
        libraries += fmt::format("{}{} {}", libraries.empty() ? "peers    " : ", ", name, version);
    }
    text += libraries.empty() ? "" : libraries + "\n";
    for (const auto& each : made.whole->notes) {
        text += fmt::format("note     {}\n", each);
    }
    return text;
}

std::string result_text(const report& made, const table_style& style) {
    std::string text;
    for (const auto& pass : made.passes) {
        if (!is_merged(made, pass) || style.is_verbose) {
            text += "\n" + table(made, pass, one_core_of(made, pass), style).text();
            text += style.is_verbose ? system_text(pass) : "";
        }
    }
    const auto sentences = words_of(made);
    if (!sentences.empty()) {
        text += "\nIn words\n";
        for (const auto& each : sentences) {
            text += "  " + each + "\n";
        }
    }
    if (!made.passes.empty()) {
        text += "\n" + trust_text(made.grade);
    }
    if (style.is_verbose && made.around.ceiling) {
        text += fmt::format("Client reaches {} messages/s against itself; reading the clock takes "
                            "{:.0f} ns, twice a message\n",
                            cli::format_count(made.around.ceiling->ceiling_per_s),
                            made.around.ceiling->clock_read_ns);
    }
    return text + (style.is_verbose ? legend_text() : "");
}

} // namespace sockeye::bench
