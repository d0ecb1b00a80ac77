#include "bench/judge/steady.hpp"
#include "support/bench_program.hpp"
#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <thread>

using namespace std::chrono_literals;
using support::quick;
using support::read_document;
using support::test_server;
using support::words;

namespace {

constexpr std::uint64_t millisecond = 1'000'000;

nlohmann::json run_json(const words& arguments) {
    words all = {"bench", "--json", "--rounds", "1", "--warmup", "50ms"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const auto ended = support::run_program(all);
    CAPTURE(ended.talk);
    REQUIRE(ended.status == 0);
    return read_document(ended.output);
}

/// A percentile; where the machine is too slow for the load there is none, and the greatest says as
/// much.
nlohmann::json response_of(const nlohmann::json& round, const char* share) {
    const auto& times = round["response_ns"];
    return times.contains(share) ? times[share] : times["max"];
}

/// Echo that stands still for 300 ms, once, when it has answered a while.
struct pausing_echo {
    std::size_t messages = 0;

    void operator()(sockeye::stream& link, sockeye::bytes in) {
        if (++messages == 200) {
            std::this_thread::sleep_for(300ms);
        }
        link.write(in);
    }
};

} // namespace

TEST_CASE("open loop: the schedule decides what is offered, and response holds service") {
    const auto document = run_json({"-b", "epoll", "--no-control", "-c", "4", "-r", "1000/s",
                                    "--arrival", "constant", "-d", "500ms"});
    const auto& result = document["results"][0];
    CHECK(result["test"] == "latency");
    CHECK(result["loop"] == "open");
    CHECK(result["arrival"] == "constant");
    CHECK(result["offered_per_s"] == 1000);
    const auto& round = result["rounds"][0];
    // The window is 500 ms and ends with the turn of the loop that it ends in.
    CHECK(round["offered"] >= 499);
    CHECK(round["offered"] <= 501);
    CHECK(round["send_lag_ns"]["count"] == round["offered"]);
    CHECK(round["response_ns"]["count"] == round["offered"]);
    CHECK(response_of(round, "p50") >= round["service_ns"]["p50"]);
    CHECK(round["unfinished"] == 0);
    std::uint64_t in_windows = 0;
    for (const auto& each : round["windows"]["messages"]) {
        in_windows += each.get<std::uint64_t>();
    }
    CHECK(in_windows >= 400);
    CHECK(round["windows"]["warmup"] <= 1);
}

TEST_CASE("open loop: a server that stands still counts in full; a closed loop hides it") {
    const test_server server("tcp://127.0.0.1:0", pausing_echo());
    const auto open = run_json({server.address(), "-c", "8", "-r", "1000/s", "-d", "2s"});
    const auto& seen = open["results"][0]["rounds"][0];
    // 300 of 2000 messages were due in the pause, and waited for up to 300 ms.
    CHECK(seen["response_ns"]["max"] >= 280 * millisecond);
    CHECK(response_of(seen, "p99") >= 200 * millisecond);
    CHECK(response_of(seen, "p90") >= 30 * millisecond);
    const test_server again("tcp://127.0.0.1:0", pausing_echo());
    const auto closed = run_json({again.address(), "-c", "1", "-d", "2s"});
    const auto& hidden = closed["results"][0]["rounds"][0]["service_ns"];
    CHECK(hidden["max"] >= 280 * millisecond);
    CHECK(hidden["p99"] < response_of(seen, "p99"));
}

TEST_CASE("open loop: a known delay of the server is in service and response") {
    support::server_program server({"echo", ":0", "--delay", "20ms"});
    const auto document =
        run_json({server.place().to_string(), "-c", "8", "-r", "200/s", "-d", "1s"});
    const auto& round = document["results"][0]["rounds"][0];
    // The time of the hand-over is read behind the call that makes it: a server on another CPU has
    // the message a little earlier.
    CHECK(round["service_ns"]["p50"] >= 18 * millisecond);
    CHECK(round["response_ns"]["min"] >= 20 * millisecond);
    CHECK(round["service_ns"]["p50"] < 60 * millisecond);
}

TEST_CASE("open loop: a server that does not keep up is told so, instead of percentiles") {
    const test_server server("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
        std::this_thread::sleep_for(2ms);
        link.write(in);
    });
    const words command = {"bench",     server.address(), "-c", "1",     "-s",       "64KiB",
                           "-r",        "5k/s",           "-d", "600ms", "--rounds", "1",
                           "--no-save", "--quiet"};
    const auto ended = support::run_program(command);
    CAPTURE(ended.output);
    CHECK(ended.status == 0);
    CHECK(support::contains(ended.output, "overload"));
    CHECK(support::contains(ended.output, "server did not keep up in latency (1 of 1 rounds): "
                                          "5 k/s offered, "));
    words gated = command;
    gated.insert(gated.end(), {"--fail-if", "p99>10s"});
    const auto crossed = support::run_program(gated);
    CAPTURE(crossed.talk);
    CHECK(crossed.status == 3);
    CHECK(support::contains(crossed.talk, "limit p99>10s crossed by server in latency: overload"));
}

