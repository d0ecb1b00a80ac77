#include "support/support.hpp"

#include <cstdio>
#include <fstream>
#include <memory>
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

compiler_answer compile(std::string_view declarations, std::string_view use) {
    const support::scratch_folder folder;
    const auto file = folder.path("program.cpp");
    std::ofstream(file) << "#include <sockeye/sockeye.hpp>\n"
                           "using namespace sockeye;\n"
                        << declarations << "\nvoid use(loop& here) { static_cast<void>(" << use
                        << "); }\n";
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

/// The only error says that.
void expect_one_error(std::string_view phrase, std::string_view declarations,
                      std::string_view use) {
    CAPTURE(declarations);
    const auto said = compile(declarations, use);
    CAPTURE(said.all);
    CHECK_FALSE(said.is_taken);
    REQUIRE(said.errors.size() == 1);
    CHECK(said.errors.front().find(phrase) != std::string::npos);
}

constexpr std::string_view serve_it = "serve<wrong>(here, \"tcp://127.0.0.1:0\")";
constexpr std::string_view connect_it = "connect<wrong>(here, \"tcp://127.0.0.1:1\")";
constexpr std::string_view serve_datagrams = "serve<wrong>(here, \"udp://127.0.0.1:0\")";

} // namespace

TEST_CASE("compile errors: a session without on_data, or with another one") {
    constexpr std::string_view right =
        "a session needs a public member: void on_data(sockeye::stream&, sockeye::bytes)";
    expect_one_error(right, "struct wrong { void on_message(stream&, bytes); };", serve_it);
    expect_one_error(right, "struct wrong { void on_data(stream&, int*); };", serve_it);
    expect_one_error(right, "class wrong { void on_data(stream&, bytes); };", connect_it);
    expect_one_error(right, "struct wrong {};", "stream().attach<wrong>()");
}

TEST_CASE("compile errors: a member that would never be called") {
    const std::string data = "struct wrong { void on_data(stream&, bytes); ";
    expect_one_error("on_open of a session must be public: void on_open(sockeye::stream&)",
                     data + "void on_open(int); };", connect_it);
    expect_one_error("on_end of a session must be public: void on_end(sockeye::stream&)",
                     data + "private: void on_end(stream&); };", serve_it);
    expect_one_error("on_writable of a session must be public: void on_writable(sockeye::stream&)",
                     data + "void on_writable(); void on_writable(int); };", serve_it);
    expect_one_error("on_close of a session must be public: void on_close(sockeye::stream&, const "
                     "sockeye::close_info&)",
                     data + "void on_close(stream&); };", serve_it);
    expect_one_error("on_open of a session must be public: void on_open(sockeye::stream&)",
                     "struct wrong final { void on_data(stream&, bytes); void on_open(); };",
                     serve_it);
    expect_one_error("on_open of a session must be public: void on_open(sockeye::stream&)",
                     "struct base { void on_open(); };\n"
                     "struct wrong : base { void on_data(stream&, bytes); };",
                     serve_it);
}

TEST_CASE("compile errors: a class that serves datagrams") {
    expect_one_error("on_datagrams of a session must be public: void on_datagrams("
                     "sockeye::datagram_socket&, std::span<const sockeye::datagram>)",
                     "struct wrong { void on_datagrams(datagram_socket&, bytes); };",
                     serve_datagrams);
    const std::string good =
        "struct wrong { void on_datagrams(datagram_socket&, std::span<const datagram>); ";
    expect_one_error("on_error of a session must be public: void on_error("
                     "sockeye::datagram_socket&, const sockeye::datagram_error&)",
                     good + "void on_error(datagram_socket&); };", serve_datagrams);
    expect_one_error("a session serves streams (on_data) or datagrams (on_datagrams), not both",
                     good + "void on_data(stream&, bytes); };", serve_datagrams);
}

TEST_CASE("compile errors: of what is right there are none") {
    constexpr std::string_view sessions[] = {
        "struct wrong { void on_data(stream&, bytes); };",
        "struct wrong final { void on_data(stream&, bytes) const; };",
        "struct wrong { void on_data(stream&, bytes, std::vector<unique_fd>); };",
        "struct wrong { void on_data(auto&, auto); void on_open(stream&); void on_end(stream&); "
        "void on_writable(stream&); void on_close(stream&, close_info); };",
        "struct base { virtual ~base() = default; virtual void on_data(stream&, bytes) = 0; };\n"
        "struct wrong : base { void on_data(stream&, bytes) override; void on_message(); "
        "void on_close(stream&, const close_info&, int = 0); };",
    };
    for (const auto& session : sessions) {
        const auto said = compile(session, serve_it);
        CAPTURE(said.all);
        CHECK(said.is_taken);
        CHECK(said.errors.empty());
    }
}
