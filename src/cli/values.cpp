#include "cli/values.hpp"

#include "cli/text.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <optional>
#include <span>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

constexpr std::uint64_t kibi = 1024;
constexpr std::uint64_t kilo = 1000;
constexpr std::uint64_t value_max = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t second_ns = 1'000'000'000;

struct unit {
    std::string_view name;
    std::uint64_t factor;
};

/// One kind of value: its units, the largest first where several may be joined.
struct dialect {
    std::string_view noun;
    std::string_view example;
    std::string_view unit_list;
    std::string_view too_fine;
    std::span<const unit> units;
};

constexpr unit size_units[] = {
    {"", 1},
    {"B", 1},
    {"k", kibi},
    {"K", kibi},
    {"KiB", kibi},
    {"kB", kilo},
    {"M", kibi* kibi},
    {"MiB", kibi* kibi},
    {"MB", kilo* kilo},
    {"G", kibi* kibi* kibi},
    {"GiB", kibi* kibi* kibi},
    {"GB", kilo* kilo* kilo},
};
constexpr unit count_units[] = {{"", 1}, {"k", kilo}, {"M", kilo* kilo}};
constexpr unit time_units[] = {
    {"h", 3600 * second_ns}, {"m", 60 * second_ns}, {"s", second_ns},
    {"ms", 1'000'000},       {"us", 1'000},         {"ns", 1},
};
constexpr unit rate_units[] = {{"", 1}, {"k", kilo}, {"M", kilo* kilo}};
constexpr unit bit_units[] = {
    {"bit", 1}, {"kbit", kilo}, {"Mbit", kilo* kilo}, {"Gbit", kilo* kilo* kilo}};

constexpr dialect size_dialect = {"size", "64KiB", "B k K KiB kB M MiB MB G GiB GB",
                                  "must be a whole number of bytes", size_units};
constexpr dialect count_dialect = {"number", "50k", "k M", "must be a whole number", count_units};
constexpr dialect time_dialect = {"time", "500ms or 1m30s", "ns us ms s m h",
                                  "must be a whole number of nanoseconds", time_units};
constexpr dialect rate_dialect = {"rate", "50k/s or 100Mbit/s",
                                  "k M, or bit/s kbit/s Mbit/s Gbit/s",
                                  "has more than 18 digits behind the point", rate_units};

/// A decimal number as it was written: whole + fraction / denominator.
struct number {
    std::uint64_t whole = 0;
    std::uint64_t fraction = 0;
    std::uint64_t denominator = 1;
};

enum class flaw : std::uint8_t { not_a_number, too_large, too_fine };

constexpr bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// Reads the digits at the front of `text` and takes them away; false on overflow.
bool take_digits(std::string_view& text, std::uint64_t& target) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), target);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return error == std::errc();
}

/// Reads `12` or `12.5` at the front of `text` and takes it away.
std::variant<number, flaw> take_number(std::string_view& text) {
    number found;
    if (text.empty() || !is_digit(text.front())) {
        return flaw::not_a_number;
    }
    if (!take_digits(text, found.whole)) {
        return flaw::too_large;
    }
    if (text.empty() || text.front() != '.') {
        return found;
    }
    text.remove_prefix(1);
    const auto length = std::min(text.find_first_not_of("0123456789"), text.size());
    if (length == 0) {
        return flaw::not_a_number;
    }
    auto digits = text.substr(0, length);
    text.remove_prefix(length);
    digits = digits.substr(0, digits.find_last_not_of('0') + 1);
    if (digits.size() > 18) {
        return flaw::too_fine;
    }
    for (const char digit : digits) {
        found.fraction = found.fraction * 10 + static_cast<std::uint64_t>(digit - '0');
        found.denominator *= 10;
    }
    return found;
}

/// The number in units of `factor`, exactly.
std::variant<std::uint64_t, flaw> scale(const number& value, std::uint64_t factor) {
    const std::uint64_t common = std::gcd(value.fraction, value.denominator);
    const std::uint64_t denominator = value.denominator / common;
    if (factor % denominator != 0) {
        return flaw::too_fine;
    }
    const std::uint64_t part = value.fraction / common * (factor / denominator);
    if (value.whole > (value_max - part) / factor) {
        return flaw::too_large;
    }
    return value.whole * factor + part;
}

std::string describe(flaw what, const dialect& words, std::string_view most) {
    switch (what) {
    case flaw::too_large:
        return fmt::format("must be at most {}", most);
    case flaw::too_fine:
        return std::string(words.too_fine);
    case flaw::not_a_number:
        break;
    }
    return fmt::format("not a {}; use for example {}", words.noun, words.example);
}

std::string unknown_unit(std::string_view name, const dialect& words) {
    return fmt::format("unknown unit '{}'; use {}, for example {}", escape(name, 20),
                       words.unit_list, words.example);
}

