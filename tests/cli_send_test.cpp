#include "support/program.hpp"
#include "support/scripted_server.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include <unistd.h>

using support::process;
using support::run_program;
using support::scripted_server;
using support::words;

namespace {

constexpr const char* answers_and_stays = R"(
server = tcp()
links = []
while True:
    link, _ = server.accept()
    links.append(link)
    data = link.recv(1024)
    link.sendall(b'you said ')
    link.sendall(data)
)";

/// Takes the end of what it is sent for the end of everything.
constexpr const char* hasty = R"(
server = tcp()
while True:
    link, _ = server.accept()
    data = link.recv(1024)
    link.settimeout(0.3)
    try:
        link.recv(1)
    except socket.timeout:
        link.sendall(data)
    link.close()
)";

/// Takes connections and datagrams, prints what comes, and answers nothing.
constexpr const char* stream_listener = R"(
server = tcp()
links = []
while True:
    link, _ = server.accept()
    links.append(link)
    print(link.makefile('rb').read(), flush=True)
)";
constexpr const char* datagram_listener = R"(
server = udp()
while True: print(server.recv(1024), flush=True)
)";

/// The hello service of this program on that kind of endpoint.
class hello {
public:
    explicit hello(const std::string& where)
        : process_({support::program_path(), "serve", "hello", where}) {
        const auto ready = process_.output_line();
        const auto start = ready.find("://127") - 3;
        place = ready.substr(start, ready.find(' ', start) - start);
    }

    std::string place;

private:
    process process_;
};

bool is_python_missing() {
    return !support::is_installed("python3");
}

} // namespace

TEST_CASE("send: to a service that answers at a newline or at the end") {
    const hello tcp("tcp://127.0.0.1:0");
    CHECK(run_program({"send", tcp.place, "Ada"}).output == "Hello, Ada!");
    CHECK(run_program({"send", tcp.place, "--line", "Ada"}).output == "Hello, Ada!\n");
    CHECK(run_program({"send", tcp.place, "--crlf", "Ada", "Lovelace"}).output ==
          "Hello, Ada Lovelace!\r\n");
    CHECK(run_program({"send", tcp.place}, {.input = "Ada\nBob\n"}).output ==
          "Hello, Ada!\nHello, Bob!\n");
    const hello udp("udp://127.0.0.1:0");
    CHECK(run_program({"send", udp.place, "Ada"}).output == "Hello, Ada!");
    CHECK(run_program({"send", udp.place, ""}).output == "Hello, world!");
    CHECK(run_program({"send", udp.place, "--", "-x"}).output == "Hello, -x!");
    CHECK(run_program({"send", udp.place}).output == "Hello, world!");
    const auto closed =
        run_program({"send", udp.place}, {.before_exec = [] { ::close(STDIN_FILENO); }});
    CHECK(closed.status == 0);
    CHECK(closed.output == "Hello, world!");
}

TEST_CASE("send: without an answer it is exit 1 after the time that was given" *
          doctest::skip(is_python_missing())) {
    const scripted_server tcp(stream_listener);
    const scripted_server udp(datagram_listener);
    for (const auto& backend : support::usable_backends()) {
        for (const auto& place : {tcp.place(), udp.place()}) {
            CAPTURE(place);
            const auto ended = run_program({"send", place, "-b", backend, "--timeout=50ms", "x"});
            CHECK(ended.status == 1);
            CHECK(ended.output.empty());
            CHECK(ended.talk == "sockeye send: " + place + ": no answer within 50 ms\n");
        }
    }
}

TEST_CASE("send: a peer that answers and does not close" * doctest::skip(is_python_missing())) {
    const scripted_server server(answers_and_stays);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        const auto ended =
            run_program({"send", server.place(), "-b", backend, "--linger", "300ms", "hello"});
        CHECK(ended.status == 0);
        CHECK(ended.output == "you said hello");
        CHECK(ended.talk.empty());
    }
}

