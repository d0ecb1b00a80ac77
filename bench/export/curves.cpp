#include "bench/export/curves.hpp"

#include <algorithm>
#include <cmath>
#include <random>

namespace sockeye::bench::exporting {
namespace {

constexpr std::size_t resamplings = 2000;
/// Ten decades: more values than a run can have.
constexpr std::size_t points_max = 10 * points_per_decade;

double share_above(std::size_t point) {
    return std::pow(10.0, -static_cast<double>(point) / static_cast<double>(points_per_decade));
}

/// As far as ten of so many values lie above.
std::size_t points_for(double count) {
    std::size_t points = 0;
    while (points < points_max && count * share_above(points) >= 10 - 1e-6) {
        ++points;
    }
    return points;
}

/// What one round tells of its times: which share of them lies above a value.
class round_times {
public:
    round_times(const json& round, const char* times) {
        for (const auto& value : round["curve_ns"]) {
            if (logs_.size() < points_max) {
                const double next = std::log(std::max(1.0, value.get<double>()));
                logs_.push_back(logs_.empty() ? next : std::max(next, logs_.back()));
            }
        }
        if (round.contains(times)) {
            count_ = number_at(round[times], "/count").value_or(0);
            most_ = std::log(std::max(1.0, number_at(round[times], "/max").value_or(0)));
        }
    }

    [[nodiscard]] bool is_known() const { return !logs_.empty() && count_ >= 1; }
    [[nodiscard]] double count() const { return count_; }
    [[nodiscard]] double least() const { return logs_.front(); }
    [[nodiscard]] double most() const { return std::max(most_, logs_.back()); }

    /// By the logarithm of a value. Between two points, and from the last to the greatest value,
    /// the logarithm of the share falls evenly.
    [[nodiscard]] double share_above_log(double value) const {
        const auto next = std::upper_bound(logs_.begin(), logs_.end(), value);
        if (next == logs_.begin()) {
            return 1;
        }
        const auto index = static_cast<double>(next - logs_.begin() - 1);
        const double step = 1.0 / static_cast<double>(points_per_decade);
        double from = *std::prev(next);
        double to = most();
        double decades = index * step;
        double gain = std::max(0.0, std::log10(count_) - decades);
        if (next != logs_.end()) {
            to = *next;
            gain = step;
        } else if (value >= to) {
            return 0;
        }
        decades += to > from ? gain * (value - from) / (to - from) : 0;
        return std::pow(10.0, -decades);
    }

private:
    std::vector<double> logs_;
    double count_ = 0;
    double most_ = 0;
};

/// Rounds put together: for each value of a grid, how many times of each round lie above it.
class pooled_rounds {
public:
    pooled_rounds(std::vector<round_times> rounds, std::size_t points)
        : rounds_(std::move(rounds)), points_(points) {
        double least = rounds_.front().least();
        double most = rounds_.front().most();
        for (const auto& each : rounds_) {
            least = std::min(least, each.least());
            most = std::max(most, each.most());
        }
        for (std::size_t i = 0; i < grid_size; ++i) {
            grid_.push_back(least + (most - least) * static_cast<double>(i) / (grid_size - 1));
        }
        for (const auto& each : rounds_) {
            for (const double value : grid_) {
                above_.push_back(each.count() * each.share_above_log(value));
            }
        }
        for (std::size_t i = 0; i < points_; ++i) {
            shares_.push_back(share_above(i));
        }
    }

    /// The curve of the rounds, each taken so many times.
    void draw(const std::vector<unsigned>& times, std::vector<double>& made) const {
        std::vector<double> above(grid_size);
        double count = 0;
        for (std::size_t r = 0; r < rounds_.size(); ++r) {
            const double weight = times[r];
            count += weight * rounds_[r].count();
            for (std::size_t i = 0; weight > 0 && i < grid_size; ++i) {
                above[i] += weight * above_[r * grid_size + i];
            }
        }
        made.clear();
        std::size_t at = 0;
        for (const double share : shares_) {
            while (at + 1 < grid_size && above[at] > share * count) {
                ++at;
            }
            made.push_back(at == 0 ? grid_[0] : between(above, at, share * count));
        }
    }

    [[nodiscard]] std::size_t size() const { return rounds_.size(); }

private:
    static constexpr std::size_t grid_size = 240;

    /// The value at which `wanted` lie above, between the grid's value before `at` and that.
    [[nodiscard]] double between(const std::vector<double>& above, std::size_t at,
                                 double wanted) const {
        const double fall = above[at - 1] - above[at];
        const double part = fall > 0 ? std::clamp((above[at - 1] - wanted) / fall, 0.0, 1.0) : 1;
        return grid_[at - 1] + part * (grid_[at] - grid_[at - 1]);
    }

