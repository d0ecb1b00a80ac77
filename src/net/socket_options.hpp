#pragma once

#include "kernel/kernel.hpp"

#include <sockeye/stream_options.hpp>

namespace sockeye {

/// Whether a socket may be given these values: invalid_argument for a time or a count that is not,
/// not_supported for what only TCP has, or only a connection.
[[nodiscard]] std::error_code check_options(const stream_options& wanted, transport carrier,
                                            bool is_listener);

/// Sets what is set in `wanted`, up to the first that the system refuses.
/// Requires: check_options had nothing against them.
[[nodiscard]] std::error_code apply_options(kernel& system, int fd, const stream_options& wanted);

/// All options, as the system has them; not set are those that it does not have.
result<stream_options> read_options(kernel& system, int fd, transport carrier);

} // namespace sockeye
