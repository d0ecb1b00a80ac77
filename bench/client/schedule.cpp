#include "bench/client/schedule.hpp"

#include <cmath>

namespace sockeye::bench {

void schedule::advance() {
    if (law_ == arrival::constant) {
        next_ns_ += distance_ns_;
        return;
    }
    // 53 random bits are a number from 0 to below 1; the distance is exponentially distributed.
    const double uniform = static_cast<double>(random_() >> 11) * 0x1p-53;
    next_ns_ += -std::log1p(-uniform) * distance_ns_;
}

} // namespace sockeye::bench
