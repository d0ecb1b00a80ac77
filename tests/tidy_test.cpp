#include "support/tidy.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace {

const std::string top = SOCKEYE_SOURCE_ROOT;

const std::vector<tidy::source>& tree() {
    static const std::vector<tidy::source> files = tidy::read_tree(top);
    return files;
}

std::set<std::string> paths() {
    std::set<std::string> known;
    for (const auto& file : tree()) {
        known.insert(file.path);
    }
    return known;
}

std::string shown(const tidy::findings& found) {
    std::string text;
    for (const auto& [path, line, what] : found) {
        text += "\n  " + path + ":" + std::to_string(line) + ": " + what;
    }
    return text;
}

void expect_none(const tidy::findings& found) {
    CHECK_MESSAGE(found.empty(), shown(found));
}

/// Whether the one finding is in that line and says that.
bool is_found(const tidy::findings& found, std::size_t line, std::string_view what) {
    return found.size() == 1 && found.front().line == line &&
           found.front().what.find(what) != std::string::npos;
}

std::string repeated(std::string_view text, int count) {
    std::string all;
    for (; count > 0; --count) {
        all += text;
    }
    return all;
}

const std::set<std::string> sample_tree = {
    "include/sockeye/endpoint.hpp", "include/sockeye/loop.hpp",  "include/sockeye/stream.hpp",
    "src/base/platform.hpp",        "src/kernel/kernel.hpp",     "src/reactor/reactor.hpp",
    "src/loop/timer_queue.hpp",     "src/net/write_queue.hpp",   "src/cli/text.hpp",
    "bench/schedule.hpp",           "tests/support/support.hpp",
};

tidy::findings includes(std::string path, std::string text) {
    return tidy::check_includes({std::move(path), std::move(text)}, sample_tree);
}

tidy::findings calls(std::string path, std::string text) {
    return tidy::check_system_calls({std::move(path), std::move(text)});
}

tidy::findings functions(std::string text) {
    return tidy::check_functions({"src/net/stream.cpp", std::move(text)});
}

} // namespace

namespace {

/// The names behind which a class declares `virtual` functions, or overrides them.
std::set<std::string> functions_marked(const std::string& path, const std::string& mark) {
    const auto read = tidy::read_file(top + "/" + path);
    REQUIRE(read);
    const auto text = tidy::blank_out(*read);
    std::set<std::string> names;
    // A declaration is what lies between two semicolons or braces; its name is before the first
    // parenthesis.
    for (std::size_t begin = 0; begin < text.size();) {
        const auto end = std::min(text.find_first_of(";{}", begin), text.size());
        const auto one = text.substr(begin, end - begin);
        const auto open = one.find('(');
        if (one.find(mark) != std::string::npos && open != std::string::npos) {
            const auto last_blank = one.find_last_of(" \n&*", open);
            const auto name = one.substr(last_blank + 1, open - last_blank - 1);
            if (name.front() != '~') {
                names.insert(name);
            }
        }
        begin = end + 1;
    }
    return names;
}

} // namespace

TEST_CASE("tidy: every call of the kernel is passed on, and can be made to fail") {
    auto calls = functions_marked("src/kernel/kernel.hpp", "virtual ");
    REQUIRE(calls.size() > 60);
    calls.erase("is_real"); // asks nobody
    for (const std::string path :
         {"tests/support/kernels.hpp", "tests/support/faulty_kernel.hpp"}) {
        const auto passed_on = functions_marked(path, " override");
        for (const auto& call : calls) {
            const bool cannot_fail = call == "fork_count" && path.ends_with("faulty_kernel.hpp");
            CHECK_MESSAGE((cannot_fail || passed_on.contains(call)), path << " lacks " << call);
        }
    }
}

TEST_CASE("tidy: the tree is read whole") {
    CHECK(tree().size() > 20);
    const auto known = paths();
    for (const std::string path : {"include/sockeye/endpoint.hpp", "src/base/endpoint.cpp",
                                   "tests/tidy_test.cpp", "tests/run", "src/meson.build"}) {
        CAPTURE(path);
        CHECK(known.contains(path));
    }
}

