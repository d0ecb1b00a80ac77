#include "cli/line_reader.hpp"

#include <fmt/format.h>

namespace sockeye::cli {

void line_reader::feed(std::string_view piece, handler on_line) {
    while (!piece.empty()) {
        const auto newline = piece.find('\n');
        const bool is_whole = newline != std::string_view::npos;
        const auto part = piece.substr(0, is_whole ? newline + 1 : piece.size());
        piece.remove_prefix(part.size());
        if (is_skipping_) {
            is_skipping_ = !is_whole;
        } else if (is_whole && begun_.empty()) {
            tell(split(part), on_line);
        } else {
            begun_ += part;
            take_begun(is_whole, on_line);
        }
    }
}

void line_reader::take_begun(bool is_whole, handler& on_line) {
    // What looks like a part of the text may be the first half of CR LF.
    const std::size_t unsure = !is_whole && begun_.ends_with('\r') ? 1 : 0;
    const auto seen = split(begun_);
    if (is_whole || seen.text.size() - unsure > line_max_) {
        tell(seen, on_line);
        begun_.clear();
        is_skipping_ = !is_whole;
    }
}

void line_reader::tell(const line& one, handler& on_line) const {
    if (one.text.size() > line_max_) {
        on_line({.text = {}, .ending = {}, .is_too_long = true});
    } else {
        on_line(one);
    }
}

void line_reader::finish(handler on_line) {
    if (!begun_.empty()) {
        tell({.text = begun_, .ending = {}}, on_line);
        begun_.clear();
    }
}

std::string line_reader::complaint() const {
    return fmt::format("error: a line may have at most {} bytes\n", line_max_);
}

line_reader::line line_reader::split(std::string_view text) noexcept {
    const std::size_t ending = text.ends_with("\r\n") ? 2 : (text.ends_with('\n') ? 1 : 0);
    return {.text = text.substr(0, text.size() - ending),
            .ending = text.substr(text.size() - ending)};
}

} // namespace sockeye::cli
