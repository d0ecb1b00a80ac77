#include "bench/export/charts.hpp"
#include "bench/export/markup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

constexpr double panel_width = 340;
constexpr double panel_left = 62;
constexpr double panel_right = 328;
constexpr double rate_height = 96;
constexpr double side_height = 48;
constexpr double row_gap = 30;
constexpr double first_top = 24;
/// Of a line, what is nearer than this to where it goes anyway is left out.
constexpr double line_tolerance = 0.7;

/// What is drawn as one point of a line: windows of a run, taken together.
constexpr double step_wanted_ns = 100e6;
constexpr std::size_t steps_min = 10;
constexpr std::size_t steps_max = 40;

using series = std::vector<double>;

/// The windows of one round.
struct round_windows {
    const json* round = nullptr;
    series rate;         ///< messages a second
    series lag;          ///< the greatest send lag, in nanoseconds
    series server_delay; ///< the part of the time that the server waited for a CPU
    series client_delay;
};

struct lane_windows {
    const lane_view* lane = nullptr;
    std::vector<round_windows> rounds;
};

/// The windows of all lanes of a test, cut alike.
struct pass_windows {
    std::vector<lane_windows> lanes;
    double step_seconds = 0;
    double warmup_seconds = 0;
    std::size_t steps = 0;

    /// The greatest value of `which` of all; 0 where nothing has it.
    [[nodiscard]] double most(series round_windows::*which) const {
        double found = 0;
        for (const auto& lane : lanes) {
            for (const auto& round : lane.rounds) {
                for (const double value : round.*which) {
                    found = std::max(found, value);
                }
            }
        }
        return found;
    }
    [[nodiscard]] bool has(series round_windows::*which) const {
        return std::ranges::any_of(lanes, [&](const lane_windows& lane) {
            return std::ranges::any_of(
                lane.rounds, [&](const round_windows& one) { return !(one.*which).empty(); });
        });
    }
};

/// So many windows are drawn as one point.
std::size_t stride_of(double ns, std::size_t count) {
    auto stride = static_cast<std::size_t>(std::clamp(step_wanted_ns / ns, 1.0, 1e9));
    while (count / stride > steps_max) {
        stride *= 2;
    }
    return count / stride < steps_min ? std::max<std::size_t>(1, count / steps_min) : stride;
}

/// Takes `stride` values at a time; what is left at the end is no whole step.
template <typename Join>
series join_windows(const json& windows, const char* name, std::size_t stride, Join join) {
    series made;
    if (!windows.contains(name)) {
        return made;
    }
    const auto& values = windows[name];
    for (std::size_t i = 0; i + stride <= values.size(); i += stride) {
        double joined = 0;
        for (std::size_t k = 0; k < stride; ++k) {
            joined = join(joined, values[i + k].get<double>());
        }
        made.push_back(joined);
    }
    return made;
}

series scaled_by(series values, double factor) {
    for (auto& value : values) {
        value *= factor;
    }
    return values;
}

round_windows read_round(const json& round, std::size_t stride) {
    const auto& windows = round["windows"];
    const double ns = windows["ns"].get<double>() * static_cast<double>(stride);
    const auto add = [](double sum, double value) { return sum + value; };
    const auto greater = [](double most, double value) { return std::max(most, value); };
    const auto delay = [&](const char* name) {
        return scaled_by(join_windows(windows, name, stride, add), 1 / ns);
    };
    return {&round, scaled_by(join_windows(windows, "messages", stride, add), 1e9 / ns),
            join_windows(windows, "send_lag_max_ns", stride, greater), delay("server_run_delay_ns"),
            delay("client_run_delay_ns")};
}

/// All rounds of a test have windows of one length; those that do not are left out.
pass_windows read_windows(const pass_view& pass) {
    pass_windows made;
    std::uint64_t ns = 0;
    std::size_t stride = 1;
    for (const auto& lane : pass.lanes) {
        lane_windows found = {&lane, {}};
        for (const auto& round : lane.rounds()) {
            if (!round.contains("windows")) {
                continue;
            }
            const auto& windows = round["windows"];
            const auto own = windows["ns"].get<std::uint64_t>();
            const std::size_t count = windows["messages"].size();
            if (ns == 0 && own > 0 && count > 0) {
                ns = own;
                stride = stride_of(static_cast<double>(ns), count);
                made.step_seconds = static_cast<double>(ns) * static_cast<double>(stride) / 1e9;
                made.warmup_seconds =
                    windows["warmup"].get<double>() * static_cast<double>(ns) / 1e9;
            }
            if (own == ns && count >= stride && own > 0) {
                found.rounds.push_back(read_round(round, stride));
                made.steps = std::max(made.steps, found.rounds.back().rate.size());
            }
        }
        if (!found.rounds.empty()) {
            made.lanes.push_back(std::move(found));
        }
    }
    return made;
}

/// Where the values of several rounds lie, step by step.
struct value_range {
    series least;
    series middle; ///< as far as more than half of the rounds go
    series most;
};

