#include "base/platform.hpp"
#include "support/conformance.hpp"
#include "support/program.hpp"
#include "support/server_program.hpp"
#include "support/support.hpp"

#include <sockeye/endpoint.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using sockeye::endpoint;
using sockeye::unique_fd;
using support::ask;
using support::connect_to;
using support::contains;
using support::exchange_whole;
using support::is_readable_now;
using support::outcome;
using support::parse;
using support::process;
using support::random_bytes;
using support::usable_backends;
using support::words;

namespace {

words serve_echo(words more) {
    more.insert(more.begin(), "echo");
    return support::serve_command(more);
}

class echo_server : public support::server_program {
public:
    explicit echo_server(words arguments, const support::start_options& options = {})
        : server_program(with_service(std::move(arguments)), options) {}

private:
    static words with_service(words arguments) {
        arguments.insert(arguments.begin(), "echo");
        return arguments;
    }
};

void check_stream(const endpoint& place) {
    CAPTURE(place.to_string());
    for (const std::size_t size : {0U, 1U, 64U, 65536U, 65537U, 3'000'000U}) {
        CAPTURE(size);
        const auto data = random_bytes(size);
        CHECK((exchange_whole(place, data) == data));
    }
}

void check_datagrams(const endpoint& place, const std::optional<endpoint>& from) {
    CAPTURE(place.to_string());
    const auto link = connect_to(place, from);
    for (const std::size_t size : {1U, 0U, 64U, 512U, 9000U}) {
        CAPTURE(size);
        const auto data = random_bytes(size);
        CHECK((ask(link, data) == data));
    }
}

bool has_ip6_loopback() {
    const auto any = parse("tcp://[::1]:0");
    const unique_fd probe(sockeye::platform::make_socket(AF_INET6, SOCK_STREAM));
    return ::bind(probe.get(), any.data(), any.size()) == 0;
}

/// Sends to an echo without reading until nothing moves: the server's queue is long and it reads
/// no more. Returns how much was sent.
std::size_t stuff(const unique_fd& link) {
    const std::string piece(65536, 'x');
    std::size_t sent = 0;
    pollfd subject = {.fd = link.get(), .events = POLLOUT, .revents = 0};
    while (::poll(&subject, 1, 200) == 1) {
        const auto count =
            ::send(link.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        sent += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    return sent;
}

bool is_listening(const endpoint& place) {
    const auto link = support::make_blocking_socket(place.family(), SOCK_STREAM);
    return ::connect(link.get(), place.data(), place.size()) == 0;
}

/// Waits until somebody, or nobody, listens at `place`.
bool wait_for_listening(const endpoint& place, bool wanted) {
    return support::turn_until([&] { return is_listening(place) == wanted; },
                               [] { ::poll(nullptr, 0, 1); });
}

void lower_descriptor_limit() {
    const rlimit limit = {.rlim_cur = 128, .rlim_max = 128};
    ::setrlimit(RLIMIT_NOFILE, &limit);
}

} // namespace

TEST_CASE("serve echo: every transport on every backend, and totals that add up") {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        const support::scratch_directory directory;
        echo_server server({"-b", backend, "tcp://127.0.0.1:0", "udp://127.0.0.1:0",
                            "unix:" + directory.file("stream"),
                            "unix-dgram:" + directory.file("datagram")});
        CAPTURE(server.ready());
        CHECK(server.ready().starts_with("sockeye: echo ready on tcp://127.0.0.1:"));
        CHECK(server.ready().ends_with(" (" + backend + ")"));
        CHECK(server.child().talk_line() ==
              "sockeye: at most 10000 connections (all limits: --help); press Ctrl-C to stop");
        const auto places = server.places();
        REQUIRE(places.size() == 4);
        CHECK(places[0].port() != 0);
        check_stream(places[0]);
        check_stream(places[2]);
        check_datagrams(places[1], {});
        check_datagrams(places[3], parse("unix-dgram:" + directory.file("client")));
        const auto ended = server.stop();
        CHECK(ended.status == 0);
        CHECK(ended.output.empty());
        CHECK(ended.talk.starts_with("sockeye: stopped after "));
        CHECK(contains(ended.talk,
                       ": 12 connections, 10 datagrams, 6.0 MiB in, 6.0 MiB out, 0 errors\n"));
        CHECK_FALSE(std::filesystem::exists(directory.file("stream")));
        CHECK_FALSE(std::filesystem::exists(directory.file("datagram")));
    }
}

TEST_CASE("serve echo: IPv6" * doctest::skip(!has_ip6_loopback())) {
    echo_server server({"tcp://[::1]:0", "udp://[::1]:0"});
    const auto places = server.places();
    REQUIRE(places.size() == 2);
    check_stream(places[0]);
    check_datagrams(places[1], {});
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve echo: the environment names the backend, the option wins over it") {
    const support::start_options named = {.environment = {"SOCKEYE_BACKEND=poll"}};
    CHECK(echo_server({":0"}, named).ready().ends_with(" (poll)"));
    CHECK(echo_server({":0", "--backend=select"}, named).ready().ends_with(" (select)"));
    CHECK(echo_server({"--backend", "select", "--", ":0"}).ready().ends_with(" (select)"));
}

TEST_CASE("serve echo: without an endpoint it is port 7007 of this machine, TCP and UDP") {
    // The port may be somebody else's here; then the line names it.
    process child(serve_echo({}));
    const auto line = child.output_line();
    if (!line.empty()) {
        CHECK(line.starts_with("sockeye: echo ready on tcp://127.0.0.1:7007 and "
                               "udp://127.0.0.1:7007 ("));
        child.send_signal(SIGTERM);
        CHECK(child.wait().status == 0);
        return;
    }
    const auto ended = child.wait();
    CHECK(ended.status == 1);
    CHECK(contains(ended.talk, "://127.0.0.1:7007: address already in use; choose another, or :0 "
                               "for any free port\n"));
}

TEST_CASE("serve echo: a connection that says nothing does not hold up the end") {
    for (const int signal : {SIGINT, SIGTERM}) {
        echo_server server({":0"});
        const auto place = server.places().at(0);
        const auto silent = connect_to(place);
        const auto talker = connect_to(place);
        CHECK(ask(talker, "hello") == "hello");
        const auto ended = server.stop(signal);
        CHECK(ended.status == 0);
        CHECK(contains(ended.talk, ": 2 connections, 0 datagrams, 5 B in, 5 B out, 0 errors\n"));
        char room = 0;
        CHECK(::recv(silent.get(), &room, 1, 0) == 0);
        CHECK(::recv(talker.get(), &room, 1, 0) == 0);
    }
}

TEST_CASE("serve echo: [227] what was taken is sent before the end") {
    const support::rows covered({227});
    int signal = SIGTERM;
    SUBCASE("SIGTERM") {}
    SUBCASE("SIGINT") {
        signal = SIGINT;
    }
    echo_server server({":0"});
    const auto place = server.places().at(0);
    const auto slow = connect_to(place);
    REQUIRE(stuff(slow) > 65536);
    server.child().send_signal(signal);
    REQUIRE(wait_for_listening(place, false));
    std::string target(1 << 20, '\0');
    std::size_t received = 0;
    for (ssize_t got = 0; (got = ::recv(slow.get(), target.data(), target.size(), 0)) > 0;) {
        received += static_cast<std::size_t>(got);
    }
    CHECK(received > 65536);
    const auto ended = server.child().wait();
    CHECK(ended.status == 0);
    CHECK_FALSE(contains(ended.talk, "cut off"));
}

TEST_CASE("serve echo: a second signal does not wait for slow peers") {
    echo_server server({":0"});
    const auto place = server.places().at(0);
    const auto slow = connect_to(place);
    REQUIRE(stuff(slow) > 65536);
    server.child().send_signal(SIGTERM);
    REQUIRE(wait_for_listening(place, false));
    CHECK(server.stop(SIGINT).status == -SIGINT);
}

TEST_CASE("serve echo: a peer that never reads is cut off ten seconds after the signal") {
    echo_server server({":0"});
    const auto place = server.places().at(0);
    const auto slow = connect_to(place);
    REQUIRE(stuff(slow) > 65536);
    const auto asked = std::chrono::steady_clock::now();
    const auto ended = server.stop();
    CHECK(std::chrono::steady_clock::now() - asked >= std::chrono::seconds(10));
    CHECK(ended.status == 0);
    CHECK(contains(ended.talk, ", 1 connection cut off with bytes unsent\n"));
}

TEST_CASE("serve echo: SIGUSR1 prints the totals and the work goes on") {
    for (const bool is_quiet : {false, true}) {
        echo_server server(is_quiet ? words{":0", "-q"} : words{":0"});
        if (!is_quiet) {
            CHECK(contains(server.child().talk_line(), "at most "));
        }
        const auto place = server.places().at(0);
        CHECK(exchange_whole(place, "ab") == "ab");
        server.child().send_signal(SIGUSR1);
        const auto line = server.child().talk_line();
        CHECK(line.starts_with("sockeye: running for "));
        CHECK(line.ends_with(": 1 connection, 0 datagrams, 2 B in, 2 B out, 0 errors"));
        CHECK(exchange_whole(place, "cd") == "cd");
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("serve echo: -q leaves the line that says where") {
    echo_server server({":0", "-q"});
    CHECK(server.ready().starts_with("sockeye: echo ready on tcp://127.0.0.1:"));
    const auto ended = server.stop();
    CHECK(ended.status == 0);
    CHECK(ended.output.empty());
    CHECK(ended.talk.empty());
}

TEST_CASE("serve echo: -v tells of connections and messages in printable ASCII") {
    echo_server server({"tcp://127.0.0.1:0", "udp://127.0.0.1:0", "-v"});
    server.child().talk_line();
    const auto places = server.places();
    {
        const auto link = connect_to(places.at(0));
        const std::string nasty = "\x1b[31mred\r\n\xff\x9b\\";
        CHECK(ask(link, nasty) == nasty);
    }
    const auto connected = server.child().talk_line();
    CHECK(connected.starts_with("connected from 127.0.0.1:"));
    const auto peer = connected.substr(std::string("connected from ").size());
    CHECK(server.child().talk_line() == peer + ": 13 bytes: \\x1b[31mred\\x0d\\x0a\\xff\\x9b\\x5c");
    CHECK(server.child().talk_line() == peer + ": closed");
    const auto link = connect_to(places.at(1));
    CHECK(ask(link, "") == "");
    CHECK(server.child().talk_line().ends_with(": 0 bytes"));
    CHECK(ask(link, "x") == "x");
    CHECK(server.child().talk_line().ends_with(": 1 byte: x"));
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve echo: a flood of lines is cut short and counted") {
    echo_server server({":0", "-v"});
    const auto place = server.places().at(0);
    const auto link = connect_to(place);
    for (int i = 0; i < 500; ++i) {
        REQUIRE(ask(link, "x") == "x");
    }
    const auto ended = server.stop();
    CHECK(ended.status == 0);
    CHECK(contains(ended.talk, " lines on messages suppressed\n"));
    std::istringstream text(ended.talk);
    long shown = 0;
    long suppressed = 0;
    for (std::string line; std::getline(text, line);) {
        shown += line.ends_with(": 1 byte: x") ? 1 : 0;
        suppressed += line.ends_with(" lines on messages suppressed") ? std::stol(line) : 0;
    }
    CHECK(shown + suppressed == 500);
}

TEST_CASE("serve echo: log lines that nobody reads hold up nothing") {
    echo_server server({":0", "-v", "--stats=1ms"}, {.before_exec = [] {
                           // A standard error that is full from the start and never read.
                           ::fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK);
                           const char piece[4096] = {};
                           while (::write(STDERR_FILENO, piece, sizeof piece) > 0) {
                           }
                           ::fcntl(STDERR_FILENO, F_SETFL, 0);
                       }});
    const auto place = server.places().at(0);
    const auto link = connect_to(place);
    const auto before = std::chrono::steady_clock::now();
    for (int i = 0; i < 200; ++i) {
        REQUIRE(ask(link, "hello") == "hello");
    }
    // A line that waits for its reader takes 200 ms.
    CHECK(std::chrono::steady_clock::now() - before < std::chrono::seconds(20));
    server.child().close_talk();
    CHECK(exchange_whole(place, "again") == "again");
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve echo: standard output that nobody reads ends nothing") {
    const support::scratch_directory directory;
    const auto place = parse("unix:" + directory.file("socket"));
    process child(serve_echo({place.to_string()}));
    child.close_output();
    CHECK(contains(child.talk_line(), "at most "));
    CHECK(exchange_whole(place, "hello") == "hello");
    child.send_signal(SIGINT);
    CHECK(child.wait().status == 0);
}

TEST_CASE("serve echo: descriptors closed at the start become no sockets") {
    const support::scratch_directory directory;
    const auto place = parse("unix:" + directory.file("socket"));
    process child(serve_echo({place.to_string(), "-v"}), {.before_exec = [] {
                      ::close(STDIN_FILENO);
                      ::close(STDOUT_FILENO);
                      ::close(STDERR_FILENO);
                  }});
    REQUIRE(wait_for_listening(place, true));
    CHECK(exchange_whole(place, "hello") == "hello");
    const auto own = std::filesystem::path("/proc") / std::to_string(child.id()) / "fd";
    if (std::filesystem::exists(own)) {
        for (const auto* fd : {"0", "1", "2"}) {
            CHECK(std::filesystem::read_symlink(own / fd) == "/dev/null");
        }
    }
    child.send_signal(SIGINT);
    CHECK(child.wait().status == 0);
}

TEST_CASE("serve echo: an endpoint that cannot be served is one line and exit 1") {
    const support::scratch_directory directory;
    const auto path = directory.file("socket");
    echo_server server({"tcp://127.0.0.1:0", "udp://127.0.0.1:0", "unix:" + path});
    for (const auto& place : server.places()) {
        const auto text = place.to_string();
        CAPTURE(text);
        const auto ended = support::run(serve_echo({":0", text}));
        CHECK(ended.status == 1);
        CHECK(ended.output.empty());
        CHECK(ended.talk ==
              "sockeye serve: " + text + ": address already in use; choose another, or " +
                  (place.is_local() ? "add --unlink to remove what a dead server left there\n"
                                    : ":0 for any free port\n"));
    }
    const auto missing = "unix:" + directory.file("missing/socket");
    CHECK(support::run(serve_echo({missing})).talk ==
          "sockeye serve: " + missing + ": there is no such directory\n");
    const auto foreign = support::run(serve_echo({"192.0.2.1:0"}));
    CHECK(foreign.status == 1);
    CHECK(foreign.talk == "sockeye serve: tcp://192.0.2.1:0: this machine has no such address\n");
    std::ofstream(directory.file("file")) << "precious";
    CHECK(support::run(serve_echo({"unix:" + directory.file("file")})).status == 1);
    CHECK(std::filesystem::file_size(directory.file("file")) == 8);
    CHECK(exchange_whole(server.places().at(2), "still here") == "still here");
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve echo: a missing permission is one line and exit 1") {
    const auto ended = support::run(serve_echo({":7"}), {.before_exec = [] {
                                        // Whoever is root needs no permission: become nobody.
                                        if (::geteuid() == 0 && ::setuid(65534) != 0) {
                                            ::_exit(126);
                                        }
                                    }});
    // Some systems let everybody have low ports; then there is nothing to see.
    if (ended.status == 1) {
        CHECK(ended.talk == "sockeye serve: tcp://127.0.0.1:7: permission denied: ports below 1024 "
                            "need privilege; leave the port out for 7007\n");
    } else {
        MESSAGE("not tested: everybody may have port 7 here, status " << ended.status);
    }
}

TEST_CASE("serve echo: one connection too many waits until there is room") {
    for (const auto& backend : usable_backends()) {
        CAPTURE(backend);
        echo_server server({":0", "--max-connections", "1", "-b", backend});
        CHECK(contains(server.child().talk_line(), "at most 1 connection "));
        const auto place = server.places().at(0);
        auto first = connect_to(place);
        CHECK(ask(first, "a") == "a");
        const auto second = connect_to(place);
        REQUIRE(::send(second.get(), "b", 1, MSG_NOSIGNAL) == 1);
        for (int i = 0; i < 50; ++i) {
            REQUIRE(ask(first, "a") == "a");
        }
        CHECK_FALSE(is_readable_now(second));
        first.reset();
        char answer = 0;
        CHECK(::recv(second.get(), &answer, 1, 0) == 1);
        CHECK(answer == 'b');
        CHECK(server.stop().status == 0);
    }
}

TEST_CASE("serve echo: the limit of connections leaves descriptors for everything else") {
    const support::start_options few = {.before_exec = lower_descriptor_limit};
    echo_server server({":0"}, few);
    CHECK(contains(server.child().talk_line(), "at most 64 connections "));
    CHECK(server.stop().status == 0);
    CHECK(support::run(serve_echo({":0", "--max-connections", "65"}), few).talk ==
          "sockeye serve: 65 connections need 129 descriptors but the hard limit is 128; try "
          "'ulimit -Hn 129' as root\n");
    const auto crowded = support::run(serve_echo({":0", "--threads", "256"}), few);
    CHECK(crowded.status == 2);
    CHECK(crowded.talk == "sockeye serve: 256 threads need 2104 descriptors but the hard limit is "
                          "128; try 'ulimit -Hn 2104' as root\n");
}

TEST_CASE("serve echo: several endpoints share the limit of connections") {
    const support::scratch_directory directory;
    const auto path = "unix:" + directory.file("socket");
    echo_server server({":0", path, "--max-connections", "3"});
    const auto first = connect_to(parse(path));
    CHECK(ask(first, "a") == "a");
    const auto second = connect_to(parse(path));
    REQUIRE(::send(second.get(), "b", 1, MSG_NOSIGNAL) == 1);
    const auto other = connect_to(server.places().at(0));
    for (int i = 0; i < 50; ++i) {
        REQUIRE(ask(other, "c") == "c");
    }
    CHECK_FALSE(is_readable_now(second));
    CHECK(server.stop().status == 0);
    const auto refused = support::run(serve_echo({":0", ":0", "--max-connections", "1"}));
    CHECK(refused.status == 2);
    CHECK(refused.talk ==
          "sockeye serve: 2 endpoints share --max-connections 1: give at least 2\n");
}

TEST_CASE("serve echo: a soft limit of descriptors is raised where more are asked for") {
    echo_server server({":0", "--max-connections", "200"}, {.before_exec = [] {
                           rlimit limit = {};
                           ::getrlimit(RLIMIT_NOFILE, &limit);
                           limit.rlim_cur = 128;
                           ::setrlimit(RLIMIT_NOFILE, &limit);
                       }});
    CHECK(contains(server.child().talk_line(), "at most 200 connections "));
    std::vector<unique_fd> links;
    for (int i = 0; i < 150; ++i) {
        links.push_back(connect_to(server.places().at(0)));
        REQUIRE(ask(links.back(), "x") == "x");
    }
    CHECK(server.stop().status == 0);
}

TEST_CASE("serve echo: datagrams from forbidden ports get no answer") {
    echo_server server({"udp://127.0.0.1:0", "udp://127.0.0.1:0"});
    const auto places = server.places();
    REQUIRE(places.size() == 2);
    const auto barrier = connect_to(places[0]);
    std::size_t refused = 0;
    for (const auto port : {places[0].port(), places[1].port(), std::uint16_t{2049},
                            std::uint16_t{1900}, std::uint16_t{11211}, std::uint16_t{1023}}) {
        CAPTURE(port);
        auto from = parse("udp://127.0.0.2:0");
        from.set_port(port);
        const auto sender = support::make_blocking_socket(AF_INET, SOCK_DGRAM);
        if (::bind(sender.get(), from.data(), from.size()) != 0) {
            CHECK(port < 1024);
            continue;
        }
        REQUIRE(::sendto(sender.get(), "x", 1, 0, places[0].data(), places[0].size()) == 1);
        ++refused;
        // Answered after what was sent before it.
        CHECK(ask(barrier, "barrier") == "barrier");
        CHECK_FALSE(is_readable_now(sender));
    }
    const auto ended = server.stop();
    CHECK(contains(ended.talk, ", " + std::to_string(refused) +
                                   " datagrams from forbidden senders not answered\n"));
}