TEST_CASE("tidy: every source has a floor") {
    for (const auto& file : tree()) {
        const bool is_source = file.path.ends_with(".hpp") || file.path.ends_with(".cpp");
        CAPTURE(file.path);
        if (is_source) {
            CHECK_MESSAGE(tidy::floor_of(file.path).has_value(),
                          "add it to the table of floors in tests/support/tidy.cpp");
        }
    }
}

TEST_CASE("tidy: lines, blanks and headers are in order") {
    for (const auto& file : tree()) {
        expect_none(tidy::check_text(file));
    }
}

TEST_CASE("tidy: every include points down") {
    const auto known = paths();
    for (const auto& file : tree()) {
        expect_none(tidy::check_includes(file, known));
    }
}

TEST_CASE("tidy: nothing above floor 1 talks to the system") {
    for (const auto& file : tree()) {
        expect_none(tidy::check_system_calls(file));
    }
}

TEST_CASE("tidy: what differs between the systems stays in its two files") {
    for (const auto& file : tree()) {
        expect_none(tidy::check_platform(file));
    }
}

TEST_CASE("tidy: no function is longer than 60 lines") {
    for (const auto& file : tree()) {
        expect_none(tidy::check_functions(file));
    }
}

TEST_CASE("tidy: what README.md quotes is what the build compiles") {
    const auto page = tidy::read_file(top + "/README.md");
    REQUIRE_MESSAGE(page.has_value(), "there is no README.md");
    CHECK_MESSAGE(tidy::count_quotes(*page) > 0, "no block behind <!-- from PATH -->");
    expect_none(tidy::check_quotes({"README.md", *page}, [](const std::string& path) {
        return tidy::read_file(top + "/" + path);
    }));
}

TEST_CASE("tidy: itself: floors come from the folder or from the table") {
    CHECK(tidy::floor_of("src/base/any.cpp") == 0);
    CHECK(tidy::floor_of("src/kernel/any.cpp") == 1);
    CHECK(tidy::floor_of("src/net/any.cpp") == 4);
    CHECK(tidy::floor_of("bench/peers/any.c") == 6);
    CHECK(tidy::floor_of("tests/any_test.cpp") == 7);
    CHECK(tidy::floor_of("include/sockeye/loop.hpp") == 3);
    CHECK_FALSE(tidy::floor_of("include/sockeye/unheard_of.hpp"));
    CHECK_FALSE(tidy::floor_of("src/attic/any.cpp"));
    CHECK_FALSE(tidy::floor_of("src/stray.cpp"));
}

TEST_CASE("tidy: itself: comments and literals are not code") {
    CHECK(tidy::blank_out("a // b\nc") == "a     \nc");
    CHECK(tidy::blank_out("a /* b\n */ c") == "a     \n    c");
    CHECK(tidy::blank_out("f(\"b\\\"}\");") == "f(\"    \");");
    CHECK(tidy::blank_out("'{' + '\\'' + 1'000'000;") == "' ' + '  ' + 1'000'000;");
    CHECK(tidy::blank_out("R\"x(}\n\"})x\" + 1") == "     \n      + 1");
    CHECK(tidy::blank_out("\"//\" a") == "\"  \" a");
    CHECK(tidy::blank_out("/* never closed") == repeated(" ", 15));
}

TEST_CASE("tidy: itself: text that breaks a rule is found") {
    const auto check = [](std::string text, std::string path = "src/net/stream.cpp") {
        return tidy::check_text({std::move(path), std::move(text)});
    };
    const auto long_line = std::string(101, 'x');
    CHECK(check("fine\n").empty());
    CHECK(check("").empty());
    CHECK(check(long_line.substr(1) + "\n").empty());
    CHECK(check("// " + repeated("\xc3\xa4", 97) + "\n").empty());
    CHECK(is_found(check("fine\n" + long_line + "\n"), 2, "100 columns"));
    CHECK(is_found(check("// " + repeated("\xc3\xa4", 98) + "\n"), 1, "100 columns"));
    CHECK(is_found(check("\n\n\tint x;\n"), 3, "tab"));
    CHECK(is_found(check("int x; \n"), 1, "trailing blank"));
    CHECK(is_found(check("int x;\r\n"), 1, "trailing blank"));
    CHECK(is_found(check("int x;"), 1, "newline"));
    for (const std::string& word :
         {std::string("FIX") + "ME", std::string("TO") + "DO", std::string("X") + "XX"}) {
        CAPTURE(word);
        CHECK(is_found(check("int x; // " + word + ": later\n"), 1, word));
        CHECK(check("name" + word + "S\n").empty());
    }
    CHECK(is_found(check("int x;\n", "src/net/stream.hpp"), 0, "#pragma once"));
    CHECK(check("#pragma once\n", "src/net/stream.hpp").empty());
}

