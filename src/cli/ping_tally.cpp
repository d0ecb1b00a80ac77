#include "cli/ping_tally.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

/// Rounded, but neither to none nor to all where there is one or one is missing.
std::string percent(std::uint64_t part, std::uint64_t all) {
    if (part == 0 || part == all) {
        return part == 0 ? "0" : "100";
    }
    const double share = 100 * static_cast<double>(part) / static_cast<double>(all);
    return fmt::format("{:.3g}", std::min(share, 99.9));
}

std::string milliseconds_of(std::uint64_t ns) {
    return format_milliseconds(duration(static_cast<duration::rep>(ns)));
}

} // namespace

void ping_tally::count(const ping_verdict& one) {
    switch (one.what) {
    case ping_verdict::kind::verified:
        ++answered_;
        times_.record(static_cast<std::uint64_t>(std::max(one.took, duration::zero()).count()));
        break;
    case ping_verdict::kind::late:
        ++late_;
        break;
    case ping_verdict::kind::duplicate:
        ++duplicates_;
        break;
    case ping_verdict::kind::wrong:
        ++wrong_;
        break;
    case ping_verdict::kind::unexpected:
        ++unexpected_;
        break;
    }
}

std::string ping_tally::summary(std::uint64_t sent, std::uint64_t waiting) const {
    auto line = fmt::format("{} sent, {} answered, {} wrong", sent, answered_, wrong_);
    const auto add = [&line](std::uint64_t count, const char* what) {
        if (count != 0) {
            line += fmt::format(", {} {}", count, what);
        }
    };
    add(late_, "late");
    add(duplicates_, "duplicate");
    add(unexpected_, "unexpected");
    add(waiting, "on the way");
    const auto accounted = std::min(sent, answered_ + wrong_ + late_ + waiting);
    line += fmt::format(", {} % lost", percent(sent - accounted, std::max<std::uint64_t>(sent, 1)));
    if (times_.count() != 0) {
        // The median is the upper end of a bucket.
        const auto median = std::min(times_.percentile(0.5), times_.max());
        line += fmt::format("; min {}  median {}  max {} ms", milliseconds_of(times_.min()),
                            milliseconds_of(median), milliseconds_of(times_.max()));
    }
    return line + "\n";
}

std::string format_milliseconds(duration value) {
    return fmt::format("{:.3f}", std::chrono::duration<double, std::milli>(value).count());
}

} // namespace sockeye::cli
