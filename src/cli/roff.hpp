#pragma once

#include <string>
#include <string_view>

namespace sockeye::cli {

/// The day of the manual pages.
inline constexpr std::string_view page_date = "November 21, 2026";

/// A word or more in a text line of mdoc(7): what roff would take for its own is escaped.
[[nodiscard]] std::string roff_text(std::string_view text);

/// An argument of a macro, which is never taken for another macro.
[[nodiscard]] std::string roff_argument(std::string_view text);

/// Lines of text, none of which begins like a macro; each sentence begins one.
[[nodiscard]] std::string roff_lines(std::string_view text);

} // namespace sockeye::cli
