#include "support/tidy.hpp"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <utility>

namespace tidy {
namespace {

struct floor_row {
    std::string_view place; ///< a folder, or one file
    int floor;
};

/// The one table of floors. The public headers are in one folder and stand here one by one.
constexpr floor_row floors[] = {
    {"include/sockeye/bytes.hpp", 0},
    {"include/sockeye/datagram.hpp", 0},
    {"include/sockeye/datagram_options.hpp", 0},
    {"include/sockeye/endpoint.hpp", 0},
    {"include/sockeye/error.hpp", 0},
    {"include/sockeye/owned_bytes.hpp", 0},
    {"include/sockeye/peer_credentials.hpp", 0},
    {"include/sockeye/result.hpp", 0},
    {"include/sockeye/stream_info.hpp", 0},
    {"include/sockeye/stream_options.hpp", 0},
    {"include/sockeye/time.hpp", 0},
    {"include/sockeye/unique_fd.hpp", 0},
    {"include/sockeye/unique_function.hpp", 0},
    {"include/sockeye/inherited.hpp", 1},
    {"include/sockeye/interest.hpp", 1},
    {"include/sockeye/simulation_options.hpp", 1},
    {"include/sockeye/loop.hpp", 3},
    {"include/sockeye/lag_histogram.hpp", 2},
    {"include/sockeye/loop_counters.hpp", 2},
    {"include/sockeye/process_watch.hpp", 3},
    {"include/sockeye/prometheus.hpp", 3},
    {"include/sockeye/signal_set.hpp", 3},
    {"include/sockeye/timer.hpp", 3},
    {"include/sockeye/datagram_socket.hpp", 4},
    {"include/sockeye/listener.hpp", 4},
    {"include/sockeye/reply_policy.hpp", 4},
    {"include/sockeye/loop_group.hpp", 4},
    {"include/sockeye/relay.hpp", 4},
    {"include/sockeye/resolver.hpp", 4},
    {"include/sockeye/serve.hpp", 4},
    {"include/sockeye/session.hpp", 4},
    {"include/sockeye/standard_streams.hpp", 4},
    {"include/sockeye/stream.hpp", 4},
    {"include/sockeye/await.hpp", 5},
    {"include/sockeye/task.hpp", 5},
    {"include/sockeye/simulation.hpp", 5},
    {"include/sockeye/sockeye.hpp", 5},
    {"src/base/", 0},
    {"src/kernel/", 1},
    {"src/simulation/simulation.cpp", 5},
    {"src/simulation/", 1},
    {"src/reactor/", 2},
    {"src/loop/", 3},
    {"src/net/", 4},
    {"src/coro/", 5},
    {"src/cli/", 6},
    {"bench/", 6},
    {"tests/", 7},
};

constexpr int kernel_floor = 1;
constexpr int highest_library_floor = 5;

/// The only public header that needs one: sockaddr_storage is part of an endpoint.
constexpr std::pair<std::string_view, std::string_view> allowed_system_header = {
    "include/sockeye/endpoint.hpp", "sys/socket.h"};

constexpr std::string_view platform_files[] = {"src/base/platform.hpp", "src/kernel/backend.cpp"};

constexpr std::string_view platform_macros[] = {
    "__linux__",   "__linux",    "__gnu_linux__", "__ANDROID__",   "__APPLE__", "__MACH__",
    "__FreeBSD__", "__NetBSD__", "__OpenBSD__",   "__DragonFly__", "__unix__",  "__unix",
    "__GLIBC__",   "__CYGWIN__", "__sun",         "_WIN32",
};

constexpr std::string_view system_calls[] = {
    "accept",
    "accept4",
    "bind",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "closesocket",
    "connect",
    "dup",
    "dup2",
    "dup3",
    "epoll_create",
    "epoll_create1",
    "epoll_ctl",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "eventfd",
    "fcntl",
    "fork",
    "freeaddrinfo",
    "fstat",
    "getaddrinfo",
    "gethostbyname",
    "getnameinfo",
    "getpeername",
    "getpid",
    "getrandom",
    "getrlimit",
    "getsockname",
    "getsockopt",
    "gettimeofday",
    "ioctl",
    "io_uring_enter",
    "io_uring_setup",
    "kevent",
    "kill",
    "kqueue",
    "kqueue1",
    "listen",
    "lstat",
    "mmap",
    "munmap",
    "nanosleep",
    "open",
    "openat",
    "pipe",
    "pipe2",
    "poll",
    "ppoll",
    "pread",
    "pselect",
    "raise",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "select",
    "send",
    "sendfile",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "setrlimit",
    "setsockopt",
    "shutdown",
    "sigaction",
    "signal",
    "signalfd",
    "sigprocmask",
    "pthread_sigmask",
    "sleep",
    "socket",
    "socketpair",
    "stat",
    "syscall",
    "time",
    "timerfd_create",
    "timerfd_settime",
    "unlink",
    "usleep",
    "write",
    "writev",
};

constexpr std::string_view clocks[] = {"clock", "steady_clock", "system_clock",
                                       "high_resolution_clock"};

/// Written in two halves, or this file would find itself.
constexpr std::string_view leftovers[] = {"FIX"
                                          "ME",
                                          "TO"
                                          "DO",
                                          "X"
                                          "XX"};

template <typename Range, typename Value>
bool contains(const Range& range, const Value& value) {
    return std::ranges::find(range, value) != std::end(range);
}

bool is_word(char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

bool is_blank(char c) {
    return std::isspace(static_cast<unsigned char>(c)) != 0;
}

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_blank(text.front())) {
        text.remove_prefix(1);
    }
    while (!text.empty() && is_blank(text.back())) {
        text.remove_suffix(1);
    }
    return text;
}

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        const auto end = text.find('\n');
        lines.push_back(text.substr(0, end));
        text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return lines;
}

