#pragma once

#include "cli/common.hpp"

namespace sockeye::bench {

/// `sockeye doctor`: whether this machine is fit to measure on. See: cli/commands.hpp.
void add_doctor_command(CLI::App& root, cli::common_options& common, int& exit_code);

} // namespace sockeye::bench
