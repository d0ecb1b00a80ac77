#pragma once

#include "cli/common.hpp"

#include <span>
#include <vector>

namespace sockeye::cli {

/// Declares a command on the root of the option tree: its options, its help (the footer holds its
/// examples), and, as its callback, what it does. That sets `exit_code`, or throws a
/// command_error.
using add_command = void(CLI::App& root, common_options& common, int& exit_code);

add_command add_serve_command;
add_command add_connect_command;
add_command add_send_command;
add_command add_ping_command;
add_command add_fetch_command;
add_command add_hostname_command;
add_command add_backends_command;
add_command add_completion_command;
add_command add_help_command;
add_command add_manual_command;

/// All commands, in the order of the help.
[[nodiscard]] std::span<add_command* const> commands();

/// The commands of the tree that are meant for people; those of the group "" are not.
[[nodiscard]] std::vector<const CLI::App*> shown_commands(const CLI::App& root);

} // namespace sockeye::cli
