#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sockeye::micro {

/// The upper one of two. Requires: not empty.
inline double median(std::vector<double> of) {
    const auto middle = of.begin() + static_cast<std::ptrdiff_t>(of.size() / 2);
    std::nth_element(of.begin(), middle, of.end());
    return *middle;
}

} // namespace sockeye::micro
