#include <sockeye/simulation.hpp>
#include <sockeye/sockeye.hpp>

#include "kernel/backend.hpp"
#include "loop/loop_core.hpp"
#include "support/conformance.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

// Worlds of several hosts: what travels between them, when, and what becomes of it in trouble.

using namespace std::chrono_literals;
using sockeye::duration;
using sockeye::simulated_host;
using sockeye::simulation;

namespace {

auto echo_server(sockeye::loop& owner) {
    return sockeye::serve(owner, "tcp://*:7007",
                          [](sockeye::stream& peer, sockeye::bytes in) { peer.write(in); })
        .value();
}

/// What a client hears.
struct diary {
    std::string heard;
    int opens = 0;
    int ends = 0;
    std::optional<sockeye::close_info> info;
};

struct writer_of_diaries {
    explicit writer_of_diaries(diary& book) : book_(book) {}
    void on_open(sockeye::stream&) { ++book_.opens; }
    void on_data(sockeye::stream&, sockeye::bytes in) { book_.heard += sockeye::as_text(in); }
    void on_end(sockeye::stream&) { ++book_.ends; }
    void on_close(sockeye::stream&, sockeye::close_info info) { book_.info = info; }

    diary& book_;
};

/// Two hosts 10 ms apart, and a stream from one to the echo server of the other.
struct two_hosts {
    explicit two_hosts(std::uint64_t seed = 1, duration connect_deadline = 200s) : world(seed) {
        world.link(server, client, {.latency = 10ms});
        server.run(echo_server);
        client.run([this, connect_deadline](sockeye::loop& owner) {
            link = sockeye::connect<writer_of_diaries>(
                owner, "tcp://10.0.0.1:7007", {.deadline = connect_deadline}, std::ref(book));
        });
    }
    two_hosts(const two_hosts&) = delete;
    two_hosts& operator=(const two_hosts&) = delete;
    ~two_hosts() { link = {}; }

    void say(std::string_view text) { link.write(sockeye::as_bytes(text)); }
    [[nodiscard]] std::error_code error() const {
        return book.info ? book.info->error : std::error_code();
    }

    simulation world;
    simulated_host& server = world.host("server");
    simulated_host& client = world.host("client");
    diary book;
    sockeye::stream link; ///< goes before the world
};

/// A UDP socket that counts, on `where`.
auto counter(sockeye::loop& owner, std::string_view where, std::vector<std::string>& heard) {
    return sockeye::serve(
               owner, where,
               [&heard](sockeye::datagram_socket&, std::span<const sockeye::datagram> in) {
                   for (const auto& one : in) {
                       heard.emplace_back(sockeye::as_text(one.data));
                   }
               })
        .value();
}

/// Sends `count` numbered datagrams, one each millisecond.
struct beacon {
    beacon(sockeye::loop& owner, int count)
        : left(count),
          socket(sockeye::datagram_socket::connect(
                     owner, "udp://10.0.0.1:7007", {},
                     [](sockeye::datagram_socket&, std::span<const sockeye::datagram>) {})
                     .value()),
          tick(owner) {
        tick.start_every(1ms, [this] { send(); });
    }
    void send() {
        socket.send(sockeye::as_bytes(std::to_string(left)));
        if (--left == 0) {
            tick.cancel();
        }
    }

    int left;
    sockeye::datagram_socket socket;
    sockeye::timer tick;
};

} // namespace

TEST_CASE("simulation: [57] a seed gives one run, another seed another") {
    const support::rows covered({57}, "simulation");
    for (const auto& entry : sockeye::backend_table()) {
        support::rows real({57}, entry.name);
        real.do_not_apply("the order of events is the kernel's own");
    }
    const auto run = [](std::uint64_t seed) {
        two_hosts here(seed);
        here.world.set_default_link({.latency = 1ms, .jitter = 1ms});
        here.say("something");
        here.world.run_for(1s);
        CHECK(here.book.heard == "something");
        return here.world.hash();
    };
    const auto first = run(1);
    CHECK(run(1) == first);
    CHECK(run(2) != first);
}

