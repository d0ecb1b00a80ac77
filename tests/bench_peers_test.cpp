#include "bench/machine/host.hpp"
#include "bench/peers.hpp"
#include "bench/plan.hpp"
#include "bench/words.hpp"
#include "support/program.hpp"
#include "support/server_program.hpp"

#include <doctest/doctest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

namespace bench = sockeye::bench;
using sockeye::endpoint;
using sockeye::transport;
using sockeye::unique_fd;
using support::words;

namespace {

constexpr std::size_t mebibyte = std::size_t{1} << 20;

/// A peer that runs; it is never asked to end.
class peer_program {
public:
    explicit peer_program(const words& command)
        : process_(command, {.environment = {},
                             .input = "stats\n",
                             .has_endless_input = true,
                             .before_exec = {}}),
          ready_(process_.output_line()) {
        CAPTURE(ready_);
        REQUIRE(ready_.starts_with("ready "));
        place_ = support::parse(ready_.substr(ready_.find(' ') + 1));
    }

    [[nodiscard]] const endpoint& place() const { return place_; }
    [[nodiscard]] std::size_t resident_bytes() const {
        return bench::host::resident_bytes(process_.id()).value_or(0);
    }

private:
    support::process process_;
    std::string ready_;
    endpoint place_;
};

/// Calls `visit` with the command of each peer that was built and serves one of `carriers`.
template <typename Visit>
void for_each_peer(const std::vector<transport>& carriers, Visit visit) {
    for (const auto& each : bench::all_peers()) {
        for (const auto carrier : carriers) {
            const std::string name(each.name);
            const std::string served(bench::name_of(carrier));
            CAPTURE(name);
            CAPTURE(served);
            if (!each.serves(carrier)) {
                continue;
            }
            if (const auto command = each.command(carrier, support::program_path())) {
                visit(*command);
            } else {
                MESSAGE("skipped: ", name, " was not built here");
            }
        }
    }
}

const std::vector<transport> streams = {transport::tcp, transport::unix_stream};

/// Sends until nothing more is taken for a while, 64 MiB at most; gives what was taken.
std::string fill(const unique_fd& link) {
    constexpr int while_ms = 500;
    const auto piece = support::random_bytes(65536);
    std::string taken;
    while (taken.size() < 64 * mebibyte) {
        const auto sent =
            ::send(link.get(), piece.data(), piece.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            taken.append(piece, 0, static_cast<std::size_t>(sent));
            continue;
        }
        pollfd subject = {.fd = link.get(), .events = POLLOUT, .revents = 0};
        if (::poll(&subject, 1, while_ms) == 0) {
            break;
        }
    }
    return taken;
}

void close_with_reset(unique_fd link) {
    const linger none = {.l_onoff = 1, .l_linger = 0};
    REQUIRE(::setsockopt(link.get(), SOL_SOCKET, SO_LINGER, &none, sizeof none) == 0);
    link.reset();
}

// Linux's numbers, where alone the peers are built.
constexpr int segment_option = 103;
constexpr int coalesce_option = 104;

void set_udp_option(const unique_fd& link, int option, int value) {
    REQUIRE(::setsockopt(link.get(), IPPROTO_UDP, option, &value, sizeof value) == 0);
}

/// How many receives it takes to get so many bytes back, which must be those of `data`.
std::size_t receives_for(const unique_fd& link, const std::string& data) {
    std::string got;
    std::string room(65536, '\0');
    std::size_t count = 0;
    while (got.size() < data.size()) {
        const auto size = ::recv(link.get(), room.data(), room.size(), 0);
        REQUIRE(size > 0);
        got.append(room, 0, static_cast<std::size_t>(size));
        ++count;
    }
    CHECK((got == data));
    return count;
}

std::map<std::string, std::set<std::string>> lanes_by_test(const nlohmann::json& document) {
    std::map<std::string, std::set<std::string>> found;
    for (const auto& result : document["results"]) {
        found[result["test"]].insert(result["backend"].get<std::string>());
        CHECK(result["rounds"][0]["messages"] > 0);
        CHECK(result["rounds"][0]["wrong"] == 0);
        CHECK(result["rounds"][0]["server"]["cpu_ns"] > 0);
    }
    return found;
}

/// What is shown in a test over that transport where nothing but poll was asked for.
std::set<std::string> expected_lanes(transport carrier) {
    std::set<std::string> names = {"poll", "control"};
    for (const auto& each : bench::all_peers()) {
        if (each.serves(carrier) && each.is_built(support::program_path())) {
            names.emplace(each.name);
        }
    }
    return names;
}

bool any_is_built() {
    const auto all = bench::all_peers();
    return std::any_of(all.begin(), all.end(), [](const bench::peer& each) {
        return each.is_built(support::program_path());
    });
}

} // namespace