TEST_CASE("open loop: --max-in-flight ends a round as overload, in the warm-up and later") {
    // A hundred messages are due in each sleep.
    const test_server slow("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
        std::this_thread::sleep_for(20ms);
        link.write(in);
    });
    const words load = {"-c", "1", "-r", "5k/s", "-d", "10s", "--max-in-flight", "20"};
    words shown = {"bench", slow.address(), "--rounds", "1", "--no-save", "--quiet"};
    shown.insert(shown.end(), load.begin(), load.end());
    const auto ended = support::run_program(shown);
    CAPTURE(ended.output);
    CHECK(ended.status == 0);
    CHECK(support::contains(ended.output, "overload"));
    CHECK(support::contains(ended.output, "; 1 ended at --max-in-flight 20."));
    // The second one stands still when the window has begun.
    const test_server pausing("tcp://127.0.0.1:0", pausing_echo());
    for (const auto* server : {&slow, &pausing}) {
        words arguments = {server->address()};
        arguments.insert(arguments.end(), load.begin(), load.end());
        const auto document = run_json(arguments);
        const auto& result = document["results"][0];
        CHECK(result["in_flight_max"] == 20);
        CHECK(result["summary"]["overloaded"]["rounds"] == 1);
        CHECK(result["summary"]["overloaded"]["answered_per_s"] > 0);
        CHECK_FALSE(result["summary"]["response_ns"].contains("p50"));
        const auto& round = result["rounds"][0];
        CHECK(round["overloaded"] == true);
        CHECK_FALSE(round["response_ns"].contains("p50"));
        CHECK(round["curve_ns"].empty());
        CHECK(round["messages"] > 0);
        CHECK(round["unfinished"] == 0);
        CHECK_FALSE(round.contains("flags"));
        // It does not wait for the end of a window in which nothing more is sent.
        CHECK(round["seconds"] < 8);
    }
}

TEST_CASE("open loop: a cap that nothing comes near changes nothing, and threads share it") {
    const auto usual = run_json({"-b", "epoll", "--no-control", "-c", "4", "-r", "500/s", "-d",
                                 "200ms", "--max-in-flight", "4000", "-t", "2"});
    CHECK(usual["results"][0]["in_flight_max"] == 4000);
    CHECK(usual["results"][0]["rounds"][0]["overloaded"] == false);
    const auto unsaid =
        run_json({"-b", "epoll", "--no-control", "-c", "4", "-r", "500/s", "-d", "200ms"});
    CHECK(unsaid["results"][0]["in_flight_max"] == 1048576);
    const auto closed = support::run_program(quick({"-c", "2", "--max-in-flight", "9"}));
    CHECK(closed.status == 2);
    CHECK(support::contains(closed.talk, "--max-in-flight: a closed loop has --pipeline messages "
                                         "on their way; --rate, --steps or --find-rate make"));
    const test_server silent("tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
    const auto nothing = support::run_program(
        quick({silent.address(), "-c", "1", "-r", "1k/s", "--max-in-flight", "3"}));
    CHECK(nothing.status == 1);
    CHECK(support::contains(nothing.talk, "nothing came back, and 3 messages were on their way"));
}

TEST_CASE("open loop: wrong bytes are found as in a closed one") {
    const test_server server("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
        std::vector<std::byte> out(in.begin(), in.end());
        out.back() ^= std::byte{4};
        link.write(out);
    });
    const auto ended = support::run_program(quick({server.address(), "-c", "2", "-r", "500/s"}));
    CHECK(ended.status == 1);
    CHECK(support::contains(ended.talk, "wrong bytes from server: connection "));
}

