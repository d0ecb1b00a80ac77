#include "bench/account.hpp"
#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <csignal>
#include <string>
#include <vector>

#include <sys/socket.h>

namespace bench = sockeye::bench;
using json = nlohmann::json;
using support::server_program;
using support::words;

namespace {

std::string line_from(const sockeye::unique_fd& link) {
    std::string line;
    char one = 0;
    while (::recv(link.get(), &one, 1, 0) == 1 && one != '\n') {
        line += one;
    }
    return line;
}

void say(const sockeye::unique_fd& link, const std::string& text) {
    CHECK(::send(link.get(), text.data(), text.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(text.size()));
}

/// Rounds short enough for a test, against a server and its control port.
words control_run(const std::string& target, const std::string& control, words more = {}) {
    words all = {"bench", target, "--control", control, "--rounds", "2",      "--warmup",
                 "10ms",  "-d",   "100ms",     "-c",    "2",        "--json", "--no-save"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
}

void check_control_failure(const words& arguments, const std::string& part) {
    const auto ended = support::run_program(arguments);
    CHECK(ended.status == 1);
    CAPTURE(ended.talk);
    CHECK(ended.talk.starts_with("sockeye bench: --control tcp://127.0.0.1:"));
    CHECK(support::contains(ended.talk, part));
    CHECK(ended.talk.find('\n') == ended.talk.size() - 1);
    CHECK(ended.output.empty());
}

} // namespace

TEST_CASE("control port: tells what was used and done, and goes on telling") {
    server_program server({"echo", "tcp://127.0.0.1:0", "--control", ":0"}, {}, 2);
    const auto link = support::connect_to(server.place(1));
    say(link, "stats\n");
    const auto first = bench::parse_account(line_from(link));
    REQUIRE(first);
    CHECK(first->cpu_ns > 0);
    CHECK(first->has_calls());
    const auto data = support::random_bytes(100'000);
    CHECK(support::exchange_whole(server.place(0), data) == data);
    say(link, "sta");
    say(link, "ts\r\n");
    const auto second = bench::parse_account(line_from(link));
    REQUIRE(second);
    const auto did = bench::difference(*second, *first);
    CHECK(did.accepts == 1);
    CHECK(did.reads > 1);
    CHECK(did.writes > 0);
    CHECK(did.cpu_ns > 0);
    // It waited for us at least once in between.
    REQUIRE(did.counts.voluntary_switches.has_value());
    CHECK(*did.counts.voluntary_switches > 0);
    const auto ended = server.stop();
    CHECK(ended.status == 0);
}

TEST_CASE("control port: what is no request is answered with an error and the end") {
    server_program server({"echo", "tcp://127.0.0.1:0", "--control", ":0"}, {}, 2);
    const std::string error = "error: unknown request; there is: stats\n";
    CHECK(support::exchange_whole(server.place(1), "stat\n") == error);
    CHECK(support::exchange_whole(server.place(1), "\nstats\nstats\n") == error);
    CHECK(support::exchange_whole(server.place(1), std::string(1000, 's')) == error);
    CHECK(support::exchange_whole(server.place(1), "stats") == ""); // no line yet
}

TEST_CASE("control port: more clients than it takes wait, and get their turn") {
    server_program server({"echo", "tcp://127.0.0.1:0", "--control", ":0"}, {}, 2);
    std::vector<sockeye::unique_fd> links;
    for (int i = 0; i < 4; ++i) {
        links.push_back(support::connect_to(server.place(1)));
        say(links.back(), "stats\n");
        CHECK(bench::parse_account(line_from(links.back())));
    }
    const auto late = support::connect_to(server.place(1));
    say(late, "stats\n");
    say(links[0], "stats\n");
    CHECK(bench::parse_account(line_from(links[0])));
    CHECK_FALSE(support::is_readable_now(late));
    links.pop_back();
    CHECK(bench::parse_account(line_from(late)));
}

TEST_CASE("bench --control: a server that runs already gets CPU per message and calls") {
    for (const words& how : {words{}, words{"--threads", "2"}}) {
        words arguments = {"echo", "tcp://127.0.0.1:0", "--control", ":0"};
        arguments.insert(arguments.end(), how.begin(), how.end());
        server_program server(arguments, {}, 2);
        const auto ended = support::run_program(
            control_run(server.place(0).to_string(), server.place(1).to_string()));
        CAPTURE(ended.talk);
        REQUIRE(ended.status == 0);
        const auto document = json::parse(ended.output);
        const auto& result = document["results"][0];
        CHECK(result["summary"]["server_cpu_ns_per_message"]["median"] > 0);
        CHECK(result["summary"]["syscalls_per_message"] > 1.0);
        for (const auto& round : result["rounds"]) {
            CHECK(round["server"]["cpu_ns"] > 0);
            CHECK(round["server"]["syscalls"]["read"] >= round["messages"]);
        }
    }
}

TEST_CASE("bench --control: each way in which it can fail is one clear line") {
    server_program server({"echo", "tcp://127.0.0.1:0"});
    const auto target = server.place().to_string();
    std::string gone;
    {
        server_program other({"echo", "tcp://127.0.0.1:0"});
        gone = other.place().to_string();
        other.stop();
    }
    check_control_failure(control_run(target, gone), "onnection refused; start it with 'sockeye "
                                                     "serve echo --control HOST:PORT'");
    check_control_failure(control_run(target, target),
                          "this is no port of 'sockeye serve --control': it said 'stats'");
    server_program greet({"greet", "tcp://127.0.0.1:0", "--text", "Gr\xc3\xbc\xc3\x9f"});
    check_control_failure(control_run(target, greet.place().to_string()),
                          "it said 'Gr\\xc3\\xbc\\xc3\\x9f'");
}

TEST_CASE("bench --control: a control port that dies during the run ends it with one line") {
    server_program server({"echo", "tcp://127.0.0.1:0"});
    server_program other({"discard", "tcp://127.0.0.1:0", "--control", ":0"}, {}, 2);
    words command = {support::program_path()};
    for (const auto& word : control_run(server.place().to_string(), other.place(1).to_string())) {
        // A window long enough to end the other server in it.
        command.push_back(word == "100ms" ? "3s" : word);
    }
    support::process run(command);
    CHECK(run.talk_line().starts_with("sockeye 0")); // the header: the first round begins
    other.child().send_signal(SIGKILL);
    const auto ended = run.wait();
    CHECK(ended.status == 1);
    CAPTURE(ended.talk);
    CHECK(support::contains(ended.talk, "sockeye bench: --control tcp://127.0.0.1:"));
}

TEST_CASE("bench --control: what makes no sense is refused before anything is done") {
    const auto refused = [](const words& arguments, const std::string& line) {
        const auto ended = support::run_program(arguments);
        CHECK(ended.status == 2);
        CHECK(ended.talk == line + "\n");
    };
    refused({"bench", "--control", ":7001"},
            "sockeye bench: --control asks a server that runs already: give its ENDPOINT too");
    refused({"bench", ":7007", "--control", "udp://:7001"},
            "sockeye bench: --control 'udp://:7001': must be a TCP port, such as 10.0.0.2:7001");
    refused({"serve", "echo", ":0", "--control", "unix:/tmp/control"},
            "sockeye serve: --control 'unix:/tmp/control': must be a TCP port, such as :7001, or "
            "*:7001 for other machines");
}
