#pragma once

#include "cli/common.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sockeye::cli {

/// The command of `root` that `word` names exactly.
/// Throws command_error with exit_usage: there is none, with the nearest one as a hint.
[[nodiscard]] CLI::App& find_command(CLI::App& root, const std::string& word);

/// What a command line asks for.
enum class request : std::uint8_t { run, help, version };

/// Hands each of `words`, which followed the name of `command`, to the option or argument that
/// it belongs to. Nothing is converted and nothing runs yet.
///
/// The tree of options is CLI11's; the reading is ours, because every word must arrive as it was
/// typed (CLI11 takes `--x= y` for `--x=y`, and gives `[..]`, `{}` and `++` a meaning), and
/// because each mistake has one line that says how to mend it. Long options are `--x=v` or
/// `--x v`, never shortened; `-x v` and `-xv`; flags join as `-qj`; options may follow arguments;
/// `--` ends them; what may be given once may not be given twice.
/// Throws command_error with exit_usage. The first -h or -V ends the reading.
[[nodiscard]] request read_words(CLI::App& command, const std::vector<std::string>& words);

} // namespace sockeye::cli