value_range range_of(const std::vector<const series*>& rounds) {
    value_range made;
    for (std::size_t i = 0;; ++i) {
        series values;
        for (const auto* each : rounds) {
            if (i < each->size()) {
                values.push_back((*each)[i]);
            }
        }
        if (values.empty()) {
            return made;
        }
        made.least.push_back(*std::ranges::min_element(values));
        made.most.push_back(*std::ranges::max_element(values));
        if (values.size() * 2 > rounds.size()) {
            made.middle.push_back(median(values));
        }
    }
}

std::string number_of(const round_windows& each) {
    return std::to_string((*each.round)["round"].get<std::uint64_t>());
}

std::string why_replaced(const round_windows& each) {
    std::string text = ", replaced by another";
    for (const auto& flag : each.round->value("flags", json::array())) {
        text += ": " + flag.get<std::string>();
    }
    return text;
}

class time_panel {
public:
    time_panel(const pass_windows& all, const lane_windows& own, round_shape shape)
        : all_(all), own_(own),
          shape_(shape), across_{0, all.step_seconds * static_cast<double>(all.steps), panel_left,
                                 panel_right, false},
          chart_(panel_width, height_for(all), {}, own.lane->name + ": throughput over time", {}) {
        place_axes();
    }

    /// The first panel of a test draws what all of them share.
    drawing draw(const std::string& shared_id, bool is_first) {
        if (is_first) {
            chart_.begin_shared(shared_id);
            draw_frames();
            chart_.end_group();
        } else {
            chart_.use(shared_id);
        }
        chart_.text(panel_left, rate_.end - 7, short_name(own_.lane->name, 14), "t " + fill());
        draw_rates();
        if (lag_.to > 0) {
            draw_lag();
        }
        if (delay_.to > 0) {
            draw_delay();
        }
        return chart_;
    }

private:
    static bool has_delay(const pass_windows& all) {
        return all.has(&round_windows::server_delay) || all.has(&round_windows::client_delay);
    }

    static double height_for(const pass_windows& all) {
        double height = first_top + rate_height;
        height += all.has(&round_windows::lag) ? side_height + row_gap : 0;
        return height + (has_delay(all) ? side_height + row_gap : 0) + 40;
    }

    /// From above: throughput, send lag, waiting. All lanes of a test have the same axes.
    void place_axes() {
        double top = first_top;
        const double most_rate = std::max(1.0, all_.most(&round_windows::rate));
        rate_ = {0, most_rate * 1.05, top + rate_height, top, false};
        top += rate_height + row_gap;
        if (all_.has(&round_windows::lag)) {
            most_lag_ = std::max(1e4, all_.most(&round_windows::lag));
            lag_ = {100, most_lag_ * 1.1, top + side_height, top, true};
            top += side_height + row_gap;
        }
        if (has_delay(all_)) {
            const double most = std::max(0.02, std::max(all_.most(&round_windows::server_delay),
                                                        all_.most(&round_windows::client_delay)));
            delay_ = {0, most * 1.1, top + side_height, top, false};
        }
    }

    [[nodiscard]] std::string fill() const {
        return fill_class(own_.lane->style, own_.lane->is_control);
    }
    [[nodiscard]] std::string stroke() const {
        return stroke_class(own_.lane->style, own_.lane->is_control);
    }

    void draw_frames() {
        draw_frame(rate_, "messages per second", rate_.ticks(4), short_rate);
        double bottom = rate_.begin;
        if (lag_.to > 0) {
            draw_frame(lag_, "send lag, greatest", lag_.ticks(3), short_time);
            bottom = lag_.begin;
        }
        if (delay_.to > 0) {
            draw_frame(delay_, "waits for a CPU: server, client dashed", delay_.ticks(2),
                       short_percent);
            bottom = delay_.begin;
        }
        draw_time(bottom);
    }

    void draw_frame(const axis& up, std::string_view title, const std::vector<double>& marks,
                    std::string (*shown)(double)) {
        const double end = across_.place(all_.warmup_seconds);
        if (end > panel_left) {
            chart_.rectangle(panel_left, up.end, end - panel_left, up.begin - up.end, "warm",
                             "warm-up, not measured");
        }
        chart_.text(panel_right, up.end - 7, title, "e q");
        std::vector<double> heights;
        for (const double mark : marks) {
            heights.push_back(up.place(mark));
            chart_.text(panel_left - 6, heights.back() + 4, with_micro(shown(mark)), "e q");
        }
        chart_.rules(panel_left, panel_right, heights, "g");
    }

    void draw_time(double bottom) {
        chart_.line(panel_left, bottom, panel_right, bottom, "x");
        double last = -100;
        for (const double tick : across_.ticks(5)) {
            const double x = across_.place(tick);
            if (x - last >= 50) {
                chart_.text(x, bottom + 17, with_micro(short_time(tick * 1e9)), "m q");
                last = x;
            }
        }
        chart_.text((panel_left + panel_right) / 2, bottom + 34, "time in the round", "m q");
    }

