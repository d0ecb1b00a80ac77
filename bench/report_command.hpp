#pragma once

#include "cli/common.hpp"

#include <CLI/CLI.hpp>

namespace sockeye::bench {

/// Declares `report`: a saved run as a page, a picture or tables.
void add_report_command(CLI::App& root, cli::common_options& common, int& exit_code);

} // namespace sockeye::bench
