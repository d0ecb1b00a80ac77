#include "cli/commands.hpp"
#include "cli/option_tree.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::cli {
namespace {

using choice_kind = value_choice::kind;

std::string joined(const std::vector<std::string>& words, std::string_view between = " ") {
    return fmt::format("{}", fmt::join(words, between));
}

/// `-b` and `--backend`
std::vector<std::string> spellings(const described_option& option) {
    std::vector<std::string> names;
    if (!option.short_name.empty()) {
        names.push_back("-" + option.short_name);
    }
    if (!option.long_name.empty()) {
        names.push_back("--" + option.long_name);
    }
    return names;
}

std::vector<std::string> all_spellings(const described_command& command) {
    std::vector<std::string> names;
    for (const auto& option : command.options) {
        std::ranges::copy(spellings(option), std::back_inserter(names));
    }
    return names;
}

std::vector<std::string> command_names(const std::vector<described_command>& commands) {
    std::vector<std::string> names;
    for (const auto& command : commands) {
        names.push_back(command.name);
    }
    return names;
}

/// The meaning as one short phrase, for a list beside the names.
std::string short_meaning(const std::string& text) {
    auto phrase = text;
    for (const std::string_view end : {"; ", ". ", " ("}) {
        phrase = phrase.substr(0, phrase.find(end));
    }
    // A colon behind more than one word begins a list; `greet: what it says` goes on.
    const auto colon = phrase.find(": ");
    return phrase.find(' ') < colon ? phrase.substr(0, colon) : phrase;
}

/// Not `--stats[=T]`, whose value stands behind a `=`.
bool takes_following_word(const described_option& option) {
    return option.has_value() && !option.has_optional_value;
}

/// What offers the words of a choice to bash.
std::string bash_offer(const value_choice& choice) {
    switch (choice.what) {
    case choice_kind::words:
        return fmt::format("_sockeye_offer '{}'", joined(choice.words));
    case choice_kind::list:
        return fmt::format("_sockeye_offer_list '{}'", joined(choice.words));
    case choice_kind::file:
        return "_sockeye_offer_files";
    case choice_kind::none:
        break;
    }
    return ":";
}

constexpr std::string_view bash_head =
    R"(# Completion of sockeye for bash. Made by 'sockeye completion bash'.

_sockeye_offer() {
    local IFS=$' \t\n'
    COMPREPLY=($(compgen -W "$1" -- "$current"))
}

# Words joined by commas: the last one is completed.
_sockeye_offer_list() {
    local IFS=$' \t\n' before=
    case $current in
    *,*) before=${current%,*}, ;;
    esac
    COMPREPLY=($(compgen -P "$before" -W "$1" -- "${current##*,}"))
}

_sockeye_offer_files() {
    local IFS=$'\n'
    compopt -o filenames 2>/dev/null
    COMPREPLY=($(compgen -f -- "$current"))
}

# How many arguments stand before the cursor; $1 holds the options whose value is the next word.
_sockeye_count_arguments() {
    local i
    arguments=0
    for ((i = 2; i < COMP_CWORD; ++i)); do
        case ${COMP_WORDS[i]} in
        =) ((++i)) ;;
        -*)
            case " $1 " in
            *" ${COMP_WORDS[i]} "*) [ "${COMP_WORDS[i + 1]}" = = ] || ((++i)) ;;
            esac
            ;;
        *) ((++arguments)) ;;
        esac
    done
}

_sockeye() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} arguments
    COMPREPLY=()
    # In '--color=never' the '=' is a word of its own.
    if [ "$current" = = ]; then
        current=
    elif [ "$previous" = = ] && [ "$COMP_CWORD" -gt 2 ]; then
        previous=${COMP_WORDS[COMP_CWORD - 2]}
    fi
)";

