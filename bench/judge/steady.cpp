#include "bench/judge/steady.hpp"

#include "bench/judge/statistics.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

namespace sockeye::bench {
namespace {

constexpr std::size_t slices_least = 10;
/// Fewer messages a slice say little by themselves: by chance alone one has half of another.
constexpr double messages_least = 100;
constexpr double significance = 0.01;
constexpr double drift_least = 0.05;
/// Of the window: what the best truncation may leave out.
constexpr double warm_share_max = 0.3;
constexpr std::size_t mser_batch = 5;

/// What a slice brings while nothing is wrong, even if something is for half of the window: the
/// upper quartile.
double usual(std::vector<double> values) {
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(values.size() * 3 / 4);
    std::nth_element(values.begin(), place, values.end());
    return *place;
}

/// Joins neighbours until a usual one has enough messages.
std::vector<double> join_slices(std::span<const double> messages) {
    std::vector<double> joined(messages.begin(), messages.end());
    while (joined.size() >= 2 * slices_least && usual(joined) < messages_least) {
        std::vector<double> halves;
        for (std::size_t i = 0; i + 1 < joined.size(); i += 2) {
            halves.push_back(joined[i] + joined[i + 1]);
        }
        joined = std::move(halves);
    }
    return joined;
}

/// Every value but for what chance does anyway: is the truncated mean really another one?
bool is_cold(std::span<const double> values) {
    const std::size_t cut = mser5_truncation(values);
    if (static_cast<double>(cut) <= warm_share_max * static_cast<double>(values.size())) {
        return false;
    }
    const double before = median(values.first(cut));
    const double after = median(values.subspan(cut));
    return std::abs(before - after) > drift_least * after;
}

} // namespace

std::size_t mser5_truncation(std::span<const double> values) {
    std::vector<double> batches;
    for (std::size_t i = 0; i + mser_batch <= values.size(); i += mser_batch) {
        double sum = 0;
        for (std::size_t k = 0; k < mser_batch; ++k) {
            sum += values[i + k];
        }
        batches.push_back(sum / static_cast<double>(mser_batch));
    }
    std::size_t best = 0;
    double least = std::numeric_limits<double>::infinity();
    for (std::size_t cut = 0; cut <= batches.size() / 2 && cut + 1 < batches.size(); ++cut) {
        const auto kept = std::span<const double>(batches).subspan(cut);
        const auto count = static_cast<double>(kept.size());
        const double mean = std::accumulate(kept.begin(), kept.end(), 0.0) / count;
        double squares = 0;
        for (const double each : kept) {
            squares += (each - mean) * (each - mean);
        }
        const double error = squares / (count * count);
        if (error < least) {
            least = error;
            best = cut;
        }
    }
    return best * mser_batch;
}

double mann_kendall_p(std::span<const double> values) {
    if (values.size() < 4) {
        return 1;
    }
    double sum = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t k = i + 1; k < values.size(); ++k) {
            sum += values[k] > values[i] ? 1 : values[k] < values[i] ? -1 : 0;
        }
    }
    const auto n = static_cast<double>(values.size());
    double ties = 0;
    std::vector<double> sorted(values.begin(), values.end());
    std::sort(sorted.begin(), sorted.end());
    for (auto at = sorted.begin(); at != sorted.end();) {
        const auto next = std::upper_bound(at, sorted.end(), *at);
        const auto count = static_cast<double>(next - at);
        ties += count * (count - 1) * (2 * count + 5);
        at = next;
    }
    const double variance = (n * (n - 1) * (2 * n + 5) - ties) / 18;
    if (variance <= 0 || sum == 0) {
        return 1;
    }
    const double z = (std::abs(sum) - 1) / std::sqrt(variance);
    return std::erfc(z / std::sqrt(2.0));
}

double theil_sen_slope(std::span<const double> values) {
    std::vector<double> slopes;
    for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t k = i + 1; k < values.size(); ++k) {
            slopes.push_back((values[k] - values[i]) / static_cast<double>(k - i));
        }
    }
    return median(slopes);
}

std::vector<std::string> unsteady_flags(std::span<const double> messages) {
    const auto values = join_slices(messages);
    std::vector<std::string> flags;
    if (values.size() < slices_least || usual(values) < messages_least) {
        return flags;
    }
    if (is_cold(values)) {
        flags.emplace_back("not-warm");
    }
    const double change = theil_sen_slope(values) * static_cast<double>(values.size());
    if (mann_kendall_p(values) < significance && std::abs(change) > drift_least * usual(values)) {
        flags.emplace_back("drift");
    }
    if (*std::min_element(values.begin(), values.end()) < usual(values) / 2) {
        flags.emplace_back("stall");
    }
    return flags;
}

bool is_growing(std::span<const double> backlog, double growth_max) {
    if (backlog.size() < slices_least) {
        return false;
    }
    const double growth = theil_sen_slope(backlog) * static_cast<double>(backlog.size());
    return growth > growth_max && mann_kendall_p(backlog) < significance;
}

} // namespace sockeye::bench