const unit* find_unit(std::span<const unit> units, std::string_view name) {
    for (const auto& entry : units) {
        if (entry.name == name) {
            return &entry;
        }
    }
    return nullptr;
}

using amount = parsed<std::uint64_t>;

constexpr bool is_negative(std::string_view text) {
    return text.size() > 1 && text[0] == '-' && is_digit(text[1]);
}

std::string missing(const dialect& words) {
    return fmt::format("the {} is missing; use for example {}", words.noun, words.example);
}

/// Bounds as they are written in messages.
struct bounds {
    range<std::uint64_t> limits;
    std::string least;
    std::string most;
};

amount check_limits(std::uint64_t value, const bounds& allowed) {
    if (value < allowed.limits.least) {
        return amount::wrong(fmt::format("must be at least {}", allowed.least));
    }
    if (value > allowed.limits.most) {
        return amount::wrong(fmt::format("must be at most {}", allowed.most));
    }
    return value;
}

/// What every kind of value refuses before it looks closer: nothing, and numbers below zero.
std::optional<std::string> refuse_early(std::string_view text, const dialect& words,
                                        const bounds& allowed) {
    if (text.empty()) {
        return missing(words);
    }
    if (is_negative(text)) {
        return fmt::format("must be at least {}", allowed.least);
    }
    return std::nullopt;
}

/// One number and one unit, and nothing else.
amount parse_single(std::string_view text, const dialect& words, const bounds& allowed) {
    if (auto refused = refuse_early(text, words, allowed)) {
        return amount::wrong(std::move(*refused));
    }
    const auto taken = take_number(text);
    if (const auto* what = std::get_if<flaw>(&taken)) {
        return amount::wrong(describe(*what, words, allowed.most));
    }
    const unit* found = find_unit(words.units, text);
    if (found == nullptr) {
        return amount::wrong(unknown_unit(text, words));
    }
    const auto scaled = scale(std::get<number>(taken), found->factor);
    if (const auto* what = std::get_if<flaw>(&scaled)) {
        return amount::wrong(describe(*what, words, allowed.most));
    }
    return check_limits(std::get<std::uint64_t>(scaled), allowed);
}

/// A part of a joined time, such as `1m`: takes it away and adds it to `total_ns`. Units must
/// become smaller; `last_factor` remembers the one before. Gives what is wrong, or nothing.
std::optional<std::string> take_time_part(std::string_view& text, std::uint64_t& last_factor,
                                          std::uint64_t& total_ns, std::string_view most) {
    const auto taken = take_number(text);
    if (const auto* what = std::get_if<flaw>(&taken)) {
        return describe(*what, time_dialect, most);
    }
    const auto length = std::min(text.find_first_of("0123456789.-+"), text.size());
    const auto name = text.substr(0, length);
    text.remove_prefix(length);
    const bool is_bare = name.empty() && text.empty() && last_factor == value_max;
    const unit* found = find_unit(time_units, is_bare ? "s" : name);
    if (found == nullptr && name.empty()) {
        return text.empty() ? "the last unit is missing; use for example 1m30s"
                            : describe(flaw::not_a_number, time_dialect, most);
    }
    if (found == nullptr) {
        return unknown_unit(name, time_dialect);
    }
    if (found->factor >= last_factor) {
        return "units must go from large to small, each once, for example 1m30s";
    }
    last_factor = found->factor;
    const auto scaled = scale(std::get<number>(taken), found->factor);
    if (const auto* what = std::get_if<flaw>(&scaled)) {
        return describe(*what, time_dialect, most);
    }
    if (std::get<std::uint64_t>(scaled) > value_max - total_ns) {
        return describe(flaw::too_large, time_dialect, most);
    }
    total_ns += std::get<std::uint64_t>(scaled);
    return std::nullopt;
}

amount parse_joined_time(std::string_view text, const bounds& allowed) {
    if (auto refused = refuse_early(text, time_dialect, allowed)) {
        return amount::wrong(std::move(*refused));
    }
    std::uint64_t total_ns = 0;
    std::uint64_t last_factor = value_max;
    do {
        if (auto wrong = take_time_part(text, last_factor, total_ns, allowed.most)) {
            return amount::wrong(std::move(*wrong));
        }
    } while (!text.empty());
    return check_limits(total_ns, allowed);
}

/// The value in the largest unit that shows it exactly, as one would type it: `64KiB`, `500ms`.
std::string exact(std::uint64_t value, std::initializer_list<unit> units) {
    for (const auto& entry : units) {
        if (value != 0 && value % entry.factor == 0) {
            return fmt::format("{}{}", value / entry.factor, entry.name);
        }
    }
    return fmt::format("{}{}", value, units.end()[-1].name);
}

std::string exact_size(std::uint64_t bytes) {
    return exact(bytes,
                 {{"GiB", kibi * kibi * kibi}, {"MiB", kibi * kibi}, {"KiB", kibi}, {"B", 1}});
}

