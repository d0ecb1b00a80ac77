#include "bench/client/ring.hpp"

#include <algorithm>
#include <random>

namespace sockeye::bench {

ring::ring(std::uint64_t seed) : memory_(length + piece_max) {
    std::mt19937_64 random(seed);
    for (std::size_t i = 0; i < length; ++i) {
        memory_[i] = static_cast<std::byte>(random() >> 56);
    }
    for (std::size_t i = length; i < memory_.size(); ++i) {
        memory_[i] = memory_[i - length];
    }
}

std::size_t ring::search(bytes expected, bytes got) noexcept {
    const auto place = std::mismatch(expected.begin(), expected.end(), got.begin());
    return static_cast<std::size_t>(place.first - expected.begin());
}

} // namespace sockeye::bench
