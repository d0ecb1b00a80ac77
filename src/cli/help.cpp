#include "cli/help.hpp"

#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "cli/method.hpp"
#include "cli/option_tree.hpp"

#include <algorithm>
#include <cctype>
#include <vector>

namespace sockeye::cli {
namespace {

constexpr std::size_t name_column = 28;

/// Appends `text` cut into lines that begin in column `indent`; the first line is begun already.
void append_wrapped(std::string& page, std::string_view text, std::size_t indent) {
    page += wrapped(text, indent);
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
std::string option_names(const described_option& option) {
    auto names = option.short_name.empty() ? "    " : "-" + option.short_name + ", ";
    names += "--" + option.long_name;
    if (option.has_optional_value) {
        return names + "[=" + option.value_name + "]";
    }
    return option.has_value() ? names + " " + option.value_name : names;
}

std::string usage(const described_command& command) {
    auto line = fmt::format("usage: sockeye {} [OPTIONS]", command.name);
    for (const auto& argument : command.arguments) {
        const auto name = argument.value_name + (argument.is_repeatable ? "..." : "");
        line += argument.is_required ? " " + name : " [" + name + "]";
    }
    return line + "\n";
}

/// The group `Options` with -h and -V at its end, then the others.
void append_options(std::string& page, const described_command& command) {
    std::vector<std::string> groups = {"Options"};
    for (const auto& option : command.options) {
        if (std::ranges::find(groups, option.group) == groups.end()) {
            groups.push_back(option.group);
        }
    }
    for (const auto& group : groups) {
        page += "\n" + group + ":\n";
        for (const auto& option : command.options) {
            if (option.group == group) {
                append_entry(page, option_names(option), option.meaning);
            }
        }
    }
}

std::string command_help(const described_command& command) {
    auto page = usage(command) + "\n";
    auto sentence = command.summary + ".";
    sentence.front() = static_cast<char>(std::toupper(sentence.front()));
    append_wrapped(page, sentence, 0);
    if (!command.examples.empty()) {
        page += "\nExamples:\n" + command.examples + "\n";
    }
    page += command.arguments.empty() ? "" : "\nArguments:\n";
    for (const auto& argument : command.arguments) {
        append_entry(page, argument.value_name, argument.meaning);
    }
    append_options(page, command);
    return page;
}

std::string program_help(const CLI::App& root) {
    const auto program = describe(root);
    std::string page = "usage: sockeye COMMAND [OPTIONS] [ARGUMENTS]\n\n";
    append_wrapped(page, program.summary, 0);
    page += "\nExamples:\n" + program.examples + "\n\nCommands:\n";
    for (const auto& command : describe_commands(root)) {
        append_entry(page, command.name, command.summary);
    }
    append_options(page, program);
    page += "\n";
    append_wrapped(page,
                   "Endpoints: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                   "unix:@NAME (Linux), IPv6 as [::1]:PORT. HOST:PORT and :PORT are TCP, and a "
                   "missing HOST is this machine only; *:PORT is every IPv4 address of it. Port 0 "
                   "is any free one.",
                   0);
    page += "\n";
    append_wrapped(page,
                   "Times: 500ms, 10s, 1m30s; a bare number is seconds. Sizes: 64, 16KiB, 1MB; "
                   "KiB and K are 1024, kB is 1000. Numbers: 500, 10k, 1M.",
                   0);
    return page;
}

} // namespace

std::string help_text(const CLI::App& app) {
    return app.get_parent() == nullptr ? program_help(app) : command_help(describe(app));
}

std::string first_steps(const CLI::App& root) {
    std::vector<std::string> names;
    for (const auto* command : shown_commands(root)) {
        names.push_back(command->get_name());
    }
    auto page =
        fmt::format("usage: sockeye COMMAND [OPTIONS] [ARGUMENTS]\n\n{}\n\n", root.get_footer());
    append_wrapped(page, fmt::format("commands: {}", join_and(names)), 0);
    return page + "'sockeye --help' says more\n";
}

void add_help_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("help", "explain the program or one command");
    command->footer("  sockeye help\n"
                    "  sockeye help serve\n"
                    "  sockeye help method   how bench measures, and what it says of a result");
    add_common_options(*command, common);
    auto* topic = command->add_option(
        "COMMAND", "what to explain, or method: how bench measures; without it: the program");
    command->callback([&root, topic, &exit_code] {
        const auto& named = topic->results();
        if (!named.empty() && named.front() == method_topic) {
            print(method_text());
        } else {
            print(help_text(named.empty() ? root : find_command(root, named.front())));
        }
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
