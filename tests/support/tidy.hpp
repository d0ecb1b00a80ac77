#pragma once

// The rules of the tree as functions over text, so that tidy_test can prove that each can fail.

#include <cstddef>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace tidy {

/// A file of the tree. Its path is relative to the top: `src/net/stream.cpp`.
struct source {
    std::string path;
    std::string text;
};

/// What breaks a rule, and where; line 0 is the file as a whole.
struct finding {
    std::string path;
    std::size_t line = 0;
    std::string what;
};
using findings = std::vector<finding>;

inline constexpr std::size_t columns_max = 100;
inline constexpr std::size_t function_lines_max = 60;

/// The sources below `top` that people write: include, src, bench and tests.
[[nodiscard]] std::vector<source> read_tree(const std::string& top);
[[nodiscard]] std::optional<std::string> read_file(const std::string& path);

/// `text` with blanks in place of comments and of what literals hold; lines stay where they are.
[[nodiscard]] std::string blank_out(std::string_view text);

/// The floor that a file belongs to; none where the table of floors does not know it.
[[nodiscard]] std::optional<int> floor_of(std::string_view path);

/// Long lines, tabs, trailing blanks, leftovers, a missing `#pragma once` or last newline.
[[nodiscard]] findings check_text(const source& file);
/// Includes point down; the program and the bench see public headers only; public headers name
/// no system header; a source includes its own header first.
[[nodiscard]] findings check_includes(const source& file, const std::set<std::string>& known);
/// No system call, no clock read, no errno and no system header above floor 1.
[[nodiscard]] findings check_system_calls(const source& file);
/// What differs between the systems stays in two files.
[[nodiscard]] findings check_platform(const source& file);
/// No function is longer than 60 lines.
[[nodiscard]] findings check_functions(const source& file);

using lookup = std::function<std::optional<std::string>(const std::string& path)>;

/// A fenced block behind a line `<!-- from PATH -->` is that file, to the letter.
[[nodiscard]] findings check_quotes(const source& page, const lookup& find);
/// How many such blocks there are.
[[nodiscard]] std::size_t count_quotes(std::string_view text);

} // namespace tidy