std::size_t line_at(std::string_view text, std::size_t place) {
    return 1 + static_cast<std::size_t>(std::ranges::count(text.substr(0, place), '\n'));
}

std::size_t columns_of(std::string_view line) {
    const auto begins_character = [](char c) { return (c & '\xc0') != '\x80'; };
    return static_cast<std::size_t>(std::ranges::count_if(line, begins_character));
}

/// A word of a program and where it stands.
struct word {
    std::string_view text;
    std::size_t place;
};

std::vector<word> words_of(std::string_view text) {
    std::vector<word> words;
    for (std::size_t place = 0; place < text.size();) {
        if (!is_word(text[place])) {
            ++place;
            continue;
        }
        const auto begin = place;
        while (place < text.size() && is_word(text[place])) {
            ++place;
        }
        words.push_back({text.substr(begin, place - begin), begin});
    }
    return words;
}

/// What stands between the quotes or brackets of an include line; `form` is '"' or '<'.
struct include {
    std::string_view target;
    char form = '"';
    std::size_t line = 0;
};

std::optional<include> read_include(std::string_view line) {
    line = trimmed(line);
    if (!line.starts_with('#')) {
        return std::nullopt;
    }
    line = trimmed(line.substr(1));
    if (!line.starts_with("include")) {
        return std::nullopt;
    }
    line = trimmed(line.substr(7));
    if (line.empty() || (line.front() != '"' && line.front() != '<')) {
        return std::nullopt;
    }
    const char form = line.front();
    const auto end = line.find(form == '<' ? '>' : '"', 1);
    return include{line.substr(1, end == std::string_view::npos ? end : end - 1), form, 0};
}

std::vector<include> includes_of(std::string_view text) {
    // Blanked lines tell comments from code, the written ones still have what literals hold.
    const auto blanked = blank_out(text);
    const auto code = lines_of(blanked);
    const auto lines = lines_of(text);
    std::vector<include> found;
    for (std::size_t index = 0; index < lines.size(); ++index) {
        if (!trimmed(code[index]).starts_with('#')) {
            continue;
        }
        if (auto one = read_include(lines[index])) {
            one->line = index + 1;
            found.push_back(*one);
        }
    }
    return found;
}

bool is_system_header(const include& one) {
    return one.form == '<' && one.target.ends_with(".h");
}

std::string folder_of(std::string_view path) {
    return std::string(path.substr(0, path.rfind('/') + 1));
}

