#include "cli/terminal_text.hpp"

#include "cli/text.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

/// Whether a whole character may reach a terminal as it is.
bool is_harmless(std::string_view character) {
    const auto first = static_cast<std::uint8_t>(character[0]);
    if (character.size() == 1) {
        return first == '\n' || first == '\t' || (first >= ' ' && first < 0x7f);
    }
    const bool is_c1 = first == 0xc2 && static_cast<std::uint8_t>(character[1]) < 0xa0;
    // U+061C, U+200E and U+200F, U+202A to U+202E, U+2066 to U+2069.
    const bool is_turn = character == "\xd8\x9c" || character == "\xe2\x80\x8e" ||
                         character == "\xe2\x80\x8f" ||
                         (character >= "\xe2\x80\xaa" && character <= "\xe2\x80\xae") ||
                         (character >= "\xe2\x81\xa6" && character <= "\xe2\x81\xa9");
    return !is_c1 && !is_turn;
}

void append_escaped(std::string& target, std::string_view raw) {
    for (const char one : raw) {
        fmt::format_to(std::back_inserter(target), "\\x{:02x}", static_cast<std::uint8_t>(one));
    }
}

} // namespace

std::string_view terminal_text::add(std::string_view piece) {
    held_ += piece;
    take_all(false);
    return shown_;
}

std::string_view terminal_text::flush() {
    take_all(true);
    return shown_;
}

void terminal_text::take_all(bool is_last) {
    shown_.clear();
    std::string_view left = held_;
    while (!left.empty()) {
        const auto next = utf8_at_front(left);
        const bool may_end_line = left.front() == '\r' && (left.size() == 1 || left[1] == '\n');
        const bool is_open =
            (next.formed != 0 && next.formed < next.length) || (may_end_line && left.size() == 1);
        if (is_open && !is_last) {
            break;
        }
        const auto character = left.substr(0, next.formed == 0 ? 1 : next.formed);
        left.remove_prefix(character.size());
        if (may_end_line && !left.empty()) {
            continue;
        }
        if (next.is_whole() && is_harmless(character)) {
            shown_ += character;
        } else {
            append_escaped(shown_, character);
        }
    }
    held_.erase(0, held_.size() - left.size());
}

} // namespace sockeye::cli
