#include "bench/export/charts.hpp"
#include "bench/export/markup.hpp"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

constexpr double forest_width = 640;
constexpr double forest_left = 148;
constexpr double forest_right = 334;
constexpr double forest_top = 10;
constexpr double row_height = 26;
constexpr double label_room = 50;

axis forest_axis(const comparison_group& group) {
    double low = 0.95;
    double high = 1.05;
    for (const auto& each : group.lanes) {
        const auto bounds =
            each.found.bounds.value_or(interval{each.found.estimate, each.found.estimate});
        low = std::min({low, bounds.lo, each.found.estimate});
        high = std::max({high, bounds.hi, each.found.estimate});
    }
    // A file may hold anything; nobody reads a ratio beyond these.
    low = std::max(low, 1e-6) * 0.98;
    high = std::min(high, 1e6) * 1.02;
    return {low, high, forest_left, forest_right, true};
}

std::string interval_text(const ratio& found) {
    const auto estimate = ratio_text(found.estimate);
    if (!found.bounds) {
        return estimate;
    }
    return fmt::format("{} [{}, {}]", estimate, ratio_text(found.bounds->lo),
                       ratio_text(found.bounds->hi));
}

std::string describe(const comparison_group& group) {
    std::string text = "Above 1 is better.";
    for (const auto& each : group.lanes) {
        text += fmt::format(" {} {} {}.", each.backend, interval_text(each.found), each.verdict);
    }
    return text;
}

/// What is written behind the interval.
std::string remark_of(const comparison_view& lane) {
    if (lane.is_control) {
        return "noise";
    }
    return lane.verdict == "none" ? "" : lane.verdict;
}

void draw_row(drawing& chart, const axis& across, const pass_view& pass,
              const comparison_view& lane, double y) {
    const auto found = std::ranges::find(pass.lanes, lane.backend, &lane_view::name);
    const std::size_t style = found == pass.lanes.end() ? 0 : found->style;
    const auto fill = fill_class(style, lane.is_control);
    chart.text(forest_left - 10, y + 5, short_name(lane.backend, 12), "e n " + fill);
    if (const auto& bounds = lane.found.bounds) {
        chart.whisker(across.place(bounds->lo), across.place(bounds->hi), y,
                      "i " + stroke_class(style, lane.is_control));
    }
    chart.circle(across.place(lane.found.estimate), y, 4.5, fill);
    chart.text(forest_right + 10, y + 5, interval_text(lane.found), "n");
    chart.text(forest_width - 2, y + 5, remark_of(lane), "n e t " + fill);
}

} // namespace

std::optional<drawing> forest_chart(const pass_view& pass, const comparison_group& group,
                                    const std::string& id) {
    if (group.lanes.empty()) {
        return std::nullopt;
    }
    const auto across = forest_axis(group);
    const double bottom = forest_top + row_height * static_cast<double>(group.lanes.size());
    const auto baseline = short_name(group.lanes.front().baseline, 30);
    drawing chart(
        forest_width, bottom + 48, id,
        fmt::format("{}: {}, times {}", pass.title(), metric_title(group.metric), baseline),
        describe(group));
    if (const auto* control = group.control(); control != nullptr && control->found.bounds) {
        const double lo = across.place(control->found.bounds->lo);
        const double hi = across.place(control->found.bounds->hi);
        chart.rectangle(lo, forest_top, std::max(hi - lo, 1.0), bottom - forest_top, "noise",
                        "how far two identical servers differed");
    }
    const double one = across.place(1);
    double last = -100;
    for (const double tick : across.ticks(5)) {
        const double x = across.place(tick);
        chart.line(x, forest_top, x, bottom, "g");
        const double to_one = std::abs(x - one);
        if (to_one < 1 || (x - last >= label_room && to_one >= label_room)) {
            chart.text(x, bottom + 19, ratio_text(tick), "m q n");
            last = x;
        }
    }
    chart.line(one, forest_top, one, bottom, "one");
    double y = forest_top + row_height / 2;
    for (const auto& each : group.lanes) {
        draw_row(chart, across, pass, each, y);
        y += row_height;
    }
    chart.text((forest_left + forest_right) / 2, bottom + 39,
               fmt::format("times {}, right is better", baseline), "m q n");
    return chart;
}

} // namespace sockeye::bench::exporting
