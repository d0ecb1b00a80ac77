#include "cli/manual.hpp"

#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "cli/method.hpp"
#include "cli/option_tree.hpp"
#include "cli/roff.hpp"

#include <algorithm>
#include <cctype>

namespace sockeye::cli {
namespace {

/// What pages say that the help has no room for.
struct long_description {
    std::string_view command;
    std::string_view text;
};
constexpr long_description long_descriptions[] = {
    {"serve", "Each service has a TCP and, where that makes sense, a UDP side. Without an ENDPOINT "
              "it is served at its own port, which is 7000 and the port that RFC 862 to 868 give "
              "it, for this machine alone. The line that says where goes to the standard output "
              "when everything is ready, so that a script can read the port from it. SIGINT and "
              "SIGTERM end it in good order, a second one at once; SIGUSR1 prints what was done "
              "so far."},
    {"fetch", "The request is HTTP/1.1 and asks the server to close the connection. The head of "
              "the answer is printed, and its body is written to a file of the name that the URL "
              "ends in, decoded, or index.html; what the server calls it does not matter. Until "
              "all of it is there, the file is called NAME.part. With -o - the body goes to the "
              "standard output and the head to the standard error. A body that is not whole is an "
              "error, and so is a status of 400 and above, whose page is saved all the same. "
              "There is no https."},
    {"bench", "Without options a matrix of tests is run over every backend that can be used here, "
              "each beside a control, which is the baseline once more. What cannot be told apart "
              "from the noise of the machine is not called faster."},
    {"backends", "Whether a backend is usable is found out by using it."},
    {"completion", "The script is for the shell to read when it starts, as the examples show. "
                   "Packages install it where the shell looks for it."},
};

std::string sentence(std::string_view text) {
    std::string whole(text);
    whole.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(whole.front())));
    return whole.ends_with('.') ? whole : whole + ".";
}

std::string page_name(const described_command& command) {
    return command.name.empty() ? "sockeye" : "sockeye-" + command.name;
}

/// `Fl b , Fl Fl backend Ar NAME`
std::string option_heading(const described_option& option) {
    std::string heading;
    if (!option.short_name.empty()) {
        heading = "Fl " + option.short_name;
    }
    if (!option.long_name.empty()) {
        heading += (heading.empty() ? "" : " , ") + ("Fl Fl " + option.long_name);
    }
    if (option.has_optional_value) {
        return heading + " Ns Oo = Ar " + roff_argument(option.value_name) + " Oc";
    }
    return option.has_value() ? heading + " Ar " + roff_argument(option.value_name) : heading;
}

/// What stands in the synopsis: the short name where there is one.
std::string synopsis_entry(const described_option& option) {
    auto entry = "Fl " + (option.short_name.empty() ? "Fl " + option.long_name : option.short_name);
    if (option.has_optional_value) {
        entry += " Ns Oo = Ar " + roff_argument(option.value_name) + " Oc";
    } else if (option.has_value()) {
        entry += " Ar " + roff_argument(option.value_name);
    }
    return ".Op " + entry + "\n";
}

std::string synopsis(const described_command& command) {
    std::string lines = ".Sh SYNOPSIS\n";
    if (command.name.empty()) {
        return lines + ".Nm sockeye\n.Ar COMMAND\n.Op Ar OPTIONS\n.Op Ar ARGUMENTS\n"
                       ".Nm sockeye\n.Fl h | V\n";
    }
    lines += fmt::format(".Nm \"sockeye {}\"\n", command.name);
    for (const auto& option : command.options) {
        lines += synopsis_entry(option);
    }
    for (const auto& argument : command.arguments) {
        lines +=
            fmt::format("{}Ar {}{}\n", argument.is_required ? "." : ".Op ",
                        roff_argument(argument.value_name), argument.is_repeatable ? " ..." : "");
    }
    return lines;
}

std::string list_entry(const std::string& heading, const described_option& option) {
    auto lines = ".It " + heading + "\n" + roff_lines(sentence(option.meaning));
    std::string missing;
    for (const auto& word : option.choice.words) {
        missing += (missing.empty() ? "" : ", ") + word;
    }
    const bool is_said =
        option.meaning.find(option.choice.words.empty() ? "" : option.choice.words.back()) !=
        std::string::npos;
    return is_said ? lines : lines + roff_lines(fmt::format("Values: {}.", missing));
}

std::string description(const described_command& command) {
    std::string lines = ".Sh DESCRIPTION\n" + roff_lines(sentence(command.summary));
    const auto longer =
        std::ranges::find(long_descriptions, command.name, &long_description::command);
    if (longer != std::end(long_descriptions)) {
        lines += ".Pp\n" + roff_lines(longer->text);
    }
    if (!command.arguments.empty()) {
        lines += ".Pp\nThe arguments are as follows:\n.Bl -tag -width Ds\n";
        for (const auto& argument : command.arguments) {
            lines += list_entry("Ar " + roff_argument(argument.value_name), argument);
        }
        lines += ".El\n";
    }
    lines += ".Pp\nThe options are as follows:\n.Bl -tag -width Ds\n";
    for (const auto& option : command.options) {
        lines += list_entry(option_heading(option), option);
    }
    return lines + ".El\n";
}

