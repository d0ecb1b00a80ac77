#include "support/program.hpp"
#include "support/scripted_server.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

using support::outcome;
using support::process;
using support::run_program;
using support::scripted_server;
using support::start_options;
using support::usable_backends;
using support::words;

namespace {

/// Sends one line of UTF-8 and closes, whatever comes.
constexpr const char* greeter = R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.sendall('Grüße, 你好!\n'.encode())
    link.close()
)";
const std::string greeting = "Gr\xc3\xbc\xc3\x9f"
                             "e, \xe4\xbd\xa0\xe5\xa5\xbd!\n";

/// Answers each datagram's name.
constexpr const char* hello_over_udp = R"(
server = udp()
while True:
    data, peer = server.recvfrom(1024)
    server.sendto(b'Hello, %s!' % data.decode().encode(), peer)
)";

/// Answers with the time and what one receive brought; knows no lines.
constexpr const char* timestamp = R"(
server = tcp()
while True:
    link, _ = server.accept()
    while True:
        data = link.recv(1024)
        if not data: break
        link.send(b'[%s] %s' % (time.ctime().encode(), data))
    link.close()
)";
constexpr const char* timestamp_over_udp = R"(
server = udp()
while True:
    data, peer = server.recvfrom(1024)
    server.sendto(b'[%s] %s' % (time.ctime().encode(), data), peer)
)";

/// Sends back all that came, once the client has ended its side.
constexpr const char* whole_echo = R"(
server = tcp()
while True:
    link, _ = server.accept()
    data = b''
    while True:
        part = link.recv(65536)
        if not part: break
        data += part
    link.sendall(data)
    link.close()
)";

/// An answer that breaks off.
constexpr const char* half_an_answer = R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.recv(100)
    link.sendall(b'half an ans')
    time.sleep(0.1)
    reset(link)
)";

words with_backend(const std::string& backend, words arguments) {
    arguments.insert(arguments.begin() + 1, {"-b", backend});
    return arguments;
}

outcome connect_with(const std::string& place, const std::string& input, const words& more = {}) {
    words all = {"connect", place};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all, {.input = input});
}

bool is_stamped(const std::string& line, const std::string& word) {
    // [Sat Nov 21 03:16:04 2026] word
    return line.size() == 27 + word.size() && line.starts_with("[") && line[25] == ']' &&
           line.ends_with("] " + word);
}

std::string any_bytes(std::size_t count) {
    std::mt19937 random(7);
    std::string data(count, '\0');
    std::ranges::generate(data, [&] { return static_cast<char>(random()); });
    return data;
}

/// An echo service of this program.
class echo {
public:
    explicit echo(const words& places)
        : process_(command(places)), ready_(process_.output_line()) {}

    /// The first endpoint, or the one that begins so.
    [[nodiscard]] std::string place(const std::string& scheme = "tcp://") const {
        const auto start = ready_.find(scheme);
        return ready_.substr(start, ready_.find_first_of(", ", start) - start);
    }

private:
    static words command(const words& places) {
        words all = {support::program_path(), "serve", "echo"};
        all.insert(all.end(), places.begin(), places.end());
        return all;
    }

    process process_;
    std::string ready_;
};

bool lacks_python() {
    return !support::is_installed("python3");
}

} // namespace

TEST_CASE("connect: a server that speaks first and closes" * doctest::skip(lacks_python())) {
    const scripted_server server(greeter);
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const auto ended = run_program(with_backend(backend, {"connect", server.place()}));
        CHECK(ended.status == 0);
        CHECK(ended.output == greeting);
        CHECK(ended.talk.empty());
    }
    // Nobody ever ends this input: the server's end is the end.
    const auto waiting = run_program({"connect", server.place()}, {.has_endless_input = true});
    CHECK(waiting.status == 0);
    CHECK(waiting.output == greeting);
}

