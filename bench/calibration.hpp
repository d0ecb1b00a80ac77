#pragma once

#include "bench/client/ring.hpp"

#include <optional>

namespace sockeye::bench {

/// What the client can do by itself.
struct calibration {
    double ceiling_per_s = 0; ///< messages that it sends and takes where nobody answers
    double clock_read_ns = 0; ///< of which each message costs two
};

/// Lets the client talk to itself over pairs of sockets for 0.3 s. Nothing where that fails, or
/// the user has interrupted it.
[[nodiscard]] std::optional<calibration> calibrate(const ring& content);

} // namespace sockeye::bench
