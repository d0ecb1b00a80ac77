#include "bench/export/drawing.hpp"

#include "bench/export/markup.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// What no chart is as large as; it also holds what is no number.
long tenths_of(double value) {
    constexpr double most = 1e6;
    return std::isfinite(value) ? std::lround(std::clamp(value, -most, most) * 10) : 0;
}

std::string tenths_text(long tenths) {
    const long whole = std::abs(tenths) / 10;
    const long part = std::abs(tenths) % 10;
    std::string text = tenths < 0 ? "-" : "";
    if (whole != 0 || part == 0) {
        text += std::to_string(whole);
    }
    return part == 0 ? text : text + "." + std::to_string(part);
}

/// The point between two others that is farthest, in height, from the line between them.
std::pair<std::size_t, double> farthest_between(const std::vector<point>& points, std::size_t first,
                                                std::size_t last) {
    std::pair<std::size_t, double> found = {first, 0};
    const auto& from = points[first];
    const auto& to = points[last];
    for (std::size_t i = first + 1; i < last; ++i) {
        const double part = to.x == from.x ? 0 : (points[i].x - from.x) / (to.x - from.x);
        const double distance = std::abs(from.y + part * (to.y - from.y) - points[i].y);
        if (distance > found.second) {
            found = {i, distance};
        }
    }
    return found;
}

} // namespace

std::string coordinate(double value) {
    return tenths_text(tenths_of(value));
}

void path_data::append(long tenths) {
    const auto text = tenths_text(tenths);
    const bool needs_space = !is_first_step_ && !text.starts_with('-');
    text_ += (needs_space ? " " : "") + text;
    is_first_step_ = false;
}

void path_data::move(double x, double y) {
    x_ = tenths_of(x);
    y_ = tenths_of(y);
    text_ += "M" + tenths_text(x_) + " " + tenths_text(y_);
    is_first_step_ = true;
}

void path_data::line(double x, double y) {
    const long step_x = tenths_of(x) - x_;
    const long step_y = tenths_of(y) - y_;
    if (step_x == 0 && step_y == 0) {
        return;
    }
    text_ += is_first_step_ ? "l" : "";
    append(step_x);
    append(step_y);
    x_ += step_x;
    y_ += step_y;
}

void path_data::line_through(const std::vector<point>& points, double tolerance) {
    // See: Douglas and Peucker, "Algorithms for the reduction of the number of points", 1973.
    std::vector<bool> is_kept(points.size(), false);
    std::vector<std::pair<std::size_t, std::size_t>> open;
    if (!points.empty()) {
        is_kept.front() = is_kept.back() = true;
        open.emplace_back(0, points.size() - 1);
    }
    while (!open.empty()) {
        const auto [first, last] = open.back();
        open.pop_back();
        const auto farthest = farthest_between(points, first, last);
        if (farthest.second > tolerance) {
            is_kept[farthest.first] = true;
            open.emplace_back(first, farthest.first);
            open.emplace_back(farthest.first, last);
        }
    }
    for (std::size_t i = 0; i < points.size(); ++i) {
        if (is_kept[i]) {
            line(points[i].x, points[i].y);
        }
    }
}

double axis::place(double value) const {
    const auto scaled = [this](double v) { return is_log ? std::log(v) : v; };
    const double low = std::min(from, to);
    const double inside = std::clamp(value, low, std::max(from, to));
    const double width = scaled(to) - scaled(from);
    return width == 0 ? begin : begin + (end - begin) * (scaled(inside) - scaled(from)) / width;
}

std::vector<double> axis::ticks(std::size_t count) const {
    std::vector<double> found;
    const double low = std::min(from, to);
    const double high = std::max(from, to);
    if (!is_log || high / low < 3) {
        const double raw = (high - low) / static_cast<double>(count);
        const double power = std::pow(10.0, std::floor(std::log10(raw)));
        double step = power * 10;
        for (const double factor : {5.0, 2.0, 1.0}) {
            step = power * factor >= raw ? power * factor : step;
        }
        for (double i = std::ceil(low / step - 1e-9); i * step <= high * (1 + 1e-9); ++i) {
            found.push_back(i * step);
        }
        return found;
    }
    const double decades = std::log10(high / low);
    const int first = static_cast<int>(std::floor(std::log10(low)));
    const int last = static_cast<int>(std::ceil(std::log10(high)));
    const bool is_dense = decades * 3 <= static_cast<double>(count) + 1;
    const int stride =
        std::max(1, static_cast<int>(std::ceil(decades / static_cast<double>(count))));
    for (int power = first; power <= last; power += stride) {
        for (const double factor : {1.0, 2.0, 5.0}) {
            const double value = factor * std::pow(10.0, power);
            if ((is_dense || factor == 1) && value >= low * 0.999 && value <= high * 1.001) {
                found.push_back(value);
            }
        }
    }
    return found;
}

