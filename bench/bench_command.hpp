#pragma once

#include "cli/common.hpp"

#include <CLI/CLI.hpp>

namespace sockeye::bench {

/// Declares `bench`, which measures, and the hidden command of the servers that it starts.
void add_bench_command(CLI::App& root, cli::common_options& common, int& exit_code);

} // namespace sockeye::bench
