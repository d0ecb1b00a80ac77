#include "bench/client/tally.hpp"

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

void tally::merge(const tally& other) {
    messages += other.messages;
    bytes += other.bytes;
    offered += other.offered;
    service.merge(other.service);
    response.merge(other.response);
    send_lag.merge(other.send_lag);
    over_time.merge(other.over_time);
    wrong += other.wrong;
    lost += other.lost;
    late += other.late;
    duplicate += other.duplicate;
    reordered += other.reordered;
    unfinished += other.unfinished;
    for (const auto& [text, count] : other.errors) {
        errors[text] += count;
    }
    if (!first_mismatch) {
        first_mismatch = other.first_mismatch;
    }
    has_overflowed = has_overflowed || other.has_overflowed;
}

} // namespace sockeye::bench