    std::vector<round_times> rounds_;
    std::size_t points_;
    std::vector<double> grid_;
    std::vector<double> above_;
    std::vector<double> shares_;
};

std::vector<double> exponentials(const std::vector<double>& logs) {
    std::vector<double> values(logs.size());
    std::ranges::transform(logs, values.begin(), [](double log) { return std::exp(log); });
    return values;
}

/// See: Efron, "Bootstrap Methods: Another Look at the Jackknife", 1979.
void add_band(const pooled_rounds& pool, std::uint64_t seed, percentile_curve& curve) {
    std::mt19937_64 random(seed);
    std::vector<std::vector<double>> drawn(curve.values.size());
    std::vector<double> made;
    for (std::size_t i = 0; i < resamplings; ++i) {
        std::vector<unsigned> times(pool.size());
        for (std::size_t taken = 0; taken < pool.size(); ++taken) {
            ++times[random() % pool.size()];
        }
        pool.draw(times, made);
        for (std::size_t point = 0; point < drawn.size(); ++point) {
            drawn[point].push_back(made[point]);
        }
    }
    const auto nth = [](std::vector<double>& values, double share) {
        const auto place = values.begin() + static_cast<std::ptrdiff_t>(
                                                share * static_cast<double>(values.size() - 1));
        std::nth_element(values.begin(), place, values.end());
        return *place;
    };
    for (std::size_t point = 0; point < drawn.size(); ++point) {
        // The line is of the histogram, the band of the rounds' coarser curves.
        curve.lo.push_back(std::min(std::exp(nth(drawn[point], 0.025)), curve.values[point]));
        curve.hi.push_back(std::max(std::exp(nth(drawn[point], 0.975)), curve.values[point]));
    }
}

std::vector<round_times> read_rounds(const lane_view& lane, const char* times) {
    std::vector<round_times> rounds;
    for (const auto& round : lane.rounds()) {
        if (is_replaced(round)) {
            continue;
        }
        if (!round.contains("curve_ns")) {
            return {};
        }
        rounds.emplace_back(round, times);
        if (!rounds.back().is_known()) {
            return {};
        }
    }
    return rounds;
}

} // namespace

double saved_histogram::above(double share) const {
    const double rank = std::max(1.0, count - std::floor(count * share + 1e-9));
    double passed = 0;
    for (const auto& each : buckets) {
        passed += each.count;
        if (passed >= rank) {
            return each.upper;
        }
    }
    return buckets.back().upper;
}

saved_histogram read_histogram(const lane_view& lane, bool is_open) {
    saved_histogram made;
    const char* name = is_open ? "response_histogram" : "histogram";
    if (!lane.result->contains(name)) {
        return made;
    }
    for (const auto& pair : (*lane.result)[name]["pairs"]) {
        made.buckets.push_back({pair[0].get<double>(), pair[1].get<double>()});
        made.count += pair[1].get<double>();
    }
    std::ranges::sort(made.buckets, {}, &saved_histogram::bucket::upper);
    // The last bucket ends where the greatest value is.
    const auto most =
        number_at(*lane.result, is_open ? "/summary/response_ns/max" : "/summary/service_ns/max");
    if (most && !made.buckets.empty()) {
        made.buckets.back().upper = std::min(made.buckets.back().upper, *most);
    }
    return made;
}

percentile_curve read_curve(const lane_view& lane, bool is_open, std::uint64_t seed) {
    percentile_curve curve;
    if ((*lane.result)["summary"].contains("overloaded")) {
        return curve;
    }
    const auto times = read_histogram(lane, is_open);
    for (std::size_t i = 0; i < points_for(times.count); ++i) {
        curve.values.push_back(times.above(share_above(i)));
    }
    auto rounds = read_rounds(lane, is_open ? "response_ns" : "service_ns");
    if (rounds.empty()) {
        return curve;
    }
    double count = 0;
    for (const auto& each : rounds) {
        count += each.count();
    }
    const auto points = curve.values.empty() ? points_for(count) : curve.values.size();
    const pooled_rounds pool(std::move(rounds), points);
    if (curve.values.empty()) {
        std::vector<double> logs;
        pool.draw(std::vector<unsigned>(pool.size(), 1), logs);
        curve.values = exponentials(logs);
    }
    if (pool.size() > 1) {
        add_band(pool, seed, curve);
    }
    return curve;
}

} // namespace sockeye::bench::exporting
