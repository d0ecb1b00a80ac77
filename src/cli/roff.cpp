#include "cli/roff.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>

namespace sockeye::cli {
namespace {

constexpr std::size_t source_width = 76;

} // namespace

std::string roff_text(std::string_view text) {
    std::string safe;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        const auto next = i + 1 < text.size() ? static_cast<unsigned char>(text[i + 1]) : 0U;
        if (text[i] == '\\') {
            safe += "\\e";
        } else if (text[i] == '-') {
            safe += "\\-";
        } else if (text[i] == '\'') {
            safe += "\\(aq";
        } else if (text[i] == '"') {
            safe += "\\(dq";
        } else if (byte >= 0xc2 && byte < 0xe0 && next != 0) {
            // Two bytes of UTF-8, which is all that our texts hold.
            safe += fmt::format("\\[u{:04X}]", ((byte & 0x1fU) << 6) | (next & 0x3fU));
            ++i;
        } else {
            safe += text[i];
        }
    }
    return safe;
}

std::string roff_argument(std::string_view text) {
    return "\"\\&" + roff_text(text) + "\"";
}

std::string roff_lines(std::string_view text) {
    std::string lines;
    std::string line;
    const auto end_line = [&] {
        const bool is_macro_like = line.starts_with('.');
        lines += line.empty() ? "" : (is_macro_like ? "\\&" : "") + line + "\n";
        line.clear();
    };
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        const auto safe = roff_text(word);
        if (!line.empty() && line.size() + 1 + safe.size() > source_width) {
            end_line();
        }
        line += line.empty() || word.empty() ? safe : " " + safe;
        if (word.ends_with('.') && word.size() > 1) {
            end_line(); // mdoc wants each sentence to begin a line.
        }
    }
    end_line();
    return lines;
}

} // namespace sockeye::cli
