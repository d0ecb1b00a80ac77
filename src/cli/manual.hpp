#pragma once

#include "cli/common.hpp"

#include <string>

namespace sockeye::cli {

/// The manual page of a command, or of the program for the root of the tree, in mdoc.
/// See: mdoc(7).
[[nodiscard]] std::string manual_page(const CLI::App& app);

} // namespace sockeye::cli
