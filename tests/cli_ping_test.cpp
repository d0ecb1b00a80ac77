#include "cli/ping_check.hpp"
#include "cli/ping_tally.hpp"

#include "support/program.hpp"
#include "support/scripted_server.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using sockeye::bytes;
using sockeye::time_point;
using sockeye::cli::ping_check;
using sockeye::cli::ping_tally;
using sockeye::cli::ping_verdict;
using support::outcome;
using support::process;
using support::run_program;
using support::scripted_server;
using support::words;
using kind = sockeye::cli::ping_verdict::kind;

namespace {

/// A check whose messages and verdicts are kept.
struct checked {
    explicit checked(std::size_t size, ping_check::framing how)
        : subject(size, how, 4711),
          tell([this](const ping_verdict& one) { verdicts.push_back(one); }) {}

    std::vector<std::byte> send() {
        const auto made = subject.next(now);
        return {made.begin(), made.end()};
    }
    std::vector<ping_verdict> take(bytes in) {
        verdicts.clear();
        subject.take(in, now, tell);
        return verdicts;
    }
    std::vector<std::uint64_t> expire(time_point before) {
        std::vector<std::uint64_t> gone;
        subject.expire(before, [&](std::uint64_t one) { gone.push_back(one); });
        return gone;
    }

    time_point now = time_point(1h);
    ping_check subject;
    std::vector<ping_verdict> verdicts;
    ping_check::on_verdict tell;
};

/// Answers whole messages of 64 bytes with what `answer(data, number)` makes of them.
std::string stream_server(const std::string& answer) {
    return answer + R"(
server = tcp()
while True:
    link, _ = server.accept()
    number, data = 0, b''
    while True:
        part = link.recv(65536)
        if not part: break
        data += part
        while len(data) >= 64:
            link.sendall(answer(data[:64], number))
            data, number = data[64:], number + 1
    link.close()
)";
}

std::string datagram_server(const std::string& answer) {
    return answer + R"(
server = udp()
number = 0
while True:
    data, peer = server.recvfrom(65536)
    for one in answer(data, number): server.sendto(one, peer)
    number += 1
)";
}

outcome ping(const std::string& place, const words& more) {
    words all = {"ping", place};
    all.insert(all.end(), more.begin(), more.end());
    return run_program(all);
}

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::string_view left = text;
    while (!left.empty()) {
        const auto line = left.substr(0, left.find('\n'));
        lines.emplace_back(line);
        left.remove_prefix(std::min(line.size() + 1, left.size()));
    }
    return lines;
}

/// Whether `text` is `pattern`, in which `#` stands for a time such as 0.031.
bool looks_like(std::string_view text, std::string_view pattern) {
    while (!pattern.empty()) {
        if (pattern.front() != '#') {
            if (text.empty() || text.front() != pattern.front()) {
                return false;
            }
            text.remove_prefix(1);
        } else {
            const auto end = std::min(text.find_first_not_of("0123456789."), text.size());
            if (end < 5 || text[end - 4] != '.') {
                return false;
            }
            text.remove_prefix(end);
        }
        pattern.remove_prefix(1);
    }
    return text.empty();
}

bool has_no_python() {
    return !support::is_installed("python3");
}

/// Every answer has the right bytes, however they are cut.
void check_pieces(std::size_t size, std::size_t piece) {
    CAPTURE(size);
    CAPTURE(piece);
    checked at(size, ping_check::framing::bytes);
    std::vector<std::byte> all;
    for (int i = 0; i < 5; ++i) {
        const auto one = at.send();
        all.insert(all.end(), one.begin(), one.end());
    }
    std::size_t verified = 0;
    for (bytes left = all; !left.empty();) {
        const auto part = left.first(std::min(piece, left.size()));
        for (const auto& one : at.take(part)) {
            CHECK(one.what == kind::verified);
            CHECK(one.sequence == verified);
            ++verified;
        }
        left = left.subspan(part.size());
    }
    CHECK(verified == 5);
    CHECK(at.subject.waiting() == 0);
}

} // namespace