TEST_CASE("peers: each gives back what it is sent, to the last byte before a half-close") {
    for_each_peer(streams, [](const words& command) {
        const peer_program server(command);
        for (const std::size_t size :
             {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{65536}, 3 * mebibyte}) {
            CAPTURE(size);
            const auto data = support::random_bytes(size);
            CHECK((support::exchange_whole(server.place(), data) == data));
        }
    });
}

TEST_CASE("peers: each gives datagrams of any size back to whom they came from") {
    for_each_peer({transport::udp}, [](const words& command) {
        const peer_program server(command);
        const auto one = support::connect_to(server.place());
        const auto other = support::connect_to(server.place());
        for (const std::size_t size : {0u, 1u, 64u, 1200u, 65507u}) {
            CAPTURE(size);
            const auto data = support::random_bytes(size);
            CHECK((support::ask(one, data) == data));
        }
        constexpr int many = 100;
        for (int i = 0; i < many; ++i) {
            for (const auto* link : {&one, &other}) {
                const auto text = std::to_string(i) + (link == &one ? "one" : "other");
                REQUIRE(::send(link->get(), text.data(), text.size(), 0) > 0);
            }
        }
        for (const auto* link : {&one, &other}) {
            std::string expected;
            for (int i = 0; i < many; ++i) {
                expected += std::to_string(i) + (link == &one ? "one" : "other");
            }
            CHECK(receives_for(*link, expected) == many);
        }
    });
}

TEST_CASE("peers: a client that never reads is not read from, and gets all in the end") {
    for_each_peer(streams, [](const words& command) {
        const peer_program server(command);
        const auto before = server.resident_bytes();
        const auto link = support::connect_to(server.place());
        const auto taken = fill(link);
        CHECK(taken.size() < 64 * mebibyte);
        CHECK(server.resident_bytes() < before + 32 * mebibyte);
        const auto data = support::random_bytes(1000);
        CHECK((support::exchange_whole(server.place(), data) == data));
        REQUIRE(::shutdown(link.get(), SHUT_WR) == 0);
        CHECK((support::receive_all(link) == taken));
    });
}

TEST_CASE("peers: a client that resets its connection harms no other") {
    for_each_peer(streams, [](const words& command) {
        const peer_program server(command);
        const auto bystander = support::connect_to(server.place());
        CHECK(support::ask(bystander, "before") == "before");
        for (int i = 0; i < 20; ++i) {
            auto link = support::connect_to(server.place());
            REQUIRE(::send(link.get(), "unheard", 7, MSG_NOSIGNAL) == 7);
            close_with_reset(std::move(link));
        }
        auto stuck = support::connect_to(server.place());
        CHECK(!fill(stuck).empty());
        close_with_reset(std::move(stuck));
        CHECK(support::ask(bystander, "after") == "after");
        const auto data = support::random_bytes(mebibyte);
        CHECK((support::exchange_whole(server.place(), data) == data));
    });
}

TEST_CASE("peers: each tells its CPU time, and ends by itself at the end of its input") {
    for_each_peer({transport::tcp, transport::udp, transport::unix_stream}, [](const words& peer) {
        words command = {"/bin/sh", "-c", "printf 'stats\\n' | \"$@\"", "sh"};
        command.insert(command.end(), peer.begin(), peer.end());
        const auto ended = support::run(command);
        CHECK(ended.status == 0);
        CHECK(ended.talk.empty());
        CHECK(ended.output.starts_with("ready " + peer[1] + ":"));
        CHECK(support::contains(ended.output, "\nstats cpu_ns="));
        CHECK(support::contains(ended.output, " voluntary_switches="));
    });
}

