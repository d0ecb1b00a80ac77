#include "cli/terminal_text.hpp"

#include <cstddef>
#include <cstdint>
#include <iterator>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

std::uint8_t byte_at(std::string_view text, std::size_t index) {
    return static_cast<std::uint8_t>(text[index]);
}

/// How many bytes the character has that begins with `first`; 0 where none does.
std::size_t length_of(std::uint8_t first) {
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/// What the second byte may be: neither overlong forms nor surrogates nor beyond U+10FFFF.
bool may_follow(std::uint8_t first, std::uint8_t second) {
    const std::uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most;
}

/// How many bytes at the front of `text` are well-formed so far: all of the character, or all of
/// `text`; 0 where they cannot become a character.
std::size_t formed(std::string_view text) {
    const std::size_t length = length_of(byte_at(text, 0));
    for (std::size_t i = 1; i < length && i < text.size(); ++i) {
        const bool is_good = i == 1 ? may_follow(byte_at(text, 0), byte_at(text, 1))
                                    : (byte_at(text, i) & 0xc0) == 0x80;
        if (!is_good) {
            return 0;
        }
    }
    return std::min(length, text.size());
}

/// Whether a whole character may reach a terminal as it is.
bool is_harmless(std::string_view character) {
    const auto first = byte_at(character, 0);
    if (character.size() == 1) {
        return first == '\n' || first == '\t' || (first >= ' ' && first < 0x7f);
    }
    const bool is_c1 = first == 0xc2 && byte_at(character, 1) < 0xa0;
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
        const std::size_t length = length_of(byte_at(left, 0));
        const std::size_t good = formed(left);
        const bool may_end_line = left.front() == '\r' && (left.size() == 1 || left[1] == '\n');
        const bool is_open = (good != 0 && good < length) || (may_end_line && left.size() == 1);
        if (is_open && !is_last) {
            break;
        }
        const auto character = left.substr(0, good == 0 ? 1 : good);
        left.remove_prefix(character.size());
        if (may_end_line && !left.empty()) {
            continue;
        }
        if (good == length && length != 0 && is_harmless(character)) {
            shown_ += character;
        } else {
            append_escaped(shown_, character);
        }
    }
    held_.erase(0, held_.size() - left.size());
}

} // namespace sockeye::cli