TEST_CASE("tidy: itself: an include that points up is found") {
    CHECK(includes("src/net/stream.cpp", "#include <vector>\n#include \"kernel/kernel.hpp\"\n")
              .size() == 1); // stream.hpp is not first
    CHECK(includes("src/net/accept.cpp", "#include \"kernel/kernel.hpp\"\n#include <poll.h>\n")
              .empty());
    CHECK(is_found(includes("src/loop/any.cpp", "\n#include \"net/write_queue.hpp\"\n"), 2,
                   "points up, from floor 3 to floor 4"));
    CHECK(
        is_found(includes("src/loop/any.cpp", "#include <sockeye/stream.hpp>\n"), 1, "points up"));
    CHECK(is_found(includes("src/kernel/any.cpp", "#  include \"reactor/reactor.hpp\"\n"), 1,
                   "points up"));
    CHECK(is_found(includes("src/base/any.cpp", "#include \"../kernel/kernel.hpp\"\n"), 1,
                   "no such file"));
    CHECK(is_found(includes("include/sockeye/loop.hpp", "#include <sockeye/stream.hpp>\n"), 1,
                   "points up"));
    CHECK(includes("src/loop/any.cpp", "// #include \"net/write_queue.hpp\"\n").empty());
    CHECK(includes("tests/any_test.cpp", "#include \"support/support.hpp\"\n"
                                         "#include \"net/write_queue.hpp\"\n")
              .empty());
    CHECK(is_found(includes("src/net/any.cpp", "#include \"nothing.hpp\"\n"), 1, "no such file"));
    CHECK(is_found(includes("src/net/any.cpp", "#include <sockeye/nothing.hpp>\n"), 1,
                   "no such file"));
}

TEST_CASE("tidy: itself: the program and the bench see public headers and their own") {
    for (const std::string path : {"src/cli/serve_echo.cpp", "bench/load.cpp"}) {
        CAPTURE(path);
        CHECK(includes(path, "#include <sockeye/stream.hpp>\n#include \"cli/text.hpp\"\n"
                             "#include \"schedule.hpp\"\n#include <unistd.h>\n")
                  .empty());
        CHECK(is_found(includes(path, "#include \"kernel/kernel.hpp\"\n"), 1, "public headers"));
        CHECK(is_found(includes(path, "#include \"base/platform.hpp\"\n"), 1, "public headers"));
        CHECK(is_found(includes(path, "#include \"support/support.hpp\"\n"), 1, "public headers"));
    }
}

TEST_CASE("tidy: itself: a public header shows nothing private and nothing of the system") {
    CHECK(includes("include/sockeye/endpoint.hpp", "#include <sys/socket.h>\n").empty());
    CHECK(is_found(includes("include/sockeye/stream.hpp", "#include <sys/socket.h>\n"), 1,
                   "the system's"));
    CHECK(is_found(includes("include/sockeye/endpoint.hpp", "#include <netinet/in.h>\n"), 1,
                   "the system's"));
    CHECK(is_found(includes("include/sockeye/stream.hpp", "#include \"base/platform.hpp\"\n"), 1,
                   "private"));
}