TEST_CASE("peers: with offload, datagrams that come together go together") {
    for_each_peer({transport::udp}, [](const words& command) {
        if (!support::contains(command.front(), "udp-loop")) {
            return;
        }
        const peer_program server(command);
        const auto link = support::connect_to(server.place());
        set_udp_option(link, segment_option, 1200);
        set_udp_option(link, coalesce_option, 1);
        const auto data = support::random_bytes(1200 * 9 + 77); // a shorter one at the end
        REQUIRE(::send(link.get(), data.data(), data.size(), 0) > 0);
        CHECK(receives_for(link, data) == (command.back() == "gso" ? 1 : 10));
    });
}

TEST_CASE("bench --peers: all that were built are lanes of every test that they serve") {
    if (!any_is_built()) {
        MESSAGE("skipped: no peer was built here");
        return;
    }
    const support::scratch_directory folder;
    const auto file = folder.file("run.json");
    const auto ended =
        support::run_program({"bench", "--peers", "-b", "poll", "--quick", "--rounds", "1",
                              "--warmup", "1ms", "-d", "20ms", "-o", file},
                             {.environment = {"COLUMNS=80"}, .input = {}, .before_exec = {}});
    CAPTURE(ended.talk);
    REQUIRE(ended.status == 0);
    std::ifstream saved(file);
    const auto document = nlohmann::json::parse(saved);
    const auto lanes = lanes_by_test(document);
    for (const auto& each : bench::all_peers()) {
        if (!each.package.empty() && lanes.at("throughput").contains(std::string(each.name))) {
            const auto version = document["tool"]["libraries"][std::string(each.name)];
            CHECK_MESSAGE(version.is_string(), each.name);
            CHECK(support::contains(ended.output,
                                    std::string(each.name) + " " + version.get<std::string>()));
        }
    }
    CHECK(lanes.at("throughput") == expected_lanes(transport::tcp));
    CHECK(lanes.at("datagrams") == expected_lanes(transport::udp));
    CHECK(lanes.at("idle") == expected_lanes(transport::tcp));
    const auto compared = support::run_program({"compare", file, file});
    CAPTURE(compared.talk);
    CHECK(compared.status == 0); // the saved run is as its schema says
    for (const auto& [test, names] : lanes) {
        for (const auto& name : names) {
            CAPTURE(name);
            CHECK(support::contains(ended.output, "\n" + name + " "));
        }
    }
    CHECK(support::contains(ended.output, " peers + control) x 1 rounds"));
    CHECK(support::contains(ended.output,
                            "\nnote     hand-written-gso takes no part in throughput, "
                            "latency and idle: it does not serve tcp\n"));
    // Only what heads a run and the notes at its end may be longer than the terminal is wide.
    const auto tables = ended.output.substr(ended.output.find("\nTHROUGHPUT "));
    for (std::size_t at = 0; at < tables.size();) {
        const auto end = tables.find('\n', at);
        const auto line = tables.substr(at, end - at);
        CAPTURE(line);
        CHECK((line.starts_with("  ") || line.starts_with("saved ") || line.size() <= 80));
        at = end + 1;
    }
}

TEST_CASE("bench --peers: LIST chooses by name, and any of them may be the baseline") {
    if (!any_is_built()) {
        MESSAGE("skipped: no peer was built here");
        return;
    }
    const auto ended = support::run_program(
        {"bench", "--peers=hand-written-gso,hand-written", "--baseline", "hand-written-gso", "-b",
         "poll", "--transport", "udp", "-c", "2", "--rounds", "1", "--warmup", "1ms", "-d", "20ms",
         "--no-save", "--json"});
    CAPTURE(ended.talk);
    REQUIRE(ended.status == 0);
    const auto document = nlohmann::json::parse(ended.output);
    CHECK(lanes_by_test(document).at("datagrams") ==
          std::set<std::string>{"poll", "hand-written", "hand-written-gso", "control"});
    for (const auto& each : document["control"]) {
        CHECK(each["baseline"] == "hand-written-gso");
    }
}

