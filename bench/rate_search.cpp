#include "bench/rate_search.hpp"

#include <array>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

/// Steps of halving: the result is exact to 1 % of the rate of a closed loop.
constexpr int probes = 7;

std::optional<double> percentile_of(const histogram& times, double share) {
    return times.can_tell(share) ? std::optional(static_cast<double>(times.percentile(share)))
                                 : std::nullopt;
}

std::optional<double> time_of(const lane_result& result, std::string_view metric) {
    const bool is_service = metric.starts_with("service_");
    const tally& counted = result.counted;
    const auto& times =
        is_service || counted.response.count() == 0 ? counted.service : counted.response;
    if (is_service) {
        metric.remove_prefix(std::string_view("service_").size());
    }
    if (metric == "max") {
        return times.count() > 0 ? std::optional(static_cast<double>(times.max())) : std::nullopt;
    }
    constexpr std::array shares = {std::pair{"p50", 0.5}, std::pair{"p90", 0.9},
                                   std::pair{"p99", 0.99}, std::pair{"p999", 0.999},
                                   std::pair{"p9999", 0.9999}};
    for (const auto& [name, share] : shares) {
        if (metric == name) {
            return percentile_of(times, share);
        }
    }
    return std::nullopt;
}

/// A window that could not be measured as the limit asks for is one that breaks it.
bool keeps(const lane_result& result, const limit& kept) {
    const auto found = value_of(result, kept.metric);
    return !result.is_overloaded && found && kept.holds(*found);
}

} // namespace

std::optional<double> value_of(const lane_result& result, std::string_view metric) {
    const tally& counted = result.counted;
    if (metric == "rate") {
        return result.rate();
    }
    if (metric == "errors") {
        std::uint64_t sum = 0;
        for (const auto& [text, count] : counted.errors) {
            sum += count;
        }
        return static_cast<double>(sum);
    }
    if (metric == "lost") {
        return static_cast<double>(counted.lost);
    }
    if (metric == "unfinished") {
        return static_cast<double>(counted.unfinished);
    }
    if (metric == "overloaded") {
        return result.is_overloaded ? 1 : 0;
    }
    if (metric == "lag_p99") {
        return percentile_of(counted.send_lag, 0.99);
    }
    if (metric == "cpu" && result.server && result.server->cpu_ns > 0) {
        return result.cpu_ns_per_message();
    }
    if (metric == "calls" && result.server && result.server->has_calls()) {
        return result.system_calls_per_message();
    }
    return time_of(result, metric);
}

lane_result find_rate(const load& what, const limit& kept,
                      const std::function<lane_result(const load&)>& run) {
    load tried = what;
    tried.rate_per_s = 0;
    double high = run(tried).rate();
    double low = 0;
    std::optional<lane_result> best;
    for (int i = 0; i < probes; ++i) {
        tried.rate_per_s = (low + high) / 2;
        auto result = run(tried);
        if (keeps(result, kept)) {
            low = tried.rate_per_s;
            best = std::move(result);
        } else {
            high = tried.rate_per_s;
        }
    }
    if (!best) {
        throw round_failed(fmt::format("the server does not keep {} even at {:.0f} messages a "
                                       "second",
                                       kept.text, tried.rate_per_s));
    }
    return std::move(*best);
}

} // namespace sockeye::bench