TEST_CASE("tidy: itself: a source includes its own header first") {
    CHECK(includes("src/net/write_queue.cpp", "#include \"net/write_queue.hpp\"\n").empty());
    CHECK(is_found(includes("src/net/write_queue.cpp", "#include <vector>\n"), 1,
                   "not included first"));
    CHECK(is_found(includes("src/net/write_queue.cpp", "\n"), 1, "not included first"));
    CHECK(includes("src/loop/loop.cpp", "#include <sockeye/loop.hpp>\n").empty());
    CHECK(is_found(includes("src/loop/loop.cpp", "#include \"loop/timer_queue.hpp\"\n"
                                                 "#include <sockeye/loop.hpp>\n"),
                   1, "not included first"));
    CHECK(includes("src/cli/loop.cpp", "#include <vector>\n").empty());
}

TEST_CASE("tidy: itself: a system call above floor 1 is found") {
    for (const std::string path : {"src/reactor/any.cpp", "src/loop/any.hpp", "src/net/any.cpp",
                                   "src/coro/any.cpp", "include/sockeye/stream.hpp"}) {
        CAPTURE(path);
        CHECK(is_found(calls(path, "\nint f() { return ::send(1, 2, 3, 4); }\n"), 2, "send"));
        CHECK(is_found(calls(path, "x = ::close (fd);\n"), 1, "close"));
        CHECK(is_found(calls(path, "if (::epoll_wait(1, 2, 3, 4) < 0) {}\n"), 1, "epoll_wait"));
        CHECK(is_found(calls(path, "::getsockopt(1);\n"), 1, "getsockopt"));
        CHECK(is_found(calls(path, "return errno;\n"), 1, "errno"));
        CHECK(is_found(calls(path, "auto t = std::chrono::steady_clock::now();\n"), 1, "clock"));
        CHECK(is_found(calls(path, "auto t = clock::now();\n"), 1, "clock"));
    }
    CHECK(is_found(calls("src/net/any.cpp", "#include <unistd.h>\n"), 1, "system header"));
}

TEST_CASE("tidy: itself: what only looks like a system call is none") {
    for (const std::string text : {
             "stream::send(1);",
             "this->send(1);",
             "send(1);",
             "kernel_->close(fd);",
             "// ::send(1)",
             "f(\"::send(1)\");",
             "list<int>::read(1);",
             "a::b::poll();",
             "::sendings(1);",
             "&::send;",
             "result<int> stream::write(int) {",
             "now();",
             "loop.now();",
             "loop_core::now();",
             "std::errc::none;",
             "#include <vector>",
         }) {
        CAPTURE(text);
        CHECK(calls("src/net/any.cpp", text + "\n").empty());
    }
    for (const std::string path : {"src/base/any.cpp", "src/kernel/any.cpp", "src/cli/any.cpp",
                                   "bench/any.cpp", "tests/any.cpp"}) {
        CAPTURE(path);
        CHECK(calls(path, "#include <unistd.h>\n::close(errno);\n").empty());
    }
}

TEST_CASE("tidy: itself: a platform macro outside its two files is found") {
    const auto check = [](std::string path, std::string text) {
        return tidy::check_platform({std::move(path), std::move(text)});
    };
    CHECK(check("src/base/platform.hpp", "#if defined(__linux__)\n").empty());
    CHECK(check("src/kernel/backend.cpp", "#ifdef __APPLE__\n").empty());
    CHECK(check("src/kernel/posix.cpp", "#if defined(__linux__)\n").size() == 2);
    CHECK(is_found(check("src/kernel/posix.cpp", "\n#ifdef SO_NOSIGPIPE\n"), 2, "#if"));
    CHECK(is_found(check("include/sockeye/loop.hpp", "# ifndef X\n"), 1, "#if"));
    CHECK(check("src/base/error.cpp", "#if defined(__cpp_exceptions)\n").empty());
    CHECK(check("src/kernel/posix.cpp", "// #if defined(__linux__)\n").empty());
    CHECK(is_found(check("tests/any_test.cpp", "#ifdef __FreeBSD__\n"), 1, "__FreeBSD__"));
    CHECK(check("tests/any_test.cpp", "#ifdef SOMETHING\n").empty());
    CHECK(is_found(check("bench/peers/any.c", "#ifdef __linux__\n"), 1, "__linux__"));
}