TEST_CASE("ping check: of a stream every byte counts, however it is cut") {
    for (const std::size_t size : {1U, 7U, 8U, 64U, 1000U}) {
        for (const std::size_t piece : {1U, 3U, 64U, 5000U}) {
            check_pieces(size, piece);
        }
    }
    for (std::size_t offset = 0; offset < 64; ++offset) {
        checked at(64, ping_check::framing::bytes);
        auto first = at.send();
        const auto second = at.send();
        first[offset] ^= std::byte{0x01};
        first[63] ^= std::byte{0x80};
        first.insert(first.end(), second.begin(), second.end());
        const auto told = at.take(first);
        REQUIRE(told.size() == 2);
        CHECK(told[0].what == kind::wrong);
        CHECK(told[0].mistake.starts_with("byte " + std::to_string(offset) + " is 0x"));
        CHECK(told[1].what == kind::verified);
    }
}

TEST_CASE("ping check: an answer in time, a late one, one too many and one that nobody asked for") {
    checked at(64, ping_check::framing::messages);
    const auto first = at.send();
    const auto second = at.send();
    at.now += 30ms;
    auto told = at.take(second);
    REQUIRE(told.size() == 1);
    CHECK(told[0].what == kind::verified);
    CHECK(told[0].sequence == 1);
    CHECK(told[0].took == 30ms);
    CHECK(at.subject.waiting() == 1);
    CHECK(at.take(second).at(0).what == kind::duplicate);
    CHECK(at.expire(at.now - 31ms).empty());
    CHECK(at.expire(at.now - 30ms) == std::vector<std::uint64_t>{0});
    CHECK(at.subject.waiting() == 0);
    CHECK(at.take(first).at(0).what == kind::late);
    CHECK(at.take(first).at(0).what == kind::duplicate);
    CHECK(at.take(std::vector<std::byte>(64)).at(0).what == kind::unexpected);
}

TEST_CASE("ping check: wrong datagrams are told of the message that they resemble") {
    checked at(64, ping_check::framing::messages);
    const auto first = at.send();
    auto second = at.send();
    second[20] ^= std::byte{0xff};
    auto told = at.take(second);
    REQUIRE(told.size() == 1);
    CHECK(told[0].what == kind::wrong);
    CHECK(told[0].sequence == 1);
    CHECK(told[0].mistake.starts_with("byte 20 is 0x"));
    told = at.take(bytes(first).first(10));
    REQUIRE(told.size() == 1);
    CHECK(told[0].what == kind::wrong);
    CHECK(told[0].sequence == 0);
    CHECK(told[0].mistake == "10 bytes came instead of 64");
    CHECK(at.subject.waiting() == 0);
}

TEST_CASE("ping check: what it remembers is bounded") {
    checked datagrams(8, ping_check::framing::messages);
    checked stream(8, ping_check::framing::bytes);
    for (std::size_t i = 0; i < ping_check::requests_max; ++i) {
        CHECK(datagrams.subject.has_room());
        CHECK(stream.subject.has_room());
        static_cast<void>(datagrams.send());
        static_cast<void>(stream.send());
    }
    CHECK_FALSE(datagrams.subject.has_room());
    CHECK_FALSE(stream.subject.has_room());
    // Lost datagrams are forgotten; what a stream owes it owes.
    CHECK(datagrams.expire(datagrams.now).size() == ping_check::requests_max);
    CHECK(stream.expire(stream.now).size() == ping_check::requests_max);
    CHECK(datagrams.subject.has_room());
    CHECK_FALSE(stream.subject.has_room());
}

TEST_CASE("ping tally: the summary says what came, and its times are those that were counted") {
    ping_tally tally;
    CHECK(tally.summary(0, 0) == "0 sent, 0 answered, 0 wrong, 0 % lost\n");
    CHECK(tally.summary(3, 0) == "3 sent, 0 answered, 0 wrong, 100 % lost\n");
    for (const auto took : {29us, 30us, 31us, 34us}) {
        tally.count({.what = kind::verified, .took = took});
    }
    CHECK(tally.summary(4, 0) ==
          "4 sent, 4 answered, 0 wrong, 0 % lost; min 0.029  median 0.030  max 0.034 ms\n");
    tally.count({.what = kind::late});
    tally.count({.what = kind::duplicate});
    tally.count({.what = kind::wrong});
    tally.count({.what = kind::unexpected});
    CHECK(tally.summary(8, 1).starts_with("8 sent, 4 answered, 1 wrong, 1 late, 1 duplicate, 1 "
                                          "unexpected, 1 on the way, 12.5 % lost; "));
    CHECK(tally.summary(1'000'006, 0).find(", 99.9 % lost") != std::string::npos);
}

