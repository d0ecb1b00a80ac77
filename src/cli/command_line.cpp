#include "cli/command_line.hpp"

#include "cli/commands.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>

namespace sockeye::cli {
namespace {

[[noreturn]] void refuse(const std::string& message) {
    throw command_error(exit_usage, message);
}

bool is_flag(const CLI::Option& option) {
    return option.get_items_expected_max() == 0;
}

/// `--stats` or `--stats=T`: the word behind it is never its value.
bool has_optional_value(const CLI::Option& option) {
    return option.nonpositional() && option.get_items_expected_min() == 0 && !is_flag(option);
}

/// The long name, which every option has: `--size`.
std::string name_of(const CLI::Option& option) {
    return "--" + option.get_lnames().front();
}

/// Walks over the words of one command.
class word_reader {
public:
    word_reader(CLI::App& command, const std::vector<std::string>& words)
        : command_(command), words_(words) {}

    request read();

private:
    std::optional<request> read_long(const std::string& word);
    std::optional<request> read_short(const std::string& word);
    void read_argument(const std::string& word);
    void check_arguments() const;

    CLI::Option& find_long(const std::string& name) const;
    void give(CLI::Option& option, const std::string& value);
    void give_flag(CLI::Option& option);
    const std::string& following_value(const CLI::Option& option);

    CLI::App& command_;
    const std::vector<std::string>& words_;
    std::size_t next_ = 0;
};

request word_reader::read() {
    bool has_ended = false;
    while (next_ < words_.size()) {
        const auto& word = words_[next_++];
        std::optional<request> asked;
        if (has_ended || word.size() < 2 || word[0] != '-') {
            read_argument(word);
        } else if (word == "--") {
            has_ended = true;
        } else {
            asked = word[1] == '-' ? read_long(word) : read_short(word);
        }
        if (asked) {
            return *asked;
        }
    }
    check_arguments();
    return request::run;
}

std::optional<request> word_reader::read_long(const std::string& word) {
    const auto equals = word.find('=');
    const auto name = word.substr(0, equals);
    const bool has_value = equals != std::string::npos;
    const bool is_help = name == "--help";
    if ((is_help || name == "--version") && !has_value) {
        return is_help ? request::help : request::version;
    }
    auto& option = find_long(name);
    if (has_optional_value(option)) {
        give(option, has_value ? word.substr(equals + 1) : option.get_default_str());
        return std::nullopt;
    }
    if (!is_flag(option)) {
        give(option, has_value ? word.substr(equals + 1) : following_value(option));
        while (static_cast<int>(option.count()) < option.get_items_expected_min()) {
            give(option, following_value(option));
        }
        return std::nullopt;
    }
    if (has_value) {
        refuse(fmt::format("{} takes no value", name));
    }
    give_flag(option);
    return std::nullopt;
}

std::optional<request> word_reader::read_short(const std::string& word) {
    for (std::size_t i = 1; i < word.size(); ++i) {
        const std::string name = {'-', word[i]};
        if (name == "-h" || name == "-V") {
            return name == "-h" ? request::help : request::version;
        }
        auto* option = command_.get_option_no_throw(name);
        if (option == nullptr) {
            refuse(i == 1 ? fmt::format("no option '{}'", escape(word, 40))
                          : fmt::format("no option '{}' in '{}'", escape(name), escape(word, 40)));
        }
        if (!is_flag(*option)) {
            const auto rest = word.substr(i + 1);
            give(*option, rest.empty() ? following_value(*option) : rest);
            break;
        }
        give_flag(*option);
    }
    return std::nullopt;
}

/// The first argument that still has room takes the word.
void word_reader::read_argument(const std::string& word) {
    for (auto* option : command_.get_options()) {
        const auto room = static_cast<std::size_t>(option->get_items_expected_max());
        if (option->get_positional() && option->count() < room) {
            option->allow_extra_args(false)->add_result(word);
            return;
        }
    }
    refuse(fmt::format("'{}' is one argument too many", escape(word, 60)));
}

void word_reader::check_arguments() const {
    for (const auto* option : command_.get_options()) {
        if (option->get_positional() && option->get_required() && option->count() == 0) {
            refuse(fmt::format("{} is missing; see 'sockeye {} --help'", option->get_name(true),
                               command_.get_name()));
        }
    }
}

CLI::Option& word_reader::find_long(const std::string& name) const {
    auto* option = command_.get_option_no_throw(name);
    if (option != nullptr) {
        return *option;
    }
    std::vector<std::string> names = {"help", "version"};
    for (const auto* known : command_.get_options()) {
        names.insert(names.end(), known->get_lnames().begin(), known->get_lnames().end());
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto meant = nearest(std::string_view(name).substr(2), views);
    refuse(fmt::format("no option '{}'{}", escape(name, 40),
                       meant.empty() ? "" : fmt::format("; did you mean '--{}'?", meant)));
}

void word_reader::give(CLI::Option& option, const std::string& value) {
    if (option.count() > 0 && option.get_items_expected_max() == 1) {
        refuse(fmt::format("{} is given twice", name_of(option)));
    }
    option.allow_extra_args(false)->add_result(value);
}

void word_reader::give_flag(CLI::Option& option) {
    if (option.count() > 0) {
        refuse(fmt::format("{} is given twice", name_of(option)));
    }
    option.add_result(option.get_flag_value(name_of(option).substr(2), {}));
}

const std::string& word_reader::following_value(const CLI::Option& option) {
    if (next_ == words_.size()) {
        refuse(fmt::format("{} needs a value", name_of(option)));
    }
    return words_[next_++];
}

} // namespace

CLI::App& find_command(CLI::App& root, const std::string& word) {
    for (auto* command : root.get_subcommands(nullptr)) {
        if (command->get_name() == word) {
            return *command;
        }
    }
    if (word.size() > 1 && word[0] == '-') {
        refuse(fmt::format("no option '{}' here; options go behind the command, as in 'sockeye "
                           "serve --help'",
                           escape(word, 40)));
    }
    std::vector<std::string> names;
    for (const auto* command : shown_commands(root)) {
        names.push_back(command->get_name());
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const auto hint = did_you_mean(word, views);
    refuse(fmt::format("no command '{}'{}", escape(word, 40),
                       hint.empty() ? "; see 'sockeye --help'" : hint));
}

request read_words(CLI::App& command, const std::vector<std::string>& words) {
    return word_reader(command, words).read();
}

} // namespace sockeye::cli