TEST_CASE("open loop: datagrams that are lost count with their age") {
    int count = 0;
    const test_server server("udp://127.0.0.1:0", [&count](sockeye::datagram_socket& socket,
                                                           std::span<const sockeye::datagram> in) {
        for (const auto& one : in) {
            if (++count % 20 != 0) {
                socket.send(one.data, *one.peer);
            }
        }
    });
    const auto document = run_json(
        {server.address(), "-c", "4", "-r", "1000/s", "-d", "500ms", "--timeout", "100ms"});
    const auto& round = document["results"][0]["rounds"][0];
    CHECK(round["lost"].get<int>() + round["unfinished"].get<int>() > 10);
    CHECK(round["response_ns"]["max"] >= 100 * millisecond);
    CHECK(round["wrong"] == 0);
}

TEST_CASE("datagrams: answers in another order are counted") {
    std::vector<std::byte> kept;
    const test_server server("udp://127.0.0.1:0", [&kept](sockeye::datagram_socket& socket,
                                                          std::span<const sockeye::datagram> in) {
        for (const auto& one : in) {
            if (kept.empty()) {
                kept.assign(one.data.begin(), one.data.end());
                continue;
            }
            socket.send(one.data, *one.peer);
            socket.send(kept, *one.peer);
            kept.clear();
        }
    });
    const auto document = run_json({server.address(), "-c", "1", "-p", "4", "-d", "200ms"});
    const auto& round = document["results"][0]["rounds"][0];
    CHECK(round["reordered"] > 0);
    CHECK(round["wrong"] == 0);
    CHECK(round["duplicate"] == 0);
}

TEST_CASE("bench modes: upload, download and churn over streams, on several threads") {
    for (const std::string how : {"upload", "download", "churn"}) {
        for (const std::string carrier : {"tcp", "unix"}) {
            CAPTURE(how);
            CAPTURE(carrier);
            const auto document = run_json({"-m", how, "--transport", carrier, "-c", "4", "-t", "2",
                                            "-b", "epoll,poll", "--no-control", "-d", "200ms"});
            REQUIRE(document["results"].size() == 2);
            for (const auto& result : document["results"]) {
                CHECK(result["test"] == how);
                CHECK(result["mode"] == how);
                CHECK(result["threads"] == 2);
                const auto& round = result["rounds"][0];
                CHECK(round["messages"] > 0);
                CHECK(round["wrong"] == 0);
                CHECK(round["errors"].empty());
                const auto& calls = round["server"]["syscalls"];
                CHECK((how == "churn" ? calls["accept"] : calls[how == "upload" ? "read" : "write"])
                          .get<int>() > 0);
            }
        }
    }
}

