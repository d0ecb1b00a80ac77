#include "support/program.hpp"
#include "support/server_program.hpp"
#include "support/support.hpp"

#include <sockeye/endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <unistd.h>

using sockeye::endpoint;
using support::ask;
using support::connect_to;
using support::contains;
using support::exchange_whole;
using support::is_readable_now;
using support::parse;
using support::receive_all;
using support::server_program;
using support::usable_backends;
using support::words;

namespace {

using namespace std::chrono_literals;

/// `Sat Nov 21 03:16:04 2026`, as long as any other.
constexpr std::size_t stamp_size = 24;

/// The time that a text of the services says; -1 where it is none.
std::time_t time_of(const std::string& text) {
    std::tm parts = {};
    parts.tm_isdst = -1;
    const char* end = ::strptime(text.c_str(), "%a %b %d %H:%M:%S %Y", &parts);
    return end != nullptr && *end == '\0' ? std::mktime(&parts) : -1;
}

/// A text that was made between then and now.
bool is_stamp(const std::string& text, std::time_t since) {
    const auto told = time_of(text);
    return text.size() == stamp_size && told >= since && told <= std::time(nullptr);
}

/// `[stamp] rest` gives the rest; what it gives for anything else is equal to nothing.
std::string behind_stamp(const std::string& text, std::time_t since) {
    const std::size_t head = stamp_size + 3;
    const bool is_good = text.size() >= head && text[0] == '[' &&
                         text.substr(stamp_size + 1, 2) == "] " &&
                         is_stamp(text.substr(1, stamp_size), since);
    return is_good ? text.substr(head) : "no stamp: " + text;
}

std::uint32_t seconds_of(const std::string& four) {
    std::uint32_t seconds = 0;
    for (const char byte : four) {
        seconds = seconds << 8 | static_cast<unsigned char>(byte);
    }
    return seconds;
}

bool is_time(const std::string& four, std::time_t since) {
    constexpr std::time_t before_1970 = 2'208'988'800;
    const auto told = static_cast<std::time_t>(seconds_of(four)) - before_1970;
    return four.size() == 4 && told >= since && told <= std::time(nullptr);
}

/// What a service says to `Ada` on a stream that ends there, and whether that is right.
bool is_right_stream(const std::string& service, const std::string& said, std::time_t since) {
    if (service == "echo") {
        return said == "Ada";
    }
    if (service == "discard") {
        return said.empty();
    }
    if (service == "daytime") {
        return said.ends_with("\r\n") && is_stamp(said.substr(0, said.size() - 2), since);
    }
    if (service == "time") {
        return is_time(said, since);
    }
    if (service == "timestamp") {
        return behind_stamp(said, since) == "Ada";
    }
    if (service == "greet") {
        return said == "Hello from sockeye!\r\n";
    }
    return said == "Hello, Ada!";
}

bool is_right_datagram(const std::string& service, const std::string& said, std::time_t since) {
    return service == "chargen" ? said == " !\"" : is_right_stream(service, said, since);
}

/// A client of chargen that has read this much and goes.
std::string read_pattern(const endpoint& place, std::size_t count) {
    const auto link = connect_to(place);
    std::string text;
    char room[4096];
    while (text.size() < count) {
        const auto got = ::recv(link.get(), room, sizeof room, 0);
        if (got <= 0) {
            break;
        }
        text.append(room, static_cast<std::size_t>(got));
    }
    return text.substr(0, count);
}

void check_service(const std::string& service, const server_program& server,
                   const support::scratch_directory& directory) {
    for (const auto& place : server.places()) {
        CAPTURE(place.to_string());
        const auto since = std::time(nullptr);
        if (place.is_stream() && service == "chargen") {
            CHECK(read_pattern(place, 300'000).starts_with(" !\"#$%&'()*+,-./0123456789"));
        } else if (place.is_stream()) {
            CHECK(is_right_stream(service, exchange_whole(place, "Ada"), since));
        } else if (service != "discard") {
            std::optional<endpoint> own;
            if (place.is_local()) {
                own = parse("unix-dgram:" + directory.file("client"));
            }
            const auto link = connect_to(place, own);
            CHECK(is_right_datagram(service, ask(link, "Ada").value_or("nothing"), since));
            std::filesystem::remove(directory.file("client"));
        }
    }
}

void check_services(const words& more) {
    for (const std::string service :
         {"echo", "discard", "chargen", "daytime", "time", "timestamp", "greet", "hello"}) {
        CAPTURE(service);
        CAPTURE(more.back());
        const support::scratch_directory directory;
        words arguments = {service, ":0", "unix:" + directory.file("s")};
        if (service != "greet") {
            arguments.push_back("udp://:0");
            arguments.push_back("unix-dgram:" + directory.file("d"));
        }
        arguments.insert(arguments.end(), more.begin(), more.end());
        server_program server(arguments);
        CAPTURE(server.ready());
        CHECK(server.places().size() == (service == "greet" ? 2 : 4));
        check_service(service, server, directory);
        const auto ended = server.stop();
        CHECK(ended.status == 0);
        CHECK(contains(ended.talk, ": 2 connections, "));
        CHECK(contains(ended.talk, " 0 errors\n"));
        CHECK_FALSE(std::filesystem::exists(directory.file("s")));
        CHECK_FALSE(std::filesystem::exists(directory.file("d")));
    }
}

} // namespace

TEST_CASE("services: each says what it should, on every transport and backend") {
    for (const auto& backend : usable_backends()) {
        check_services({"-b", backend});
    }
}

TEST_CASE("services: each says what it should, on several threads") {
    check_services({"--threads", "3"});
    check_services({"--threads", "2", "--reuse-port"});
}

TEST_CASE("services: small is five of them, and several have each a line and a port") {
    server_program server({"small,hello", ":0", "udp://:0"}, {}, 6);
    const words names = {"echo", "discard", "chargen", "daytime", "time", "hello"};
    std::vector<std::uint16_t> ports;
    for (std::size_t i = 0; i < names.size(); ++i) {
        CAPTURE(names[i]);
        const auto places = server.places(i);
        REQUIRE(places.size() == 2);
        CHECK(places[0].to_string().starts_with("tcp://127.0.0.1:"));
        CHECK(places[1].to_string().starts_with("udp://127.0.0.1:"));
        ports.push_back(places[0].port());
    }
    CHECK(exchange_whole(server.place(0), "echo") == "echo");
    CHECK(exchange_whole(server.place(5), "Tracy\n") == "Hello, Tracy!\n");
    CHECK(std::set<std::uint16_t>(ports.begin(), ports.end()).size() == 6);
    CHECK(server.stop(SIGTERM).status == 0);
}

TEST_CASE("services: chargen rotates its lines, and waits for who does not read") {
    server_program server({"chargen", ":0", "udp://:0"});
    const auto text = read_pattern(server.place(), 2 * 95 * 74);
    for (std::size_t line = 0; line < std::size_t{2} * 95; ++line) {
        CAPTURE(line);
        std::string wanted;
        for (std::size_t column = 0; column < 72; ++column) {
            wanted += static_cast<char>(' ' + (line + column) % 95);
        }
        CHECK(text.substr(line * 74, 74) == wanted + "\r\n");
    }
    // Nobody reads here, and the others are served.
    auto deaf = connect_to(server.place());
    CHECK(read_pattern(server.place(), 1'000'000).size() == 1'000'000);
    deaf.reset();
    // A client that ends its own side goes on listening.
    auto half = connect_to(server.place());
    ::shutdown(half.get(), SHUT_WR);
    std::string room(1'000'000, '\0');
    CHECK(::recv(half.get(), room.data(), room.size(), MSG_WAITALL) == 1'000'000);
    half.reset();
    const auto link = connect_to(server.places().at(1));
    for (const std::size_t size : {0U, 1U, 72U, 511U, 512U, 513U, 60000U}) {
        CHECK(ask(link, std::string(size, 'x'))->size() == std::min<std::size_t>(size, 512));
    }
    CHECK(server.stop().status == 0);
}

TEST_CASE("services: who speaks first closes in good order, whatever the client says") {
    for (const std::string service : {"daytime", "time", "greet"}) {
        CAPTURE(service);
        server_program server({service, ":0"});
        const auto since = std::time(nullptr);
        const auto link = connect_to(server.place());
        // More than the receive buffer: unread it would turn the end into a reset.
        const std::string early(200'000, 'x');
        for (std::size_t sent = 0; sent < early.size();) {
            const auto count =
                ::send(link.get(), early.data() + sent, early.size() - sent, MSG_NOSIGNAL);
            REQUIRE(count > 0);
            sent += static_cast<std::size_t>(count);
        }
        CHECK(is_right_stream(service, receive_all(link), since));
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("services: greet says any line of UTF-8") {
    for (const std::string text : {"", "Willkommen! \xf0\x9f\x90\x9f", "a\tb\x1b[31m"}) {
        server_program server({"greet", ":0", "--text", text});
        CHECK(exchange_whole(server.place(), "") == text + "\r\n");
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("services: timestamp answers a word without a newline at once, or line by line") {
    const auto since = std::time(nullptr);
    {
        server_program server({"timestamp", ":0"});
        const auto link = connect_to(server.place());
        for (const std::string word : {"hello", "a\nb\n", "\xc3\xa9"}) {
            std::string said;
            while (said.size() < stamp_size + 3 + word.size()) {
                said += ask(link, said.empty() ? word : "").value_or("nothing came back");
            }
            CHECK(behind_stamp(said, since) == word);
        }
        CHECK(server.stop().status == 0);
    }
    server_program server({"timestamp", ":0", "--lines", "--max-line", "8"});
    const auto said = exchange_whole(server.place(), "one\ntwo\r\n123456789\nthree");
    std::vector<std::string> lines;
    for (std::size_t at = 0; at < said.size();) {
        const auto end = std::min(said.find('\n', at), said.size() - 1) + 1;
        lines.push_back(said.substr(at, end - at));
        at = end;
    }
    REQUIRE(lines.size() == 4);
    CHECK(behind_stamp(lines[0], since) == "one\n");
    CHECK(behind_stamp(lines[1], since) == "two\r\n");
    CHECK(lines[2] == "error: a line may have at most 8 bytes\n");
    CHECK(behind_stamp(lines[3], since) == "three");
    CHECK(server.stop().status == 0);
}

TEST_CASE("services: hello greets each line with its own ending, and each datagram") {
    server_program server({"hello", ":0", "udp://:0"});
    CHECK(exchange_whole(server.place(), "Ada\nBob\r\n\n\r\nEve") ==
          "Hello, Ada!\nHello, Bob!\r\nHello, world!\nHello, world!\r\nHello, Eve!");
    CHECK(exchange_whole(server.place(), std::string(65536, 'x') + "\nAda\n") ==
          "Hello, " + std::string(65536, 'x') + "!\nHello, Ada!\n");
    CHECK(exchange_whole(server.place(), std::string(65537, 'x') + "\nAda\n") ==
          "error: a line may have at most 65536 bytes\nHello, Ada!\n");
    const auto link = connect_to(server.places().at(1));
    CHECK(ask(link, "Michael") == "Hello, Michael!");
    CHECK(ask(link, "Tracy\n") == "Hello, Tracy!\n");
    CHECK(ask(link, "Sarah\r\n") == "Hello, Sarah!\r\n");
    CHECK(ask(link, "") == "Hello, world!");
    CHECK(ask(link, "two\nlines\n") == "Hello, two\nlines!\n");
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve: --delay holds back each answer, in order, and memory stays bounded") {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        server_program server({"echo", ":0", "udp://:0", "--delay", "50ms", "-b", backend});
        const auto link = connect_to(server.place());
        const auto before = std::chrono::steady_clock::now();
        CHECK(ask(link, "hello") == "hello");
        CHECK(std::chrono::steady_clock::now() - before >= 50ms);
        // Far more than is held back at a time: the client has to wait, and all of it comes.
        const auto data = support::random_bytes(1'000'000);
        CHECK((exchange_whole(server.place(), data) == data));
        const auto peer = connect_to(server.places().at(1));
        const auto sent = std::chrono::steady_clock::now();
        for (const std::string text : {"1", "2", "3"}) {
            REQUIRE(::send(peer.get(), text.data(), text.size(), MSG_NOSIGNAL) == 1);
        }
        for (const std::string text : {"1", "2", "3"}) {
            char byte = 0;
            REQUIRE(::recv(peer.get(), &byte, 1, 0) == 1);
            CHECK(byte == text[0]);
        }
        CHECK(std::chrono::steady_clock::now() - sent >= 50ms);
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("serve: --delay counts what many short answers cost, and not their bytes alone") {
    const support::scratch_directory directory;
    server_program server({"echo", "unix-seqpacket:" + directory.file("socket"), "--delay", "1h",
                           "--queue-high", "1KiB"});
    const auto link = connect_to(server.place());
    for (int i = 0; i < 100; ++i) {
        REQUIRE(::send(link.get(), "x", 1, MSG_NOSIGNAL) == 1);
    }
    std::string totals;
    while (!contains(totals, ": 1 connection, ") || contains(totals, " 0 B in, ")) {
        server.child().send_signal(SIGUSR1);
        totals = server.child().talk_line();
        REQUIRE_FALSE(totals.empty());
    }
    CHECK_FALSE(contains(server.stop().talk, ", 100 B in, "));
}

TEST_CASE("serve: --delay holds for who speaks first, too") {
    server_program server({"greet", ":0", "--delay", "30ms"});
    const auto before = std::chrono::steady_clock::now();
    CHECK(exchange_whole(server.place(), "early") == "Hello from sockeye!\r\n");
    CHECK(std::chrono::steady_clock::now() - before >= 30ms);
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve: --once ends after the first connection or answer, with exit 0") {
    for (const words& more : {words{}, words{"--delay", "20ms"}, words{"--threads", "2"}}) {
        CAPTURE(more.size());
        words arguments = {"hello", ":0", "udp://:0", "--once"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        for (const std::size_t which : {0U, 1U}) {
            server_program server(arguments);
            CHECK(contains(server.child().talk_line(), "at most 1 connection "));
            const auto place = server.places().at(which);
            if (which == 0) {
                const auto link = connect_to(place);
                CHECK(ask(link, "Ada\n") == "Hello, Ada!\n");
                CHECK(ask(link, "Bob\n") == "Hello, Bob!\n");
            } else {
                CHECK(ask(connect_to(place), "Ada") == "Hello, Ada!");
            }
            const auto ended = server.child().wait();
            CHECK(ended.status == 0);
            CHECK(contains(ended.talk, "sockeye: stopped after "));
        }
    }
}

TEST_CASE("serve: --stats tells what was served, again and again") {
    for (const words& threads : {words{}, words{"--threads", "2"}}) {
        words arguments = {"echo", ":0", "--stats=20ms"};
        arguments.insert(arguments.end(), threads.begin(), threads.end());
        server_program server(arguments);
        server.child().talk_line();
        const auto link = connect_to(server.place());
        CHECK(ask(link, "hello") == "hello");
        std::string line;
        for (int i = 0; i < 1000 && !contains(line, ": 1 open, 0 connections, "); ++i) {
            line = server.child().talk_line();
            CHECK(line.starts_with("sockeye: last 20 ms: "));
        }
        CHECK(contains(line, ": 1 open, 0 connections, 0 datagrams, 0 B/s in, 0 B/s out, "));
        CHECK(server.stop().status == 0);
    }
    server_program server({"echo", "--stats", ":0"});
    CHECK(server.place().port() != 0); // what follows --stats is no time
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve: limits close who says nothing, and the log says which it was") {
    struct example {
        words limit;
        std::string_view why;
    };
    const example table[] = {
        {{"--first-byte-timeout", "50ms"}, ": closed here: it said nothing"},
        {{"--idle-timeout", "50ms"}, ": closed here: idle for too long"},
        {{"--max-lifetime", "50ms"}, ": closed here: open for too long"},
    };
    for (const auto& row : table) {
        CAPTURE(row.why);
        words arguments = {"echo", ":0", "-v"};
        arguments.insert(arguments.end(), row.limit.begin(), row.limit.end());
        server_program server(arguments);
        server.child().talk_line();
        const auto link = connect_to(server.place());
        CHECK(receive_all(link).empty());
        CHECK(server.child().talk_line().starts_with("connected from 127.0.0.1:"));
        CHECK(server.child().talk_line().ends_with(row.why));
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("serve: of one source only so many connections are taken") {
    server_program server({"echo", ":0", "--max-per-source", "1"});
    const auto first = connect_to(server.place());
    CHECK(ask(first, "a") == "a");
    CHECK(receive_all(connect_to(server.place())).size() <= 5); // an end, or RESET
    CHECK(ask(first, "a") == "a");
    CHECK(contains(server.stop().talk, ", 1 connection refused for what their source has open"));
}

TEST_CASE("serve: --unlink replaces what a dead server left, and nothing else") {
    for (const std::string scheme : {"unix:", "unix-dgram:"}) {
        CAPTURE(scheme);
        const support::scratch_directory directory;
        const auto place = scheme + directory.file("socket");
        {
            server_program dead({"echo", place});
            dead.child().send_signal(SIGKILL);
            CHECK(dead.child().wait().status == -SIGKILL);
        }
        REQUIRE(std::filesystem::is_socket(directory.file("socket")));
        CHECK(support::run(support::serve_command({"echo", place})).status == 1);
        server_program server({"echo", place, "--unlink"});
        CAPTURE(server.ready());
        const auto refused = support::run(support::serve_command({"echo", place, "--unlink"}));
        CHECK(refused.status == 1);
        CHECK(refused.talk == "sockeye serve: " + place +
                                  ": address already in use: a server answers there; choose "
                                  "another\n");
        CHECK(server.stop().status == 0);
        std::ofstream(directory.file("socket")) << "precious";
        for (const words& unlink : {words{"echo", place}, words{"echo", place, "--unlink"}}) {
            const auto kept = support::run(support::serve_command(unlink));
            CHECK(kept.status == 1);
            CHECK(kept.talk == "sockeye serve: " + place +
                                   ": what is there is no socket, and is kept; choose another\n");
        }
        CHECK(std::filesystem::file_size(directory.file("socket")) == 8);
    }
}

TEST_CASE("serve: on public addresses datagrams get no longer answer, and few of them") {
    server_program server({"echo,hello", "udp://*:0", "--allow-public-udp"}, {}, 2);
    auto echo = parse("udp://127.0.0.1:0");
    echo.set_port(server.place(0).port());
    auto hello = parse("udp://127.0.0.1:0");
    hello.set_port(server.place(1).port());
    const auto link = connect_to(echo);
    for (int i = 0; i < 10; ++i) {
        CHECK(ask(link, "x") == "x");
    }
    const auto greeted = connect_to(hello);
    REQUIRE(::send(greeted.get(), "Ada", 3, MSG_NOSIGNAL) == 3);
    for (int i = 0; i < 50; ++i) {
        REQUIRE(::send(link.get(), "x", 1, MSG_NOSIGNAL) == 1);
    }
    server.child().talk_line();
    std::string told;
    // A signal may be heard before the datagrams that were there first.
    for (int i = 0; i < 1000 && !contains(told, ", 61 datagrams, "); ++i) {
        server.child().send_signal(SIGUSR1);
        told = server.child().talk_line();
    }
    CAPTURE(told);
    CHECK(contains(told, ", 61 datagrams, "));
    CHECK(contains(told, " beyond the limits of public addresses not answered"));
    CHECK_FALSE(is_readable_now(greeted));
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve: -6 is the loopback of IPv6 wherever no host is written") {
    const auto any = parse("tcp://[::1]:0");
    const auto probe = support::make_blocking_socket(AF_INET6, SOCK_STREAM);
    if (::bind(probe.get(), any.data(), any.size()) != 0) {
        MESSAGE("not tested: no IPv6 here");
        return;
    }
    server_program server({"hello", ":0", "udp://:0", "localhost:0", "-6"});
    const auto places = server.places();
    REQUIRE(places.size() == 3);
    for (const auto& place : places) {
        CHECK(place.family() == AF_INET6);
        CHECK(place.is_loopback());
    }
    CHECK(exchange_whole(places[0], "Ada") == "Hello, Ada!");
    CHECK(server.stop().status == 0);
}