TEST_CASE("ping: every transport on every backend") {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        const support::scratch_directory directory;
        process server({support::program_path(), "serve", "echo", "-b", backend,
                        "tcp://127.0.0.1:0", "udp://127.0.0.1:0",
                        "unix:" + directory.file("stream"), "unix-dgram:" + directory.file("data"),
                        "unix-seqpacket:" + directory.file("packet")});
        const auto ready = server.output_line();
        for (const std::string scheme :
             {"tcp://", "udp://", "unix:", "unix-dgram:", "unix-seqpacket:"}) {
            const auto start = ready.find(scheme);
            const auto place = ready.substr(start, ready.find_first_of(", ", start) - start);
            CAPTURE(place);
            const auto ended =
                ping(place, {"-b", backend, "-n", "3", "-i", "10ms", "--timeout=60s"});
            CHECK(ended.status == 0);
            CHECK(ended.talk.empty());
            const auto lines = lines_of(ended.output);
            REQUIRE(lines.size() == 4);
            for (std::size_t i = 0; i < 3; ++i) {
                CHECK(looks_like(lines[i], "64 bytes from " + place + ": seq=" + std::to_string(i) +
                                               " time=# ms verified"));
            }
            CHECK(looks_like(lines[3], "3 sent, 3 answered, 0 wrong, 0 % lost; min #  median #  "
                                       "max # ms"));
            const auto quick = ping(place, {"-b", backend, "-q", "-n", "200", "-i", "0", "-s",
                                            "1000", "--timeout=60s"});
            CHECK(quick.status == 0);
            CHECK(quick.output.starts_with("200 sent, 200 answered, 0 wrong, 0 % lost; "));
            CHECK(lines_of(quick.output).size() == 1);
        }
    }
}

TEST_CASE("ping: long messages come back whole") {
    process server(
        {support::program_path(), "serve", "echo", "tcp://127.0.0.1:0", "udp://127.0.0.1:0"});
    const auto ready = server.output_line();
    for (const std::string scheme : {"tcp://", "udp://"}) {
        const auto start = ready.find(scheme);
        const auto place = ready.substr(start, ready.find_first_of(", ", start) - start);
        const auto ended = ping(place, {"-q", "-n", "5", "-i", "0", "--timeout", "60s", "-s",
                                        scheme == "tcp://" ? "1M" : "65507"});
        CHECK(ended.status == 0);
        CHECK(ended.output.starts_with("5 sent, 5 answered, 0 wrong, 0 % lost; "));
    }
}

TEST_CASE("ping: a wrong byte is named and is exit 1" * doctest::skip(has_no_python())) {
    const std::string spoil = R"(
def spoiled(data, number):
    return data[:20] + bytes([data[20] ^ 1]) + data[21:] if number == 1 else data
)";
    const scripted_server tcp(
        stream_server(spoil + "def answer(data, number): return spoiled(data, number)\n"));
    const scripted_server udp(
        datagram_server(spoil + "def answer(data, number): return [spoiled(data, number)]\n"));
    for (const auto& place : {tcp.place(), udp.place()}) {
        CAPTURE(place);
        const auto ended = ping(place, {"-n", "3", "-i", "0", "--timeout", "60s"});
        CHECK(ended.status == 1);
        CHECK(ended.talk == "sockeye ping: " + place + ": wrong answers: 1 of 3\n");
        const auto lines = lines_of(ended.output);
        REQUIRE(lines.size() == 4);
        CHECK(lines[0].ends_with(" verified"));
        CHECK(lines[1].find(": seq=1 time=") != std::string::npos);
        CHECK(lines[1].find(" wrong: byte 20 is 0x") != std::string::npos);
        CHECK(lines[2].ends_with(" verified"));
        CHECK(lines[3].starts_with("3 sent, 2 answered, 1 wrong, 0 % lost; "));
    }
}

