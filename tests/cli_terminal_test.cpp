#include "cli/terminal_text.hpp"

#include "support/program.hpp"
#include "support/scripted_http.hpp"
#include "support/scripted_server.hpp"
#include "support/server_program.hpp"
#include "support/terminal.hpp"

#include <doctest/doctest.h>

#include <fstream>
#include <iterator>
#include <string>

using sockeye::cli::terminal_text;
using support::scripted_server;
using support::terminal;
using support::words;

namespace {

constexpr const char* line_echo = R"(
server = tcp()
while True:
    link, _ = server.accept()
    for line in link.makefile('rb'):
        link.sendall(b'<' + line.strip() + b'>\n')
    link.close()
)";

constexpr const char* datagram_hello = R"(
server = udp()
while True:
    data, peer = server.recvfrom(1024)
    server.sendto(b'Hello, %s!' % data, peer)
)";

/// Greets with what could command a terminal, answers, and speaks unasked once a file is there.
constexpr const char* rude = R"(
import os
server = tcp()
link, _ = server.accept()
link.sendall(b'\x1b[31mred\x07\r\n\xc2\x9b2J caf\xc3\xa9\ttab\xff\n')
link.recv(100)
link.sendall(b'answer\n')
while not os.path.exists(sys.argv[1]): time.sleep(0.01)
link.sendall(b'unasked\n')
link.recv(100)
link.close()
)";

words connect_to(const scripted_server& server, const words& more = {}) {
    words all = {support::program_path(), "connect", server.place()};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::string connected_line(const scripted_server& server) {
    return "connected to " + server.place() + " (Ctrl-D to end)\n";
}

bool lacks_python_here() {
    return !support::is_installed("python3");
}

std::string shown_at_once(std::string_view text) {
    terminal_text subject;
    auto shown = std::string(subject.add(text));
    return shown.append(subject.flush());
}

std::string shown_bytewise(std::string_view text) {
    terminal_text subject;
    std::string shown;
    for (const char one : text) {
        shown += subject.add(std::string_view(&one, 1));
    }
    return shown.append(subject.flush());
}

} // namespace

TEST_CASE("fetch: what comes cannot command a terminal") {
    support::scripted_http server({{{"HTTP/1.1 200 OK\r\n\r\n\x1b[31mred caf\xc3\xa9\n\xc3"}}});
    terminal seat({support::program_path(), "fetch", "-qo", "-", server.url("/x")});
    const auto ended = seat.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output == "\\x1b[31mred caf\xc3\xa9\n\\xc3");
}

TEST_CASE("terminal text: text stays readable, what commands a terminal is shown by its bytes") {
    const std::pair<std::string, std::string> table[] = {
        {"plain\ttext\n", "plain\ttext\n"},
        {"back\\slash", "back\\slash"},
        {"caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x90\x9f", "caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x90\x9f"},
        {"\x1b[31m", "\\x1b[31m"},
        {"\x07\x08\x7f", "\\x07\\x08\\x7f"},
        {std::string("a\0b", 3), "a\\x00b"},
        {"line\r\nline\r\n", "line\nline\n"},
        {"over\rwritten", "over\\x0dwritten"},
        {"\r\r\n", "\\x0d\n"},
        {"end\r", "end\\x0d"},
        {"\xc2\x9b", "\\xc2\\x9b"},
        {"\xc2\xa0", "\xc2\xa0"},
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},
        {"\xe2\x81\xa6", "\\xe2\\x81\\xa6"},
        {"\xe2\x80\x9c", "\xe2\x80\x9c"},
        {"\xff\xfe", "\\xff\\xfe"},
        {"\xc0\xaf", "\\xc0\\xaf"},
        {"\xe0\x80\x80", "\\xe0\\x80\\x80"},
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"},
        {"\xe4\xbd", "\\xe4\\xbd"},
        {"\xe4\xbd!", "\\xe4\\xbd!"},
        {"\xf0\x9f\x90", "\\xf0\\x9f\\x90"},
        {"\x80", "\\x80"},
    };
    for (const auto& row : table) {
        CAPTURE(row.second);
        CHECK(shown_at_once(row.first) == row.second);
        CHECK(shown_bytewise(row.first) == row.second);
    }
}

TEST_CASE("terminal: a prompt, an answer, and Ctrl-D" * doctest::skip(lacks_python_here())) {
    const scripted_server server(line_echo);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        terminal screen(connect_to(server, {"-b", backend}));
        CHECK(screen.shown_until("> ") == connected_line(server) + "> ");
        screen.type("hello\n");
        CHECK(screen.shown_until("> ") == "hello\n<hello>\n> ");
        screen.type("world\n");
        CHECK(screen.shown_until("> ") == "world\n<world>\n> ");
        screen.type("\x04");
        const auto ended = screen.wait();
        CHECK(ended.status == 0);
        CHECK(ended.output == "\nconnection closed\n");
    }
}

