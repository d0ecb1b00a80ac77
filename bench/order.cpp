#include "bench/order.hpp"

namespace sockeye::bench {

std::vector<std::vector<std::size_t>> williams_orders(std::size_t lanes) {
    // 0, 1, n-1, 2, n-2, ...: the distances of neighbours are all different modulo n, hence in
    // the n shifts of this order each lane follows each other one once (n even) or, together with
    // the mirrored orders, twice (n odd).
    std::vector<std::size_t> first;
    first.reserve(lanes);
    for (std::size_t i = 0; i < lanes; ++i) {
        first.push_back(i % 2 == 1 ? (i + 1) / 2 : (lanes - i / 2) % lanes);
    }
    std::vector<std::vector<std::size_t>> orders;
    for (std::size_t shift = 0; shift < lanes; ++shift) {
        auto& order = orders.emplace_back(first);
        for (auto& lane : order) {
            lane = (lane + shift) % lanes;
        }
    }
    if (lanes > 1 && lanes % 2 == 1) {
        for (std::size_t shift = 0; shift < lanes; ++shift) {
            const auto order = orders[shift];
            orders.emplace_back(order.rbegin(), order.rend());
        }
    }
    return orders;
}

} // namespace sockeye::bench