std::string bash_command(const described_command& command) {
    auto text = fmt::format("    {})\n        case $previous in\n", command.name);
    std::vector<std::string> with_value;
    for (const auto& option : command.options) {
        if (option.has_value()) {
            text += fmt::format("        {})\n            {}\n            return\n            ;;\n",
                                joined(spellings(option), " | "), bash_offer(option.choice));
        }
        if (takes_following_word(option)) {
            std::ranges::copy(spellings(option), std::back_inserter(with_value));
        }
    }
    text += "        esac\n        case $current in\n        -*)\n";
    text += fmt::format("            _sockeye_offer '{}'\n            return\n            ;;\n"
                        "        esac\n",
                        joined(all_spellings(command)));
    text += fmt::format("        _sockeye_count_arguments '{}'\n        case $arguments in\n",
                        joined(with_value));
    for (std::size_t i = 0; i < command.arguments.size(); ++i) {
        const auto& argument = command.arguments[i];
        text += fmt::format("        {}) {} ;;\n", argument.is_repeatable ? "*" : fmt::to_string(i),
                            bash_offer(argument.choice));
    }
    return text + "        esac\n        ;;\n";
}

std::string bash_completion(const described_command& program,
                            const std::vector<described_command>& commands) {
    std::string text(bash_head);
    text += fmt::format("    if [ \"$COMP_CWORD\" -eq 1 ]; then\n        _sockeye_offer '{} {}'\n"
                        "        return\n    fi\n    case ${{COMP_WORDS[1]}} in\n",
                        joined(command_names(commands)), joined(all_spellings(program)));
    for (const auto& command : commands) {
        text += bash_command(command);
    }
    return text + "    esac\n}\n\ncomplete -F _sockeye sockeye\n";
}

/// Text within single quotes; `marks` get a backslash first.
std::string quoted(std::string_view text, std::string_view marks) {
    std::string safe;
    for (const char c : text) {
        if (c == '\'') {
            safe += "'\\''";
            continue;
        }
        safe += marks.find(c) != std::string_view::npos ? "\\" : "";
        safe += c;
    }
    return safe;
}

/// What offers the words of a choice to _arguments.
std::string zsh_action(const value_choice& choice) {
    switch (choice.what) {
    case choice_kind::words:
        return fmt::format("({})", joined(choice.words));
    case choice_kind::list:
        return fmt::format("_values -s , value {}", joined(choice.words));
    case choice_kind::file:
        return "_files";
    case choice_kind::none:
        break;
    }
    return " ";
}

std::string zsh_option(const described_option& option) {
    const auto names = spellings(option);
    const auto meaning = quoted(short_meaning(option.meaning), "[]\\");
    std::string value;
    if (option.has_value()) {
        value = fmt::format(":{}:{}", quoted(option.value_name, ":\\"), zsh_action(option.choice));
    }
    std::string spec = "        '" + (option.is_repeatable ? "*" : "(" + joined(names) + ")") + "'";
    std::vector<std::string> forms;
    for (const auto& name : names) {
        const bool is_long = name.starts_with("--");
        const std::string_view behind = option.has_optional_value ? "=-" : (is_long ? "=" : "+");
        forms.push_back(option.has_value() ? name + std::string(behind) : name);
    }
    spec += forms.size() > 1 ? "{" + joined(forms, ",") + "}" : forms.front();
    return spec + fmt::format("'[{}]{}' \\\n", meaning, value);
}

std::string zsh_command(const described_command& command) {
    auto text = fmt::format("    {})\n        _arguments -s -S : \\\n", command.name);
    for (const auto& option : command.options) {
        text += zsh_option(option);
    }
    for (const auto& argument : command.arguments) {
        text += fmt::format("        '{}:{}:{}' \\\n", argument.is_repeatable ? "*" : "",
                            quoted(argument.value_name, ":\\"), zsh_action(argument.choice));
    }
    text.erase(text.size() - 3); // The last ` \` and its end of line.
    return text + "\n        ;;\n";
}