std::string exact_time(std::uint64_t ns) {
    if (ns == static_cast<std::uint64_t>(duration::max().count())) {
        return "2562047h"; // The most that 63 bits of nanoseconds hold, in whole hours.
    }
    return ns == 0 ? "0s"
                   : exact(ns, {{"h", 3600 * second_ns},
                                {"m", 60 * second_ns},
                                {"s", second_ns},
                                {"ms", 1'000'000},
                                {"us", 1'000},
                                {"ns", 1}});
}

/// `1.9`, `12`, `950`: one digit behind the point where the number is small and not whole.
std::string short_number(double value) {
    const bool wants_fraction = value < 9.95 && value != std::round(value);
    return wants_fraction ? fmt::format("{:.1f}", value) : fmt::format("{:.0f}", value);
}

std::string below_a_minute(double ns) {
    constexpr std::array names = {"ns", "us", "ms"};
    for (const char* name : names) {
        if (ns < 999.5) {
            return short_number(ns) + " " + name;
        }
        ns /= 1000;
    }
    return short_number(ns) + " s";
}

} // namespace

parsed<std::uint64_t> parse_size(std::string_view text, range<std::uint64_t> limits) {
    return parse_single(text, size_dialect,
                        {limits, exact_size(limits.least), exact_size(limits.most)});
}

parsed<std::uint64_t> parse_count(std::string_view text, range<std::uint64_t> limits) {
    return parse_single(text, count_dialect,
                        {limits, fmt::to_string(limits.least), fmt::to_string(limits.most)});
}

parsed<rate> parse_rate(std::string_view text) {
    constexpr std::string_view not_positive = "must be above 0";
    if (text.empty() || is_negative(text)) {
        return parsed<rate>::wrong(text.empty() ? missing(rate_dialect)
                                                : std::string(not_positive));
    }
    const auto taken = take_number(text);
    if (const auto* what = std::get_if<flaw>(&taken)) {
        return parsed<rate>::wrong(describe(*what, rate_dialect, fmt::to_string(value_max)));
    }
    const bool has_suffix = text.ends_with("/s");
    const auto name = text.substr(0, text.size() - (has_suffix ? 2 : 0));
    const unit* bits = has_suffix ? find_unit(bit_units, name) : nullptr;
    const unit* found = bits != nullptr ? bits : find_unit(rate_units, name);
    if (found == nullptr) {
        return parsed<rate>::wrong(unknown_unit(text, rate_dialect));
    }
    const auto& read = std::get<number>(taken);
    const double fraction =
        static_cast<double>(read.fraction) / static_cast<double>(read.denominator);
    const double value =
        (static_cast<double>(read.whole) + fraction) * static_cast<double>(found->factor);
    if (value <= 0) {
        return parsed<rate>::wrong(std::string(not_positive));
    }
    return rate{value, bits != nullptr ? rate::kind::bits_per_second : rate::kind::per_second};
}

parsed<duration> parse_time(std::string_view text, range<duration> limits) {
    const range<std::uint64_t> in_ns = {static_cast<std::uint64_t>(limits.least.count()),
                                        static_cast<std::uint64_t>(limits.most.count())};
    const auto ns =
        parse_joined_time(text, {in_ns, exact_time(in_ns.least), exact_time(in_ns.most)});
    if (!ns) {
        return parsed<duration>::wrong(ns.message());
    }
    return duration(static_cast<duration::rep>(*ns));
}

std::string format_size(std::uint64_t bytes) {
    constexpr std::array names = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double value = static_cast<double>(bytes);
    for (const char* name : names) {
        if (value < 1023.5) {
            return short_number(value) + " " + name;
        }
        value /= static_cast<double>(kibi);
    }
    return short_number(value) + " EiB";
}

std::string format_count(double count) {
    constexpr std::array names = {"", " k", " M", " G", " T"};
    for (const char* name : names) {
        if (count < 999.5) {
            return fmt::format("{:.3g}{}", count, name);
        }
        count /= static_cast<double>(kilo);
    }
    return fmt::format("{:.0f} P", count);
}

std::string format_rate(const rate& value) {
    const auto number = format_count(value.value);
    if (value.what == rate::kind::per_second) {
        return number + "/s";
    }
    const bool has_prefix = number.find(' ') != std::string::npos;
    return number + (has_prefix ? "bit/s" : " bit/s");
}

std::string format_time(duration value) {
    const double seconds = std::chrono::duration<double>(value).count();
    if (value == duration::zero()) {
        return "0 s";
    }
    if (seconds < 59.5) {
        return below_a_minute(static_cast<double>(value.count()));
    }
    if (seconds < 3599.5) {
        const long whole = std::lround(seconds);
        return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    }
    const long minutes = std::lround(seconds / 60);
    return fmt::format("{}h{:02}m", minutes / 60, minutes % 60);
}

} // namespace sockeye::cli
