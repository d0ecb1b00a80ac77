#pragma once

#include "cli/values.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// The longest URL that is taken.
inline constexpr std::size_t url_length_max = 16384;

/// Where an HTTP request goes, and what it asks for.
struct http_url {
    /// A name or an IPv4 address as it was written, in small letters; IPv6 in its brackets, with
    /// the interface behind a `%` where one was given.
    std::string host;
    std::uint16_t port = 80;
    /// Path and query: `/notes.txt?page=2`. Printable ASCII, and no `.` or `..` among the segments.
    std::string target;

    /// What the Host header says: `example.org`, `[::1]:8000`.
    [[nodiscard]] std::string authority() const;
    /// `http://example.org/notes.txt`
    [[nodiscard]] std::string to_string() const;
    /// Whether both are the same host and port, by their spelling.
    [[nodiscard]] bool has_origin_of(const http_url& other) const;
};

/// What is said about `https://`, wherever it comes from.
inline constexpr std::string_view https_refusal =
    "https is not supported: this program speaks plain HTTP/1.1 only";

/// Reads an `http://` URL as a person types it: a fragment is left out, what is no ASCII is
/// percent-encoded, `.` and `..` are resolved. See: RFC 3986.
parsed<http_url> parse_url(std::string_view text);

/// Where the Location `text` of an answer to `base` leads: absolute, or relative in one of the
/// forms of RFC 3986 section 4.2. Spaces in it are percent-encoded, as servers leave that out.
parsed<http_url> resolve_location(const http_url& base, std::string_view text);

/// The name to save the answer to the URL `text` under: the last segment of its path,
/// percent-decoded; `index.html` where it is empty. What would be `.` or `..`, hold a `/` or a
/// control character, begin with a dot or a dash, or be too long, is refused.
parsed<std::string> file_name_of(std::string_view text);

} // namespace sockeye::cli
