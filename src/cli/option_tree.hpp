#pragma once

#include "cli/common.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace sockeye::cli {

/// What may be written where a value is wanted, as far as it can be listed.
struct value_choice {
    enum class kind : std::uint8_t {
        none, ///< anything, or no value at all
        words,
        list, ///< words, joined by commas
        file,
    };

    kind what = kind::none;
    std::vector<std::string> words;
};

/// An option or an argument, as people are told of it.
struct described_option {
    std::string short_name; ///< `b`; may be empty
    std::string long_name;  ///< `backend`; empty for arguments
    std::string group;
    std::string value_name; ///< `NAME`; empty for flags
    std::string meaning;
    value_choice choice;
    bool is_required = false;
    bool is_repeatable = false;
    bool has_optional_value = false; ///< `--stats[=T]`

    [[nodiscard]] bool has_value() const { return !value_name.empty(); }
};

/// A command, or the program itself.
struct described_command {
    std::string name; ///< empty for the program
    std::string summary;
    std::string examples; ///< lines that begin with two spaces
    std::vector<described_option> arguments;
    std::vector<described_option> options; ///< -h and -V last
};

/// Reads what CLI11 knows of a command, or of the program for the root of the tree, and adds what
/// it does not know. Help, manual pages and completions are made of nothing else.
[[nodiscard]] described_command describe(const CLI::App& app);

/// The commands that are meant for people, in the order of the help.
[[nodiscard]] std::vector<described_command> describe_commands(const CLI::App& root);

/// The shells that there are completions for.
[[nodiscard]] const std::vector<std::string>& shell_names();

} // namespace sockeye::cli
