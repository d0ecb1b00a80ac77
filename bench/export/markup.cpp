#include "bench/export/markup.hpp"

#include "cli/text.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace sockeye::bench::exporting {
namespace {

/// U+FFFE, U+FFFF and the like are UTF-8, but no characters of XML.
bool is_xml(std::string_view character) {
    if (character.size() == 1) {
        const auto byte = static_cast<unsigned char>(character.front());
        return byte == '\t' || byte == '\n' || (byte >= 0x20 && byte != 0x7f);
    }
    return character != "\xef\xbf\xbe" && character != "\xef\xbf\xbf";
}

void append_xml(std::string& made, std::string_view character) {
    if (character == "&") {
        made += "&amp;";
    } else if (character == "<") {
        made += "&lt;";
    } else if (character == ">") {
        made += "&gt;";
    } else if (character == "\"") {
        made += "&quot;";
    } else if (character == "'") {
        made += "&#39;";
    } else if (is_xml(character)) {
        made += character;
    } else {
        for (const char byte : character) {
            made += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
        }
    }
}

/// `50.00 k/s` as `50 k/s`: zeros behind the point.
std::string without_zeros(std::string text) {
    const auto point = text.find('.');
    if (point == std::string::npos) {
        return text;
    }
    const auto end = std::min(text.find_first_not_of("0123456789", point + 1), text.size());
    auto kept = end;
    while (text[kept - 1] == '0') {
        --kept;
    }
    kept -= text[kept - 1] == '.' ? 1 : 0;
    return text.erase(kept, end - kept);
}

} // namespace

std::string xml(std::string_view text) {
    std::string made;
    while (!text.empty()) {
        const auto front = cli::utf8_at_front(text);
        if (front.is_whole()) {
            append_xml(made, text.substr(0, front.length));
            text.remove_prefix(front.length);
        } else {
            made += fmt::format("\\x{:02x}", static_cast<unsigned char>(text.front()));
            text.remove_prefix(1);
        }
    }
    return made;
}

std::string short_name(std::string_view text, std::size_t length_max) {
    std::size_t at = 0;
    std::size_t kept = 0;
    for (std::size_t length = 0; at < text.size(); ++length) {
        if (length + 1 == length_max) {
            kept = at;
        }
        if (length == length_max) {
            return std::string(text.substr(0, kept)) + "\xe2\x80\xa6";
        }
        at += std::max<std::size_t>(1, cli::utf8_at_front(text.substr(at)).formed);
    }
    return std::string(text);
}

std::string digits(double value, int significant) {
    if (!(std::abs(value) < 1e15)) {
        return fmt::format("{:.3g}", value);
    }
    if (value == 0) {
        return "0";
    }
    // By the digits as they are rounded: 0.9996 of three is 1.00.
    const auto rounded = fmt::format("{:.{}e}", value, significant - 1);
    const int magnitude = std::atoi(rounded.c_str() + rounded.find('e') + 1);
    const int decimals = std::clamp(significant - 1 - magnitude, 0, 6);
    return fmt::format("{:.{}f}", value, decimals);
}

time_unit time_unit_of(double ns) {
    constexpr time_unit units[] = {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}};
    for (const auto& each : units) {
        if (std::abs(ns) >= each.size * 0.9995) {
            return each;
        }
    }
    return {};
}

std::string time_text(double ns) {
    const auto unit = time_unit_of(ns);
    return digits(ns / unit.size, 3) + " " + unit.name;
}

std::string count_text(double count) {
    if (count >= 999'950) {
        return digits(count / 1e6, 4) + " M";
    }
    if (count >= 9'999.5) {
        return digits(count / 1e3, 4) + " k";
    }
    return digits(count, count == std::floor(count) ? 1 : 4);
}

std::string rate_text(double per_second) {
    const auto text = count_text(per_second);
    return text + "/s";
}

std::string short_time(double ns) {
    return ns == 0 ? "0 s" : without_zeros(time_text(ns));
}

std::string short_rate(double per_second) {
    return without_zeros(rate_text(per_second));
}

std::string short_percent(double share) {
    return without_zeros(percent_text(share));
}

std::string ratio_text(double times) {
    if (times >= 100) {
        return digits(times, 3);
    }
    return fmt::format("{:.{}f}", times, times < 0.095 ? 3 : 2);
}

std::string bytes_text(double bytes) {
    if (std::abs(bytes) >= 1048576) {
        return digits(bytes / 1048576, 3) + " MiB";
    }
    return std::abs(bytes) >= 1024 ? digits(bytes / 1024, 3) + " KiB" : digits(bytes, 3) + " B";
}

std::string percent_text(double share) {
    return digits(share * 100, 2) + " %";
}

std::string shell_text(const std::string& word) {
    const auto is_plain = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-_./:,=+%@").find(c) != std::string_view::npos;
    };
    if (!word.empty() && std::ranges::all_of(word, is_plain)) {
        return word;
    }
    std::string quoted = "'";
    for (const char c : word) {
        quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
    }
    return quoted + "'";
}

} // namespace sockeye::bench::exporting
