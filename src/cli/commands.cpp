#include "cli/commands.hpp"

namespace sockeye::cli {

std::span<add_command* const> commands() {
    static constexpr add_command* table[] = {
        add_serve_command,
        add_backends_command,
        add_help_command,
    };
    return table;
}

} // namespace sockeye::cli
