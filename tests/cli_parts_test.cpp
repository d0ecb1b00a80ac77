#include "cli/line_reader.hpp"
#include "cli/text.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using sockeye::cli::is_utf8;
using sockeye::cli::line_reader;
using namespace std::string_view_literals;

namespace {

/// What a reader makes of `text` that comes in pieces of that size: `[text|ending]` for each line.
std::string read_lines(std::string_view text, std::size_t piece, std::size_t line_max) {
    line_reader reader(line_max);
    std::string seen;
    const auto note = [&](const line_reader::line& one) {
        seen += one.is_too_long ? "[too long]" : "[" + std::string(one.text) + "|";
        seen += one.is_too_long ? "" : std::string(one.ending) + "]";
    };
    for (std::size_t at = 0; at < text.size(); at += piece) {
        reader.feed(text.substr(at, piece), note);
    }
    reader.finish(note);
    return seen;
}

} // namespace

TEST_CASE("line_reader: the lines are the same however the input is cut") {
    struct example {
        std::string_view text;
        std::string_view lines;
    };
    const example table[] = {
        {"", ""},
        {"\n", "[|\n]"},
        {"\r\n", "[|\r\n]"},
        {"\r", "[\r|]"},
        {"Ada", "[Ada|]"},
        {"Ada\n", "[Ada|\n]"},
        {"Ada\r\nBob\nEve", "[Ada|\r\n][Bob|\n][Eve|]"},
        {"\n\n\r\n\n", "[|\n][|\n][|\r\n][|\n]"},
        {"12345678\n", "[12345678|\n]"},
        {"12345678\r\n", "[12345678|\r\n]"},
        {"12345678", "[12345678|]"},
        {"123456789\nAda\n", "[too long][Ada|\n]"},
        {"123456789\r\nAda", "[too long][Ada|]"},
        {"1234567\r9\r\n", "[too long]"},
        {"123456789012345678901234567890\n\nx\n", "[too long][|\n][x|\n]"},
        {"1234567890", "[too long]"},
        {"12345678\r", "[too long]"},
        {"a\0b\xff\n"sv, "[a\0b\xff|\n]"sv},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        for (std::size_t piece = 1; piece <= 32; ++piece) {
            CAPTURE(piece);
            CHECK(read_lines(row.text, piece, 8) == row.lines);
        }
    }
}

TEST_CASE("text: well-formed UTF-8 is told from what is not") {
    for (const auto good : {""sv, "plain"sv,
                            "Gr\xc3\xbc\xc3\x9f"
                            "e"sv,
                            "\xe2\x82\xac"sv, "\xf0\x9f\x90\x9f"sv, "\xed\x9f\xbf"sv,
                            "\xee\x80\x80"sv, "\xf4\x8f\xbf\xbf"sv, "\0"sv}) {
        CAPTURE(good);
        CHECK(is_utf8(good));
    }
    for (const auto bad : {"\x80"sv, "\xc3"sv, "\xc3("sv, "\xc0\x80"sv, "\xc1\xbf"sv,
                           "\xe0\x80\x80"sv, "\xe2\x82"sv, "\xed\xa0\x80"sv, "\xf0\x80\x80\x80"sv,
                           "\xf4\x90\x80\x80"sv, "\xf8\x88\x80\x80\x80"sv, "\xff"sv, "ok\xfe"sv}) {
        CAPTURE(bad);
        CHECK_FALSE(is_utf8(bad));
    }
}
