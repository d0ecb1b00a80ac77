#pragma once

#include "bench/plan.hpp"
#include "bench/progress.hpp"

#include <CLI/CLI.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// The command line of `bench`, as it was given.
struct options {
    request wanted;
    std::optional<std::string> target;   ///< an endpoint
    std::string how;                     ///< the name of a mode
    std::vector<std::string> outputs;    ///< files
    std::vector<limit> gates;            ///< of --fail-if
    std::optional<progress::form> shown; ///< empty: as the terminal can
    std::string label;
    bool is_strict = false;
    bool is_json = false;
    bool is_unsaved = false;
};

/// Declares them on the command; `asked` outlives it.
void add_options(CLI::App& command, options& asked);

/// Checks what only all of them together tell. Throws cli::command_error.
void finish_options(options& asked);

/// `echo`, `upload`, `download` or `churn`. Throws cli::command_error.
[[nodiscard]] mode parse_mode(std::string_view text);

/// `tcp`, `udp` or `unix`. Throws cli::command_error.
[[nodiscard]] transport parse_transport(std::string_view text);

} // namespace sockeye::bench
