#include "support/bench_program.hpp"
#include "support/program.hpp"
#include "support/server_program.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <future>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <sys/resource.h>

using support::quick;
using support::read_document;
using support::test_server;
using support::words;
using json = nlohmann::json;

namespace {

std::set<std::string> lanes_of(const json& document) {
    std::set<std::string> names;
    for (const auto& result : document["results"]) {
        names.insert(result["backend"].get<std::string>());
    }
    return names;
}

std::vector<std::string> files_in(const std::string& folder) {
    std::vector<std::string> names;
    for (const auto& each : std::filesystem::directory_iterator(folder)) {
        names.push_back(each.path().filename().string());
    }
    return names;
}

void check_refusal(const words& arguments, int status, const std::string& line) {
    CAPTURE(line);
    const auto ended = support::run_program(arguments);
    CHECK(ended.status == status);
    CHECK(ended.output.empty());
    CHECK(ended.talk == line + "\n");
}

/// Flips one bit of byte `at` of whatever it echoes; one connection is enough.
struct bit_flipper {
    std::size_t at;
    std::size_t seen = 0;

    void operator()(sockeye::stream& link, sockeye::bytes in) {
        std::vector<std::byte> out(in.begin(), in.end());
        if (seen <= at && at < seen + out.size()) {
            out[at - seen] ^= std::byte{1};
        }
        seen += out.size();
        link.write(out);
    }
};

} // namespace

TEST_CASE("bench: every transport gives a valid document with every usable backend") {
    const auto listed = support::run_program({"backends", "--quiet"});
    std::set<std::string> expected = {"control"};
    for (std::size_t at = 0; at < listed.output.size();) {
        const auto end = listed.output.find('\n', at);
        expected.insert(listed.output.substr(at, end - at));
        at = end + 1;
    }
    REQUIRE(expected.size() >= 3);
    for (const std::string carrier : {"tcp", "udp", "unix"}) {
        CAPTURE(carrier);
        const auto ended =
            support::run_program(quick({"--transport", carrier, "-c", "4", "--json"}));
        CAPTURE(ended.talk);
        CHECK(ended.status == 0);
        const auto document = read_document(ended.output);
        CHECK(document["status"] == "complete");
        CHECK(lanes_of(document) == expected);
        for (const auto& result : document["results"]) {
            CHECK(result["transport"] == carrier);
            REQUIRE(result["rounds"].size() == 1);
            const auto& round = result["rounds"][0];
            CHECK(round["messages"] > 0);
            CHECK(round["bytes"] == round["messages"].get<std::uint64_t>() * 64);
            CHECK(round["wrong"] == 0);
            CHECK(round["server"]["syscalls"]["read"] > 0);
            CHECK(round["server"]["cpu_ns"] > 0);
            for (const char* side : {"server", "client"}) {
                CAPTURE(side);
                for (const char* count : {"voluntary_switches", "involuntary_switches",
                                          "minor_faults", "major_faults"}) {
                    CHECK(round[side].contains(count));
                }
                // Where there are counters of one, there are of the other.
                CHECK(round[side].contains("instructions") ==
                      round["client"].contains("instructions"));
            }
        }
    }
}

TEST_CASE("bench: the loops written by hand take part, and count their calls") {
    for (const std::string carrier : {"tcp", "udp", "unix"}) {
        CAPTURE(carrier);
        const auto ended =
            support::run_program(quick({"--transport", carrier, "-b", "poll",
                                        "--peers=hand-written", "--no-control", "--json"}));
        CAPTURE(ended.talk);
        REQUIRE(ended.status == 0);
        const auto document = read_document(ended.output);
        CHECK(lanes_of(document) == std::set<std::string>{"hand-written", "poll"});
        for (const auto& result : document["results"]) {
            CHECK(result["rounds"][0]["wrong"] == 0);
            CHECK(result["rounds"][0]["server"]["syscalls"]["write"] > 0);
            CHECK(result["rounds"][0]["server"].contains("voluntary_switches"));
            CHECK(result["summary"]["syscalls_per_message"] < 4);
        }
    }
}

