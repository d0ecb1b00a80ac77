#include "cli/help.hpp"

#include "cli/command_line.hpp"
#include "cli/commands.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace sockeye::cli {
namespace {

constexpr std::size_t width = 80;
constexpr std::size_t name_column = 28;

/// Appends `text` cut into lines that begin in column `indent`; the first line is begun already.
void append_wrapped(std::string& page, std::string_view text, std::size_t indent) {
    std::size_t column = indent;
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        text.remove_prefix(std::min(word.size() + 1, text.size()));
        if (column > indent && column + 1 + word.size() > width) {
            page += "\n" + std::string(indent, ' ');
            column = indent;
        }
        if (column > indent) {
            page += ' ';
            ++column;
        }
        page += word;
        column += word.size();
    }
    page += '\n';
}

/// One entry of a list: a name, and what it means in the column beside it.
void append_entry(std::string& page, std::string_view name, std::string_view meaning) {
    const auto left = fmt::format("  {}", name);
    page += left;
    if (left.size() + 1 > name_column) {
        page += "\n" + std::string(name_column, ' ');
    } else {
        page += std::string(name_column - left.size(), ' ');
    }
    append_wrapped(page, meaning, name_column);
}

/// `-b, --backend NAME`
std::string option_names(const CLI::Option& option) {
    std::string names;
    for (const auto& name : option.get_snames()) {
        names += "-" + name + ", ";
    }
    if (names.empty()) {
        names = "    ";
    }
    for (const auto& name : option.get_lnames()) {
        names += "--" + name;
    }
    if (option.get_items_expected_max() == 0) {
        return names;
    }
    const bool is_optional = option.get_items_expected_min() == 0;
    return names +
           (is_optional ? "[=" + option.get_type_name() + "]" : " " + option.get_type_name());
}

bool is_repeatable(const CLI::Option& option) {
    return option.get_items_expected_max() > 1;
}

std::string usage(const CLI::App& command) {
    auto line = fmt::format("usage: sockeye {} [OPTIONS]", command.get_name());
    for (const auto* option : command.get_options()) {
        if (option->get_positional()) {
            const auto name = option->get_name(true) + (is_repeatable(*option) ? "..." : "");
            line += option->get_required() ? " " + name : " [" + name + "]";
        }
    }
    return line + "\n";
}

void append_options(std::string& page, const CLI::App& command) {
    std::vector<std::string> groups;
    for (const auto* option : command.get_options()) {
        const bool is_known = std::ranges::find(groups, option->get_group()) != groups.end();
        if (option->nonpositional() && !option->get_group().empty() && !is_known) {
            groups.push_back(option->get_group());
        }
    }
    for (const auto& group : groups) {
        page += "\n" + group + ":\n";
        for (const auto* option : command.get_options()) {
            if (option->nonpositional() && option->get_group() == group) {
                append_entry(page, option_names(*option), option->get_description());
            }
        }
    }
}

std::string command_help(const CLI::App& command) {
    auto page = usage(command) + "\n";
    auto sentence = command.get_description() + ".";
    sentence.front() = static_cast<char>(std::toupper(sentence.front()));
    append_wrapped(page, sentence, 0);
    if (!command.get_footer().empty()) {
        page += "\nExamples:\n" + command.get_footer() + "\n";
    }
    bool has_arguments = false;
    for (const auto* option : command.get_options()) {
        if (option->get_positional()) {
            page += has_arguments ? "" : "\nArguments:\n";
            has_arguments = true;
            append_entry(page, option->get_name(true), option->get_description());
        }
    }
    append_options(page, command);
    append_entry(page, "-h, --help", "print this and end");
    append_entry(page, "-V, --version", "print the version and end");
    return page;
}

std::string program_help(const CLI::App& root) {
    std::string page = "usage: sockeye COMMAND [OPTIONS] [ARGUMENTS]\n\n";
    append_wrapped(page, root.get_description(), 0);
    page += "\nExamples:\n" + root.get_footer() + "\n\nCommands:\n";
    for (const auto* command : shown_commands(root)) {
        append_entry(page, command->get_name(), command->get_description());
    }
    page += "\nOptions:\n";
    append_entry(page, "-h, --help", "print this and end; behind a command: its help");
    append_entry(page, "-V, --version", "print the version and end");
    page += "\n";
    append_wrapped(page,
                   "Endpoints: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                   "unix:@NAME (Linux), IPv6 as [::1]:PORT. HOST:PORT and :PORT are TCP, and a "
                   "missing HOST is this machine only; *:PORT is every IPv4 address of it. Port 0 "
                   "is any free one.",
                   0);
    return page;
}

} // namespace

std::string help_text(const CLI::App& app) {
    return app.get_parent() == nullptr ? program_help(app) : command_help(app);
}

std::string first_steps(const CLI::App& root) {
    std::vector<std::string> names;
    for (const auto* command : shown_commands(root)) {
        names.push_back(command->get_name());
    }
    return fmt::format("usage: sockeye COMMAND [OPTIONS] [ARGUMENTS]\n\n{}\n\ncommands: {}\n"
                       "'sockeye --help' says more, 'sockeye COMMAND --help' all of one command\n",
                       root.get_footer(), join_and(names));
}

void add_help_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("help", "explain the program or one command");
    add_common_options(*command, common);
    auto* topic = command->add_option("COMMAND", "what to explain; without it: the program");
    command->callback([&root, topic, &exit_code] {
        const auto& named = topic->results();
        print(help_text(named.empty() ? root : find_command(root, named.front())));
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
