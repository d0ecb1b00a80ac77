#pragma once

#include <string>
#include <string_view>

namespace sockeye::cli {

/// Makes bytes from elsewhere fit for a terminal, piece by piece: text stays readable, and what
/// could command the terminal is shown as `\xNN`.
///
/// Newlines, tabs and well-formed UTF-8 stay; a carriage return before a newline is left out.
/// Other control characters, C1 and the ones that turn the direction of writing among them, are
/// shown by their bytes, as is what is no UTF-8. See: RFC 3629, Unicode technical report 36.
class terminal_text {
public:
    /// What of `piece`, and of what was held back before it, can be shown. The view is good until
    /// the next call.
    [[nodiscard]] std::string_view add(std::string_view piece);
    /// Shows what is held back: the beginning of a character whose rest did not come.
    [[nodiscard]] std::string_view flush();

private:
    void take_all(bool is_last);

    std::string held_;
    std::string shown_;
};

} // namespace sockeye::cli
