#include "bench/export/charts.hpp"
#include "bench/export/curves.hpp"
#include "bench/export/markup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

constexpr double width = 640;
constexpr double height = 400;
constexpr double left = 76;
constexpr double right = 470;
constexpr double top = 14;
constexpr double bottom = 344;
constexpr double label_gap = 22;

struct drawn_curve {
    const lane_view* lane;
    percentile_curve curve;
};

double decades_of(std::size_t point) {
    return static_cast<double>(point) / static_cast<double>(points_per_decade);
}

/// `0`, `90`, `99`, `99.9`.
std::string percentile_name(int decade) {
    if (decade == 0) {
        return "0";
    }
    const std::string nines(static_cast<std::size_t>(std::max(0, decade - 2)), '9');
    return decade == 1 ? "90" : nines.empty() ? "99" : "99." + nines;
}

std::vector<drawn_curve> curves_of(const pass_view& pass, std::uint64_t seed) {
    std::vector<drawn_curve> found;
    for (const auto& lane : pass.lanes) {
        auto curve = read_curve(lane, pass.is_open, seed);
        if (curve.values.size() > 1) {
            found.push_back({&lane, std::move(curve)});
        }
    }
    return found;
}

axis value_axis(const std::vector<drawn_curve>& curves) {
    double low = 1e18;
    double high = 1;
    for (const auto& each : curves) {
        const auto& from = each.curve.lo.empty() ? each.curve.values : each.curve.lo;
        const auto& to = each.curve.hi.empty() ? each.curve.values : each.curve.hi;
        low = std::min(low, std::max(1.0, from.front()));
        high = std::max(high, *std::ranges::max_element(to));
    }
    return {low / 1.1, std::max(high * 1.1, low * 2), bottom, top, true};
}

void draw_axes(drawing& chart, const axis& across, const axis& up) {
    for (const double tick : up.ticks(8)) {
        chart.line(left, up.place(tick), right, up.place(tick), "g");
        chart.text(left - 8, up.place(tick) + 5, with_micro(short_time(tick)), "e q");
    }
    for (int decade = 0; decade <= static_cast<int>(across.to + 1e-9); ++decade) {
        const double x = across.place(decade);
        chart.line(x, top, x, bottom, "g");
        chart.text(x, bottom + 22, percentile_name(decade), "m q");
    }
    chart.line(left, bottom, right, bottom, "x");
    chart.text((left + right) / 2, bottom + 46, "percentile of messages (%)", "m q");
}

/// Adds a curve: whole decades are where they are, the rest is simplified.
void add_points(path_data& data, const std::vector<point>& points, double tolerance) {
    for (std::size_t from = 0; from + 1 < points.size(); from += points_per_decade) {
        const auto to = std::min(from + points_per_decade, points.size() - 1);
        const std::vector<point> decade(points.begin() + static_cast<std::ptrdiff_t>(from),
                                        points.begin() + static_cast<std::ptrdiff_t>(to) + 1);
        data.line_through(decade, tolerance);
    }
}

std::vector<point> points_of(const std::vector<double>& values, const axis& across,
                             const axis& up) {
    std::vector<point> points;
    for (std::size_t i = 0; i < values.size(); ++i) {
        points.push_back({across.place(decades_of(i)), up.place(values[i])});
    }
    return points;
}

void draw_band(drawing& chart, const drawn_curve& drawn, const axis& across, const axis& up) {
    const auto& curve = drawn.curve;
    if (curve.lo.empty()) {
        return;
    }
    constexpr double tolerance = 1;
    auto points = points_of(curve.lo, across, up);
    path_data band;
    band.move(points.front().x, points.front().y);
    band.line_through(points, tolerance);
    points = points_of(curve.hi, across, up);
    std::ranges::reverse(points);
    band.line_through(points, tolerance);
    band.close();
    chart.path(band, "b " + fill_class(drawn.lane->style, drawn.lane->is_control),
               drawn.lane->name + ": 95 % band over the rounds");
}

/// `epoll: p50 31 us, p90 45 us`.
std::string percentile_words(const drawn_curve& drawn) {
    auto text = drawn.lane->name + ":";
    for (std::size_t i = points_per_decade; i < drawn.curve.values.size(); i += points_per_decade) {
        text += fmt::format("{} p{} {}", i == points_per_decade ? "" : ",",
                            percentile_name(static_cast<int>(i / points_per_decade)),
                            time_text(drawn.curve.values[i]));
    }
    return with_micro(text);
}

void draw_curve(drawing& chart, const drawn_curve& drawn, const axis& across, const axis& up) {
    const auto points = points_of(drawn.curve.values, across, up);
    path_data line;
    line.move(points.front().x, points.front().y);
    add_points(line, points, 0.5);
    chart.path(line, "l " + stroke_class(drawn.lane->style, drawn.lane->is_control),
               percentile_words(drawn));
}

/// Every curve is named where it ends; a thin line leads there where others are in the way.
void name_curves(drawing& chart, const std::vector<drawn_curve>& curves, const axis& across,
                 const axis& up) {
    std::vector<double> ends;
    for (const auto& each : curves) {
        ends.push_back(up.place(each.curve.values.back()));
    }
    const auto placed = spread_labels(ends, label_gap, top + 6, bottom - 4);
    for (std::size_t i = 0; i < curves.size(); ++i) {
        const auto& lane = *curves[i].lane;
        const double x = across.place(decades_of(curves[i].curve.values.size() - 1));
        path_data lead;
        lead.move(x + 2, ends[i]);
        lead.line(right + 4, ends[i]);
        lead.line(right + 12, placed[i]);
        lead.line(right + 22, placed[i]);
        chart.path(lead, "lead " + stroke_class(lane.style, lane.is_control));
        chart.text(right + 26, placed[i] + 5, short_name(lane.name, 12),
                   "t n " + fill_class(lane.style, lane.is_control));
    }
}

} // namespace

std::optional<drawing> percentile_chart(const pass_view& pass, std::uint64_t seed,
                                        const std::string& id) {
    const auto curves = curves_of(pass, seed);
    if (curves.empty()) {
        return std::nullopt;
    }
    std::size_t points = 0;
    std::string words = "Lower is better.";
    for (const auto& each : curves) {
        points = std::max(points, each.curve.values.size());
        words += " " + percentile_words(each) + ".";
    }
    const double needed = top + label_gap * static_cast<double>(curves.size());
    drawing chart(width, std::max(height, needed + 60), id,
                  fmt::format("{}: {} time by percentile", pass.title(), pass.times_name()), words);
    const axis across = {0, decades_of(points - 1), left, right, false};
    const auto up = value_axis(curves);
    draw_axes(chart, across, up);
    for (const auto& each : curves) {
        draw_band(chart, each, across, up);
    }
    for (const auto& each : curves) {
        draw_curve(chart, each, across, up);
    }
    name_curves(chart, curves, across, up);
    return chart;
}

} // namespace sockeye::bench::exporting