TEST_CASE("bench --peers: what does not serve every test cannot be the baseline of them all") {
    if (!any_is_built()) {
        MESSAGE("skipped: no peer was built here");
        return;
    }
    const auto ended = support::run_program(
        {"bench", "--peers=hand-written-gso", "--baseline", "hand-written-gso", "--no-save"});
    CHECK(ended.status == 2);
    CHECK(ended.talk ==
          "sockeye bench: --baseline 'hand-written-gso': takes no part in throughput, "
          "latency and idle: it does not serve tcp\n");
}

TEST_CASE("bench --peers: those that were not built are refused, or none at all") {
    const support::scratch_directory folder;
    const auto lonely = folder.file("sockeye");
    std::filesystem::copy_file(support::program_path(), lonely);
    const auto one = support::run({lonely, "bench", "--peers=asio"});
    CHECK(one.status == 5);
    CHECK(one.talk == "sockeye bench: --peers 'asio': was not built; install libasio-dev and build "
                      "again\n");
    const auto all = support::run({lonely, "bench", "--peers"});
    CHECK(all.status == 5);
    CHECK(all.talk == "sockeye bench: --peers: there is none beside " + lonely +
                          "; bench/run --peers builds them\n");
    CHECK(all.output.empty());
}

TEST_CASE("bench --peers: those that were not built are noted where others are there") {
    const auto built = bench::all_peers().back().command(transport::udp, support::program_path());
    if (!built) {
        MESSAGE("skipped: no peer was built here");
        return;
    }
    const support::scratch_directory folder;
    std::filesystem::copy_file(support::program_path(), folder.file("sockeye"));
    std::filesystem::copy_file(built->front(), folder.file("peer-udp-loop"));
    const auto ended = support::run({folder.file("sockeye"), "bench", "--peers", "--transport",
                                     "udp", "-c", "1", "-b", "poll", "--no-control", "--rounds",
                                     "1", "--warmup", "1ms", "-d", "10ms", "--no-save"});
    CHECK(ended.status == 0);
    CHECK(support::contains(ended.output, "(1 backend + 1 peer)"));
    CHECK(support::contains(ended.output, "\nnote     libuv takes no part: it was not built; "
                                          "install libuv1-dev and build again\n"));
    CHECK(support::contains(ended.output, "\nhand-written-gso "));
}

TEST_CASE("words: lanes with the same verdict share a sentence") {
    const std::vector<bench::lane> lanes = {{.name = "epoll"},
                                            {.name = "libuv"},
                                            {.name = "asio"},
                                            {.name = "libev"},
                                            {.name = "poll"}};
    const std::vector<std::pair<double, bench::verdict>> found = {{1, bench::verdict::none},
                                                                  {0.9, bench::verdict::slower},
                                                                  {0.8, bench::verdict::slower},
                                                                  {1.1, bench::verdict::faster},
                                                                  {1.0, bench::verdict::same}};
    const bench::plan whole = {.baseline = "epoll"};
    bench::pass_record record;
    record.what.test = "throughput";
    bench::pass_summary summary;
    summary.record = &record;
    for (std::size_t i = 0; i < lanes.size(); ++i) {
        bench::lane_summary lane;
        lane.what = &lanes[i];
        bench::comparison compared;
        compared.against_baseline.estimate = found[i].first;
        compared.said = found[i].second;
        lane.comparisons.fill(compared);
        summary.lanes.push_back(lane);
    }
    bench::report made;
    made.whole = &whole;
    made.passes.push_back(summary);
    CHECK(bench::words_of(made) ==
          std::vector<std::string>{
              "libev is faster than epoll in throughput (1.10x the rate).",
              "libuv and asio are slower than epoll in throughput (0.90x and 0.80x the rate).",
              "poll is as fast as epoll in throughput: no difference that matters here."});
    made.passes[0].primary = bench::metric::cpu;
    CHECK(bench::words_of(made)[1] ==
          "libuv and asio are slower than epoll in throughput (need 1.11x and 1.25x the server "
          "CPU).");
}
