#pragma once

#include "bench/report.hpp"

#include <string>
#include <system_error>

namespace sockeye::bench {

/// The run as JSON, schema sockeye.bench/1: units stand in the names, what is not known is absent.
[[nodiscard]] std::string to_json(const report& made);

/// Writes `text` to a file, whole or not at all.
[[nodiscard]] std::error_code save(const std::string& path, const std::string& text);

} // namespace sockeye::bench
