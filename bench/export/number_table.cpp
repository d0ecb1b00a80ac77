#include "bench/export/number_table.hpp"

#include "bench/export/markup.hpp"

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

using shown_number = std::string (*)(double);

std::string plain_text(double value) {
    return fmt::format("{:.2f}", value);
}

table_cell number_cell(const json& from, const std::string& path, shown_number shown) {
    const auto value = number_at(from, path);
    return value ? table_cell{shown(*value), {}} : table_cell{};
}

/// What follows the number: ` k/s`.
std::string_view unit_of(std::string_view text) {
    return text.substr(std::min(text.find_first_not_of("-.0123456789"), text.size()));
}

/// `[181.3, 185.1]` where both have the unit of the value above them.
std::string bounds_text(const std::string& value, const std::string& lo, const std::string& hi) {
    const auto unit = unit_of(value);
    if (unit_of(lo) != unit || unit_of(hi) != unit) {
        return fmt::format("[{}, {}]", lo, hi);
    }
    return fmt::format("[{}, {}]", lo.substr(0, lo.size() - unit.size()),
                       hi.substr(0, hi.size() - unit.size()));
}

/// The median of the rounds with its interval.
table_cell estimate_cell(const json& from, const std::string& path, shown_number shown) {
    auto cell = number_cell(from, path + "/median", shown);
    const auto lo = number_at(from, path + "/lo");
    const auto hi = number_at(from, path + "/hi");
    if (lo && hi) {
        cell.bounds = bounds_text(cell.value, shown(*lo), shown(*hi));
    }
    return cell;
}

/// Adds rows, as far as any lane has something to put into them.
class table_maker {
public:
    explicit table_maker(const pass_view& pass) : pass_(pass) {
        for (const auto& lane : pass.lanes) {
            made_.columns.push_back(lane.name);
        }
    }

    void add(const std::string& title, const std::function<table_cell(const lane_view&)>& cell) {
        table_row row = {title, {}};
        for (const auto& lane : pass_.lanes) {
            row.cells.push_back(cell(lane));
        }
        const auto is_there = [](const table_cell& one) { return !one.value.empty(); };
        if (std::ranges::any_of(row.cells, is_there)) {
            made_.rows.push_back(std::move(row));
        }
    }
    void add_number(const std::string& title, const std::string& path, shown_number shown) {
        add(title, [&](const lane_view& lane) { return number_cell(*lane.result, path, shown); });
    }
    void add_estimate(const std::string& title, const std::string& path, shown_number shown) {
        add(title, [&](const lane_view& lane) { return estimate_cell(*lane.result, path, shown); });
    }
    void add_comparisons();
    void add_overload();
    void add_percentiles();
    void add_counts();

    number_table take() { return std::move(made_); }

private:
    const pass_view& pass_;
    number_table made_;
};

table_cell comparison_cell(const comparison_group& group, const lane_view& lane) {
    const auto* found = group.find(lane.name);
    if (found == nullptr) {
        const bool is_base = !group.lanes.empty() && group.lanes.front().baseline == lane.name;
        return is_base ? table_cell{"1", "baseline"} : table_cell{};
    }
    table_cell cell = {ratio_text(found->found.estimate), {}};
    if (!found->verdict.empty() && found->verdict != "none") {
        cell.value += " " + found->verdict;
    }
    if (const auto& bounds = found->found.bounds) {
        cell.bounds = fmt::format("[{}, {}]", ratio_text(bounds->lo), ratio_text(bounds->hi));
    }
    return cell;
}

void table_maker::add_comparisons() {
    for (const auto& group : pass_.comparisons) {
        add(fmt::format("times better, {}", metric_title(group.metric)),
            [&group](const lane_view& lane) { return comparison_cell(group, lane); });
    }
}

void table_maker::add_overload() {
    add("overloaded", [](const lane_view& lane) {
        const auto offered = number_at(*lane.result, "/summary/overloaded/offered_per_s");
        const auto answered = number_at(*lane.result, "/summary/overloaded/answered_per_s");
        return offered && answered
                   ? table_cell{rate_text(*answered) + " answered", "of " + rate_text(*offered)}
                   : table_cell{};
    });
}

void table_maker::add_percentiles() {
    struct kind {
        const char* title;
        const char* member;
    };
    constexpr kind kinds[] = {
        {"response", "response_ns"}, {"service", "service_ns"}, {"send lag", "send_lag_ns"}};
    struct percentile {
        const char* title;
        const char* member;
    };
    constexpr percentile percentiles[] = {
        {"least", "min"}, {"mean", "mean"},  {"p50", "p50"},      {"p90", "p90"},
        {"p99", "p99"},   {"p99.9", "p999"}, {"p99.99", "p9999"}, {"greatest", "max"}};
    for (const auto& what : kinds) {
        for (const auto& which : percentiles) {
            add_number(fmt::format("{} {}", what.title, which.title),
                       fmt::format("/summary/{}/{}", what.member, which.member), time_text);
        }
    }
    for (const auto& which : percentiles) {
        add_estimate(fmt::format("response {}, median of rounds", which.title),
                     fmt::format("/summary/response_by_round_ns/{}", which.member), time_text);
    }
}

/// The sum over the rounds that count; nothing where none has it.
table_cell sum_cell(const lane_view& lane, const std::string& path) {
    double sum = 0;
    bool is_there = false;
    for (const auto& round : lane.rounds()) {
        const auto value = number_at(round, path);
        if (value && !is_replaced(round)) {
            sum += *value;
            is_there = true;
        }
    }
    return is_there ? table_cell{count_text(sum), {}} : table_cell{};
}