TEST_CASE("ping: what is lost, comes twice or comes late is counted as such" *
          doctest::skip(has_no_python())) {
    const scripted_server server(datagram_server(R"(
kept = []
def answer(data, number):
    if number == 0: return []
    if number == 1: return [data, data]
    if number == 2: kept.append(data); return []
    return [kept[0], data]
)"));
    const auto ended = ping(server.place(), {"-n", "4", "-i", "600ms", "--timeout", "500ms"});
    CHECK(ended.status == 0);
    CHECK(ended.output.find("no answer from " + server.place() + ": seq=0 within 500 ms\n") !=
          std::string::npos);
    CHECK(ended.output.find(": seq=1 time=") != std::string::npos);
    CHECK(ended.output.find(" duplicate\n") != std::string::npos);
    CHECK(ended.output.find(" late\n") != std::string::npos);
    CHECK(ended.output.find("\n4 sent, 2 answered, 0 wrong, 1 late, 1 duplicate, 25 % lost; ") !=
          std::string::npos);
}

TEST_CASE("ping: without any answer it is exit 1, and says why") {
    process silent({"python3", "-c",
                    "import socket, time\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                    "s.bind(('127.0.0.1', 0))\nprint('udp://127.0.0.1:%d' % s.getsockname()[1], "
                    "flush=True)\ntime.sleep(600)"});
    const auto place = silent.output_line();
    const auto ended = ping(place, {"-n", "2", "-i", "0", "--timeout", "50ms"});
    CHECK(ended.status == 1);
    CHECK(ended.output == "no answer from " + place + ": seq=0 within 50 ms\nno answer from " +
                              place + ": seq=1 within 50 ms\n" +
                              "2 sent, 0 answered, 0 wrong, 100 % lost\n");
    CHECK(ended.talk == "sockeye ping: " + place + ": no answer\n");
}

TEST_CASE("ping: a peer that closes ends it, with the summary" * doctest::skip(has_no_python())) {
    const scripted_server server(R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.sendall(link.recv(64))
    link.close()
)");
    const auto ended = ping(server.place(), {"-i", "60s"});
    CHECK(ended.status == 1);
    CHECK(ended.talk == "sockeye ping: " + server.place() + ": the peer closed the connection\n");
    CHECK(ended.output.find("\n1 sent, 1 answered, 0 wrong, 0 % lost; ") != std::string::npos);
}

TEST_CASE("ping: Ctrl-C prints the summary and is exit 130") {
    process server({support::program_path(), "serve", "echo", ":0"});
    const auto ready = server.output_line();
    const auto start = ready.find("tcp://");
    const auto place = ready.substr(start, ready.find(' ', start) - start);
    for (const int signal : {SIGINT, SIGTERM}) {
        process pinging({support::program_path(), "ping", place, "-i", "60s"});
        CHECK(pinging.output_line().ends_with(" verified"));
        pinging.send_signal(signal);
        const auto ended = pinging.wait();
        CHECK(ended.status == 128 + signal);
        CHECK(ended.output.starts_with("1 sent, 1 answered, 0 wrong, 0 % lost; min "));
        CHECK(ended.talk.empty());
    }
}

TEST_CASE("ping: ICMP, or a clear word and exit 5 where it is not permitted") {
    const auto ended = ping("icmp://127.0.0.1", {"-n", "2", "-i", "0", "--timeout", "60s"});
    if (ended.status == 0) {
        CHECK(ended.output.find("\n2 sent, 2 answered, 0 wrong, 0 % lost; ") != std::string::npos);
        return;
    }
    CHECK(ended.status == 5);
    CHECK(ended.output.empty());
    CHECK(ended.talk.starts_with("sockeye ping: icmp://127.0.0.1: ICMP echo sockets are not "
                                 "permitted here; "));
}
