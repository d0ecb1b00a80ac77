#include "bench/judge/statistics.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace sockeye::bench {
namespace {

std::vector<double> sorted(std::span<const double> values) {
    std::vector<double> copy(values.begin(), values.end());
    std::sort(copy.begin(), copy.end());
    return copy;
}

double middle_of(const std::vector<double>& ascending) {
    const std::size_t half = ascending.size() / 2;
    if (ascending.size() % 2 == 1) {
        return ascending[half];
    }
    return (ascending[half - 1] + ascending[half]) / 2;
}

/// The means of all pairs, each value with itself included, upwards.
std::vector<double> walsh_averages(std::span<const double> values) {
    std::vector<double> means;
    means.reserve(values.size() * (values.size() + 1) / 2);
    for (std::size_t i = 0; i < values.size(); ++i) {
        for (std::size_t j = i; j < values.size(); ++j) {
            means.push_back((values[i] + values[j]) / 2);
        }
    }
    std::sort(means.begin(), means.end());
    return means;
}

/// The largest k for which the first k + 1 of `probabilities` sum to no more than what the interval
/// may leave out on one side.
std::optional<std::size_t> tail_end(std::span<const double> probabilities,
                                    double confidence = usual_confidence) {
    const double one_tail = (1 - confidence) / 2;
    double sum = 0;
    for (std::size_t k = 0; k < probabilities.size(); ++k) {
        sum += probabilities[k];
        if (sum > one_tail) {
            return k == 0 ? std::nullopt : std::optional(k - 1);
        }
    }
    return std::nullopt;
}

} // namespace

double median(std::span<const double> values) {
    assert(!values.empty());
    return middle_of(sorted(values));
}

double relative_spread(std::span<const double> values) {
    const double middle = median(values);
    std::vector<double> distances;
    distances.reserve(values.size());
    for (const double value : values) {
        distances.push_back(std::abs(value - middle));
    }
    return median(distances) / middle;
}

std::optional<interval> median_interval(std::span<const double> values) {
    const std::size_t count = values.size();
    std::vector<double> binomial(count + 1); // how many values lie below the true median
    double probability = std::pow(0.5, static_cast<double>(count));
    for (std::size_t k = 0; k <= count; ++k) {
        binomial[k] = probability;
        probability *= static_cast<double>(count - k) / static_cast<double>(k + 1);
    }
    const auto skip = tail_end(binomial);
    if (!skip) {
        return std::nullopt;
    }
    const auto ascending = sorted(values);
    return interval{ascending[*skip], ascending[count - 1 - *skip]};
}

std::optional<std::size_t> signed_rank_critical(std::size_t count, double confidence) {
    // Each rank is in the sum or not, with equal chance: probability[s] of the sum s.
    std::vector<double> probability(count * (count + 1) / 2 + 1);
    probability[0] = 1;
    std::size_t reached = 0;
    for (std::size_t rank = 1; rank <= count; ++rank) {
        reached += rank;
        for (std::size_t sum = reached + 1; sum-- > 0;) {
            const double with_rank = sum >= rank ? probability[sum - rank] : 0;
            probability[sum] = (probability[sum] + with_rank) / 2;
        }
    }
    return tail_end(probability, confidence);
}

std::size_t signed_rank_pairs_min(double confidence) {
    std::size_t pairs = 1;
    while (!signed_rank_critical(pairs, confidence)) {
        ++pairs;
    }
    return pairs;
}

double hodges_lehmann(std::span<const double> values) {
    assert(!values.empty());
    return middle_of(walsh_averages(values));
}

std::optional<interval> signed_rank_interval(std::span<const double> values, double confidence) {
    const auto critical = signed_rank_critical(values.size(), confidence);
    if (!critical) {
        return std::nullopt;
    }
    const auto means = walsh_averages(values);
    return interval{means[*critical], means[means.size() - 1 - *critical]};
}

ratio paired_ratio(std::span<const double> subject, std::span<const double> base,
                   double confidence) {
    assert(subject.size() == base.size());
    std::vector<double> logs;
    logs.reserve(subject.size());
    for (std::size_t i = 0; i < subject.size(); ++i) {
        logs.push_back(std::log(subject[i] / base[i]));
    }
    ratio found = {std::exp(hodges_lehmann(logs)), std::nullopt, logs.size()};
    if (const auto bounds = signed_rank_interval(logs, confidence)) {
        found.bounds = interval{std::exp(bounds->lo), std::exp(bounds->hi)};
    }
    return found;
}

std::optional<std::size_t> mann_whitney_critical(std::size_t left, std::size_t right) {
    // probability[l][u]: of l values of the left and r of the right, u pairs have the left one
    // above. The largest of all is one of the left with chance l / (l + r), and above r then.
    std::vector<std::vector<double>> probability(left + 1);
    for (std::size_t l = 0; l <= left; ++l) {
        probability[l].assign(l * right + 1, 0);
        probability[l][0] = 1;
    }
    for (std::size_t r = 1; r <= right; ++r) {
        for (std::size_t l = 1; l <= left; ++l) {
            const double share = static_cast<double>(l) / static_cast<double>(l + r);
            for (std::size_t u = l * r + 1; u-- > 0;) {
                const double with_left = u >= r ? probability[l - 1][u - r] : 0;
                const double with_right = u <= l * (r - 1) ? probability[l][u] : 0;
                probability[l][u] = share * with_left + (1 - share) * with_right;
            }
        }
    }
    return tail_end(probability[left]);
}

ratio unpaired_ratio(std::span<const double> subject, std::span<const double> base) {
    std::vector<double> shifts;
    shifts.reserve(subject.size() * base.size());
    for (const double value : subject) {
        for (const double other : base) {
            shifts.push_back(std::log(value / other));
        }
    }
    std::sort(shifts.begin(), shifts.end());
    ratio found = {std::exp(middle_of(shifts)), std::nullopt,
                   std::min(subject.size(), base.size())};
    if (const auto critical = mann_whitney_critical(subject.size(), base.size())) {
        found.bounds =
            interval{std::exp(shifts[*critical]), std::exp(shifts[shifts.size() - 1 - *critical])};
    }
    return found;
}

} // namespace sockeye::bench
