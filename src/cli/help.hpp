#pragma once

#include "cli/common.hpp"

#include <string>

namespace sockeye::cli {

/// The help of a command, or of the program for the root of the tree: usage, examples (the
/// footer that the command set), arguments, options.
[[nodiscard]] std::string help_text(const CLI::App& app);

/// What `sockeye` alone prints: ten lines at most.
[[nodiscard]] std::string first_steps(const CLI::App& root);

} // namespace sockeye::cli