TEST_CASE("bench: --rounds auto goes on from 6 to at most 40, and says why it ended") {
    const words base = {"bench", "--quick", "--rounds", "auto",      "--warmup", "5ms",  "-d",
                        "20ms",  "-c",      "4",        "--no-save", "-b",       "epoll"};
    auto arguments = base;
    arguments.emplace_back("--json");
    const auto ended = support::run_program(arguments);
    CAPTURE(ended.talk);
    REQUIRE(ended.status == 0);
    CHECK(ended.talk.find(" x 6 to 40 rounds, interleaved, about ") != std::string::npos);
    CHECK(ended.talk.find("throughput round 6 of 6 to 40  ") != std::string::npos);
    const auto document = read_document(ended.output);
    CHECK(document["plan"]["rounds"] == 40);
    CHECK(document["plan"]["adaptive"]["rounds_min"] == 6);
    const auto& result = document["results"][0];
    const auto rounds = result["rounds"].size();
    CHECK(rounds >= 6);
    CHECK(rounds <= 40);
    const auto& noise = document["control"][0];
    CHECK(noise["metric"] == "rate_per_s");
    CHECK(noise["pairs"] == rounds);
    CHECK(noise["confidence"] == 0.99);
    const bool is_narrow = noise.contains("lo") &&
                           noise["hi"].get<double>() <= noise["lo"].get<double>() * 1.02 * 1.02;
    CHECK(result["rounds_ended"] == (is_narrow ? "precise" : "most"));
    CHECK((is_narrow || rounds == 40));
    const auto words_said = document["words"].dump();
    CHECK(words_said.find("throughput ended after " + std::to_string(rounds) +
                          " of 6 to 40 rounds: ") != std::string::npos);
    auto alone = base;
    alone.emplace_back("--no-control");
    const auto refused = support::run_program(alone);
    CHECK(refused.status == 2);
    CHECK(refused.talk.find("--rounds auto: goes on until ratios of servers are known") !=
          std::string::npos);
}

TEST_CASE("bench: --threads auto says what it took and why, and keeps it with the run") {
    auto arguments = quick({"-b", "epoll", "--no-control", "-c", "8", "-t", "auto"});
    const auto shown = support::run_program(arguments);
    CAPTURE(shown.talk);
    CHECK(shown.status == 0);
    CHECK(shown.output.find("\nthreads  ") != std::string::npos);
    arguments.emplace_back("--json");
    const auto document = read_document(support::run_program(arguments).output);
    const auto& tried = document["plan"]["threads_tried"];
    const auto threads = document["results"][0]["threads"].get<std::size_t>();
    if (tried.empty()) { // fewer than four CPUs
        CHECK(threads == 1);
        CHECK(shown.output.find(" 1 of the client: for more, auto needs 4 CPUs") !=
              std::string::npos);
    } else {
        CHECK(threads >= 1);
        CHECK(tried[0]["threads"] == 1);
        CHECK(tried.back()["threads"].get<std::size_t>() <= threads * 2);
    }
    for (const char* wrong : {"0", "257", "autos", ""}) {
        CAPTURE(wrong);
        const auto ended = support::run_program(quick({"-t", wrong}));
        CHECK(ended.status == 2);
        CHECK(ended.talk.find(", or auto") != std::string::npos);
    }
}

TEST_CASE("bench: the default tests all run, and their tables are printed") {
    const auto ended = support::run_program(
        {"bench", "--quick", "--rounds", "1", "--warmup", "5ms", "-d", "30ms", "--no-save"},
        {.environment = {"COLUMNS=100"}, .input = {}, .before_exec = {}});
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    for (const char* part : {"machine  ", "place    ", "plan     4 tests", "\nTHROUGHPUT ",
                             "\nDATAGRAMS ", "\nLATENCY ", "open loop, Poisson ", "\nIDLE ",
                             "8 busy among 900 idle", "ratio to ", "\ncontrol ", "\nTrust  "}) {
        CAPTURE(part);
        CHECK(ended.output.find(part) != std::string::npos);
    }
    CHECK(ended.output.find('\x1b') == std::string::npos);
    CHECK(ended.talk.find('\r') == std::string::npos);
    CHECK(ended.talk.find("throughput round 1/1  ") != std::string::npos);
}

TEST_CASE("bench: no line of the result is wider than the terminal") {
    for (const std::size_t width : {80u, 100u, 120u}) {
        CAPTURE(width);
        const auto ended = support::run_program(
            quick({"-c", "2", "-q"}),
            {.environment = {"COLUMNS=" + std::to_string(width)}, .input = {}, .before_exec = {}});
        CHECK(ended.status == 0);
        for (std::size_t at = 0; at < ended.output.size();) {
            const auto end = ended.output.find('\n', at);
            const auto line = ended.output.substr(at, end - at);
            const bool is_prose = line.starts_with("  ");
            CAPTURE(line);
            CHECK((is_prose || line.size() <= width));
            at = end + 1;
        }
    }
}

