#include "cli/url.hpp"

#include "cli/text.hpp"

#include <sockeye/endpoint.hpp>

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

/// The longest file name there is, with room for `.part`.
constexpr std::size_t file_name_max = 250;

char to_small(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string in_small_letters(std::string_view text) {
    std::string small(text);
    std::ranges::transform(small, small.begin(), to_small);
    return small;
}

bool is_letter_or_digit(char c) {
    return (to_small(c) >= 'a' && to_small(c) <= 'z') || (c >= '0' && c <= '9');
}

/// 0 to 15, or -1 for what is no hexadecimal digit.
int hexadecimal(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char small = to_small(c);
    return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

/// The scheme in front of a `:`, in small letters; nothing where there is none. A host and port
/// look like one: `localhost:8000`.
std::string scheme_of(std::string_view text) {
    const auto end = text.find_first_of(":/?#[");
    if (end == std::string_view::npos || end == 0 || text[end] != ':') {
        return {};
    }
    const auto name = text.substr(0, end);
    const bool is_scheme = std::ranges::all_of(
        name, [](char c) { return is_letter_or_digit(c) || c == '+' || c == '-' || c == '.'; });
    return is_scheme && to_small(name.front()) >= 'a' ? in_small_letters(name) : std::string();
}

/// `text` without its fragment.
std::string_view without_fragment(std::string_view text) {
    return text.substr(0, text.find('#'));
}

std::string_view path_of(std::string_view target) {
    return target.substr(0, target.find('?'));
}

/// What is wrong with the characters of a URL; nothing where they will do.
std::optional<std::string> find_bad_character(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        if (c == ' ') {
            return "a space in a URL is written %20";
        }
        if (c < ' ' || c == 0x7f) {
            return "there is a control character in it";
        }
        const bool is_encoded =
            i + 2 < text.size() && hexadecimal(text[i + 1]) >= 0 && hexadecimal(text[i + 2]) >= 0;
        if (c == '%' && !is_encoded) {
            return "two hexadecimal digits belong behind a '%'; the sign itself is written %25";
        }
    }
    return std::nullopt;
}

/// Spells bytes that must not stand in a request line with a `%`.
std::string percent_encoded(std::string_view text) {
    std::string encoded;
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        encoded += byte <= ' ' || byte >= 0x7f ? fmt::format("%{:02X}", byte) : std::string(1, c);
    }
    return encoded;
}

/// An absolute path without its `.` and `..` segments. See: RFC 3986 section 5.2.4.
std::string without_dots(std::string_view path) {
    std::string clean;
    while (!path.empty()) {
        // Each segment with the slash before it.
        const auto segment = path.substr(0, path.find('/', 1));
        path.remove_prefix(segment.size());
        const bool is_last = path.empty();
        if (segment == "/..") {
            clean.resize(clean.empty() ? 0 : clean.rfind('/'));
        }
        if (segment != "/." && segment != "/..") {
            clean += segment;
        } else if (is_last) {
            clean += '/';
        }
    }
    return clean;
}

/// A target in the form in which it is asked for, from a path (which may be empty) and a query.
std::string clean_target(std::string_view text) {
    const auto path = path_of(text);
    return percent_encoded((path.empty() ? "/" : without_dots(path)) +
                           std::string(text.substr(path.size())));
}

std::optional<std::uint16_t> read_port(std::string_view text) {
    std::uint16_t port = 0;
    const auto* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, port);
    return read.ec == std::errc() && read.ptr == end && port != 0 ? std::optional(port)
                                                                  : std::nullopt;
}

/// Where the host of an authority ends; the closing bracket belongs to it.
std::size_t host_length(std::string_view authority) {
    return authority.starts_with('[') ? std::min(authority.find(']'), authority.size() - 1) + 1
                                      : std::min(authority.find(':'), authority.size());
}

/// The host as the library writes it: an interface stands behind `%25` in a URL (RFC 6874).
parsed<std::string> read_host(std::string_view text) {
    using answer = parsed<std::string>;
    if (text.empty()) {
        return answer::wrong("the host is missing; write for example http://localhost:8000/");
    }
    auto host = in_small_letters(text);
    if (const auto zone = host.find("%25"); host.front() == '[' && zone != std::string::npos) {
        host.erase(zone + 1, 2);
    }
    const bool is_name = std::ranges::all_of(
        host, [](char c) { return is_letter_or_digit(c) || c == '-' || c == '.' || c == '_'; });
    if (!is_name && host.front() != '[') {
        return answer::wrong("a host is a name, an IPv4 address or an IPv6 address in brackets");
    }
    const endpoint_argument address("tcp://" + host + ":1");
    if (!address.get() && address.host() == nullptr) {
        return answer::wrong(address.get().error().message());
    }
    return host;
}

