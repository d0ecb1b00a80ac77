#include "cli/http_request.hpp"

#include "cli/text.hpp"

#include <algorithm>
#include <array>
#include <span>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

constexpr std::size_t header_length_max = 16384;

/// What the program says itself, or could not stand by.
constexpr std::array<std::string_view, 8> own_headers = {
    "Connection", "Content-Length",    "Expect", "Keep-Alive", "TE",
    "Trailer",    "Transfer-Encoding", "Upgrade"};

/// What may be told to any server.
constexpr std::array<std::string_view, 6> harmless_headers = {
    "Accept", "Accept-Encoding", "Accept-Language", "Cache-Control", "Range", "User-Agent"};

bool is_among(std::span<const std::string_view> names, std::string_view name) {
    return std::ranges::any_of(
        names, [&](std::string_view one) { return equals_ignoring_case(one, name); });
}

bool has_field(const std::vector<http_field>& fields, std::string_view name) {
    return std::ranges::any_of(
        fields, [&](const http_field& one) { return equals_ignoring_case(one.name, name); });
}

} // namespace

parsed<http_field> parse_header(std::string_view text) {
    using answer = parsed<http_field>;
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) {
        return answer::wrong("a header is a name, a colon and a value: 'Accept: text/plain'");
    }
    const auto name = text.substr(0, colon);
    if (!is_token(name)) {
        return answer::wrong("the name of a header is made of letters, digits and dashes");
    }
    auto value = text.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t") + 1);
    const bool has_control = std::ranges::any_of(value, [](char c) {
        return (static_cast<unsigned char>(c) < ' ' && c != '\t') || c == 0x7f;
    });
    if (has_control) {
        return answer::wrong("a header cannot hold control characters or ends of lines");
    }
    if (text.size() > header_length_max) {
        return answer::wrong(fmt::format("longer than {} characters", header_length_max));
    }
    if (is_among(own_headers, name)) {
        return answer::wrong("this header is the program's own to set");
    }
    return http_field{std::string(name), std::string(value)};
}

std::string http_request::text() const {
    auto lines = fmt::format("{} {} HTTP/1.1\r\n", is_head ? "HEAD" : "GET", url.target);
    const std::array<http_field, 3> own = {
        {{"Host", url.authority()}, {"User-Agent", "sockeye/" SOCKEYE_VERSION}, {"Accept", "*/*"}}};
    for (const auto& field : own) {
        if (!has_field(fields, field.name)) {
            lines += fmt::format("{}: {}\r\n", field.name, field.value);
        }
    }
    for (const auto& field : fields) {
        lines += fmt::format("{}: {}\r\n", field.name, field.value);
    }
    return lines + "Connection: close\r\n\r\n";
}

http_request redirected(const http_request& before, const http_url& next) {
    http_request request = before;
    request.url = next;
    if (!next.has_origin_of(before.url)) {
        std::erase_if(request.fields, [](const http_field& field) {
            return !is_among(harmless_headers, field.name);
        });
    }
    return request;
}

} // namespace sockeye::cli