TEST_CASE("connect: over UDP each line is a datagram, and each answer a line" *
          doctest::skip(lacks_python())) {
    const scripted_server server(hello_over_udp);
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const auto all =
            run_program(with_backend(backend, {"connect", server.place(), "--linger", "3s"}),
                        {.input = "Michael\nTracy\nSarah"});
        CHECK(all.status == 0);
        CHECK(all.output == "Hello, Michael!\nHello, Tracy!\nHello, Sarah!\n");
        CHECK(all.talk.empty());
    }
    for (const std::string name : {"Michael", "Tracy", "Sarah"}) {
        CHECK(connect_with(server.place(), name + "\n").output == "Hello, " + name + "!\n");
        const auto sent = run_program({"send", server.place(), name});
        CHECK(sent.status == 0);
        CHECK(sent.output == "Hello, " + name + "!");
    }
}

TEST_CASE("clients: a server that looks for no newline" * doctest::skip(lacks_python())) {
    const scripted_server tcp(timestamp);
    const scripted_server udp(timestamp_over_udp);
    for (const auto& place : {tcp.place(), udp.place()}) {
        CAPTURE(place);
        CHECK(is_stamped(run_program({"send", place, "word"}).output, "word"));
        CHECK(is_stamped(run_program({"send", place, "two", "words"}).output, "two words"));
        CHECK(is_stamped(run_program({"send", place, "--line", "word"}).output, "word\n"));
        CHECK(is_stamped(run_program({"send", place, "--crlf", "word"}).output, "word\r\n"));
    }
    CHECK(is_stamped(connect_with(tcp.place(), "word").output, "word"));
    CHECK(is_stamped(connect_with(tcp.place(), "word\n").output, "word\n"));
    CHECK(is_stamped(connect_with(tcp.place(), "word\n", {"--crlf"}).output, "word\r\n"));
    CHECK(is_stamped(connect_with(tcp.place(), "word\n", {"--no-newline"}).output, "word"));
    CHECK(is_stamped(connect_with(udp.place(), "word\n").output, "word\n"));
}

TEST_CASE("clients: the end of the input is told, and the answer to all of it comes" *
          doctest::skip(lacks_python())) {
    const scripted_server server(whole_echo);
    const auto text = any_bytes(300'000);
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const auto piped =
            run_program(with_backend(backend, {"connect", server.place()}), {.input = text});
        CHECK(piped.status == 0);
        CHECK((piped.output == text));
        const auto sent =
            run_program(with_backend(backend, {"send", server.place()}), {.input = text});
        CHECK(sent.status == 0);
        CHECK((sent.output == text));
    }
}

TEST_CASE("clients: an answer that is cut by a reset is printed as far as it came, and exit 1" *
          doctest::skip(lacks_python())) {
    const scripted_server server(half_an_answer);
    for (const std::string client : {"connect", "send"}) {
        for (const auto& backend : usable_backends()) {
            CAPTURE(client);
            CAPTURE(backend);
            const auto ended =
                run_program(with_backend(backend, {client, server.place()}), {.input = "hello"});
            CHECK(ended.status == 1);
            CHECK(ended.output == "half an ans");
            CHECK(ended.talk == "sockeye " + client + ": " + server.place() +
                                    ": connection reset: the answer may be cut\n");
        }
    }
}

