#include "bench/judge/precision.hpp"

#include <algorithm>
#include <cmath>

namespace sockeye::bench {

std::string_view name_of(ending why) noexcept {
    switch (why) {
    case ending::none:
        return "";
    case ending::precise:
        return "precise";
    case ending::most:
        return "most";
    case ending::time:
        return "time";
    case ending::nothing:
        return "nothing";
    }
    return "";
}

std::optional<double> widest(std::span<const ratio> ratios) noexcept {
    std::optional<double> found;
    for (const auto& each : ratios) {
        if (!each.bounds || each.bounds->lo <= 0) {
            return std::nullopt;
        }
        const double width = std::sqrt(each.bounds->hi / each.bounds->lo) - 1;
        found = std::max(found.value_or(0), width);
    }
    return found;
}

ending ending_of(const round_count& asked, std::size_t rounds, duration taken,
                 std::span<const ratio> ratios) noexcept {
    if (!asked.is_auto() || rounds < asked.least) {
        return ending::none;
    }
    if (ratios.empty()) {
        return ending::nothing;
    }
    const auto width = widest(ratios);
    if (width && *width <= enough::within) {
        return ending::precise;
    }
    if (rounds >= asked.most) {
        return ending::most;
    }
    return taken >= enough::budget ? ending::time : ending::none;
}

} // namespace sockeye::bench