/// The file that an include means; empty where it is none of the tree's.
std::string resolved(const source& file, const include& one, const std::set<std::string>& known) {
    const std::string target(one.target);
    std::vector<std::string> candidates = {"include/" + target};
    if (one.form == '"') {
        candidates = {folder_of(file.path) + target, "src/" + target, "tests/" + target,
                      "bench/" + target, target};
    }
    const auto found = std::ranges::find_if(
        candidates, [&](const std::string& path) { return known.contains(path); });
    return found == candidates.end() ? "" : *found;
}

bool is_program(std::string_view path) {
    return path.starts_with("src/cli/") || path.starts_with("bench/");
}

bool is_public(std::string_view path) {
    return path.starts_with("include/");
}

bool is_library_above_kernel(std::string_view path) {
    const auto floor = floor_of(path);
    return floor && *floor > kernel_floor && *floor <= highest_library_floor;
}

std::string no_rule_against(const source& file, const include& one, const std::string& target) {
    const auto own = floor_of(file.path);
    if (target.empty()) {
        return one.form == '<' && !one.target.starts_with("sockeye/") ? ""
                                                                      : "there is no such file";
    }
    if (is_public(file.path) && !is_public(target)) {
        return "a public header includes a private one";
    }
    if (is_program(file.path) && !is_public(target) && !is_program(target)) {
        return "the program and the bench see public headers only";
    }
    const auto other = floor_of(target);
    if (own && other && *other > *own) {
        return "an include that points up, from floor " + std::to_string(*own) + " to floor " +
               std::to_string(*other);
    }
    return "";
}

/// The header that belongs to a source; empty where it has none.
std::string own_header(const source& file, const std::set<std::string>& known) {
    if (!file.path.starts_with("src/") || !file.path.ends_with(".cpp")) {
        return "";
    }
    const auto base = file.path.substr(0, file.path.size() - 4);
    if (known.contains(base + ".hpp")) {
        return base + ".hpp";
    }
    const auto open = "include/sockeye" + base.substr(base.rfind('/')) + ".hpp";
    return known.contains(open) && floor_of(open) == floor_of(file.path) ? open : "";
}

/// Whether the word at `place` is called with nothing but the global namespace before it.
bool is_global_call(std::string_view code, const word& name) {
    const auto after = trimmed(code.substr(name.place + name.text.size()));
    if (name.place < 2 || code.substr(name.place - 2, 2) != "::" || !after.starts_with('(')) {
        return false;
    }
    const char before = name.place > 2 ? code[name.place - 3] : ' ';
    return !is_word(before) && before != '>' && before != ':';
}

/// `clock::now()` and its kin; `name` is the word `now`.
bool is_clock_read(std::string_view code, const word& name) {
    if (name.text != "now" || name.place < 2 || code.substr(name.place - 2, 2) != "::") {
        return false;
    }
    const auto before = words_of(code.substr(0, name.place - 2));
    return !before.empty() && contains(clocks, before.back().text) &&
           before.back().place + before.back().text.size() == name.place - 2;
}

std::string without_directives(std::string text) {
    bool goes_on = false;
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find('\n', begin), text.size());
        const auto line = std::string_view(text).substr(begin, end - begin);
        if (goes_on || trimmed(line).starts_with('#')) {
            goes_on = line.ends_with('\\');
            std::fill(text.begin() + static_cast<std::ptrdiff_t>(begin),
                      text.begin() + static_cast<std::ptrdiff_t>(end), ' ');
        }
        begin = end + 1;
    }
    return text;
}

enum class block { container, function, other };

/// What a brace opens whose head is `head`: namespaces and classes hold functions.
block classify(std::string_view head) {
    constexpr std::string_view containers[] = {"namespace", "class", "struct",
                                               "union",     "enum",  "extern"};
    constexpr std::string_view after_arguments[] = {"const", "noexcept", "override", "mutable"};
    head = trimmed(head);
    const auto words = words_of(head);
    if (head.ends_with('=') || words.empty()) {
        return block::other;
    }
    const bool ends_arguments =
        head.ends_with(')') ||
        (contains(after_arguments, words.back().text) && head.ends_with(words.back().text));
    if (words.front().text == "TEST_SUITE") {
        return block::container;
    }
    int depth = 0;
    std::size_t next = 0;
    for (const auto& one : words) {
        for (; next < one.place; ++next) {
            depth += head[next] == '<' || head[next] == '(' ? 1 : 0;
            depth -= head[next] == '>' || head[next] == ')' ? 1 : 0;
            depth = std::max(depth, 0);
        }
        if (depth == 0 && contains(containers, one.text) && !ends_arguments) {
            return block::container;
        }
    }
    return head.find(')') != std::string_view::npos ? block::function : block::other;
}