TEST_CASE("bench modes: other bytes than those of the ring are no download") {
    const test_server server("tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
    const auto nothing = support::run_program(quick({server.address(), "-m", "download"}));
    CHECK(nothing.status == 1);
    CHECK(support::contains(nothing.talk, "answered no message"));
    support::server_program talker({"chargen", ":0"});
    const auto other =
        support::run_program(quick({talker.place().to_string(), "-m", "download", "-c", "1"}));
    CHECK(other.status == 1);
    CHECK(support::contains(other.talk, "wrong bytes from server: connection 0, offset "));
    const auto unchecked = support::run_program(
        quick({talker.place().to_string(), "-m", "download", "-c", "1", "--no-verify"}));
    CHECK(unchecked.status == 0);
    CHECK(support::contains(unchecked.output, "not verified"));
}

TEST_CASE("bench modes: churn of a server that goes away, and of one that answers wrongly") {
    std::string address;
    {
        const test_server server("tcp://127.0.0.1:0", pausing_echo());
        address = server.address();
    }
    const auto gone = support::run_program(quick({address, "-m", "churn", "-c", "2"}));
    CHECK(gone.status == 1);
    CHECK(support::contains(gone.talk, "answered no message: "));
    const test_server wrong("tcp://127.0.0.1:0", [](sockeye::stream& link, sockeye::bytes in) {
        link.write(in.subspan(1));
        link.write(in.first(1));
    });
    const auto ended = support::run_program(quick({wrong.address(), "-m", "churn", "-c", "2"}));
    CHECK(ended.status == 1);
    CHECK(support::contains(ended.talk, "wrong bytes from server"));
}

TEST_CASE("bench: messages of mixed sizes come back whole, in both loops and over datagrams") {
    for (const std::string carrier : {"tcp", "udp"}) {
        for (const bool is_open : {false, true}) {
            CAPTURE(carrier);
            CAPTURE(is_open);
            words arguments = {"-s", "64B..2KiB", "--transport",  carrier, "-c",   "4",
                               "-b", "epoll",     "--no-control", "-d",    "200ms"};
            const words more = is_open ? words{"-r", "2k/s"} : words{"-p", "3", "-t", "2"};
            arguments.insert(arguments.end(), more.begin(), more.end());
            const auto document = run_json(arguments);
            const auto& result = document["results"][0];
            CHECK(result["size_bytes"] == nlohmann::json{64, 2048});
            const auto& round = result["rounds"][0];
            CHECK(round["wrong"] == 0);
            REQUIRE(round["messages"] > 20);
            const auto mean = round["bytes"].get<double>() / round["messages"].get<double>();
            CHECK(mean > 400);
            CHECK(mean < 1700);
        }
    }
}

TEST_CASE("bench: connections come from the addresses they are told to") {
    std::atomic<int> strangers = 0;
    const test_server server("tcp://127.0.0.1:0", [&strangers](sockeye::stream& link,
                                                               sockeye::bytes in) {
        const auto peer = link.peer_endpoint().value().to_string();
        strangers +=
            peer.starts_with("tcp://127.9.0.2:") || peer.starts_with("tcp://127.9.0.3:") ? 0 : 1;
        link.write(in);
    });
    const auto ended = support::run_program(
        quick({server.address(), "-c", "4", "--source", "127.9.0.2,127.9.0.3"}));
    CAPTURE(ended.talk);
    CHECK(ended.status == 0);
    CHECK(strangers == 0);
}

TEST_CASE("bench: --steps is a test for each rate, --find-rate the highest that keeps a limit") {
    const auto steps =
        run_json({"--steps", "500,1k/s", "-c", "2", "-b", "epoll", "--no-control", "-d", "100ms"});
    REQUIRE(steps["results"].size() == 2);
    CHECK(steps["results"][0]["test"] == "latency-500");
    CHECK(steps["results"][1]["test"] == "latency-1k");
    const auto found = run_json(
        {"--find-rate", "p50<1s", "-c", "2", "-b", "epoll", "--no-control", "-d", "100ms"});
    const auto& result = found["results"][0];
    CHECK(result["test"] == "find-rate");
    CHECK(result["kept"] == "p50<1s");
    CHECK(result["summary"]["rate_per_s"]["median"] > 100);
    const auto never =
        support::run_program({"bench", "--find-rate", "p50<1ns", "-c", "2", "-b", "epoll",
                              "--no-control", "--rounds", "1", "-d", "100ms", "--no-save"});
    CAPTURE(never.talk);
    CHECK(never.status == 1);
    CHECK(support::contains(never.talk, "does not keep p50<1ns even at "));
}

TEST_CASE("bench: --ab measures two builds as lanes of their own") {
    const auto& program = support::program_path();
    const auto document =
        run_json({"--ab", program, program, "-c", "2", "-d", "50ms", "-b", "poll"});
    std::vector<std::string> names;
    for (const auto& each : document["results"]) {
        names.push_back(each["backend"]);
    }
    std::sort(names.begin(), names.end());
    CHECK(names == std::vector<std::string>{"control", "new", "old"});
    const auto missing = support::run_program(quick({"--ab", program, "/nonexistent", "-c", "2"}));
    CHECK(missing.status == 1);
    CHECK(support::contains(missing.talk, "the new server did not come up"));
}

TEST_CASE("bench: limits and --strict decide the exit code, after the result") {
    const words base = quick({"-c", "2", "-b", "epoll", "--no-control"});
    const auto with = [&base](const words& more) {
        words all = base;
        all.insert(all.end(), more.begin(), more.end());
        return support::run_program(all);
    };
    const auto kept = with({"--fail-if", "errors>0", "--fail-if", "rate<1/s"});
    CHECK(kept.status == 0);
    CHECK(support::contains(kept.talk, "limit errors>0 kept; nearest is epoll in throughput: 0"));
    const auto crossed = with({"--fail-if", "rate>1/s"});
    CHECK(crossed.status == 3);
    CHECK(support::contains(crossed.output, "THROUGHPUT"));
    const auto absent = with({"--fail-if", "throughput.lag_p99>1s"});
    CHECK(absent.status == 3);
    CHECK(support::contains(absent.talk, "was not checked: no result has that number"));
    const auto strict = with({"--strict", "--json"});
    const auto grade = read_document(strict.output)["trust"]["grade"].get<std::string>();
    CHECK(strict.status == (grade == "C" ? 4 : 0));
}

TEST_CASE("bench: --progress ndjson tells each tenth of a second in a line of JSON") {
    const auto ended =
        support::run_program({"bench", "-c", "2", "-b", "epoll", "--no-control", "--rounds", "1",
                              "-d", "400ms", "--no-save", "--progress", "ndjson"});
    CHECK(ended.status == 0);
    std::size_t lines = 0;
    for (std::size_t at = 0; at < ended.talk.size(); ++lines) {
        const auto end = ended.talk.find('\n', at);
        REQUIRE(end != std::string::npos);
        const auto object = nlohmann::json::parse(ended.talk.substr(at, end - at));
        CHECK(object["backend"] == "epoll");
        CHECK(object["at_ns"] > 0);
        at = end + 1;
    }
    CHECK(lines >= 1);
}

TEST_CASE("bench: a client that wastes its time is noticed") {
    const auto document = run_json(
        {"-c", "4", "-b", "epoll", "--no-control", "-r", "2k/s", "-d", "1s", "--burn", "450us"});
    std::vector<std::string> flags;
    for (const auto& each : document["trust"]["flags"]) {
        flags.push_back(each["id"]);
    }
    CAPTURE(document["results"][0]["rounds"][0]["send_lag_ns"].dump());
    CHECK(std::count(flags.begin(), flags.end(), "lag") == 1);
}

TEST_CASE("bench: what cannot be is refused before anything is measured") {
    const std::string place = "tcp://127.0.0.1:9";
    for (const words& mistake :
         {words{"--find-rate", "p99>1ms"}, words{"--find-rate", "latency.p99<1ms"},
          words{"--transport", "unix", "--source", "127.0.0.2"}, words{"-m", "churn", "-p", "4"},
          words{"--baseline", ""}, words{"--fail-if", "bogus.p99>1ms"},
          words{place, "--ab", "a", "b"}, words{"-m", "upload", "-r", "1k/s"},
          words{"-m", "download", "--transport", "udp"}, words{"-t", "3", "-c", "2"},
          words{"-r", "1k", "--max-in-flight", "0"}, words{"-r", "1k", "--max-in-flight", "x"},
          words{"-r", "1k", "-t", "3", "--max-in-flight", "2"},
          words{"--idle", "4", "--max-in-flight", "9"}, words{"--rate", "1k", "--steps", "1k"},
          words{"--quick", "--full"}}) {
        CAPTURE(mistake.front());
        CAPTURE(mistake.back());
        const auto ended = support::run_program(quick(mistake));
        CHECK(ended.status == 2);
        CHECK(ended.output.empty());
        CHECK(std::count(ended.talk.begin(), ended.talk.end(), '\n') == 1);
    }
}

TEST_CASE("bench: a result that nobody can take is a failure that says so") {
    for (const bool is_json : {false, true}) {
        words arguments = quick({"-c", "2", "-b", "epoll", "--no-control"});
        arguments.insert(arguments.end(), is_json ? 1u : 0u, "--json");
        std::string command = support::program_path();
        for (const auto& word : arguments) {
            command += " " + word;
        }
        support::process full({"/bin/sh", "-c", command + " > /dev/full"});
        const auto ended = full.wait();
        CHECK(ended.status == 1);
        CHECK(support::contains(ended.talk, "standard output: No space left on device"));
    }
}

TEST_CASE("steady: a server that stops for good stalls, too") {
    std::vector<double> stopped(50, 2000);
    std::fill(stopped.begin() + 20, stopped.end(), 0);
    const auto flags = sockeye::bench::unsteady_flags(stopped);
    CHECK(std::count(flags.begin(), flags.end(), "stall") == 1);
}
