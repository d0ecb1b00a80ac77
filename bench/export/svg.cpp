#include "bench/export/charts.hpp"
#include "bench/export/documents.hpp"
#include "bench/export/markup.hpp"

#include <utility>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

constexpr double margin = 20;
constexpr double title_height = 52;

/// The charts of a run below each other, each under its title.
class picture {
public:
    void add(const pass_view& pass, std::string_view what, const drawing& chart) {
        height_ += margin;
        body_ += fmt::format("<g class=\"chart wide\"><text class=\"t\" x=\"{0}\" y=\"{1}\">{2}"
                             "</text><text class=\"q n\" x=\"{0}\" y=\"{3}\">{4}</text></g>\n",
                             coordinate(margin), coordinate(height_ + 18),
                             xml(short_name(pass.title(), 40) + ": " + std::string(what)),
                             coordinate(height_ + 38), xml(short_name(pass.load(), 84)));
        height_ += title_height;
        body_ += chart.element(fmt::format(" x=\"{}\" y=\"{}\" width=\"640\" height=\"{}\"",
                                           coordinate(margin), coordinate(height_),
                                           coordinate(chart.height())));
        height_ += chart.height();
    }

    [[nodiscard]] std::string text(const std::string& title) const {
        const double width = 640 + 2 * margin;
        return fmt::format(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" "
            "width=\"{0}\" height=\"{1}\" viewBox=\"0 0 {0} {1}\">\n<title>{2}</title>\n"
            "<style>{3}.paper{{fill:#fff}}\n@media(prefers-color-scheme:dark){{.paper{{"
            "fill:#14171a}}}}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n"
            "{4}</svg>\n",
            coordinate(width), coordinate(height_ + margin), xml(title), chart_style(), body_);
    }

private:
    double height_ = 0;
    std::string body_;
};

} // namespace

std::string svg_document(const run_view& run) {
    picture made;
    std::size_t number = 0;
    for (const auto& pass : run.passes) {
        for (const auto* group : pass.key_comparisons()) {
            if (const auto chart = forest_chart(pass, *group, fmt::format("f{}", number++))) {
                made.add(pass, metric_title(group->metric), *chart);
            }
        }
    }
    for (const auto& pass : run.passes) {
        if (run.is_side_pass(pass)) {
            continue;
        }
        if (const auto chart = percentile_chart(pass, run.seed(), fmt::format("p{}", number++))) {
            made.add(pass, pass.times_name() + " time by percentile", *chart);
        }
    }
    return made.text("sockeye bench, run " + short_name(run.text("id"), 20));
}

} // namespace sockeye::bench::exporting
