#pragma once

#include "bench/load.hpp"

#include <sockeye/time.hpp>

#include <cstdint>
#include <random>

namespace sockeye::bench {

/// When the messages of an open loop are due: a function of seed, rate and law alone, so that all
/// servers get the same load, down to the message.
class schedule {
public:
    /// Requires: rate_per_s > 0.
    schedule(std::uint64_t seed, double rate_per_s, arrival law)
        : random_(seed), distance_ns_(1e9 / rate_per_s), law_(law) {
        advance();
    }

    /// From the start to the next message.
    [[nodiscard]] duration next() const noexcept {
        return duration(static_cast<duration::rep>(next_ns_));
    }
    /// Goes on to the message after it.
    void advance();

private:
    std::mt19937_64 random_;
    double distance_ns_; ///< the mean one of two neighbours
    arrival law_;
    double next_ns_ = 0;
};

} // namespace sockeye::bench