std::size_t matching_brace(std::string_view code, std::size_t open) {
    int depth = 0;
    for (auto place = open; place < code.size(); ++place) {
        depth += code[place] == '{' ? 1 : 0;
        depth -= code[place] == '}' ? 1 : 0;
        if (depth == 0) {
            return place;
        }
    }
    return code.size() - 1;
}

/// Where the head proper begins: behind blanks and `public:`.
std::size_t head_begin(std::string_view code, std::size_t begin, std::size_t open) {
    while (begin < open) {
        const auto head = code.substr(begin, open - begin);
        const auto skipped = head.size() - trimmed(head).size();
        const auto blanks =
            std::min(skipped, static_cast<std::size_t>(std::ranges::find_if_not(head, is_blank) -
                                                       head.begin()));
        begin += blanks;
        bool has_label = false;
        for (const std::string_view label : {"public:", "private:", "protected:"}) {
            if (code.substr(begin).starts_with(label)) {
                begin += label.size();
                has_label = true;
            }
        }
        if (!has_label) {
            break;
        }
    }
    return begin;
}

/// After a brace that belongs to a member's initial value the head of its constructor goes on.
bool goes_on_after(std::string_view code, std::size_t close) {
    const auto rest = trimmed(code.substr(close + 1));
    return rest.starts_with(',') || rest.starts_with('{');
}

} // namespace

std::optional<std::string> read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    if (!stream) {
        return std::nullopt;
    }
    return std::string(std::istreambuf_iterator<char>(stream), {});
}

std::vector<source> read_tree(const std::string& top) {
    namespace fs = std::filesystem;
    constexpr std::string_view endings[] = {".hpp", ".cpp", ".h", ".c", ".py", ".sh"};
    constexpr std::string_view names[] = {"meson.build", "run"};
    constexpr std::string_view skipped[] = {"node_modules", "corpus", "__pycache__"};
    std::vector<source> files;
    for (const std::string folder : {"include", "src", "bench", "tests"}) {
        auto place = fs::recursive_directory_iterator(fs::path(top) / folder);
        for (; place != fs::recursive_directory_iterator(); ++place) {
            const auto name = place->path().filename().string();
            if (place->is_directory()) {
                if (name.starts_with('.') || contains(skipped, name)) {
                    place.disable_recursion_pending();
                }
            } else if (contains(endings, place->path().extension().string()) ||
                       contains(names, name)) {
                const auto path = place->path().lexically_relative(top).generic_string();
                files.push_back({path, read_file(place->path().string()).value_or("")});
            }
        }
    }
    std::ranges::sort(files, {}, &source::path);
    return files;
}

namespace {

/// Walks over a program and says of each character whether it is code.
class blanker {
public:
    explicit blanker(std::string_view text) : text_(text), out_(text) {}

    std::string run() {
        while (place_ < text_.size()) {
            step();
        }
        return std::move(out_);
    }

private:
    void step() {
        const auto rest = text_.substr(place_);
        if (rest.starts_with("//")) {
            blank_until(text_.find('\n', place_));
        } else if (rest.starts_with("/*")) {
            const auto end = text_.find("*/", place_ + 2);
            blank_until(end == std::string_view::npos ? end : end + 2);
        } else if (rest.starts_with("R\"")) {
            blank_raw();
        } else if (rest.front() == '"' || (rest.front() == '\'' && !is_separator())) {
            blank_literal(rest.front());
        } else {
            ++place_;
        }
    }

    /// The ' of 1'000'000 begins no character literal.
    [[nodiscard]] bool is_separator() const {
        return place_ > 0 && std::isxdigit(static_cast<unsigned char>(text_[place_ - 1])) != 0;
    }

