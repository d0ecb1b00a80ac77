#include "bench/progress.hpp"
#include "cli/text.hpp"
#include "support/bench_program.hpp"
#include "support/program.hpp"
#include "support/terminal.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <sstream>
#include <string>

using sockeye::bench::progress_bar;

namespace {

bool contains(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

bool is_ascii(const std::string& text) {
    return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

std::size_t columns_of(std::string_view text) {
    std::size_t count = 0;
    while (!text.empty()) {
        const auto character = sockeye::cli::utf8_at_front(text);
        REQUIRE(character.is_whole());
        text.remove_prefix(character.length);
        ++count;
    }
    return count;
}

/// A run of two rounds as somebody sees it whose locale is that: the second begins half way.
std::string seen_in(const std::string& locale) {
    const support::words command = {"env",
                                    "TERM=xterm",
                                    "LC_ALL=" + locale,
                                    support::program_path(),
                                    "bench",
                                    "--rounds",
                                    "2",
                                    "--warmup",
                                    "10ms",
                                    "-d",
                                    "100ms",
                                    "--no-save",
                                    "--no-control",
                                    "-b",
                                    "poll",
                                    "-c",
                                    "2"};
    const auto ended = support::terminal(command).wait();
    CHECK(ended.status == 0);
    return ended.output + ended.talk;
}

} // namespace

TEST_CASE("bench: a terminal of UTF-8 shows the sign for micro and a smooth bar") {
    const auto seen = seen_in("C.UTF-8");
    CAPTURE(seen);
    CHECK(contains(seen, " \xc2\xb5s"));
    CHECK_FALSE(contains(seen, "0 us"));
    CHECK(contains(seen, "["));
    CHECK_FALSE(contains(seen, "#"));
    CHECK(contains(seen, "\xe2\x96"));
    std::istringstream lines(seen.substr(seen.find("THROUGHPUT")));
    for (std::string line; std::getline(lines, line) && !line.empty();) {
        CHECK(columns_of(line) <= 80);
    }
}

TEST_CASE("bench: a terminal of another locale, and whatever is none, gets ASCII") {
    const auto seen = seen_in("C");
    CAPTURE(seen);
    CHECK(is_ascii(seen));
    CHECK(contains(seen, " us"));
    CHECK(contains(seen, "[-"));
    const auto piped = support::run_program(support::quick({"-b", "poll", "-c", "2"}),
                                            {.environment = {"LC_ALL=C.UTF-8"},
                                             .input = {},
                                             .has_endless_input = false,
                                             .before_exec = {}});
    CHECK(is_ascii(piped.output + piped.talk));
    CHECK(contains(piped.output, " us"));
}

TEST_CASE("bench: a bar of progress is as wide as it is told, whatever it is made of") {
    CHECK(progress_bar(0, 4, false) == "----");
    CHECK(progress_bar(0.5, 4, false) == "##--");
    CHECK(progress_bar(1, 4, false) == "####");
    CHECK(progress_bar(2, 4, false) == "####");
    CHECK(progress_bar(0, 4, true) == "    ");
    CHECK(progress_bar(0.5, 2, true) == "\xe2\x96\x88 ");
    CHECK(progress_bar(1.0 / 16, 2, true) == "\xe2\x96\x8f ");
    CHECK(progress_bar(7.0 / 16, 2, true) == "\xe2\x96\x89 ");
    CHECK(progress_bar(1, 2, true) == "\xe2\x96\x88\xe2\x96\x88");
    for (int i = -10; i <= 110; ++i) {
        CHECK(columns_of(progress_bar(i / 100.0, 24, true)) == 24);
        CHECK(columns_of(progress_bar(i / 100.0, 24, false)) == 24);
    }
}

TEST_CASE("bench: the names of locales tell whether they are of UTF-8") {
    using sockeye::cli::names_utf8;
    for (const char* name : {"C.UTF-8", "C.utf8", "de_DE.UTF-8", "ca_ES.UTF-8@valencia"}) {
        CAPTURE(name);
        CHECK(names_utf8(name));
    }
    for (const char* name : {"", "C", "POSIX", "de_DE", "de_DE.ISO-8859-1",
                             "de_DE.ISO-8859-15@euro", "x.UTF", "x.UTF-16", "x.UTF-88", "UTF-8"}) {
        CAPTURE(name);
        CHECK_FALSE(names_utf8(name));
    }
}

TEST_CASE("bench: only units of times get the sign for micro") {
    using sockeye::cli::with_micro;
    CHECK(with_micro("12 us") == "12 \xc2\xb5s");
    CHECK(with_micro("p50, us") == "p50, \xc2\xb5s");
    CHECK(with_micro("[1.5 us, 2 us]") == "[1.5 \xc2\xb5s, 2 \xc2\xb5s]");
    for (const char* text : {"", "us", " us", "it stopped us 3 times", "3 users", "3 us2"}) {
        CHECK(with_micro(text) == text);
    }
}