drawing::drawing(double width, double height, std::string_view id, std::string_view title,
                 std::string_view description)
    : id_(id), width_(width), height_(height) {
    head_ = id_.empty()
                ? fmt::format("role=\"img\"><title>{}</title>\n", xml(title))
                : fmt::format("role=\"img\" aria-labelledby=\"{0}t {0}d\"><title id=\"{0}t\">{1}"
                              "</title><desc id=\"{0}d\">{2}</desc>\n",
                              id_, xml(title), xml(description));
}

void drawing::line(double x1, double y1, double x2, double y2, std::string_view classes) {
    body_ += fmt::format("<path class=\"{}\" d=\"M{} {}L{} {}\"/>\n", classes, coordinate(x1),
                         coordinate(y1), coordinate(x2), coordinate(y2));
}

void drawing::rules(double x1, double x2, const std::vector<double>& heights,
                    std::string_view classes) {
    std::string data;
    for (const double y : heights) {
        data += fmt::format("M{} {}H{}", coordinate(x1), coordinate(y), coordinate(x2));
    }
    body_ += fmt::format("<path class=\"{}\" d=\"{}\"/>\n", classes, data);
}

void drawing::begin_group(std::string_view classes) {
    body_ += fmt::format("<g class=\"{}\">\n", classes);
}

void drawing::begin_shared(std::string_view id) {
    // What is drawn elsewhere has no ancestors there that a rule of style could name.
    body_ += fmt::format("<g class=\"chart\" id=\"{}\">\n", id);
}

void drawing::use(std::string_view id) {
    body_ += fmt::format("<use href=\"#{}\"/>\n", id);
}

void drawing::whisker(double lo, double hi, double y, std::string_view classes) {
    body_ += fmt::format("<path class=\"{0}\" d=\"M{1} {2}v8M{1} {3}H{4}M{4} {2}v8\"/>\n", classes,
                         coordinate(lo), coordinate(y - 4), coordinate(y), coordinate(hi));
}

void drawing::end_shape(std::string_view name, std::string_view hover) {
    body_ += hover.empty() ? std::string("/>\n")
                           : fmt::format("><title>{}</title></{}>\n", xml(hover), name);
}

void drawing::rectangle(double x, double y, double width, double height, std::string_view classes,
                        std::string_view hover) {
    body_ += fmt::format("<rect class=\"{}\" x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"", classes,
                         coordinate(x), coordinate(y), coordinate(width), coordinate(height));
    end_shape("rect", hover);
}

void drawing::circle(double x, double y, double radius, std::string_view classes,
                     std::string_view hover) {
    body_ += fmt::format("<circle class=\"{}\" cx=\"{}\" cy=\"{}\" r=\"{}\"", classes,
                         coordinate(x), coordinate(y), coordinate(radius));
    end_shape("circle", hover);
}

void drawing::text(double x, double y, std::string_view words, std::string_view classes) {
    const auto named = classes.empty() ? std::string() : fmt::format(" class=\"{}\"", classes);
    body_ += fmt::format("<text{} x=\"{}\" y=\"{}\">{}</text>\n", named, coordinate(x),
                         coordinate(y), xml(words));
}

void drawing::path(const path_data& data, std::string_view classes, std::string_view hover) {
    const auto named = classes.empty() ? std::string() : fmt::format(" class=\"{}\"", classes);
    body_ += fmt::format("<path{} d=\"{}\"", named, data.text());
    end_shape("path", hover);
}

std::string drawing::element(std::string_view place) const {
    return fmt::format("<svg class=\"chart{}\"{} "
                       "viewBox=\"0 0 {} {}\" {}{}</svg>\n",
                       width_ >= 600 ? " wide" : "", place, coordinate(width_), coordinate(height_),
                       head_, body_);
}