    void blank_until(std::size_t end) {
        for (end = std::min(end, text_.size()); place_ < end; ++place_) {
            if (text_[place_] != '\n') {
                out_[place_] = ' ';
            }
        }
    }

    void blank_literal(char quote) {
        auto end = ++place_;
        while (end < text_.size() && text_[end] != quote && text_[end] != '\n') {
            end += text_[end] == '\\' ? 2 : 1;
        }
        blank_until(end);
        ++place_;
    }

    void blank_raw() {
        const auto open = text_.find('(', place_);
        if (open == std::string_view::npos) {
            blank_until(open);
            return;
        }
        const auto mark = std::string(text_.substr(place_ + 2, open - place_ - 2));
        const auto close = text_.find(")" + mark + "\"", open);
        blank_until(close == std::string_view::npos ? close : close + mark.size() + 2);
    }

    std::string_view text_;
    std::string out_;
    std::size_t place_ = 0;
};

} // namespace

std::string blank_out(std::string_view text) {
    return blanker(text).run();
}

std::optional<int> floor_of(std::string_view path) {
    for (const auto& [place, floor] : floors) {
        if (place == path || (place.ends_with('/') && path.starts_with(place))) {
            return floor;
        }
    }
    return std::nullopt;
}

findings check_text(const source& file) {
    findings found;
    const auto lines = lines_of(file.text);
    for (std::size_t index = 0; index < lines.size(); ++index) {
        const auto line = lines[index];
        const auto report = [&](std::string what) {
            found.push_back({file.path, index + 1, std::move(what)});
        };
        if (columns_of(line) > columns_max) {
            report("a line over 100 columns");
        }
        if (line.find('\t') != std::string_view::npos) {
            report("a tab");
        }
        if (!line.empty() && is_blank(line.back())) {
            report("a trailing blank");
        }
        for (const auto& one : words_of(line)) {
            if (contains(leftovers, one.text)) {
                report("a leftover " + std::string(one.text));
            }
        }
    }
    if (!file.text.empty() && !file.text.ends_with('\n')) {
        found.push_back({file.path, lines.size(), "no newline at the end"});
    }
    const bool is_header = file.path.ends_with(".hpp") || file.path.ends_with(".h");
    if (is_header && !contains(lines, "#pragma once")) {
        found.push_back({file.path, 0, "no #pragma once"});
    }
    return found;
}

findings check_includes(const source& file, const std::set<std::string>& known) {
    findings found;
    const auto includes = includes_of(file.text);
    const auto report = [&](const include& one, const std::string& what) {
        found.push_back({file.path, one.line, std::string(one.target) + ": " + what});
    };
    for (const auto& one : includes) {
        const auto what = no_rule_against(file, one, resolved(file, one, known));
        if (!what.empty()) {
            report(one, what);
        }
        if (is_system_header(one) && is_public(file.path) &&
            std::pair(std::string_view(file.path), one.target) != allowed_system_header) {
            report(one, "a public header includes one of the system's");
        }
    }
    const auto own = own_header(file, known);
    if (!own.empty() && (includes.empty() || resolved(file, includes.front(), known) != own)) {
        found.push_back({file.path, 1, own + " is not included first"});
    }
    return found;
}

findings check_system_calls(const source& file) {
    findings found;
    if (!is_library_above_kernel(file.path)) {
        return found;
    }
    const auto code = blank_out(file.text);
    const auto report = [&](std::size_t place, std::string_view what, std::string_view name) {
        found.push_back({file.path, line_at(code, place),
                         std::string(what) + " above floor 1: " + std::string(name)});
    };
    for (const auto& one : words_of(code)) {
        if (contains(system_calls, one.text) && is_global_call(code, one)) {
            report(one.place, "a system call", one.text);
        } else if (one.text == "errno") {
            report(one.place, "a look at an error of the system", one.text);
        } else if (is_clock_read(code, one)) {
            report(one.place, "a look at the clock", one.text);
        }
    }
    for (const auto& one : includes_of(file.text)) {
        if (is_system_header(one) && !is_public(file.path)) {
            found.push_back(
                {file.path, one.line, "a system header above floor 1: " + std::string(one.target)});
        }
    }
    return found;
}

