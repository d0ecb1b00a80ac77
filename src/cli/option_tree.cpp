#include "cli/option_tree.hpp"

#include "cli/commands.hpp"
#include "cli/method.hpp"
#include "cli/service.hpp"

#include <algorithm>
#include <string_view>

namespace sockeye::cli {
namespace {

std::vector<std::string> backend_words(std::string_view first) {
    std::vector<std::string> words = {std::string(first)};
    for (const auto& entry : backends()) {
        words.emplace_back(entry.name);
    }
    return words;
}

std::vector<std::string> service_words() {
    std::vector<std::string> words;
    for (const auto& entry : services()) {
        words.emplace_back(entry.name);
    }
    words.emplace_back("small");
    return words;
}

std::vector<std::string> command_words(const CLI::App& command) {
    std::vector<std::string> words;
    for (const auto* one : shown_commands(*command.get_parent())) {
        words.push_back(one->get_name());
    }
    words.emplace_back(method_topic);
    return words;
}

/// The words of `tcp|udp|unix`; those in capitals are no words but stand for something.
std::vector<std::string> words_between_bars(std::string_view text) {
    std::vector<std::string> words;
    for (bool is_last = text.find('|') == std::string_view::npos; !is_last;) {
        const auto word = text.substr(0, text.find('|'));
        is_last = word.size() == text.size();
        text.remove_prefix(is_last ? text.size() : word.size() + 1);
        if (std::ranges::all_of(word, [](char c) { return c >= 'a' && c <= 'z'; })) {
            words.emplace_back(word);
        }
    }
    return words;
}

/// The one place that knows what may be written for which option or argument.
value_choice choice_of(const CLI::App& command, const described_option& option) {
    using kind = value_choice::kind;
    const auto& name = option.long_name.empty() ? option.value_name : option.long_name;
    if (name == "color") {
        return {kind::words, {"auto", "always", "never"}};
    }
    if (name == "backend" && option.value_name.starts_with("LIST")) {
        return {kind::list, backend_words("all")};
    }
    if (name == "backend" || name == "client-backend") {
        return {kind::words, backend_words("auto")};
    }
    if (name == "SERVICE") {
        return {kind::list, service_words()};
    }
    if (name == "SHELL") {
        return {kind::words, shell_names()};
    }
    if (name == "COMMAND") {
        return {kind::words, command_words(command)};
    }
    if (option.value_name.starts_with("FILE") || option.value_name == "PATH") {
        return {kind::file, {}};
    }
    auto words = words_between_bars(option.value_name);
    return {words.empty() ? kind::none : kind::words, std::move(words)};
}

described_option describe_option(const CLI::App& command, const CLI::Option& option) {
    described_option told;
    const bool is_argument = option.get_positional();
    if (!is_argument) {
        told.short_name = option.get_snames().empty() ? "" : option.get_snames().front();
        told.long_name = option.get_lnames().empty() ? "" : option.get_lnames().front();
    }
    if (is_argument) {
        told.value_name = option.get_name(true);
    } else if (option.get_items_expected_max() > 0) {
        told.value_name = option.get_type_name();
    }
    told.group = option.get_group();
    told.meaning = option.get_description();
    told.is_required = option.get_required();
    told.is_repeatable = option.get_items_expected_max() > 1;
    told.has_optional_value =
        !is_argument && told.has_value() && option.get_items_expected_min() == 0;
    told.choice = choice_of(command, told);
    return told;
}

described_option plain_flag(char letter, std::string name, std::string meaning) {
    described_option told;
    told.short_name = letter;
    told.long_name = std::move(name);
    told.group = "Options";
    told.meaning = std::move(meaning);
    return told;
}

} // namespace

const std::vector<std::string>& shell_names() {
    static const std::vector<std::string> names = {"bash", "zsh", "fish"};
    return names;
}

described_command describe(const CLI::App& app) {
    described_command told;
    const bool is_program = app.get_parent() == nullptr;
    told.name = is_program ? "" : app.get_name();
    told.summary = app.get_description();
    told.examples = app.get_footer();
    for (const auto* option : app.get_options()) {
        if (!option->get_positional() && option->get_group().empty()) {
            continue;
        }
        auto& list = option->get_positional() ? told.arguments : told.options;
        list.push_back(describe_option(app, *option));
    }
    told.options.push_back(plain_flag('h', "help",
                                      is_program ? "print this and end; behind a command: its help"
                                                 : "print this and end"));
    told.options.push_back(plain_flag('V', "version", "print the version and end"));
    return told;
}

std::vector<described_command> describe_commands(const CLI::App& root) {
    std::vector<described_command> told;
    for (const auto* command : shown_commands(root)) {
        told.push_back(describe(*command));
    }
    return told;
}

} // namespace sockeye::cli