TEST_CASE("bench: messages of any size come back whole, many at a time") {
    const auto backend = words{"-b", "poll,select", "--no-control", "--json"};
    for (const words& load :
         {words{"-s", "1", "-c", "3", "-p", "7"}, words{"-s", "100000", "-c", "3", "-p", "2"},
          words{"-s", "1MiB", "-c", "2", "-p", "3"}, words{"-s", "16385", "-c", "2"}}) {
        auto arguments = quick(load);
        arguments.insert(arguments.end(), backend.begin(), backend.end());
        const auto ended = support::run_program(arguments);
        CAPTURE(ended.talk);
        CHECK(ended.status == 0);
        const auto document = read_document(ended.output);
        for (const auto& result : document["results"]) {
            CHECK(result["rounds"][0]["messages"] > 0);
            CHECK(result["rounds"][0]["unfinished"] == 0);
        }
    }
}

TEST_CASE("bench: a flipped bit ends the run with its place, what was due and what came") {
    const test_server server("tcp://127.0.0.1:0", bit_flipper{1000});
    const auto ended = support::run_program(quick({server.address(), "-c", "1", "--json"}));
    CHECK(ended.status == 1);
    const std::string head = "wrong bytes from server: connection 0, offset 1000: expected ";
    const auto at = ended.talk.find(head);
    REQUIRE(at != std::string::npos);
    const auto expected = std::stoul(ended.talk.substr(at + head.size(), 2), nullptr, 16);
    const auto got_at = ended.talk.find("got ", at);
    REQUIRE(got_at != std::string::npos);
    const auto got = std::stoul(ended.talk.substr(got_at + 4, 2), nullptr, 16);
    CHECK((expected ^ got) == 1);
    CHECK(read_document(ended.output)["status"] == "failed");
}