    [[nodiscard]] std::vector<point> points_of_series(const series& values, const axis& up) const {
        std::vector<point> points;
        for (std::size_t i = 0; i < values.size(); ++i) {
            const double x = across_.place((static_cast<double>(i) + 0.5) * all_.step_seconds);
            points.push_back({std::round(x), std::round(up.place(values[i]) * 2) / 2});
        }
        return points;
    }

    void add_line(path_data& data, const series& values, const axis& up) const {
        const auto points = points_of_series(values, up);
        if (!points.empty()) {
            data.move(points.front().x, points.front().y);
            data.line_through(points, line_tolerance);
        }
    }

    void draw_rates() {
        std::vector<const series*> counted;
        for (const auto& each : own_.rounds) {
            if (!is_replaced(*each.round)) {
                counted.push_back(&each.rate);
            }
        }
        const auto range = range_of(counted);
        if (shape_ == round_shape::bands) {
            draw_band(range, rate_);
        }
        draw_round_lines();
        if (counted.size() > 2) {
            path_data middle;
            add_line(middle, range.middle, rate_);
            chart_.path(middle, "l i " + stroke(), "the median of the rounds");
        }
    }

    /// A line for each round; beside a band, for those that do not count.
    void draw_round_lines() {
        chart_.begin_group("l h " + stroke());
        for (const auto& each : own_.rounds) {
            const bool is_out = is_replaced(*each.round);
            if (is_out || shape_ == round_shape::lines) {
                path_data line;
                add_line(line, each.rate, rate_);
                chart_.path(line, is_out ? "r" : "",
                            "round " + number_of(each) + (is_out ? why_replaced(each) : ""));
            }
        }
        chart_.end_group();
    }

    void draw_band(const value_range& range, const axis& up) {
        auto points = points_of_series(range.least, up);
        if (points.empty()) {
            return;
        }
        path_data band;
        band.move(points.front().x, points.front().y);
        band.line_through(points, line_tolerance);
        points = points_of_series(range.most, up);
        std::ranges::reverse(points);
        band.line_through(points, line_tolerance);
        band.close();
        chart_.path(band, "b " + fill());
    }

    void draw_lag() {
        std::vector<const series*> all;
        path_data thin;
        for (const auto& each : own_.rounds) {
            all.push_back(&each.lag);
            add_line(thin, each.lag, lag_);
        }
        if (thin.is_empty()) {
            return;
        }
        if (shape_ == round_shape::bands) {
            draw_band(range_of(all), lag_);
        } else {
            chart_.path(thin, "l h " + stroke());
        }
        mark_worst(&round_windows::lag, lag_, most_lag_ / 2,
                   [](double ns) { return "sent " + with_micro(time_text(ns)) + " late"; });
    }

    void draw_delay() {
        draw_worst(&round_windows::client_delay, "sk d1 l", "client: the worst round");
        draw_worst(&round_windows::server_delay, "i " + stroke(), "server: the worst round");
        mark_worst(&round_windows::server_delay, delay_, 0.05, [](double share) {
            return "the server waited " + percent_text(share) + " of the time for a CPU";
        });
    }

    /// Of each step the greatest value of all rounds.
    void draw_worst(series round_windows::*which, const std::string& classes, const char* hover) {
        std::vector<const series*> all;
        for (const auto& each : own_.rounds) {
            all.push_back(&(each.*which));
        }
        path_data line;
        add_line(line, range_of(all).most, delay_);
        if (!line.is_empty()) {
            chart_.path(line, classes, hover);
        }
    }

    /// A spot that says which round it was, where the greatest value is above `least`.
    template <typename Shown>
    void mark_worst(series round_windows::*which, const axis& up, double least, Shown shown) {
        const round_windows* worst = nullptr;
        std::size_t place = 0;
        for (const auto& each : own_.rounds) {
            const auto& values = each.*which;
            for (std::size_t i = 0; i < values.size(); ++i) {
                if (values[i] > least) {
                    least = values[i];
                    worst = &each;
                    place = i;
                }
            }
        }
        if (worst != nullptr) {
            const double x = across_.place((static_cast<double>(place) + 0.5) * all_.step_seconds);
            chart_.circle(x, up.place(least), 3, "spot",
                          "round " + number_of(*worst) + ": " + shown(least));
        }
    }

    const pass_windows& all_;
    const lane_windows& own_;
    round_shape shape_;
    axis across_;
    axis rate_;
    axis lag_ = {0, 0};
    axis delay_ = {0, 0};
    double most_lag_ = 0;
    drawing chart_;
};

} // namespace

std::vector<drawing> time_charts(const pass_view& pass, round_shape shape, const std::string& id) {
    const auto all = read_windows(pass);
    std::vector<drawing> made;
    for (const auto& lane : all.lanes) {
        made.push_back(time_panel(all, lane, shape).draw(id, made.empty()));
    }
    return made;
}

} // namespace sockeye::bench::exporting
