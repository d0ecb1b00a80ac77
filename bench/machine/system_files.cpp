#include "bench/machine/system_files.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

namespace sockeye::bench {
namespace {

constexpr std::string_view blanks = " \t\n";

std::string_view trimmed(std::string_view text) {
    const auto begin = text.find_first_not_of(blanks);
    if (begin == std::string_view::npos) {
        return {};
    }
    return text.substr(begin, text.find_last_not_of(blanks) + 1 - begin);
}

std::optional<std::uint64_t> leading_number(std::string_view text) {
    std::uint64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    return error == std::errc() ? std::optional(number) : std::nullopt;
}

} // namespace

std::optional<std::string> system_files::text(const std::string& path) const {
    std::ifstream file(root_ + path);
    if (!file) {
        return std::nullopt;
    }
    std::string all((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    return file.bad() ? std::nullopt : std::optional(std::move(all));
}

std::optional<std::string> system_files::line(const std::string& path) const {
    std::ifstream file(root_ + path);
    std::string first;
    std::getline(file, first);
    const auto content = trimmed(first);
    return content.empty() ? std::nullopt : std::optional(std::string(content));
}

std::optional<std::uint64_t> system_files::number(const std::string& path) const {
    const auto first = line(path);
    return first ? leading_number(*first) : std::nullopt;
}

std::optional<std::string> system_files::entry(const std::string& path,
                                               std::string_view name) const {
    std::istringstream lines(text(path).value_or(""));
    for (std::string line; std::getline(lines, line);) {
        const auto rest = std::string_view(line).substr(std::min(name.size(), line.size()));
        if (!line.starts_with(name) || rest.empty() || rest.find_first_of(": \t") != 0) {
            continue;
        }
        const auto value = rest.find_first_not_of(": \t");
        return std::string(trimmed(value == std::string_view::npos ? "" : rest.substr(value)));
    }
    return std::nullopt;
}

std::optional<std::uint64_t> system_files::entry_number(const std::string& path,
                                                        std::string_view name) const {
    const auto found = entry(path, name);
    return found ? leading_number(*found) : std::nullopt;
}

std::vector<std::string> system_files::names(const std::string& folder) const {
    std::vector<std::string> found;
    std::error_code error;
    std::filesystem::directory_iterator at(root_ + folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
        found.push_back(at->path().filename().string());
    }
    std::sort(found.begin(), found.end());
    return found;
}

host::cpu_list parse_cpus(std::string_view text) {
    constexpr std::uint64_t cpu_max = 65535;
    host::cpu_list found;
    while (!text.empty()) {
        const auto part = text.substr(0, text.find(','));
        text.remove_prefix(std::min(part.size() + 1, text.size()));
        const auto dash = part.find('-');
        const auto first = leading_number(part);
        const auto last =
            dash == std::string_view::npos ? first : leading_number(part.substr(dash + 1));
        if (first && last && *last <= cpu_max) {
            for (auto cpu = *first; cpu <= *last; ++cpu) {
                found.push_back(static_cast<unsigned>(cpu));
            }
        }
    }
    return found;
}

} // namespace sockeye::bench