TEST_CASE("simulation: bytes travel as long as the link says") {
    two_hosts here;
    here.say("there and back");
    here.world.run_for(39ms); // a handshake of one round, and one round for the bytes
    CHECK(here.book.opens == 1);
    CHECK(here.book.heard.empty());
    here.world.run_for(5ms);
    CHECK(here.book.heard == "there and back");
    CHECK(here.world.elapsed() >= 40ms);
}

TEST_CASE("simulation: a link has a bandwidth") {
    two_hosts here;
    here.world.link(here.server, here.client, {.latency = 1ms, .bits_per_second = 8'000'000});
    const std::string text(100'000, 'x');
    here.say(text);
    here.world.run_for(90ms); // 100 kB at 1 MB/s take 100 ms each way
    CHECK(here.book.heard.size() < text.size());
    here.world.run_for(200ms);
    CHECK(here.book.heard == text);
}

TEST_CASE("simulation: nobody answers behind a cut cable, and bytes come when it is mended") {
    SUBCASE("cut before the connection") {
        two_hosts here(1, 3s);
        here.world.partition({here.server}, {here.client});
        here.world.run_for(4s);
        CHECK(here.error() == std::errc::timed_out);
        CHECK(here.book.opens == 0);
    }
    SUBCASE("the kernel gives up by itself") {
        two_hosts here(1, 1000s);
        here.world.partition({here.server}, {here.client});
        const auto report = here.world.run_until_idle(1h);
        CHECK(here.error() == std::errc::timed_out);
        CHECK(report.elapsed > 60s);
        CHECK(report.is_idle);
    }
    SUBCASE("cut while it is up, and mended") {
        two_hosts here;
        here.world.run_for(1s);
        here.world.partition({here.server}, {here.client});
        here.say("late");
        here.world.run_for(5s);
        CHECK(here.book.heard.empty());
        here.world.heal();
        here.world.run_for(10s);
        CHECK(here.book.heard == "late");
    }
    SUBCASE("cut for ever") {
        two_hosts here;
        here.world.run_for(1s);
        here.world.partition({here.server}, {here.client});
        here.say("lost");
        here.world.run_for(1h);
        CHECK(here.error() == std::errc::timed_out);
    }
}

TEST_CASE("[145] simulation: a cut path ends a stream after its user time-out, and not before") {
    const support::rows covered({145}, "simulation");
    two_hosts here;
    here.world.run_for(1s);
    CHECK_FALSE(here.link.set_options({.user_timeout = 1500ms}));
    CHECK(here.link.info()->round_trip == 20ms);
    here.world.partition({here.server}, {here.client});
    here.world.run_for(10s);
    CHECK_FALSE(here.book.info); // nothing is unacknowledged
    here.say("lost");
    here.world.run_for(1400ms);
    CHECK_FALSE(here.book.info);
    here.world.run_for(200ms);
    CHECK(here.error() == std::errc::timed_out);
}

TEST_CASE("simulation: what is held comes later, in order") {
    two_hosts here;
    here.world.run_for(1s);
    here.world.hold(here.client, here.server);
    here.say("one ");
    here.world.run_for(1s);
    here.say("two");
    here.world.run_for(100s);
    CHECK(here.book.heard.empty());
    here.world.heal();
    here.world.run_for(1s);
    CHECK(here.book.heard == "one two");
}

TEST_CASE("simulation: a crash tells nobody; after the restart old connections are reset") {
    two_hosts here;
    here.world.run_for(1s);
    REQUIRE(here.book.opens == 1);
    here.server.crash();
    CHECK_FALSE(here.server.is_up());
    CHECK(here.server.descriptors() == 0);
    here.world.run_for(1s);
    CHECK_FALSE(here.book.info);
    SUBCASE("it stays away") {
        here.say("anybody?");
        here.world.run_for(1h);
        CHECK(here.error() == std::errc::timed_out);
    }
    SUBCASE("it comes back") {
        here.server.restart();
        here.say("do you remember me?");
        here.world.run_for(10s);
        CHECK(here.error() == std::errc::connection_reset);
        // Its program runs again, on the same port.
        diary second;
        here.client.run([&](sockeye::loop& owner) {
            return sockeye::connect<writer_of_diaries>(owner, "tcp://10.0.0.1:7007",
                                                       {.deadline = 1s}, std::ref(second));
        });
        here.world.run_for(1s);
        CHECK(second.opens == 1);
    }
}

TEST_CASE("simulation: a handler may crash and restart its own host") {
    simulation world(1);
    auto& host = world.host("host");
    int runs = 0;
    host.run([&](sockeye::loop& owner) {
        ++runs;
        sockeye::timer soon(owner);
        if (runs < 3) {
            soon.start(1ms, [&] { host.restart(); });
        }
        return soon;
    });
    CHECK(world.run_until_idle(1s).is_idle);
    CHECK(runs == 3);
}

TEST_CASE("simulation: a host that stands still answers late, and its timers fire once") {
    two_hosts here;
    here.world.run_for(1s);
    int fired = 0;
    here.server.run([&](sockeye::loop& owner) {
        sockeye::timer tick(owner);
        tick.start(1s, [&] { ++fired; });
        return tick;
    });
    here.server.pause();
    here.say("hello");
    here.world.run_for(10s);
    CHECK(here.book.heard.empty());
    CHECK(fired == 0);
    here.server.resume();
    here.world.run_for(1s);
    CHECK(here.book.heard == "hello");
    CHECK(fired == 1);
}

TEST_CASE("simulation: datagrams get lost, doubled and overtaken, and none is changed") {
    simulation world(7);
    auto& server = world.host("server");
    auto& client = world.host("client");
    world.link(server, client, {.latency = 2ms, .loss = 0.2, .duplicate = 0.1, .reorder = 0.1});
    std::vector<std::string> heard;
    server.run([&](sockeye::loop& owner) { return counter(owner, "udp://*:7007", heard); });
    client.run([](sockeye::loop& owner) { return std::make_unique<beacon>(owner, 1000); });
    const auto report = world.run_until_idle(10s);
    CHECK(report.is_idle);
    const std::set<std::string> different(heard.begin(), heard.end());
    CHECK(different.size() > 750);
    CHECK(different.size() < 900);
    CHECK(heard.size() > different.size());
    CHECK_FALSE(std::ranges::is_sorted(
        heard, [](const auto& a, const auto& b) { return std::stoi(a) > std::stoi(b); }));
    CHECK(report.faults.lost + different.size() >= 1000);
    CHECK(report.faults.duplicated > 0);
    CHECK(report.faults.reordered > 0);
    for (const auto& text : different) {
        CHECK(std::stoi(text) <= 1000);
    }
}

TEST_CASE("simulation: hosts have two addresses, loopback of their own, and no others") {
    simulation world(1);
    auto& server = world.host("server");
    auto& client = world.host("client");
    CHECK(server.address() == "10.0.0.1");
    CHECK(client.address6() == "fd00::2");
    CHECK(&world.host("client") == &client);
    server.run([](sockeye::loop& owner) {
        std::vector<sockeye::server> all;
        for (const auto* where : {"tcp://*:1", "tcp://[::]:2", "tcp://127.0.0.1:3"}) {
            all.push_back(
                sockeye::serve(owner, where, [](sockeye::stream& peer, sockeye::bytes in) {
                    peer.write(in);
                }).value());
        }
        return all;
    });
    const auto outcome = [&](simulated_host& from, const char* where) {
        diary book;
        sockeye::stream link = sockeye::connect<writer_of_diaries>(
            from.loop(), where, {.deadline = 1s}, std::ref(book));
        world.run_for(2s);
        link = {};
        return book.info ? book.info->error : std::error_code();
    };
    client.run([](sockeye::loop&) {});
    CHECK_FALSE(outcome(client, "tcp://10.0.0.1:1"));
    CHECK_FALSE(outcome(client, "tcp://[fd00::1]:2"));
    CHECK_FALSE(outcome(server, "tcp://127.0.0.1:3"));
    CHECK_FALSE(outcome(server, "tcp://10.0.0.1:1"));
    CHECK(outcome(client, "tcp://127.0.0.1:1") == std::errc::connection_refused);
    CHECK(outcome(client, "tcp://10.0.0.1:3") == std::errc::connection_refused);
    CHECK(outcome(client, "tcp://10.0.0.77:1") == std::errc::network_unreachable);
}

TEST_CASE("simulation: signals, clocks and limits of descriptors are each host's own") {
    simulation world(1);
    auto& one = world.host("one");
    auto& other = world.host("other");
    int heard = 0;
    const auto listen = [&](sockeye::loop& owner) {
        return sockeye::signal_set::open(owner, {SIGTERM}, [&](int) { ++heard; }).value();
    };
    one.run(listen);
    other.run(listen);
    CHECK(one.raise(SIGTERM));
    CHECK_FALSE(one.raise(SIGHUP));
    world.run_for(1ms);
    CHECK(heard == 1);

    int fired = 0;
    other.set_clock_offset(1000h);
    other.run([&](sockeye::loop& owner) {
        sockeye::timer tick(owner);
        tick.start(1s, [&] { ++fired; });
        return tick;
    });
    world.run_for(999ms);
    CHECK(fired == 0);
    world.run_for(2ms);
    CHECK(fired == 1);

    one.set_descriptors_max(one.descriptors() + 3 + 1);
    one.run([](sockeye::loop& owner) {
        CHECK(sockeye::serve(owner, "tcp://*:1", [](sockeye::stream&, sockeye::bytes) {}));
        auto first = echo_server(owner);
        CHECK(sockeye::serve(owner, "tcp://*:2", [](sockeye::stream&, sockeye::bytes) {}).error() ==
              std::errc::too_many_files_open);
        return first;
    });
}

TEST_CASE("simulation: a loop that spins is reported, with the seed") {
    two_hosts here(42);
    sockeye::owned_fd writable;
    here.client.run([&](sockeye::loop& owner) {
        auto& system = sockeye::core_of(owner).system();
        writable = system.socket(sockeye::transport::udp, AF_INET).value();
        return owner.watch(writable.get(), sockeye::interest::writable, [](sockeye::readiness) {})
            .value();
    });
    here.world.run_for(10s);
    CHECK(here.world.report().problems ==
          std::vector<std::string>{
              "client spins: its loop wakes again and again and gets nowhere (seed 42)"});
    CHECK(here.book.opens == 1); // before
}

TEST_CASE("simulation: connections that nobody will ever end are leaks") {
    two_hosts here;
    here.world.run_for(1s);
    auto report = here.world.run_until_idle(1s);
    CHECK(report.is_idle);
    CHECK(report.connections_open == 2);
    CHECK(report.connections_leaked == 0);
    here.server.crash();
    report = here.world.run_until_idle(1s);
    CHECK(report.connections_open == 1);
    CHECK(report.connections_leaked == 1);
}

TEST_CASE("simulation: every call is told who asks") {
    std::vector<std::string> lines;
    two_hosts here;
    here.world.on_call([&](std::string_view line) { lines.emplace_back(line); });
    here.say("x");
    here.world.run_for(1s);
    const auto has = [&](std::string_view part) {
        return std::ranges::any_of(lines,
                                   [&](const auto& line) { return line.find(part) != line.npos; });
    };
    CHECK(has(" server accept "));
    CHECK(has(" client send "));
    CHECK(lines.size() >= 6);
}

TEST_CASE("simulation: a loop of its own cannot be turned by its program") {
    simulation world(1);
    world.host("host").run([](sockeye::loop& owner) {
        auto held = owner.hold();
        CHECK(owner.run() == std::errc::resource_deadlock_would_occur);
    });
}

TEST_CASE("simulation: descriptors are not given to the process, nor taken from it") {
    two_hosts here;
    here.world.run_for(1s);
    CHECK(here.link.release().error() == std::errc::not_supported);
    auto pair = support::make_pair();
    CHECK(sockeye::adopt(here.client.loop(), std::move(pair.first)).error() ==
          std::errc::not_supported);
    here.say("undisturbed");
    here.world.run_for(1s);
    CHECK(here.book.heard == "undisturbed");
}

TEST_CASE("simulation: a second thread ends the process with an explanation") {
    CHECK(support::run_in_child([] {
              std::signal(SIGABRT, SIG_DFL);
              std::fclose(stderr);
              simulation world(1);
              auto& host = world.host("host");
              host.run([](sockeye::loop&) {});
              std::thread([&] { host.loop().remote().post([] {}); }).join();
              return 0;
          }) == 128 + SIGABRT);
}