table_cell errors_cell(const lane_view& lane) {
    double sum = 0;
    for (const auto& round : lane.rounds()) {
        for (const auto& [name, count] : round["errors"].items()) {
            sum += is_replaced(round) ? 0 : count.get<double>();
        }
    }
    return {count_text(sum), {}};
}

/// `10`, `10, and 1 replaced`.
table_cell rounds_cell(const lane_view& lane) {
    const auto replaced = std::ranges::count_if(lane.rounds(), is_replaced);
    const auto all = static_cast<std::ptrdiff_t>(lane.rounds().size());
    return {std::to_string(all - replaced),
            replaced == 0 ? std::string() : fmt::format("and {} replaced", replaced)};
}

void table_maker::add_counts() {
    add("rounds", rounds_cell);
    constexpr std::pair<const char*, const char*> counts[] = {
        {"messages", "/messages"}, {"unfinished", "/unfinished"}, {"lost", "/lost"},
        {"late", "/late"},         {"duplicate", "/duplicate"},   {"reordered", "/reordered"},
        {"wrong", "/wrong"}};
    for (const auto& [title, path] : counts) {
        const std::string place = path;
        add(title, [&place](const lane_view& lane) { return sum_cell(lane, place); });
    }
    // What happened nowhere is not worth a line.
    std::erase_if(made_.rows, [](const table_row& row) {
        return std::ranges::all_of(row.cells,
                                   [](const table_cell& cell) { return cell.value == "0"; });
    });
    add("errors", errors_cell);
}

std::string joined_flags(const json& round) {
    std::string text;
    for (const auto& flag : round.value("flags", json::array())) {
        text += (text.empty() ? "" : ", ") + flag.get<std::string>();
    }
    if (is_replaced(round)) {
        text += text.empty() ? "replaced" : "; replaced";
    } else if (round.value("is_repeat", false)) {
        text += text.empty() ? "repeat" : "; repeat";
    }
    return text;
}

/// A time of each round, in the unit that fits the greatest; the title says which.
table_row time_row(const lane_view& lane, const std::string& title, const std::string& path) {
    double most = 0;
    for (const auto& round : lane.rounds()) {
        most = std::max(most, number_at(round, path).value_or(0));
    }
    const auto unit = time_unit_of(most);
    table_row row = {title + ", " + unit.name, {}};
    for (const auto& round : lane.rounds()) {
        const auto value = number_at(round, path);
        row.cells.push_back({value ? digits(*value / unit.size, 3) : std::string(), {}});
    }
    return row;
}

table_row share_row(const lane_view& lane, const std::string& title, const std::string& path) {
    table_row row = {title, {}};
    for (const auto& round : lane.rounds()) {
        const auto value = number_at(round, path);
        row.cells.push_back({value ? digits(*value * 100, 2) : std::string(), {}});
    }
    return row;
}

} // namespace

number_table numbers_of(const pass_view& pass) {
    table_maker made(pass);
    made.add_estimate("messages per second", "/summary/rate_per_s", rate_text);
    made.add_number("spread of the rate", "/summary/rate_per_s/spread", percent_text);
    made.add_overload();
    made.add_comparisons();
    made.add_estimate("server CPU per message", "/summary/server_cpu_ns_per_message", time_text);
    made.add_number("system calls per message", "/summary/syscalls_per_message", plain_text);
    made.add_number("events per wait", "/summary/events_per_wait", plain_text);
    made.add_number("memory per connection", "/summary/rss_bytes_per_connection", bytes_text);
    made.add_percentiles();
    made.add_counts();
    return made.take();
}

number_table rounds_of(const pass_view& pass, const lane_view& lane, bool is_side) {
    const std::string times = "/" + pass.times_name() + "_ns";
    number_table made;
    table_row rates = {"messages per second, k/s", {}};
    table_row flags = {"flags", {}};
    for (const auto& round : lane.rounds()) {
        const double rate = round["messages"].get<double>() / round["seconds"].get<double>();
        made.columns.push_back(std::to_string(round["round"].get<std::uint64_t>()));
        rates.cells.push_back({digits(rate / 1e3, 4), {}});
        flags.cells.push_back({joined_flags(round), {}});
    }
    made.rows.push_back(std::move(rates));
    made.rows.push_back(time_row(lane, "server CPU per message", "/server/cpu_ns_per_message"));
    if (!is_side) {
        made.rows.push_back(time_row(lane, pass.times_name() + " p50", times + "/p50"));
        made.rows.push_back(time_row(lane, pass.times_name() + " p99", times + "/p99"));
        made.rows.push_back(time_row(lane, "send lag p99", "/send_lag_ns/p99"));
        made.rows.push_back(time_row(lane, "server waits for a CPU", "/server/run_delay_ns"));
        made.rows.push_back(time_row(lane, "client waits for a CPU", "/client/run_delay_ns"));
        made.rows.push_back(share_row(lane, "steal, %", "/host/steal"));
    }
    made.rows.push_back(std::move(flags));
    std::erase_if(made.rows, [](const table_row& row) {
        return std::ranges::all_of(row.cells,
                                   [](const table_cell& cell) { return cell.value.empty(); });
    });
    return made;
}

} // namespace sockeye::bench::exporting
