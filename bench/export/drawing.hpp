#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench::exporting {

struct point {
    double x = 0;
    double y = 0;
};

/// The data of an SVG path: absolute where a line begins, relative from there, in tenths.
class path_data {
public:
    void move(double x, double y);
    void line(double x, double y);
    /// A line through all of them, less those that lie within `tolerance` of it anyway.
    void line_through(const std::vector<point>& points, double tolerance);
    void close() { text_ += 'z'; }

    [[nodiscard]] bool is_empty() const { return text_.empty(); }
    [[nodiscard]] const std::string& text() const { return text_; }

private:
    void append(long tenths);

    std::string text_;
    long x_ = 0;
    long y_ = 0;
    bool is_first_step_ = false;
};

/// How a value becomes a place on an axis.
struct axis {
    double from = 0;  ///< the value at `begin`
    double to = 1;    ///< the value at `end`
    double begin = 0; ///< in units of the drawing
    double end = 1;
    bool is_log = false;

    /// Values beyond the ends are drawn there.
    [[nodiscard]] double place(double value) const;
    /// Values to mark: 1, 2 and 5 times powers of ten; about `count`.
    [[nodiscard]] std::vector<double> ticks(std::size_t count) const;
};

/// A chart as SVG; what it writes is escaped here.
class drawing {
public:
    /// `title` and `description` are read out in place of the chart; `id` is unique within the
    /// document, or empty where there is no description.
    drawing(double width, double height, std::string_view id, std::string_view title,
            std::string_view description);

    void line(double x1, double y1, double x2, double y2, std::string_view classes);
    /// Horizontal lines from x1 to x2.
    void rules(double x1, double x2, const std::vector<double>& heights, std::string_view classes);
    void rectangle(double x, double y, double width, double height, std::string_view classes,
                   std::string_view hover = {});
    void circle(double x, double y, double radius, std::string_view classes,
                std::string_view hover = {});
    /// Anchored by the class: `e` ends at x, `m` has its middle there.
    void text(double x, double y, std::string_view words, std::string_view classes = {});
    void path(const path_data& data, std::string_view classes, std::string_view hover = {});
    /// From lo to hi at the height y, with a short line across each end.
    void whisker(double lo, double hi, double y, std::string_view classes);
    /// What is drawn until end_group() has these classes as well.
    void begin_group(std::string_view classes);
    /// What is drawn until end_group() can be drawn again, in other charts of the document too.
    void begin_shared(std::string_view id);
    void end_group() { body_ += "</g>\n"; }
    /// Draws once more what another chart shares.
    void use(std::string_view id);

    [[nodiscard]] double height() const { return height_; }
    /// The element; `place` is put into its start tag, such as ` y="300"`.
    [[nodiscard]] std::string element(std::string_view place = {}) const;

private:
    void end_shape(std::string_view name, std::string_view hover);

    std::string id_;
    std::string head_;
    std::string body_;
    double width_;
    double height_;
};

/// The classes of a lane: `s` its colour, `d` its dashes, `f` its colour as text and area.
[[nodiscard]] std::string stroke_class(std::size_t style, bool is_control);
[[nodiscard]] std::string fill_class(std::size_t style, bool is_control);

/// How all charts look, in light and in dark.
[[nodiscard]] std::string_view chart_style();

/// Moves labels, sorted or not, so far apart that none overlaps, within the two ends.
[[nodiscard]] std::vector<double> spread_labels(const std::vector<double>& wanted, double gap,
                                                double least, double most);

/// One decimal at most.
[[nodiscard]] std::string coordinate(double value);

} // namespace sockeye::bench::exporting
