#pragma once

#include <string>

namespace sockeye {

class loop;

/// The counters of a loop in the text format of Prometheus, version 0.0.4, for whoever serves it:
/// each metric with its HELP and TYPE lines, times in seconds.
///
/// Throws bad_alloc. Threads: the loop's. See: prometheus.io, "Exposition formats".
[[nodiscard]] std::string prometheus(const loop& of);

} // namespace sockeye
