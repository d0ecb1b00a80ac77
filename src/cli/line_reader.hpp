#pragma once

#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// Cuts what comes in pieces into lines, however the pieces are cut.
///
/// Of a line that is too long nothing is kept but that it was: memory is bounded.
class line_reader {
public:
    struct line {
        std::string_view text;    ///< without its ending
        std::string_view ending;  ///< CR LF, LF, or nothing where the input ended first
        bool is_too_long = false; ///< both are left out then
    };
    using handler = unique_function<void(const line&)>;

    explicit line_reader(std::size_t line_max) : line_max_(line_max) {}

    /// Calls `on_line` for each line that ends in `piece`, and for each that grew too long in it.
    void feed(std::string_view piece, handler on_line);
    /// The input is over: calls `on_line` where a line has begun that has no ending.
    void finish(handler on_line);

    /// What the peer is told of a line that is too long, as a line.
    [[nodiscard]] std::string complaint() const;

    /// A text as one line, its one ending apart.
    static line split(std::string_view text) noexcept;

private:
    void take_begun(bool is_whole, handler& on_line);
    void tell(const line& one, handler& on_line) const;

    std::size_t line_max_;
    std::string begun_;
    bool is_skipping_ = false; ///< up to the end of a line that was too long
};

} // namespace sockeye::cli
