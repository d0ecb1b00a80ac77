#pragma once

#include "bench/report.hpp"

#include <string>

namespace sockeye::bench {

/// The run as JSON, schema sockeye.bench/1: units stand in the names, what is not known is absent.
[[nodiscard]] std::string to_json(const report& made);

} // namespace sockeye::bench
