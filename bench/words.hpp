#pragma once

#include "bench/report.hpp"

#include <string>
#include <vector>

namespace sockeye::bench {

/// What the tables say, as sentences. Empty where there is nothing to compare.
[[nodiscard]] std::vector<std::string> words_of(const report& made);

} // namespace sockeye::bench
