#pragma once

#include <cstddef>
#include <vector>

namespace sockeye::bench {

/// The orders in which rounds run their lanes, to be used in turn (a Williams design).
///
/// Over all of them each lane takes every position equally often, and follows every other lane
/// equally often. There are as many orders as lanes where that is even, else twice as many.
[[nodiscard]] std::vector<std::vector<std::size_t>> williams_orders(std::size_t lanes);

} // namespace sockeye::bench