findings check_platform(const source& file) {
    findings found;
    if (contains(platform_files, file.path) ||
        !(file.path.ends_with("pp") || file.path.ends_with(".h") || file.path.ends_with(".c"))) {
        return found;
    }
    const auto code = blank_out(file.text);
    for (const auto& one : words_of(code)) {
        if (contains(platform_macros, one.text)) {
            found.push_back({file.path, line_at(code, one.place),
                             "a platform macro outside its two files: " + std::string(one.text)});
        }
    }
    const bool is_library = file.path.starts_with("src/") || is_public(file.path);
    const auto lines = lines_of(code);
    for (std::size_t index = 0; is_library && index < lines.size(); ++index) {
        const auto line = trimmed(lines[index]);
        const bool is_condition =
            line.starts_with('#') && trimmed(line.substr(1)).starts_with("if");
        if (is_condition && line.find("__cpp_") == std::string_view::npos) {
            found.push_back({file.path, index + 1, "an #if outside its two files"});
        }
    }
    return found;
}

findings check_functions(const source& file) {
    findings found;
    if (!file.path.ends_with("pp") && !file.path.ends_with(".c")) {
        return found;
    }
    const auto code = without_directives(blank_out(file.text));
    std::size_t begin = 0;
    for (std::size_t place = 0; place < code.size(); ++place) {
        if (code[place] == ';' || code[place] == '}') {
            begin = place + 1;
        }
        if (code[place] != '{') {
            continue;
        }
        begin = head_begin(code, begin, place);
        const auto kind = classify(std::string_view(code).substr(begin, place - begin));
        if (kind == block::container) {
            begin = place + 1;
            continue;
        }
        place = matching_brace(code, place);
        if (goes_on_after(code, place)) {
            continue;
        }
        const auto first = line_at(code, begin);
        const auto lines = line_at(code, place) - first + 1;
        if (kind == block::function && lines > function_lines_max) {
            found.push_back(
                {file.path, first, "a function of " + std::to_string(lines) + " lines"});
        }
        begin = place + 1;
    }
    return found;
}

namespace {

constexpr std::string_view quote_begin = "<!-- from ";
constexpr std::string_view quote_end = " -->";

std::string quoted_path(std::string_view line) {
    line = trimmed(line);
    if (!line.starts_with(quote_begin) || !line.ends_with(quote_end)) {
        return "";
    }
    line.remove_prefix(quote_begin.size());
    line.remove_suffix(quote_end.size());
    return std::string(trimmed(line));
}

/// What is wrong with the block that begins at `lines`; empty where nothing is.
std::string compare_quote(std::span<const std::string_view> lines,
                          const std::optional<std::string>& original) {
    if (!original) {
        return "there is no such file";
    }
    while (!lines.empty() && trimmed(lines.front()).empty()) {
        lines = lines.subspan(1);
    }
    if (lines.empty() || !lines.front().starts_with("```")) {
        return "no fenced block follows";
    }
    lines = lines.subspan(1);
    for (const auto expected : lines_of(*original)) {
        if (lines.empty() || lines.front() != expected) {
            return "the block differs from the file, which has here: " + std::string(expected);
        }
        lines = lines.subspan(1);
    }
    const bool ends = !lines.empty() && lines.front().starts_with("```");
    return ends ? "" : "the block is longer than the file";
}

} // namespace

findings check_quotes(const source& page, const lookup& find) {
    findings found;
    const auto lines = lines_of(page.text);
    for (std::size_t index = 0; index < lines.size(); ++index) {
        const auto path = quoted_path(lines[index]);
        if (path.empty()) {
            continue;
        }
        const auto what = compare_quote(std::span(lines).subspan(index + 1), find(path));
        if (!what.empty()) {
            found.push_back({page.path, index + 1, path + ": " + what});
        }
    }
    return found;
}

std::size_t count_quotes(std::string_view text) {
    const auto lines = lines_of(text);
    return static_cast<std::size_t>(std::ranges::count_if(
        lines, [](std::string_view line) { return !quoted_path(line).empty(); }));
}

} // namespace tidy
