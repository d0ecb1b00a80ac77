#include "cli/text.hpp"
#include "cli/values.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

using namespace sockeye::cli;
using namespace std::chrono_literals;
using sockeye::duration;

namespace {

constexpr std::uint64_t kibi = 1024;
constexpr std::uint64_t u64_max = std::numeric_limits<std::uint64_t>::max();

template <typename T>
struct accepted {
    std::string_view text;
    T value;
};

struct refused {
    std::string_view text;
    std::string_view message;
};

const std::string size_units = "use B k K KiB kB M MiB MB G GiB GB, for example 64KiB";
const std::string time_units = "use ns us ms s m h, for example 500ms or 1m30s";

} // namespace

TEST_CASE("values: sizes are read to the byte") {
    const accepted<std::uint64_t> table[] = {
        {"0", 0},
        {"1", 1},
        {"64", 64},
        {"64B", 64},
        {"007", 7},
        {"1k", kibi},
        {"1K", kibi},
        {"1KiB", kibi},
        {"1kB", 1000},
        {"1M", kibi * kibi},
        {"1MiB", kibi * kibi},
        {"1MB", 1'000'000},
        {"1G", kibi * kibi * kibi},
        {"1GiB", kibi * kibi * kibi},
        {"1GB", 1'000'000'000},
        {"1.5KiB", 1536},
        {"0.5k", 512},
        {"1.25M", 1'310'720},
        {"0.0009765625KiB", 1},
        {"1.000000000000000000000000KiB", kibi},
        {"2.0B", 2},
        {"18446744073709551615", u64_max},
        {"17179869183GiB", 17179869183 * kibi * kibi * kibi},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto read = parse_size(row.text);
        REQUIRE(read);
        CHECK(*read == row.value);
    }
}

TEST_CASE("values: what is no size says why and how to mend it") {
    const std::string not_a_size = "not a size; use for example 64KiB";
    const std::string whole = "must be a whole number of bytes";
    const std::string at_most = "must be at most 18446744073709551615B";
    const refused table[] = {
        {"", "the size is missing; use for example 64KiB"},
        {"-5", "must be at least 1B"},
        {"-5KiB", "must be at least 1B"},
        {"-0", "must be at least 1B"},
        {"0", "must be at least 1B"},
        {"-", not_a_size},
        {"+5", not_a_size},
        {" 5", not_a_size},
        {".5", not_a_size},
        {"5.", not_a_size},
        {"1.k", not_a_size},
        {"inf", not_a_size},
        {"nan", not_a_size},
        {"KiB", not_a_size},
        {"\xd9\xa3", not_a_size},
        {"0.5B", whole},
        {"0.5", whole},
        {"1.3KiB", whole},
        {"0.0000000000000000001G", whole},
        {"18446744073709551616", at_most},
        {"17179869184GiB", at_most},
        {"99999999999999999999999999", at_most},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        const auto read = parse_size(row.text, {.least = 1});
        REQUIRE_FALSE(read);
        CHECK(read.message() == row.message);
    }
}

TEST_CASE("values: an unknown unit is quoted, escaped and short") {
    for (const auto* text : {"1x", "1b", "1kib", "1KB", "1T", "1 ", "1 k", "1e9", "1_000", "1,5",
                             "1k ", "1kk", "1k1", "0x10", "1\n", "1\x1b[31m", "1\xc2\xb5"}) {
        CAPTURE(text);
        const auto read = parse_size(text);
        REQUIRE_FALSE(read);
        CHECK(read.message() == "unknown unit '" + escape(text + 1) + "'; " + size_units);
    }
    const auto read = parse_size("1" + std::string(1'000'000, 'x'));
    REQUIRE_FALSE(read);
    CHECK(read.message().size() < 120);
    using namespace std::string_view_literals;
    CHECK(parse_size("1\0"sv).message().starts_with("unknown unit '\\x00'"));
}

TEST_CASE("values: limits are both included and named as one would type them") {
    const range<std::uint64_t> limits = {.least = kibi, .most = 64 * kibi};
    CHECK(*parse_size("1KiB", limits) == kibi);
    CHECK(*parse_size("64KiB", limits) == 64 * kibi);
    CHECK(parse_size("1023", limits).message() == "must be at least 1KiB");
    CHECK(parse_size("65537", limits).message() == "must be at most 64KiB");
    CHECK(parse_size("-1", limits).message() == "must be at least 1KiB");
    CHECK(parse_size("99999999999999999999", limits).message() == "must be at most 64KiB");
    CHECK(parse_size("4", {.least = 5, .most = 1500}).message() == "must be at least 5B");
    CHECK(parse_size("1501", {.least = 5, .most = 1500}).message() == "must be at most 1500B");
}

TEST_CASE("values: counts") {
    const accepted<std::uint64_t> good[] = {
        {"0", 0},           {"64", 64},       {"50k", 50'000},
        {"1.5M", 1500'000}, {"1.234k", 1234}, {"18446744073709551615", u64_max},
        {"0.001k", 1},      {"2.000", 2},
    };
    for (const auto& row : good) {
        CAPTURE(row.text);
        const auto read = parse_count(row.text);
        REQUIRE(read);
        CHECK(*read == row.value);
    }
    const refused bad[] = {
        {"", "the number is missing; use for example 50k"},
        {"-1", "must be at least 0"},
        {"1.5", "must be a whole number"},
        {"1.2345k", "must be a whole number"},
        {"inf", "not a number; use for example 50k"},
        {"ten", "not a number; use for example 50k"},
        {"64K", "unknown unit 'K'; use k M, for example 50k"},
        {"5/s", "unknown unit '/s'; use k M, for example 50k"},
        {"18446744073709551616", "must be at most 18446744073709551615"},
        {"18446744073709551615k", "must be at most 18446744073709551615"},
    };
    for (const auto& row : bad) {
        CAPTURE(row.text);
        const auto read = parse_count(row.text);
        REQUIRE_FALSE(read);
        CHECK(read.message() == row.message);
    }
    CHECK(parse_count("0", {.least = 1}).message() == "must be at least 1");
    CHECK(parse_count("11", {.least = 1, .most = 10}).message() == "must be at most 10");
}

TEST_CASE("values: rates of messages and of bits") {
    constexpr auto bits = rate::kind::bits_per_second;
    const accepted<rate> good[] = {
        {"1", {1}},
        {"50k", {50'000}},
        {"50k/s", {50'000}},
        {"50/s", {50}},
        {"0.5", {0.5}},
        {"1.5M/s", {1'500'000}},
        {"8bit/s", {8, bits}},
        {"64kbit/s", {64'000, bits}},
        {"100Mbit/s", {100'000'000, bits}},
        {"2.5Gbit/s", {2'500'000'000, bits}},
    };
    for (const auto& row : good) {
        CAPTURE(row.text);
        const auto read = parse_rate(row.text);
        REQUIRE(read);
        CHECK(*read == row.value);
    }
    const std::string units = "; use k M, or bit/s kbit/s Mbit/s Gbit/s, for example 50k/s or "
                              "100Mbit/s";
    const std::vector<std::pair<std::string, std::string>> bad = {
        {"", "the rate is missing; use for example 50k/s or 100Mbit/s"},
        {"0", "must be above 0"},
        {"0.0k/s", "must be above 0"},
        {"-1", "must be above 0"},
        {"inf", "not a rate; use for example 50k/s or 100Mbit/s"},
        {"/s", "not a rate; use for example 50k/s or 100Mbit/s"},
        {"99999999999999999999", "must be at most 18446744073709551615"},
        {"5/m", "unknown unit '/m'" + units},
        {"1/s/s", "unknown unit '/s/s'" + units},
        {"100Mbit", "unknown unit 'Mbit'" + units},
        {"1e9/s", "unknown unit 'e9/s'" + units},
        {"5 /s", "unknown unit ' /s'" + units},
    };
    for (const auto& row : bad) {
        CAPTURE(row.first);
        const auto read = parse_rate(row.first);
        REQUIRE_FALSE(read);
        CHECK(read.message() == row.second);
    }
}

TEST_CASE("values: times, alone and joined") {
    const accepted<duration> good[] = {
        {"0", 0s},
        {"0s", 0s},
        {"1", 1s},
        {"1.5", 1500ms},
        {"1ns", 1ns},
        {"1us", 1us},
        {"500ms", 500ms},
        {"1s", 1s},
        {"1m", 60s},
        {"1h", 3600s},
        {"1.5us", 1500ns},
        {"0.25h", 15min},
        {"1m30s", 90s},
        {"1h2m3s4ms5us6ns", 1h + 2min + 3s + 4ms + 5us + 6ns},
        {"1h1ns", 1h + 1ns},
        {"90s", 90s},
        {"0m5s", 5s},
        {"1m90s", 150s},
        {"9223372036s", 9223372036s},
        {"9223372036854775807ns", duration::max()},
    };
    for (const auto& row : good) {
        CAPTURE(row.text);
        const auto read = parse_time(row.text);
        REQUIRE(read);
        CHECK((*read).count() == row.value.count());
    }
}

TEST_CASE("values: what is no time says why and how to mend it") {
    const std::string not_a_time = "not a time; use for example 500ms or 1m30s";
    const std::string order = "units must go from large to small, each once, for example 1m30s";
    const std::string at_most = "must be at most 2562047h";
    const std::vector<std::pair<std::string, std::string>> bad = {
        {"", "the time is missing; use for example 500ms or 1m30s"},
        {"10x", "unknown unit 'x'; " + time_units},
        {"10S", "unknown unit 'S'; " + time_units},
        {"1d", "unknown unit 'd'; " + time_units},
        {"1\xc2\xb5s", "unknown unit '\\xc2\\xb5s'; " + time_units},
        {"1s ", "unknown unit 's '; " + time_units},
        {"1 s", "unknown unit ' s'; " + time_units},
        {"1e999", "unknown unit 'e'; " + time_units},
        {"1m30", "the last unit is missing; use for example 1m30s"},
        {"1m1m", order},
        {"30s1m", order},
        {"1s1s", order},
        {"-5", "must be at least 0s"},
        {"-5ms", "must be at least 0s"},
        {"1m-5s", not_a_time},
        {"1m+5s", not_a_time},
        {"+1s", not_a_time},
        {"s", not_a_time},
        {"inf", not_a_time},
        {"nan", not_a_time},
        {".5s", not_a_time},
        {"1.s", not_a_time},
        {"1.2.3s", not_a_time},
        {"0.5ns", "must be a whole number of nanoseconds"},
        {"0.0001us", "must be a whole number of nanoseconds"},
        {"9223372036854775808ns", at_most},
        {"2562048h", at_most},
        {"99999999999999999999s", at_most},
        {"18446744073709551615ns", at_most},
        {"5124095h1m", at_most},
        {"5124095h9999999999999m", at_most},
    };
    for (const auto& row : bad) {
        CAPTURE(row.first);
        const auto read = parse_time(row.first);
        REQUIRE_FALSE(read);
        CHECK(read.message() == row.second);
    }
    CHECK(parse_time("5ms", {.least = 10ms}).message() == "must be at least 10ms");
    CHECK(parse_time("2m", {.least = 0s, .most = 90s}).message() == "must be at most 90s");
    CHECK(parse_time("2h", {.least = 0s, .most = 1h}).message() == "must be at most 1h");
}

TEST_CASE("values: sizes for people") {
    const accepted<std::string_view> table[] = {
        {"0", "0 B"},        {"1023", "1023 B"},     {"1024", "1 KiB"},
        {"64KiB", "64 KiB"}, {"1025", "1.0 KiB"},    {"10100", "9.9 KiB"},
        {"10240", "10 KiB"}, {"1992294", "1.9 MiB"}, {"1048575", "1.0 MiB"},
        {"5GiB", "5 GiB"},   {"1024GiB", "1 TiB"},   {"18446744073709551615", "16 EiB"},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        CHECK(format_size(*parse_size(row.text)) == row.value);
    }
}

TEST_CASE("values: times for people") {
    const accepted<std::string_view> table[] = {
        {"0", "0 s"},        {"1ns", "1 ns"},        {"850ns", "850 ns"},  {"1500ns", "1.5 us"},
        {"212us", "212 us"}, {"999600ns", "1.0 ms"}, {"1900us", "1.9 ms"}, {"25ms", "25 ms"},
        {"4200ms", "4.2 s"}, {"10s", "10 s"},        {"59400ms", "59 s"},  {"59600ms", "1m00s"},
        {"134s", "2m14s"},   {"188s", "3m08s"},      {"3599s", "59m59s"},  {"3599600ms", "1h00m"},
        {"3720s", "1h02m"},  {"100h", "100h00m"},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        CHECK(format_time(*parse_time(row.text)) == row.value);
    }
}

TEST_CASE("values: counts and rates for people") {
    CHECK(format_count(0) == "0");
    CHECK(format_count(64) == "64");
    CHECK(format_count(999.4) == "999");
    CHECK(format_count(999.6) == "1 k");
    CHECK(format_count(1500) == "1.5 k");
    CHECK(format_count(177204) == "177 k");
    CHECK(format_count(1.53e6) == "1.53 M");
    CHECK(format_count(2e18) == "2000 P");
    CHECK(format_rate({177204}) == "177 k/s");
    CHECK(format_rate({12}) == "12/s");
    CHECK(format_rate({1e8, rate::kind::bits_per_second}) == "100 Mbit/s");
    CHECK(format_rate({8, rate::kind::bits_per_second}) == "8 bit/s");
}

TEST_CASE("text: every byte is escaped into one line of printable ASCII") {
    std::string all;
    for (int byte = 0; byte < 256; ++byte) {
        all += static_cast<char>(byte);
    }
    const auto line = escape(all, 10'000);
    for (const char c : line) {
        CHECK(c >= ' ');
        CHECK(c <= '~');
    }
    CHECK(line.starts_with("\\x00\\x01"));
    CHECK(line.find("\\x5c") != std::string::npos);
    CHECK(escape("plain text") == "plain text");
    CHECK(escape("a\nb\x1b[31m\x9b") == "a\\x0ab\\x1b[31m\\x9b");
}

TEST_CASE("text: what is too long is cut between characters and says so") {
    CHECK(escape("12345", 5) == "12345");
    CHECK(escape("123456", 5) == "12...");
    CHECK(escape("\x01\x02", 8) == "\\x01\\x02");
    CHECK(escape("\x01\x02", 7) == "\\x01...");
    CHECK(escape("\x01\x02", 6) == "...");
    CHECK(escape(std::string(1 << 20, '\xff'), 256).size() <= 256);
}

TEST_CASE("text: the nearest word is one that was probably meant") {
    const std::string_view names[] = {"bench", "serve", "backends", "help"};
    for (const auto* text : {"bnech", "benhc", "bech", "bencg", "be", "ben"}) {
        CAPTURE(text);
        CHECK(nearest(text, names) == "bench");
    }
    CHECK(nearest("backend", names) == "backends");
    CHECK(nearest("srve", names) == "serve");
    for (const auto* text : {"", "b", "xyz", "compare", "serverless", "doctor"}) {
        CAPTURE(text);
        CHECK(nearest(text, names).empty());
    }
    CHECK(nearest(std::string(1 << 20, 'b'), names).empty());
    CHECK(nearest("bench", {}).empty());
    CHECK(did_you_mean("bnech", names) == "; did you mean 'bench'?");
    CHECK(did_you_mean("zzz", names).empty());
}

TEST_CASE("text: a list is joined as in a sentence") {
    const std::vector<std::string> parts = {"a", "b", "c"};
    CHECK(join_and(std::span(parts).first(0)).empty());
    CHECK(join_and(std::span(parts).first(1)) == "a");
    CHECK(join_and(std::span(parts).first(2)) == "a and b");
    CHECK(join_and(parts) == "a, b and c");
}
