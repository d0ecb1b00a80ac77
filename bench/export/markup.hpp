#pragma once

#include "cli/text.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace sockeye::bench::exporting {

using cli::with_micro;

/// `text` for the inside of an element or an attribute of XML and HTML, as UTF-8.
///
/// What XML cannot hold becomes `\xNN`: control characters, and bytes that are no UTF-8.
[[nodiscard]] std::string xml(std::string_view text);

/// The first `length_max` characters; with an ellipsis where that is not all.
[[nodiscard]] std::string short_name(std::string_view text, std::size_t length_max);

/// `850 ns`, `31.4 us`, `1.90 ms`: three digits.
[[nodiscard]] std::string time_text(double ns);

/// The unit that fits a value, and how large it is in nanoseconds: `us`, 1000.
struct time_unit {
    double size = 1;
    const char* name = "ns";
};
[[nodiscard]] time_unit time_unit_of(double ns);

/// A number of so many digits, without an exponent where people would write none.
[[nodiscard]] std::string digits(double value, int significant);

/// `177.2 k/s`: four digits.
[[nodiscard]] std::string rate_text(double per_second);

/// What stands at an axis or in a title, without zeros that say nothing: `50 us`, `150 k/s`.
[[nodiscard]] std::string short_time(double ns);
[[nodiscard]] std::string short_rate(double per_second);
[[nodiscard]] std::string short_percent(double share);

/// `950`, `177.2 k`: four digits.
[[nodiscard]] std::string count_text(double count);

/// `1.03`; near nothing with as many digits as tell something: `0.082`.
[[nodiscard]] std::string ratio_text(double times);

/// `6.3 MiB`.
[[nodiscard]] std::string bytes_text(double bytes);

/// `2.4 %`.
[[nodiscard]] std::string percent_text(double share);

/// Words as a shell takes them.
[[nodiscard]] std::string shell_text(const std::string& word);

} // namespace sockeye::bench::exporting