TEST_CASE("terminal: over UDP an answer ends in a newline, and Ctrl-D ends it" *
          doctest::skip(lacks_python_here())) {
    const scripted_server server(datagram_hello);
    terminal screen(connect_to(server));
    CHECK(screen.shown_until("> ") == connected_line(server) + "> ");
    for (const std::string name : {"Michael", "Tracy", "Sarah"}) {
        screen.type(name + "\n");
        CHECK(screen.shown_until("> ") == name + "\nHello, " + name + "!\n> ");
    }
    screen.type("\x04");
    const auto ended = screen.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output == "\nconnection closed\n");
}

TEST_CASE("terminal: Ctrl-C is exit 130, and the shell's prompt begins a line" *
          doctest::skip(lacks_python_here())) {
    const scripted_server server(line_echo);
    terminal screen(connect_to(server));
    CHECK(screen.shown_until("> ") == connected_line(server) + "> ");
    screen.type("\x03");
    const auto ended = screen.wait();
    CHECK(ended.status == 130);
    CHECK(ended.output == "^C\n");
}

TEST_CASE("terminal: a resize changes nothing of what is typed" *
          doctest::skip(lacks_python_here())) {
    const scripted_server server(line_echo);
    terminal screen(connect_to(server));
    CHECK(screen.shown_until("> ") == connected_line(server) + "> ");
    screen.type("hel");
    for (int i = 0; i < 20; ++i) {
        screen.resize();
    }
    screen.type("lo\n");
    screen.resize();
    CHECK(screen.shown_until("> ") == "hello\n<hello>\n> ");
    screen.type("\x04");
    CHECK(screen.wait().status == 0);
}

TEST_CASE("terminal: control characters are shown, an unasked line begins a line" *
          doctest::skip(lacks_python_here())) {
    const support::scratch_directory directory;
    const scripted_server server(rude, {directory.file("go")});
    terminal screen(connect_to(server));
    CHECK(screen.shown_until("> ") ==
          connected_line(server) + "\\x1b[31mred\\x07\n\\xc2\\x9b2J caf\xc3\xa9\ttab\\xff\n> ");
    screen.type("hello\n");
    CHECK(screen.shown_until("> ") == "hello\nanswer\n> ");
    screen.type("ty");
    CHECK(screen.shown_until("ty") == "ty");
    std::ofstream(directory.file("go")) << "go";
    CHECK(screen.shown_until("> ") == "\nunasked\n> ");
    screen.type("ped\n");
    const auto ended = screen.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output == "ped\nconnection closed\n");
}

TEST_CASE("terminal: --quit-on-empty, --prompt and -q" * doctest::skip(lacks_python_here())) {
    const scripted_server server(line_echo);
    terminal screen(connect_to(server, {"-q", "--quit-on-empty", "--prompt", "? "}));
    CHECK(screen.shown_until("? ") == "? ");
    screen.type("hello\n");
    CHECK(screen.shown_until("? ") == "hello\n<hello>\n? ");
    screen.type("\n");
    const auto ended = screen.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output == "\n");
}

TEST_CASE("terminal: an output that leads elsewhere holds what the peer said, as it came" *
          doctest::skip(lacks_python_here())) {
    const support::scratch_directory directory;
    const scripted_server server(line_echo);
    terminal screen(connect_to(server), directory.file("answers"));
    CHECK(screen.shown_until("> ") == connected_line(server) + "> ");
    screen.type("\x16\x1b[31m\n"); // Ctrl-V makes the terminal take the next key as it is
    screen.type("\x04");
    const auto ended = screen.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output.ends_with("connection closed\n"));
    std::ifstream file(directory.file("answers"));
    const std::string held(std::istreambuf_iterator<char>(file), {});
    CHECK(held == "<\x1b[31m>\n");
}

TEST_CASE("terminal: send adds the newline that an answer lacks" *
          doctest::skip(lacks_python_here())) {
    const scripted_server server(datagram_hello);
    terminal screen({support::program_path(), "send", server.place(), "Ada"});
    const auto ended = screen.wait();
    CHECK(ended.status == 0);
    CHECK(ended.output == "Hello, Ada!\n");
    terminal typed({support::program_path(), "send", server.place()});
    CHECK(typed.shown_until("\n") == "type the message; Ctrl-D sends it\n");
    typed.type("Bob\x04\x04");
    const auto answered = typed.wait();
    CHECK(answered.status == 0);
    CHECK(answered.output.ends_with("Hello, Bob!\n"));
}
