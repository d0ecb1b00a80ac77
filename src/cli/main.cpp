#include "cli/command_line.hpp"
#include "cli/commands.hpp"
#include "cli/help.hpp"
#include "cli/host.hpp"

#include <exception>
#include <filesystem>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

/// The program's whole tree of options, what was given, and how it ended.
class program {
public:
    program();

    /// Reads `words`, everything behind the program's name, and runs the command they name.
    int run(std::vector<std::string> words);

private:
    int run_command(CLI::App& command, const std::vector<std::string>& words);
    int complain(int code, std::string_view message) const;

    CLI::App root_;
    common_options common_;
    /// Who speaks in error lines: the program, or one of its commands.
    std::string speaker_ = "sockeye";
    int exit_code_ = exit_done;
};

program::program()
    : root_("Small servers on an event loop, and the instrument that measures them.", "sockeye") {
    root_.set_help_flag();
    root_.require_subcommand(1);
    root_.footer(
        "  sockeye serve echo     an echo server on TCP and UDP port 7007 of this machine\n"
        "  sockeye bench          measure echo over every event backend\n"
        "  sockeye backends       what this machine and this build can use\n"
        "  sockeye help fetch     all about one command, with examples");
    for (const auto add : commands()) {
        add(root_, common_, exit_code_);
    }
}

int program::run(std::vector<std::string> words) {
    try {
        if (words.empty()) {
            write_talk(first_steps(root_), std::chrono::seconds(1));
            return exit_usage;
        }
        const auto first = words.front();
        if (first == "-h" || first == "--help") {
            print(help_text(root_));
            return exit_done;
        }
        if (first == "-V" || first == "--version") {
            print("sockeye " SOCKEYE_VERSION "\n");
            return exit_done;
        }
        auto& command = find_command(root_, first);
        speaker_ += " " + first;
        words.erase(words.begin());
        return run_command(command, words);
    } catch (const command_error& error) {
        return complain(error.code(), error.what());
    } catch (const CLI::ParseError& error) {
        return complain(exit_usage, escape(error.what(), 200));
    } catch (const std::exception& error) {
        return complain(exit_failed, escape(error.what(), 200));
    }
}

int program::run_command(CLI::App& command, const std::vector<std::string>& words) {
    switch (read_words(command, words)) {
    case request::help:
        print(help_text(command));
        return exit_done;
    case request::version:
        print("sockeye " SOCKEYE_VERSION "\n");
        return exit_done;
    case request::run:
        break;
    }
    // The options hold their words already: this converts them and runs the command.
    root_.parse(std::vector<std::string>{command.get_name()});
    return exit_code_;
}

int program::complain(int code, std::string_view message) const {
    write_talk(fmt::format("{}: {}\n", speaker_, message), std::chrono::seconds(1));
    return code;
}

/// The words behind the program's name. Called through a link named sockeye-NAME, the program is
/// the command NAME.
std::vector<std::string> words_of(int count, char** words) {
    std::vector<std::string> found(words + (count > 0 ? 1 : 0), words + count);
    const auto name = count > 0 ? std::filesystem::path(words[0]).filename().string() : "";
    constexpr std::string_view prefix = "sockeye-";
    if (name.starts_with(prefix)) {
        found.insert(found.begin(), name.substr(prefix.size()));
    }
    return found;
}

} // namespace
} // namespace sockeye::cli

int main(int count, char** words) {
    sockeye::cli::open_standard_descriptors();
    sockeye::cli::ignore_broken_pipes();
    return sockeye::cli::program().run(sockeye::cli::words_of(count, words));
}