TEST_CASE("clients: where nobody is, that is said, and exit 1") {
    const support::scratch_directory directory;
    std::string tcp;
    std::string udp;
    {
        // Ports that were free a moment ago.
        const echo gone({"tcp://127.0.0.1:0", "udp://127.0.0.1:0"});
        tcp = gone.place();
        udp = gone.place("udp://");
    }
    const auto path = directory.file("missing");
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        for (const std::string client : {"connect", "send", "ping"}) {
            CAPTURE(client);
            const auto speak = [&](const std::string& place) {
                return run_program(with_backend(backend, {client, place}), {.input = "hello"});
            };
            const auto refused = speak(tcp);
            CHECK(refused.status == 1);
            CHECK(refused.output.empty());
            CHECK(refused.talk == "sockeye " + client + ": " + tcp +
                                      ": connection refused: nobody listens there\n");
            for (const std::string scheme : {"unix:", "unix-dgram:"}) {
                const auto missing = speak(scheme + path);
                CHECK(missing.status == 1);
                CHECK(missing.talk == "sockeye " + client + ": " + scheme + path +
                                          ": there is no such socket; is its server running?\n");
            }
        }
        const auto datagram = run_program(with_backend(backend, {"connect", udp}), {.input = "x"});
        CHECK(datagram.status == 1);
        CHECK(datagram.talk ==
              "sockeye connect: " + udp + ": connection refused (ICMP port unreachable)\n");
        const auto sent = run_program(with_backend(backend, {"send", udp, "x"}));
        CHECK(sent.status == 1);
        CHECK(sent.talk ==
              "sockeye send: " + udp + ": no answer: connection refused (ICMP port unreachable)\n");
    }
}

TEST_CASE("clients: an unknown name, and each failed address with -v") {
    const auto unknown = run_program({"connect", "nobody.invalid:7", "--connect-timeout=30s"});
    CHECK(unknown.status == 1);
    CHECK(unknown.talk.starts_with("sockeye connect: tcp://nobody.invalid:7: "));
    CHECK(std::ranges::count(unknown.talk, '\n') == 1);
    // Reserved for this machine: 127.0.0.1 and ::1, both of them. See RFC 6761.
    const echo gone({":0"});
    const auto port = gone.place().substr(gone.place().rfind(':'));
    const auto known = run_program({"send", "-v", "here.localhost" + port, "hello"});
    CHECK(known.status == 0);
    CHECK(known.output == "hello");
    const auto refused = run_program({"connect", "-v", "here.localhost:1"});
    CHECK(refused.status == 1);
    CHECK(refused.talk.find("tried tcp://127.0.0.1:1: ") != std::string::npos);
    CHECK(refused.talk.find("tried tcp://[::1]:1: ") != std::string::npos);
    const auto four = run_program({"connect", "-v", "-4", "here.localhost:1"});
    CHECK(four.talk == "tried tcp://127.0.0.1:1: Connection refused\n"
                       "sockeye connect: tcp://here.localhost:1: connection refused: nobody "
                       "listens there\n");
}

TEST_CASE("connect: every transport, there and back, on every backend") {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const support::scratch_directory directory;
        const echo server({"-b", backend, "tcp://127.0.0.1:0", "udp://127.0.0.1:0",
                           "unix:" + directory.file("stream"),
                           "unix-dgram:" + directory.file("datagram"),
                           "unix-seqpacket:" + directory.file("packet")});
        for (const std::string scheme :
             {"tcp://", "udp://", "unix:", "unix-dgram:", "unix-seqpacket:"}) {
            const auto place = server.place(scheme);
            CAPTURE(place);
            const auto lines =
                run_program(with_backend(backend, {"connect", place, "--linger", "2s"}),
                            {.input = "one\ntwo\n\nthree\n"});
            CHECK(lines.status == 0);
            // An empty message of unix-seqpacket would be its end, and is none.
            CHECK(lines.output ==
                  (scheme == "unix-seqpacket:" ? "one\ntwo\nthree\n" : "one\ntwo\n\nthree\n"));
            CHECK(lines.talk.empty());
            const auto message = run_program(with_backend(backend, {"send", place, "hello"}));
            CHECK(message.status == 0);
            CHECK(message.output == "hello");
        }
    }
}

TEST_CASE("connect: a file that is longer than all queues, there and back") {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const echo server({"-b", backend, ":0"});
        const auto data = any_bytes(5'000'000);
        const auto ended =
            run_program(with_backend(backend, {"connect", server.place()}), {.input = data});
        CHECK(ended.status == 0);
        CHECK((ended.output == data));
        CHECK(ended.talk.empty());
    }
}
