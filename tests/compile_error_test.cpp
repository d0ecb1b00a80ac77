#include "support/support.hpp"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

// What the compiler says of programs that use the library in a wrong way: one error, which says how
// it is right.

namespace {

/// What the compiler that this was built with says of a program, and whether it takes it.
struct compiler_answer {
    bool is_taken = false;
    std::vector<std::string> errors; ///< the lines of errors
    std::string all;
};

/// A use of the library, and what the only error about it is to say; nothing where it is right.
struct snippet {
    std::string_view phrase;
    std::string declarations;
    std::string_view use;
};

/// All in one source, as each costs the compiler the headers.
compiler_answer compile(const std::vector<snippet>& snippets) {
    const support::scratch_folder folder;
    const auto file = folder.path("program.cpp");
    std::ofstream program(file);
    program << "#include <sockeye/sockeye.hpp>\nusing namespace sockeye;\n";
    for (std::size_t i = 0; i < snippets.size(); ++i) {
        program << "namespace part_" << i << " {\n"
                << snippets[i].declarations << "\nvoid use(loop& here) { static_cast<void>("
                << snippets[i].use << "); }\n}\n";
    }
    program.close();
    const auto command = std::string(SOCKEYE_COMPILER " -std=c++20 -fsyntax-only -I") +
                         SOCKEYE_SOURCE_ROOT + "/include " + file + " 2>&1";
    compiler_answer said;
    auto* const output = ::popen(command.c_str(), "r");
    REQUIRE(output != nullptr);
    char line[4096];
    while (std::fgets(line, sizeof line, output) != nullptr) {
        const std::string text(line);
        said.all += text;
        if (text.find("error:") != std::string::npos) {
            said.errors.push_back(text);
        }
    }
    said.is_taken = ::pclose(output) == 0;
    return said;
}

/// There is one error for each, and it says what it is to say.
void expect_one_error_each(const std::vector<snippet>& wrong) {
    const auto said = compile(wrong);
    CAPTURE(said.all);
    CHECK_FALSE(said.is_taken);
    CHECK(said.errors.size() == wrong.size());
    for (const auto& one : wrong) {
        CAPTURE(one.phrase);
        const auto says_it = [&](const std::string& error) {
            return error.find(one.phrase) != std::string::npos;
        };
        CHECK(std::ranges::count_if(said.errors, says_it) ==
              std::ranges::count(wrong, one.phrase, &snippet::phrase));
    }
}

constexpr std::string_view serve_it = "serve<wrong>(here, \"tcp://127.0.0.1:0\")";
constexpr std::string_view serve_right = "serve<right>(here, \"tcp://127.0.0.1:0\")";
constexpr std::string_view connect_it = "connect<wrong>(here, \"tcp://127.0.0.1:1\")";
constexpr std::string_view serve_datagrams = "serve<wrong>(here, \"udp://127.0.0.1:0\")";

} // namespace

TEST_CASE("compile errors: a session without on_data, or with another one") {
    constexpr std::string_view right =
        "a session needs a public member: void on_data(sockeye::stream&, sockeye::bytes)";
    expect_one_error_each({
        {right, "struct wrong { void on_message(stream&, bytes); };", serve_it},
        {right, "struct wrong { void on_data(stream&, int*); };", serve_it},
        {right, "class wrong { void on_data(stream&, bytes); };", connect_it},
        {right, "struct wrong {};", "stream().attach<wrong>()"},
    });
}

TEST_CASE("compile errors: a member that would never be called") {
    const std::string data = "struct wrong { void on_data(stream&, bytes); ";
    constexpr std::string_view right_open =
        "on_open of a session must be public: void on_open(sockeye::stream&)";
    expect_one_error_each({
        {right_open, data + "void on_open(int); };", connect_it},
        {"on_end of a session must be public: void on_end(sockeye::stream&)",
         data + "void on_end(); };", serve_it},
        {"on_writable of a session must be public: void on_writable(sockeye::stream&)",
         data + "void on_writable(const stream*); };", serve_it},
        {"on_close of a session must be public: void on_close(sockeye::stream&, const "
         "sockeye::close_info&)",
         data + "void on_close(stream&); };", serve_it},
        {right_open, "struct wrong final { void on_data(stream&, bytes); void on_open(); };",
         serve_it},
        {right_open,
         "struct base { void on_open(); };\n"
         "struct wrong : base { void on_data(stream&, bytes); };",
         serve_it},
    });
}

TEST_CASE("compile errors: a class that serves datagrams") {
    const std::string good =
        "struct wrong { void on_datagrams(datagram_socket&, std::span<const datagram>); ";
    expect_one_error_each({
        {"on_datagrams of a session must be public: void on_datagrams("
         "sockeye::datagram_socket&, std::span<const sockeye::datagram>)",
         "struct wrong { void on_datagrams(datagram_socket&, bytes); };", serve_datagrams},
        {"on_error of a session must be public: void on_error("
         "sockeye::datagram_socket&, const sockeye::datagram_error&)",
         good + "void on_error(datagram_socket&); };", serve_datagrams},
        {"a session serves streams (on_data) or datagrams (on_datagrams), not both",
         good + "void on_data(stream&, bytes); };", serve_datagrams},
    });
}

TEST_CASE("compile errors: of what is right there are none") {
    const auto said = compile({
        {"", "struct right { void on_data(stream&, bytes); };", serve_right},
        {"", "struct right final { void on_data(stream&, bytes) const; };", serve_right},
        {"", "struct right { void on_data(stream&, bytes, std::vector<unique_fd>); };",
         serve_right},
        {"",
         "struct right { void on_data(auto&, auto); void on_open(stream&); void on_end(stream&); "
         "void on_writable(stream&); void on_close(stream&, close_info); };",
         serve_right},
        {"",
         "template <bool hears> struct some { void on_data(stream&, bytes); "
         "void on_end(stream&) requires hears; };\nusing right = some<false>;",
         serve_right},
        {"",
         "struct base { virtual ~base() = default; virtual void on_data(stream&, bytes) = 0; };\n"
         "struct right : base { void on_data(stream&, bytes) override; void on_message(); "
         "void on_close(stream&, const close_info&, int = 0); };",
         serve_right},
    });
    CAPTURE(said.all);
    CHECK(said.is_taken);
    CHECK(said.errors.empty());
}