std::string zsh_completion(const described_command& program,
                           const std::vector<described_command>& commands) {
    std::string text = "#compdef sockeye\n"
                       "# Completion of sockeye for zsh. Made by 'sockeye completion zsh'.\n\n"
                       "_sockeye() {\n"
                       "    if ((CURRENT == 2)); then\n"
                       "        local -a commands=(\n";
    for (const auto& command : commands) {
        text += fmt::format("            '{}:{}'\n", command.name, quoted(command.summary, "\\"));
    }
    text += "        )\n        _describe command commands\n        _arguments : \\\n";
    for (const auto& option : program.options) {
        text += zsh_option(option);
    }
    text.erase(text.size() - 3);
    text += "\n        return\n    fi\n    local command=$words[2]\n    shift words\n"
            "    ((CURRENT--))\n    case $command in\n";
    for (const auto& command : commands) {
        text += zsh_command(command);
    }
    return text + "    esac\n}\n\nif [ \"$funcstack[1]\" = _sockeye ]; then\n    _sockeye \"$@\"\n"
                  "else\n    compdef _sockeye sockeye\nfi\n";
}

std::string fish_quoted(std::string_view text) {
    std::string safe;
    for (const char c : text) {
        safe += c == '\'' || c == '\\' ? "\\" : "";
        safe += c;
    }
    return "'" + safe + "'";
}

std::string fish_value(const value_choice& choice) {
    if (choice.what == choice_kind::file) {
        return " -r -F";
    }
    return choice.words.empty() ? " -x" : fmt::format(" -x -a '{}'", joined(choice.words));
}

std::string fish_option(const std::string& condition, const described_option& option) {
    auto line = fmt::format("complete -c sockeye -n '{}'", condition);
    line += option.short_name.empty() ? "" : " -s " + option.short_name;
    line += option.long_name.empty() ? "" : " -l " + option.long_name;
    line += option.has_value() ? fish_value(option.choice) : "";
    return line + " -d " + fish_quoted(short_meaning(option.meaning)) + "\n";
}

std::string fish_completion(const described_command& program,
                            const std::vector<described_command>& commands) {
    std::string text = "# Completion of sockeye for fish. Made by 'sockeye completion fish'.\n\n"
                       "function __sockeye_is_at_command\n"
                       "    test (count (commandline -opc)) -eq 1\n"
                       "end\n"
                       "function __sockeye_has_command\n"
                       "    set -l words (commandline -opc)\n"
                       "    test (count $words) -gt 1; and test $words[2] = $argv[1]\n"
                       "end\n\n"
                       "complete -c sockeye -f\n";
    for (const auto& command : commands) {
        text += fmt::format("complete -c sockeye -n __sockeye_is_at_command -a {} -d {}\n",
                            command.name, fish_quoted(command.summary));
    }
    for (const auto& option : program.options) {
        text += fish_option("__sockeye_is_at_command", option);
    }
    for (const auto& command : commands) {
        const auto condition = "__sockeye_has_command " + command.name;
        for (const auto& option : command.options) {
            text += fish_option(condition, option);
        }
        for (const auto& argument : command.arguments) {
            if (!argument.choice.words.empty()) {
                text += fmt::format("complete -c sockeye -n '{}' -a '{}'\n", condition,
                                    joined(argument.choice.words));
            }
        }
    }
    return text;
}

std::string completion_script(const CLI::App& root, std::string_view shell) {
    const auto program = describe(root);
    const auto commands = describe_commands(root);
    if (shell == "bash") {
        return bash_completion(program, commands);
    }
    if (shell == "zsh") {
        return zsh_completion(program, commands);
    }
    if (shell == "fish") {
        return fish_completion(program, commands);
    }
    refuse_value("SHELL", shell, "there is bash, zsh and fish");
}

} // namespace

void add_completion_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("completion", "print a completion script for a shell");
    command->footer("  source <(sockeye completion bash)             in .bashrc\n"
                    "  source <(sockeye completion zsh)              in .zshrc, behind compinit\n"
                    "  sockeye completion fish | source              in config.fish");
    add_common_options(*command, common);
    auto* shell = command->add_option("SHELL", "which shell: bash, zsh or fish")->required();
    command->callback([&root, shell, &exit_code] {
        print(completion_script(root, shell->results().front()));
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
