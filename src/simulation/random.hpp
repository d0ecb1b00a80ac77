#pragma once

#include <sockeye/time.hpp>

#include <cstdint>

namespace sockeye::simulated {

/// The one source of chance of a simulated network: the same on every machine and library, which
/// the distributions of <random> are not. See: splitmix64 (Steele, Lea, Flood, 2014).
class random_source {
public:
    explicit random_source(std::uint64_t seed) noexcept : state_(seed) {}

    [[nodiscard]] std::uint64_t next() noexcept {
        auto mixed = (state_ += 0x9e37'79b9'7f4a'7c15);
        mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
        return mixed ^ mixed >> 31;
    }

    /// A number below `bound`. Requires: bound > 0.
    [[nodiscard]] std::uint64_t below(std::uint64_t bound) noexcept { return next() % bound; }

    /// True with that probability. Draws nothing where there is no chance.
    [[nodiscard]] bool chance(double probability) noexcept {
        return probability > 0 && static_cast<double>(next() >> 11) * 0x1p-53 < probability;
    }

    /// From 0 to `longest`.
    [[nodiscard]] duration within(duration longest) noexcept {
        return longest <= duration::zero() ? duration::zero()
                                           : duration(static_cast<std::int64_t>(below(
                                                 static_cast<std::uint64_t>(longest.count()) + 1)));
    }

private:
    std::uint64_t state_;
};

} // namespace sockeye::simulated