TEST_CASE("bench: without --no-verify every way to echo wrongly is found") {
    SUBCASE("each piece twice") {
        const test_server server("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
            link.write(in);
            link.write(in);
        });
        const auto ended = support::run_program(quick({server.address(), "-c", "2"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("wrong bytes from server") != std::string::npos);
    }
    SUBCASE("the last byte is missing") {
        const test_server server("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
            link.write(in.first(in.size() - 1));
        });
        const auto ended = support::run_program(quick({server.address(), "-c", "1"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("answered no message") != std::string::npos);
    }
    SUBCASE("a bit of a datagram") {
        const test_server server("udp://127.0.0.1:0", [](sockeye::datagram_socket& socket,
                                                         std::span<const sockeye::datagram> in) {
            for (const auto& one : in) {
                std::vector<std::byte> out(one.data.begin(), one.data.end());
                out.at(40) ^= std::byte{0x80};
                socket.send(out, *one.peer);
            }
        });
        const auto ended = support::run_program(quick({server.address(), "-c", "1"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("offset 40: expected ") != std::string::npos);
    }
    SUBCASE("a datagram that is too short") {
        const test_server server("udp://127.0.0.1:0", [](sockeye::datagram_socket& socket,
                                                         std::span<const sockeye::datagram> in) {
            for (const auto& one : in) {
                socket.send(one.data.first(one.data.size() - 1), *one.peer);
            }
        });
        const auto ended = support::run_program(quick({server.address(), "-c", "1"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("offset 63: expected ") != std::string::npos);
        CHECK(ended.talk.find("got nothing") != std::string::npos);
    }
}

TEST_CASE("bench: lost and doubled datagrams are counted, and the run goes on") {
    int count = 0;
    const test_server server("udp://127.0.0.1:0", [&count](sockeye::datagram_socket& socket,
                                                           std::span<const sockeye::datagram> in) {
        for (const auto& one : in) {
            ++count;
            if (count % 10 == 3) {
                continue;
            }
            socket.send(one.data, *one.peer);
            if (count % 10 == 7) {
                socket.send(one.data, *one.peer);
            }
        }
    });
    const auto ended = support::run_program({"bench", server.address(), "-c", "2", "--timeout",
                                             "20ms", "-d", "500ms", "--rounds", "1", "--json"});
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    const auto round = read_document(ended.output)["results"][0]["rounds"][0];
    CHECK(round["messages"] > 0);
    CHECK(round["lost"] > 0);
    CHECK(round["duplicate"] > 0);
    CHECK(round["wrong"] == 0);
}

TEST_CASE("bench: a server that closes, and one that is not there, end it with exit 1") {
    SUBCASE("closes after the first message") {
        const test_server server("tcp://127.0.0.1:0",
                                 [](sockeye::stream& link, sockeye::bytes) { link.close(); });
        const auto ended = support::run_program(quick({server.address(), "-c", "2"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("answered no message: ") != std::string::npos);
    }
    SUBCASE("refuses") {
        std::string address;
        {
            const test_server server("tcp://127.0.0.1:0", bit_flipper{0});
            address = server.address();
        }
        const auto ended = support::run_program(quick({address, "--json"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("cannot connect to " + address) != std::string::npos);
        CHECK(read_document(ended.output)["status"] == "failed");
    }
    SUBCASE("no UDP server") {
        std::string address;
        {
            const test_server server(
                "udp://127.0.0.1:0",
                [](sockeye::datagram_socket&, std::span<const sockeye::datagram>) {});
            address = server.address();
        }
        const auto ended = support::run_program(quick({address, "-c", "2", "--timeout", "50ms"}));
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("answered no message") != std::string::npos);
    }
}

TEST_CASE("bench: interrupted it reports the whole rounds and exits as the signal says") {
    for (const int signal : {SIGINT, SIGTERM}) {
        CAPTURE(signal);
        support::process running({support::program_path(), "bench", "-c", "2", "-b", "poll",
                                  "--warmup", "1ms", "-d", "50ms", "--rounds", "200", "--json"});
        for (std::string line; !support::contains(line, " round 2/200 ");) {
            line = running.talk_line();
            REQUIRE_FALSE(line.empty()); // it has ended
        }
        running.send_signal(signal);
        const auto ended = running.wait();
        CHECK(ended.status == 128 + signal);
        CHECK(ended.talk.find("interrupted after ") != std::string::npos);
        const auto document = read_document(ended.output);
        CHECK(document["status"] == "interrupted");
        REQUIRE(document["results"].size() == 2);
        CHECK(document["results"][0]["rounds"].size() >= 2);
        CHECK(document["results"][0]["rounds"].size() == document["results"][1]["rounds"].size());
    }
}

TEST_CASE("bench: the run is saved where it was asked, and in the current directory else") {
    const support::scratch_directory folder;
    const auto path = folder.file("run.json");
    const auto here = [&folder](words arguments) {
        words command = {"/bin/sh",
                         "-c",
                         "cd \"$1\" && shift && exec \"$@\"",
                         "sh",
                         folder.file(""),
                         support::program_path()};
        command.insert(command.end(), arguments.begin(), arguments.end());
        return support::run(command);
    };
    const words small = {"bench",    "-b", "poll",     "--no-control", "-c", "1",
                         "--rounds", "1",  "--warmup", "1ms",          "-d", "10ms"};
    SUBCASE("-o") {
        words arguments = small;
        arguments.insert(arguments.end(), {"-o", path});
        CHECK(here(arguments).status == 0);
        CHECK(files_in(folder.file("")) == std::vector<std::string>{"run.json"});
        std::ifstream file(path);
        CHECK(read_document(std::string(std::istreambuf_iterator<char>(file), {}))["status"] ==
              "complete");
    }
    SUBCASE("by default") {
        const auto ended = here(small);
        CHECK(ended.status == 0);
        const auto names = files_in(folder.file(""));
        REQUIRE(names.size() == 1);
        CHECK(ended.output.find("saved  " + names[0] + "\n") != std::string::npos);
        CHECK(names[0].starts_with("sockeye-"));
    }
    SUBCASE("--no-save") {
        words arguments = small;
        arguments.push_back("--no-save");
        CHECK(here(arguments).status == 0);
        CHECK(files_in(folder.file("")).empty());
    }
    SUBCASE("a folder that is not there") {
        words arguments = small;
        arguments.insert(arguments.end(), {"-o", folder.file("none/run.json")});
        const auto ended = here(arguments);
        CHECK(ended.status == 1);
        CHECK(ended.talk.find("none/run.json: there is no such directory") != std::string::npos);
    }
}

TEST_CASE("bench: the servers end with the bench, even when it is killed") {
    support::process running({support::program_path(), "bench", "-c", "1", "-b", "poll", "-d", "1h",
                              "--no-save", "--json", "-q"});
    const auto children = "/proc/" + std::to_string(running.id()) + "/task/" +
                          std::to_string(running.id()) + "/children";
    pid_t child = 0;
    const auto deadline = std::chrono::steady_clock::now() + support::patience;
    while (child == 0 && std::chrono::steady_clock::now() < deadline) {
        std::ifstream(children) >> child;
        std::this_thread::yield();
    }
    REQUIRE(child > 0);
    running.send_signal(SIGKILL);
    CHECK(running.wait().status == -SIGKILL);
    const auto is_alive = [child] {
        std::ifstream file("/proc/" + std::to_string(child) + "/stat");
        std::string number, name, state;
        return file >> number >> name >> state && state != "Z";
    };
    while (is_alive() && std::chrono::steady_clock::now() < deadline) {
        std::this_thread::yield();
    }
    CHECK_FALSE(is_alive());
}

TEST_CASE("bench: mistakes are refused in one line before anything is done") {
    check_refusal({"bench", "--sise", "3"}, 2,
                  "sockeye bench: no option '--sise'; did you mean '--size'?");
    check_refusal({"bench", "-d", "10x"}, 2,
                  "sockeye bench: --duration '10x': unknown unit 'x'; use ns us ms s m h, for "
                  "example 500ms or 1m30s");
    check_refusal({"bench", "-s", "-5"}, 2, "sockeye bench: --size '-5': must be at least 1B");
    check_refusal({"bench", "-b", "epol"}, 2,
                  "sockeye bench: --backend 'epol': no backend 'epol'; did you mean 'epoll'?");
    check_refusal({"bench", "-b", "poll", "--baseline", "epoll"}, 2,
                  "sockeye bench: --baseline 'epoll': not among those measured: poll");
    check_refusal({"bench", "--transport", "sctp"}, 2,
                  "sockeye bench: --transport 'sctp': must be tcp, udp or unix");
    check_refusal({"bench", "--transport", "udp", "-s", "10"}, 2,
                  "sockeye bench: --size '10': a datagram carries a header of 24 bytes; it must "
                  "be at least 24B");
    check_refusal({"bench", "--transport", "udp", "--idle", "5"}, 2,
                  "sockeye bench: --idle: datagrams have no idle connections");
    check_refusal({"bench", "-c", "1000", "-p", "1000", "-s", "2KiB"}, 2,
                  "sockeye bench: 1000 connections x 1000 messages x 2 KiB are more than 1 GiB on "
                  "their way; make one of them smaller");
    check_refusal({"bench", "--pin", "server"}, 2,
                  "sockeye bench: --pin 'server': must be auto, none or, for example, "
                  "server=1,client=0");
    check_refusal({"bench", "--peers=libu"}, 2,
                  "sockeye bench: --peers 'libu': no peer 'libu'; did you mean 'libuv'?");
    check_refusal({"bench", "--peers="}, 2,
                  "sockeye bench: --peers '': no peer ''; there is libuv, libevent, libevent-raw, "
                  "libev, asio, hand-written, hand-written-gso, and all");
    check_refusal({"bench", "--peers", "--peers=asio"}, 2, "sockeye bench: --peers is given twice");
    check_refusal({"bench", "-o", "run.xml"}, 2,
                  "sockeye bench: --output 'run.xml': must end in .html, .svg, .csv, .md, "
                  ".hgrm or .json");
    check_refusal({"bench", ""}, 2,
                  "sockeye bench: endpoint '': " + sockeye::endpoint::parse("").error().message());
    check_refusal(
        {"bench", "nowhere"}, 2, "sockeye bench: endpoint 'nowhere': " + [] {
            return sockeye::endpoint::parse("nowhere").error().message();
        }());
}

TEST_CASE("bench: more connections than descriptors are refused with the way out") {
    const auto limit = [] {
        const rlimit few = {200, 200};
        ::setrlimit(RLIMIT_NOFILE, &few);
    };
    const auto ended = support::run_program({"bench", "-c", "300"},
                                            {.environment = {}, .input = {}, .before_exec = limit});
    CHECK(ended.status == 2);
    CHECK(ended.talk == "sockeye bench: 300 connections need 364 descriptors in each process but "
                        "the hard limit is 200; try 'ulimit -Hn 364' as root\n");
}
