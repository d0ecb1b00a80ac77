#include "support/program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

using support::is_installed;
using support::run_program;
using support::words;

namespace {

using name_set = std::set<std::string>;

std::string output_of(const words& arguments) {
    const auto ended = run_program(arguments);
    CHECK(ended.status == 0);
    CHECK(ended.talk.empty());
    return ended.output;
}

/// The commands that the help names.
words all_commands() {
    const auto help = output_of({"--help"});
    const auto start = help.find("\nCommands:\n");
    std::istringstream lines(help.substr(start + 11, help.find("\nOptions:\n") - start - 11));
    words found;
    for (std::string line; std::getline(lines, line);) {
        if (line.size() > 2 && line[2] != ' ') {
            found.push_back(line.substr(2, line.find(' ', 2) - 2));
        }
    }
    CHECK(found.size() > 5);
    return found;
}

/// What every match of `pattern` in `text` has as its groups, those that are empty left out.
name_set matches(const std::string& text, const std::string& pattern) {
    const std::regex expression(pattern);
    name_set found;
    for (std::sregex_iterator at(text.begin(), text.end(), expression), end; at != end; ++at) {
        for (std::size_t group = 1; group < at->size(); ++group) {
            if ((*at)[group].length() > 0) {
                found.insert((*at)[group]);
            }
        }
    }
    return found;
}

/// The part of a script that is about one command.
std::string part_between(const std::string& text, const std::string& from, const std::string& to) {
    const auto start = text.find(from);
    REQUIRE(start != std::string::npos);
    return text.substr(start, text.find(to, start) - start);
}

name_set options_of_help(const std::string& command) {
    return matches(output_of({"help", command}), "\n  (?:-(.), |    )--([a-z0-9-]+)");
}

name_set options_of_manual(const std::string& command) {
    const auto page = output_of({"manual", command});
    auto found = matches(page, "\n\\.It Fl (.) , Fl Fl ([a-z0-9-]+)");
    found.merge(matches(page, "\n\\.It Fl Fl ([a-z0-9-]+)"));
    return found;
}

name_set options_of_bash(const std::string& script, const std::string& command) {
    const auto part = part_between(script, "\n    " + command + ")\n", "\n    esac\n}\n");
    const auto list = part_between(part, "        -*)\n", ";;");
    return matches(list, "[ ']--?([a-zA-Z0-9-]+)");
}

name_set options_of_zsh(const std::string& script, const std::string& command) {
    const auto part = part_between(script, "\n    " + command + ")\n", "\n        ;;\n");
    auto found = matches(part, "'(?:\\{-(.)[+=-]*,)?(?:--)?([a-z0-9-]+)[+=-]*\\}?'\\[");
    return found;
}

name_set options_of_fish(const std::string& script, const std::string& command) {
    return matches(script,
                   "-n '__sockeye_has_command " + command + "'(?: -s (.))? -l ([a-z0-9-]+)");
}

void write_text(const std::string& path, const std::string& text) {
    std::ofstream(path) << text;
}

/// What bash offers behind `line`, whose last word is the one to complete.
words offered(const std::string& script_path, const words& line) {
    std::string typed = "COMP_WORDS=(";
    for (const auto& word : line) {
        typed += "'" + word + "' ";
    }
    const auto ended = support::run({"bash", "-c",
                                     "source \"$0\" || exit; " + typed +
                                         "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _sockeye; "
                                         "printf '%s\\n' \"${COMPREPLY[@]}\"",
                                     script_path});
    CHECK(ended.status == 0);
    CHECK(ended.talk.empty());
    std::istringstream lines(ended.output);
    words found;
    for (std::string text; std::getline(lines, text);) {
        if (!text.empty()) {
            found.push_back(text);
        }
    }
    return found;
}

} // namespace

TEST_CASE("manual: help, manual pages and completions name the same options of every command") {
    const auto bash = output_of({"completion", "bash"});
    const auto zsh = output_of({"completion", "zsh"});
    const auto fish = output_of({"completion", "fish"});
    for (const auto& command : all_commands()) {
        CAPTURE(command);
        const auto options = options_of_help(command);
        CHECK(options.contains("help"));
        CHECK(options.contains("V"));
        CHECK((options_of_manual(command) == options));
        CHECK((options_of_bash(bash, command) == options));
        CHECK((options_of_zsh(zsh, command) == options));
        CHECK((options_of_fish(fish, command) == options));
    }
}

TEST_CASE("manual: there is a page to install for every command") {
    auto installed = words();
    std::istringstream names(SOCKEYE_COMMANDS);
    for (std::string name; names >> name;) {
        installed.push_back(name);
    }
    auto commands = all_commands();
    std::ranges::sort(commands);
    CHECK(installed == commands);
}

