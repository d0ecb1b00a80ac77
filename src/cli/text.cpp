#include "cli/text.hpp"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <numeric>
#include <vector>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

/// How many letters have to be changed, added, left out or swapped with their neighbour to make
/// one word of the other (optimal string alignment).
std::size_t edit_distance(std::string_view left, std::string_view right) {
    std::vector<std::size_t> before(right.size() + 1);
    std::vector<std::size_t> above(right.size() + 1);
    std::vector<std::size_t> row(right.size() + 1);
    std::iota(above.begin(), above.end(), std::size_t{0});
    for (std::size_t i = 1; i <= left.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= right.size(); ++j) {
            const std::size_t changed = above[j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1);
            row[j] = std::min({changed, above[j] + 1, row[j - 1] + 1});
            const bool is_swap =
                i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1];
            if (is_swap) {
                row[j] = std::min(row[j], before[j - 2] + 1);
            }
        }
        std::swap(before, above);
        std::swap(above, row);
    }
    return above.back();
}

bool is_plain(char c) {
    return c >= ' ' && c <= '~' && c != '\\';
}

/// A third of the letters may be wrong; of a word that is merely unfinished, any number.
bool is_near(std::string_view text, std::string_view word) {
    const bool is_unfinished = text.size() >= 2 && word.starts_with(text);
    return is_unfinished || edit_distance(text, word) <= std::max<std::size_t>(1, word.size() / 3);
}

std::uint8_t byte_at(std::string_view text, std::size_t index) noexcept {
    return static_cast<std::uint8_t>(text[index]);
}

/// How many bytes the character has that begins with `first`; 0 where none does.
std::size_t utf8_length(std::uint8_t first) noexcept {
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || first > 0xf4) {
        return 0;
    }
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/// What the second byte may be: neither overlong forms nor surrogates nor beyond U+10FFFF.
bool may_follow(std::uint8_t first, std::uint8_t second) noexcept {
    const std::uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const std::uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most;
}

} // namespace

std::string escape(std::string_view text, std::size_t length_max) {
    constexpr std::string_view cut_mark = "...";
    std::string line;
    // As much of the line as leaves room for the mark, cut between two characters.
    std::size_t uncut = 0;
    for (const char c : text) {
        const auto piece = is_plain(c) ? std::string(1, c)
                                       : fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        if (line.size() + piece.size() > length_max) {
            line.resize(uncut);
            return line.append(cut_mark);
        }
        line += piece;
        if (line.size() + cut_mark.size() <= length_max) {
            uncut = line.size();
        }
    }
    return line;
}

utf8_character utf8_at_front(std::string_view text) noexcept {
    const auto length = utf8_length(byte_at(text, 0));
    for (std::size_t i = 1; i < length && i < text.size(); ++i) {
        const bool is_good = i == 1 ? may_follow(byte_at(text, 0), byte_at(text, 1))
                                    : (byte_at(text, i) & 0xc0) == 0x80;
        if (!is_good) {
            return {.length = length, .formed = 0};
        }
    }
    return {.length = length, .formed = std::min(length, text.size())};
}

bool is_utf8(std::string_view text) noexcept {
    while (!text.empty()) {
        const auto character = utf8_at_front(text);
        if (!character.is_whole()) {
            return false;
        }
        text.remove_prefix(character.length);
    }
    return true;
}

bool names_utf8(std::string_view locale) noexcept {
    const auto point = locale.find('.');
    if (point == std::string_view::npos) {
        return false;
    }
    const auto charset = locale.substr(point + 1, locale.find('@') - point - 1);
    std::string_view wanted = "utf8";
    for (const char c : charset) {
        if (c == '-') {
            continue;
        }
        const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
        if (wanted.empty() || lower != wanted.front()) {
            return false;
        }
        wanted.remove_prefix(1);
    }
    return wanted.empty();
}

std::string with_micro(std::string text) {
    constexpr std::string_view unit = " us";
    for (auto at = text.find(unit); at != std::string::npos; at = text.find(unit, at + 1)) {
        const auto before = at == 0 ? ' ' : text[at - 1];
        const auto behind = at + unit.size() < text.size() ? text[at + unit.size()] : ' ';
        const bool is_behind_number = std::isdigit(static_cast<unsigned char>(before)) != 0;
        const bool is_whole_word = std::isalnum(static_cast<unsigned char>(behind)) == 0;
        // Not the word: only behind a number, and in a title behind a comma.
        if ((is_behind_number || before == ',') && is_whole_word) {
            text.replace(at + 1, 1, "\xc2\xb5");
        }
    }
    return text;
}

std::string_view nearest(std::string_view text, std::span<const std::string_view> words) {
    std::string_view best;
    std::size_t best_distance = 0;
    if (text.size() < 2 || text.size() > 40) {
        return best;
    }
    for (const auto word : words) {
        const std::size_t distance = edit_distance(text, word);
        if (is_near(text, word) && (best.empty() || distance < best_distance)) {
            best = word;
            best_distance = distance;
        }
    }
    return best;
}

std::string did_you_mean(std::string_view text, std::span<const std::string_view> words) {
    const auto word = nearest(text, words);
    return word.empty() ? std::string() : fmt::format("; did you mean '{}'?", word);
}

std::string counted(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

std::string wrapped(std::string_view text, std::size_t indent) {
    constexpr std::size_t line_width = 80;
    std::string page;
    std::size_t column = indent;
    bool is_first = true;
    while (!text.empty()) {
        // A word that is longer than a line goes on in the next one.
        const auto word = text.substr(0, std::min(text.find_first_of(" \n"), line_width - indent));
        const char next = word.size() < text.size() ? text[word.size()] : ' ';
        const bool ends_line = next != ' ';
        if (!is_first && column + 1 + word.size() > line_width) {
            page += "\n" + std::string(indent, ' ');
            column = indent;
            is_first = true;
        }
        page += (is_first ? "" : " ") + std::string(word);
        column += word.size() + (is_first ? 0 : 1);
        is_first = false;
        const std::size_t taken = word.size() + (next == ' ' || next == '\n' ? 1 : 0);
        text.remove_prefix(std::min(taken, text.size()));
        if (ends_line) {
            page += "\n" + std::string(indent, ' ');
            column = indent;
            is_first = true;
        }
    }
    return page + "\n";
}

std::string join_and(std::span<const std::string> parts) {
    std::string joined;
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const bool is_last = i + 1 == parts.size();
        joined += i == 0 ? "" : (is_last ? " and " : ", ");
        joined += parts[i];
    }
    return joined;
}

} // namespace sockeye::cli
