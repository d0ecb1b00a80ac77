#include "bench/tally.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {

std::string hex_excerpt(bytes data, std::size_t offset) {
    constexpr std::size_t shown_max = 8;
    std::string text;
    const std::size_t end = std::min(data.size(), offset + shown_max);
    for (std::size_t i = offset; i < end; ++i) {
        text +=
            fmt::format("{}{:02x}", text.empty() ? "" : " ", std::to_integer<unsigned>(data[i]));
    }
    return text;
}

} // namespace sockeye::bench