std::string command_list(const CLI::App& root) {
    std::string lines = ".Pp\nThe commands are as follows:\n.Bl -tag -width Ds\n";
    for (const auto& command : describe_commands(root)) {
        lines += fmt::format(".It Ic {}\n{}See\n.Xr sockeye-{} 1 .\n", command.name,
                             roff_lines(sentence(command.summary)), command.name);
    }
    return lines + ".El\n";
}

constexpr std::string_view environment_section =
    ".Sh ENVIRONMENT\n"
    ".Bl -tag -width Ds\n"
    ".It Ev SOCKEYE_BACKEND\n"
    "The backend that is used where\n"
    ".Fl Fl backend\n"
    "is not given.\n"
    ".It Ev NO_COLOR\n"
    "Not empty: no colours, unless\n"
    ".Fl Fl color Cm always\n"
    "is given.\n"
    ".It Ev CLICOLOR_FORCE\n"
    "Neither empty nor 0: colours also where the output is no terminal.\n"
    ".It Ev TERM\n"
    "The kind of terminal; a\n"
    ".Cm dumb\n"
    "one gets neither colours nor progress.\n"
    ".It Ev LC_ALL , Ev LC_CTYPE , Ev LANG\n"
    "The first that is not empty names the locale: where that is of UTF-8, measurements use\n"
    "more than ASCII on a terminal.\n"
    ".El\n";

constexpr std::string_view exit_section = ".Sh EXIT STATUS\n"
                                          ".Bl -tag -width \"130, 143\"\n"
                                          ".It 0\n"
                                          "Done; servers: stopped as asked.\n"
                                          ".It 1\n"
                                          "It ran and failed.\n"
                                          ".It 2\n"
                                          "The command line is wrong, and nothing was done.\n"
                                          ".It 3\n"
                                          "A limit of\n"
                                          ".Fl Fl fail-if\n"
                                          "was crossed.\n"
                                          ".It 4\n"
                                          "The result is not to be trusted.\n"
                                          ".It 5\n"
                                          "Not available here, such as a backend.\n"
                                          ".It 130, 143\n"
                                          "Stopped by SIGINT or SIGTERM; not servers.\n"
                                          ".El\n";

std::string examples(const described_command& command) {
    std::string lines = ".Sh EXAMPLES\n.Bd -literal\n";
    std::string_view text = command.examples;
    while (!text.empty()) {
        auto line = text.substr(0, text.find('\n'));
        text.remove_prefix(std::min(line.size() + 1, text.size()));
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        lines += (line.starts_with('.') ? "\\&" : "") + roff_text(line) + "\n";
    }
    return lines + ".Ed\n";
}

std::string see_also(const CLI::App& root, const described_command& command) {
    std::vector<std::string> pages;
    if (!command.name.empty()) {
        pages.emplace_back("sockeye");
    }
    for (const auto& other : describe_commands(root)) {
        if (other.name != command.name) {
            pages.push_back("sockeye-" + other.name);
        }
    }
    std::ranges::sort(pages);
    std::string lines = ".Sh SEE ALSO\n";
    for (const auto& page : pages) {
        lines += fmt::format(".Xr {} 1 ,\n", page);
    }
    return lines + ".Xr sockeye-method 7\n";
}

} // namespace

std::string manual_page(const CLI::App& app) {
    const bool is_program = app.get_parent() == nullptr;
    const auto command = describe(app);
    const auto name = page_name(command);
    std::string title = name;
    std::ranges::transform(title, title.begin(),
                           [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
    auto summary = command.summary;
    if (summary.ends_with('.')) {
        summary.pop_back();
    }
    summary.front() = static_cast<char>(std::tolower(static_cast<unsigned char>(summary.front())));
    std::string page = fmt::format(".Dd {}\n.Dt {} 1\n.Os\n.Sh NAME\n.Nm {}\n.Nd {}\n", page_date,
                                   title, name, roff_text(summary));
    page += synopsis(command) + description(command);
    page += is_program ? command_list(app) : "";
    page += environment_section;
    page += exit_section;
    page += command.examples.empty() ? "" : examples(command);
    return page + see_also(is_program ? app : *app.get_parent(), command);
}

void add_manual_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("manual", "print a manual page, in mdoc");
    command->footer("  sockeye manual serve | man -l -");
    command->group("");
    add_common_options(*command, common);
    auto* topic = command->add_option("COMMAND", "whose; without it: the program's");
    command->callback([&root, topic, &exit_code] {
        const auto& named = topic->results();
        if (!named.empty() && named.front() == method_topic) {
            print(method_manual());
        } else {
            print(manual_page(named.empty() ? root : find_command(root, named.front())));
        }
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
