#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// `text` as one line of printable ASCII: every other byte, and the backslash, becomes `\xNN`.
///
/// At most `length_max` characters, which are 3 or more; where more was cut off it ends in `...`.
/// Whatever came from outside goes through it before it reaches a terminal or a log.
[[nodiscard]] std::string escape(std::string_view text, std::size_t length_max = 120);

/// The character that a text begins with, in bytes of UTF-8.
struct utf8_character {
    std::size_t length = 0; ///< of the whole of it; 0: no character begins so
    /// At the front of the text, and well-formed so far: less than `length` where the text is cut
    /// off, 0 where it can become no character: longer than it need be, half of a pair, beyond the
    /// last one.
    std::size_t formed = 0;

    [[nodiscard]] bool is_whole() const noexcept { return length != 0 && formed == length; }
};

/// Requires: not empty. See: RFC 3629.
[[nodiscard]] utf8_character utf8_at_front(std::string_view text) noexcept;

/// Whether `text` is well-formed UTF-8.
[[nodiscard]] bool is_utf8(std::string_view text) noexcept;

/// Whether a locale such as `de_DE.UTF-8@euro` or `C.utf8` has characters of UTF-8.
[[nodiscard]] bool names_utf8(std::string_view locale) noexcept;

/// `text` with the sign for micro, as UTF-8, in the units of its times: `31.4 us`, `p50, us`. It
/// is as many columns wide as before.
[[nodiscard]] std::string with_micro(std::string text);

/// The word whose spelling is nearest to `text`; empty where none is near enough to be meant.
[[nodiscard]] std::string_view nearest(std::string_view text,
                                       std::span<const std::string_view> words);

/// `; did you mean 'WORD'?` with the nearest word; empty where there is none.
[[nodiscard]] std::string did_you_mean(std::string_view text,
                                       std::span<const std::string_view> words);

/// A number and what it counts: `1 connection`, `12 datagrams`.
[[nodiscard]] std::string counted(std::uint64_t count, std::string_view noun);

/// `text` cut into lines of at most 80 columns that begin in column `indent`, the first of which is
/// begun already; ends with a newline. A word that is longer than a line is cut.
[[nodiscard]] std::string wrapped(std::string_view text, std::size_t indent);

/// `a`, `a and b`, `a, b and c`.
[[nodiscard]] std::string join_and(std::span<const std::string> parts);

} // namespace sockeye::cli