TEST_CASE("tidy: itself: a function of more than 60 lines is found") {
    const auto body = [](int lines) { return repeated("    ++x; // { one brace\n", lines); };
    struct row {
        std::string head;
        std::string tail;
    };
    for (const auto& [head, tail] : std::initializer_list<row>{
             {"void f() {\n", "}\n"},
             {"int g = 0;\nauto f() noexcept -> int {\n", "}\n"},
             {"namespace a {\nstruct b {\nvoid f() const {\n", "}\n};\n}\n"},
             {"class a {\npublic:\n    a() : x_{1}, y_(2), z_{{3}} {\n", "}\n};\n"},
             {"template <class T>\nstruct stat f(T) {\n", "}\n"},
             {"template <class T>\n    requires(sizeof(T) > 1)\nclass a {\nT f() {\n", "}\n};\n"},
             {"struct alignas(64) a {\nvoid f() {\n", "}\n};\n"},
             {"TEST_SUITE(\"a\") {\nTEST_CASE(\"b\") {\n", "}\n}\n"},
             {"const auto f = [](int) {\n", "};\n"},
             {"int table[] = {1, 2};\n#define X(a) {\nvoid f() {\n", "}\n"},
             {"extern \"C\" {\nint f(void) {\n", "}\n}\n"},
         }) {
        const std::string shown_head = head;
        CAPTURE(shown_head);
        CHECK(functions(head + body(40) + tail).empty());
        const auto found = functions(head + body(61) + tail);
        CHECK(found.size() == 1);
    }
}

TEST_CASE("tidy: itself: exactly 60 lines are no finding, and long tables and classes are none") {
    const auto lines = [](int count) { return repeated("    ++x;\n", count); };
    CHECK(functions("void f() {\n" + lines(58) + "}\n").empty());
    CHECK(is_found(functions("\nvoid f() {\n" + lines(59) + "}\n"), 2, "61 lines"));
    CHECK(functions("constexpr row table[] = {\n" + repeated("    {f(1), 2},\n", 99) + "};\n")
              .empty());
    CHECK(functions("class a {\n" + repeated("    void f() { g(); }\n", 99) + "};\n").empty());
    CHECK(functions("enum class e : int {\n" + repeated("    x,\n", 99) + "};\n").empty());
    CHECK(functions(repeated("void f() {\n" + lines(50) + "}\n", 3)).empty());
    CHECK(functions(repeated("void f() {\n" + lines(60) + "}\n", 3)).size() == 3);
}

TEST_CASE("tidy: itself: a quoted block that drifted is found") {
    const auto check = [](const std::string& text) {
        return tidy::check_quotes({"README.md", text},
                                  [](const std::string& path) -> std::optional<std::string> {
                                      if (path != "a.cpp") {
                                          return std::nullopt;
                                      }
                                      return "one\n\ntwo\n";
                                  });
    };
    CHECK(check("# Title\n<!-- from a.cpp -->\n```cpp\none\n\ntwo\n```\nmore\n").empty());
    CHECK(check("<!-- from a.cpp -->\n\n```\none\n\ntwo\n```\n").empty());
    CHECK(check("<!-- a comment -->\n```\nelse\n```\n").empty());
    CHECK(is_found(check("\n<!-- from a.cpp -->\n```cpp\none\ntwo\n```\n"), 2, "differs"));
    CHECK(is_found(check("<!-- from a.cpp -->\n```\none\n\n```\n"), 1, "differs"));
    CHECK(is_found(check("<!-- from a.cpp -->\n```\none\n\ntwo\nthree\n```\n"), 1, "longer"));
    CHECK(is_found(check("<!-- from a.cpp -->\n```\none\n\ntwo\n"), 1, "longer"));
    CHECK(is_found(check("<!-- from a.cpp -->\ntext\n"), 1, "no fenced block"));
    CHECK(is_found(check("<!-- from a.cpp -->\n"), 1, "no fenced block"));
    CHECK(is_found(check("<!-- from b.cpp -->\n```\n```\n"), 1, "no such file"));
    CHECK(tidy::count_quotes("<!-- from a -->\n<!-- from b -->\n<!-- c -->\n") == 2);
}