TEST_CASE("send: --keep-open is for servers that answer nobody who has ended" *
          doctest::skip(is_python_missing())) {
    const scripted_server server(hasty);
    const auto ended = run_program({"send", server.place(), "hello"});
    CHECK(ended.status == 0);
    CHECK(ended.output.empty());
    const auto open = run_program({"send", server.place(), "--keep-open", "hello"});
    CHECK(open.status == 0);
    CHECK(open.output == "hello");
}

TEST_CASE("send: --no-wait ends when all is sent" * doctest::skip(is_python_missing())) {
    scripted_server tcp(stream_listener);
    scripted_server udp(datagram_listener);
    for (auto* server : {&tcp, &udp}) {
        CAPTURE(server->place());
        const auto ended = run_program({"send", "--no-wait", server->place(), "a", "word"});
        CHECK(ended.status == 0);
        CHECK(ended.output.empty());
        CHECK(ended.talk.empty());
        CHECK(server->line() == "b'a word'");
    }
}

TEST_CASE("send: what is too long for a message is not sent" * doctest::skip(is_python_missing())) {
    const scripted_server udp(datagram_listener);
    const auto datagram = run_program({"send", udp.place()}, {.input = std::string(65508, 'x')});
    CHECK(datagram.status == 1);
    CHECK(datagram.talk == "sockeye send: " + udp.place() +
                               ": the message has 65508 bytes, and one here holds at most 65507\n");
    const auto line = run_program({"connect", udp.place()}, {.input = std::string(70000, 'x')});
    CHECK(line.status == 1);
    CHECK(line.talk == "sockeye connect: standard input: a line is longer than the 65507 bytes "
                       "that one message holds\n");
    const auto whole =
        run_program({"send", udp.place()}, {.input = std::string((16 << 20) + 1, 'x')});
    CHECK(whole.status == 1);
    CHECK(whole.talk == "sockeye send: standard input: a message has at most 16 MiB; 'sockeye "
                        "connect ENDPOINT < FILE' sends files of any size\n");
}

TEST_CASE("hostname: the system's names and addresses") {
    char name[1024] = {};
    REQUIRE(::gethostname(name, sizeof name - 1) == 0);
    const auto plain = run_program({"hostname"});
    CHECK(plain.status == 0);
    CHECK(plain.output == std::string(name) + "\n");
    CHECK(plain.talk.empty());
    const auto full = run_program({"hostname", "--fqdn"});
    if (full.status == 0) {
        CHECK(full.output.size() > 1);
        CHECK(std::ranges::count(full.output, '\n') == 1);
    } else {
        CHECK(full.status == 1);
        CHECK(full.talk.starts_with("sockeye hostname: the name of this machine: "));
    }
    const auto all = run_program({"hostname", "--addresses"});
    if (all.status != 0) {
        CHECK(all.talk.starts_with("sockeye hostname: no interface that is up has such an "));
        return;
    }
    CHECK(all.output.find("127.0.0.1") == std::string::npos);
    const auto four = run_program({"hostname", "--addresses", "-4"}).output;
    const auto six = run_program({"hostname", "--addresses", "-6"}).output;
    CHECK(four.find(':') == std::string::npos);
    CHECK(all.output.size() == four.size() + six.size());
}

TEST_CASE("clients: help with examples first") {
    for (const std::string command : {"connect", "send", "ping", "hostname"}) {
        CAPTURE(command);
        const auto ended = run_program({command, "--help"});
        CHECK(ended.status == 0);
        CHECK(ended.output.starts_with("usage: sockeye " + command + " [OPTIONS]"));
        CHECK(ended.output.find("\nExamples:\n  sockeye " + command) <
              ended.output.find("\nOptions:\n"));
        CHECK(ended.talk.empty());
        std::string_view left = ended.output;
        while (!left.empty()) {
            const auto line = left.substr(0, left.find('\n'));
            left.remove_prefix(line.size() + 1);
            CAPTURE(line);
            CHECK(line.size() <= 80);
        }
    }
}