TEST_CASE("manual: the pages have every section, and examples, environment and exit codes") {
    auto commands = all_commands();
    for (const auto& command : commands) {
        CAPTURE(command);
        const auto page = output_of({"manual", command});
        for (const auto* section : {"NAME", "SYNOPSIS", "DESCRIPTION", "ENVIRONMENT", "EXIT STATUS",
                                    "EXAMPLES", "SEE ALSO"}) {
            CAPTURE(section);
            CHECK(page.find(std::string("\n.Sh ") + section + "\n") != std::string::npos);
        }
        CHECK(page.find(".It Ev SOCKEYE_BACKEND") != std::string::npos);
        CHECK(page.find("\n.It 130, 143\n") != std::string::npos);
        CHECK(page.find("\n.Xr sockeye 1") != std::string::npos);
    }
    const auto page = output_of({"manual"});
    for (const auto& command : commands) {
        CHECK(page.find("\n.Xr sockeye-" + command + " 1") != std::string::npos);
    }
}

TEST_CASE("manual: mandoc finds nothing to warn of" * doctest::skip(!is_installed("mandoc"))) {
    const support::scratch_directory directory;
    auto commands = all_commands();
    commands.emplace_back();
    for (const auto& command : commands) {
        CAPTURE(command);
        const auto path = directory.file("page.1");
        write_text(path, output_of(command.empty() ? words{"manual"} : words{"manual", command}));
        const auto linted = support::run({"mandoc", "-Tlint", "-W", "warning", path});
        CHECK(linted.output == "");
        CHECK(linted.status == 0);
        const auto shown = support::run({"mandoc", "-Tascii", path});
        CHECK(shown.output.find("Stopped by SIGINT or") != std::string::npos);
    }
}

TEST_CASE("manual: an unknown page or shell is one line and exit 2") {
    CHECK(run_program({"manual", "srve"}).talk ==
          "sockeye manual: no command 'srve'; did you mean 'serve'?\n");
    CHECK(run_program({"completion"}).talk ==
          "sockeye completion: SHELL is missing; see 'sockeye completion --help'\n");
    const auto ended = run_program({"completion", "csh"});
    CHECK(ended.status == 2);
    CHECK(ended.talk == "sockeye completion: SHELL 'csh': there is bash, zsh and fish\n");
    CHECK(output_of({"--help"}).find("manual") == std::string::npos);
}

TEST_CASE("completion: the shells that are installed can read their scripts") {
    const support::scratch_directory directory;
    for (const std::string shell : {"bash", "zsh", "fish"}) {
        CAPTURE(shell);
        if (!is_installed(shell)) {
            MESSAGE("skipped: " << shell << " is missing");
            continue;
        }
        const auto path = directory.file(shell);
        write_text(path, output_of({"completion", shell}));
        const auto read = support::run({shell, "-n", path});
        CHECK(read.status == 0);
        CHECK(read.talk == "");
    }
}

TEST_CASE("completion: what bash offers" * doctest::skip(!is_installed("bash"))) {
    const support::scratch_directory directory;
    const auto script = directory.file("script");
    write_text(script, output_of({"completion", "bash"}));
    const auto offer = [&](const words& line) {
        words all = {"sockeye"};
        all.insert(all.end(), line.begin(), line.end());
        return offered(script, all);
    };
    CHECK(offer({"se"}).front() == "serve");
    CHECK(offer({"--v"}) == words{"--version"});
    CHECK(offer({"nonsense", ""}).empty());
    CHECK(offer({"completion", ""}) == words{"bash", "zsh", "fish"});
    CHECK(offer({"completion", "bash", ""}).empty());
    CHECK(offer({"help", "fe"}) == words{"fetch"});
    CHECK(offer({"fetch", "--max"}) == words{"--max-size"});
    CHECK(offer({"fetch", "--max-size", ""}).empty());
    CHECK(offer({"serve", "ech"}) == words{"echo"});
    CHECK(offer({"serve", "-v", "ech"}) == words{"echo"});
    CHECK(offer({"serve", "-b", "poll", "ech"}) == words{"echo"});
    CHECK(offer({"serve", "echo", "ech"}).empty());
    CHECK(offer({"serve", "echo,dis"}) == words{"echo,discard"});
    CHECK(offer({"serve", "echo", "-b", "ep"}) == words{"epoll"});
    CHECK(offer({"serve", "echo", "--color", "=", "al"}) == words{"always"});
    CHECK(offer({"serve", "echo", "--color", "="}) == words{"auto", "always", "never"});
    CHECK(offer({"serve", "--color", "=", "never", "ech"}) == words{"echo"});
    CHECK(offer({"bench", "--backend", "epoll,po"}) == words{"epoll,poll"});
    const auto file = directory.file("a file.txt");
    write_text(file, "");
    CHECK(offer({"fetch", "-o", directory.file("a")}) == words{file});
}