/// What stands behind `http:`, without a fragment: `//HOST:PORT/PATH?QUERY`.
parsed<http_url> read_behind_scheme(std::string_view text) {
    using answer = parsed<http_url>;
    if (!text.starts_with("//")) {
        return answer::wrong("two slashes and a host belong behind 'http:'");
    }
    text.remove_prefix(2);
    const auto authority = text.substr(0, text.find_first_of("/?"));
    if (authority.find('@') != std::string_view::npos) {
        return answer::wrong("user names in a URL are not supported; -H 'Authorization: ...' "
                             "sends one");
    }
    const auto length = authority.empty() ? 0 : host_length(authority);
    const auto host = read_host(authority.substr(0, length));
    if (!host) {
        return answer::wrong(host.message());
    }
    http_url url;
    url.host = *host;
    const auto behind = authority.substr(length);
    if (!behind.empty()) {
        const auto port = behind[0] == ':' ? read_port(behind.substr(1)) : std::nullopt;
        if (!port) {
            return answer::wrong("the port must be a whole number from 1 to 65535");
        }
        url.port = *port;
    }
    url.target = clean_target(text.substr(authority.size()));
    return url;
}

/// The end of a line about a scheme that is not ours.
std::string unknown_scheme(std::string_view text, std::string_view scheme) {
    const bool is_port = text.size() > scheme.size() + 1 && text[scheme.size() + 1] >= '0' &&
                         text[scheme.size() + 1] <= '9';
    if (scheme.empty() || is_port) {
        const auto start = std::min(text.find_first_not_of('/'), text.size());
        return fmt::format("a URL begins with http://, as in 'http://{}'",
                           start == text.size() ? "localhost:8000/"
                                                : escape(text.substr(start), 60));
    }
    return "only http:// is supported";
}

bool is_utf8_continuation(char c) {
    return (static_cast<unsigned char>(c) & 0xc0U) == 0x80;
}

/// Control characters, those that UTF-8 spells with two bytes (C1) among them.
bool has_control(std::string_view text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto c = static_cast<unsigned char>(text[i]);
        const bool is_c1 = c == 0xc2 && i + 1 < text.size() && is_utf8_continuation(text[i + 1]) &&
                           static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (c < ' ' || c == 0x7f || is_c1) {
            return true;
        }
    }
    return false;
}

} // namespace

std::string http_url::authority() const {
    // The interface is nobody's business but this machine's.
    const auto zone = host.find('%');
    const auto name = zone == std::string::npos ? host : host.substr(0, zone) + "]";
    return port == 80 ? name : fmt::format("{}:{}", name, port);
}

std::string http_url::to_string() const {
    return fmt::format("http://{}{}", authority(), target);
}

bool http_url::has_origin_of(const http_url& other) const {
    return host == other.host && port == other.port;
}

parsed<http_url> parse_url(std::string_view text) {
    using answer = parsed<http_url>;
    if (text.empty()) {
        return answer::wrong("the URL is missing; write for example http://localhost:8000/");
    }
    if (text.size() > url_length_max) {
        return answer::wrong(fmt::format("longer than {} characters", url_length_max));
    }
    const auto scheme = scheme_of(text);
    if (scheme == "https") {
        return answer::wrong(std::string(https_refusal));
    }
    if (scheme != "http") {
        return answer::wrong(unknown_scheme(text, scheme));
    }
    const auto whole = without_fragment(text);
    if (auto wrong = find_bad_character(whole)) {
        return answer::wrong(std::move(*wrong));
    }
    return read_behind_scheme(whole.substr(scheme.size() + 1));
}

parsed<http_url> resolve_location(const http_url& base, std::string_view text) {
    const auto reference = percent_encoded(without_fragment(text));
    const auto scheme = scheme_of(reference);
    if (!scheme.empty()) {
        return parse_url(reference);
    }
    if (reference.size() > url_length_max) {
        return parsed<http_url>::wrong(fmt::format("longer than {} characters", url_length_max));
    }
    if (auto wrong = find_bad_character(reference)) {
        return parsed<http_url>::wrong(std::move(*wrong));
    }
    if (reference.starts_with("//")) {
        return read_behind_scheme(reference);
    }
    http_url next = base;
    const auto path = path_of(base.target);
    if (reference.starts_with('/')) {
        next.target = clean_target(reference);
    } else if (reference.starts_with('?')) {
        next.target = std::string(path) + reference;
    } else if (!reference.empty()) {
        next.target = clean_target(std::string(path.substr(0, path.rfind('/') + 1)) + reference);
    }
    return next;
}

parsed<std::string> file_name_of(std::string_view text) {
    using answer = parsed<std::string>;
    text = without_fragment(text);
    const auto host = text.find("//");
    const auto path = path_of(host == std::string_view::npos ? text : text.substr(host + 2));
    const auto slash = path.rfind('/');
    const auto segment = slash == std::string_view::npos ? "" : path.substr(slash + 1);
    std::string name;
    for (std::size_t i = 0; i < segment.size(); ++i) {
        if (segment[i] == '%' && i + 2 < segment.size()) {
            name +=
                static_cast<char>(hexadecimal(segment[i + 1]) * 16 + hexadecimal(segment[i + 2]));
            i += 2;
        } else {
            name += segment[i];
        }
    }
    if (name.empty()) {
        return std::string("index.html");
    }
    const bool is_plain = name.front() != '.' && name.front() != '-' &&
                          name.find('/') == std::string::npos && !has_control(name);
    if (!is_plain || name.size() > file_name_max) {
        return answer::wrong(fmt::format("'{}', which it ends in, is not a good name for a file; "
                                         "say -o FILE",
                                         escape(name, 40)));
    }
    return name;
}

} // namespace sockeye::cli