std::string stroke_class(std::size_t style, bool is_control) {
    if (is_control) {
        return "sk";
    }
    // Every fifth lane has a colour again, and other dashes with it.
    return fmt::format("s{} d{}", style % 4, (style + style / 4) % 4);
}

std::string fill_class(std::size_t style, bool is_control) {
    return is_control ? "fk" : fmt::format("f{}", style % 4);
}

std::string_view chart_style() {
    return R"CSS(.chart text{font:12px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",
sans-serif;fill:#222}
.chart .q{fill:#595959}.chart .e{text-anchor:end}.chart .m{text-anchor:middle}
.chart .t{font-weight:600}
.wide text{font-size:15px}.wide .n{font-size:14px}
@media(max-width:560px){.wide text,.wide .n{font-size:16px}}
@media(max-width:460px){.wide text,.wide .n{font-size:19px}}
.chart path{fill:none}.g{stroke:#e2e2e2}.x{stroke:#8a8a8a}.one{stroke:#444;stroke-width:1.2}
.l{stroke-width:2;stroke-linejoin:round}.chart .h{stroke-width:.8;stroke-dasharray:none;opacity:.5}
.chart .i{stroke-width:2;stroke-dasharray:none}.r{stroke:#b00020;stroke-dasharray:3 2;
stroke-width:1}
.lead{stroke-width:1.3}
.chart .b{stroke:none;opacity:.14}.noise{fill:#000;opacity:.1}.spot{fill:#b00020}
.warm{fill:#000;opacity:.05}.hatch{stroke:#999;stroke-width:.8;opacity:.7}
.d1{stroke-dasharray:7 3}.d2{stroke-dasharray:2 2.5}.d3{stroke-dasharray:9 3 2 3}
.sk{stroke-dasharray:1 3}
.s0{stroke:#0b6e4f}.s1{stroke:#1f5fa8}.s2{stroke:#b35900}.s3{stroke:#8a1c5c}.sk{stroke:#595959}
.chart .f0{fill:#0b6e4f}.chart .f1{fill:#1f5fa8}.chart .f2{fill:#b35900}.chart .f3{fill:#8a1c5c}
.chart .fk{fill:#595959}
@media(prefers-color-scheme:dark){.chart text{fill:#e6e6e6}.chart .q{fill:#a9a9a9}.g{stroke:#333}
.x{stroke:#777}.one{stroke:#bbb}
.noise,.warm{fill:#fff;opacity:.14}.warm{opacity:.05}.chart .b{opacity:.24}.r{stroke:#ff7b8a}
.spot{fill:#ff7b8a}.hatch{stroke:#777}
.s0{stroke:#4fc3a1}.s1{stroke:#7db3f0}.s2{stroke:#f0a050}.s3{stroke:#e08bc4}.sk{stroke:#a9a9a9}
.chart .f0{fill:#4fc3a1}.chart .f1{fill:#7db3f0}.chart .f2{fill:#f0a050}.chart .f3{fill:#e08bc4}
.chart .fk{fill:#a9a9a9}}
)CSS";
}

std::vector<double> spread_labels(const std::vector<double>& wanted, double gap, double least,
                                  double most) {
    std::vector<std::size_t> order(wanted.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return wanted[i]; });
    // Least squares: labels that would overlap become a block, which stands where its mean is.
    struct block {
        double sum = 0;
        double size = 0;
    };
    std::vector<block> blocks;
    for (std::size_t i = 0; i < order.size(); ++i) {
        blocks.push_back({wanted[order[i]] - static_cast<double>(i) * gap, 1});
        while (blocks.size() > 1) {
            const auto& last = blocks.back();
            auto& before = blocks[blocks.size() - 2];
            if (before.sum / before.size < last.sum / last.size) {
                break;
            }
            before = {before.sum + last.sum, before.size + last.size};
            blocks.pop_back();
        }
    }
    auto placed = wanted;
    const double room = most - least - gap * static_cast<double>(wanted.size() - 1);
    std::size_t i = 0;
    for (const auto& each : blocks) {
        const double offset = std::clamp(each.sum / each.size - least, 0.0, std::max(0.0, room));
        for (double k = 0; k < each.size; ++k, ++i) {
            placed[order[i]] = least + offset + static_cast<double>(i) * gap;
        }
    }
    return placed;
}

} // namespace sockeye::bench::exporting
