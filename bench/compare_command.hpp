#pragma once

#include "cli/common.hpp"

#include <CLI/CLI.hpp>

namespace sockeye::bench {

/// Declares `compare`: two saved runs, or two lanes of one, side by side.
void add_compare_command(CLI::App& root, cli::common_options& common, int& exit_code);

} // namespace sockeye::bench
