#include "support/names.hpp"
#include "support/network.hpp"
#include "support/seeds.hpp"

#include <sockeye/simulation.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using sockeye::close_reason;
using sockeye::endpoint;
using sockeye::errc;
using support::naming_kernel;
using support::network;
using support::script;
using support::with_names;

namespace {

/// What a connection that never came up says it tried.
struct report {
    std::vector<std::string> peers;
    std::vector<std::error_code> errors;
    std::vector<sockeye::duration> took;

    void note(const sockeye::close_info& info) {
        for (const auto& one : info.attempts) {
            peers.push_back(one.peer.to_string());
            errors.push_back(one.error);
            took.push_back(one.took);
        }
    }
};

/// A server on 127.0.0.1 and its port; other addresses of this machine have nobody there.
struct one_server {
    explicit one_server(network& on)
        : server(support::serve_script(on, remote)), port(support::local_of(server).port()) {
        remote.on_open = [](sockeye::stream& link) { link.write("welcome"); };
        remote.on_end = [](sockeye::stream& link) { link.close(); };
    }

    [[nodiscard]] endpoint at(const char* address) const {
        auto made = endpoint::parse(std::string(address) + ":0").value();
        made.set_port(port);
        return made;
    }
    [[nodiscard]] std::string named() const { return "host.test:" + std::to_string(port); }

    script remote;
    sockeye::server server;
    std::uint16_t port;
};

/// A connection to host.test.
struct client {
    client(network& on, const one_server& to, const sockeye::connect_options& options = {}) {
        told.on_close = [this](sockeye::stream&, const sockeye::close_info& info) {
            tried.note(info);
        };
        link = sockeye::connect<support::hooked>(on.loop(), to.named(), options, std::ref(told));
    }

    [[nodiscard]] bool is_up() const { return told.data == "welcome"; }
    /// Why it never came up.
    std::error_code failure(network& on) {
        CHECK(told.closes == 0);
        CHECK(on.until([&] { return told.is_closed(); }));
        on.settle();
        CHECK(told.closes == 1);
        CHECK(told.count("open") == 0);
        CHECK(told.sessions == 0);
        CHECK(told.info.reason == close_reason::connect_failed);
        return told.info.error;
    }

    script told;
    report tried;
    sockeye::stream link;
};

} // namespace

TEST_CASE("[94] [272] connect: by name; what is written early comes first") {
    with_names({94, 272}, [](network& on, naming_kernel& names) {
        one_server to(on);
        SUBCASE("one address") {
            names.name("host.test", {to.at("127.0.0.1")});
        }
        SUBCASE("the second of two") {
            names.name("host.test", {to.at("[::1]"), to.at("127.0.0.1")});
        }
        SUBCASE("the last of many") {
            names.name("host.test", {to.at("127.0.0.2"), to.at("127.0.0.3"), to.at("127.0.0.4"),
                                     to.at("[::1]"), to.at("127.0.0.1")});
        }
        client from(on, to);
        CHECK(from.link.is_connecting());
        CHECK(from.link.write("early, ") == sockeye::write_status::ok);
        CHECK_FALSE(from.link.peer_endpoint());
        from.told.on_open = [](sockeye::stream& link) { link.write("late"); };
        CHECK(on.until([&] { return from.is_up() && to.remote.data == "early, late"; }));
        CHECK(from.told.count("open") == 1);
        CHECK(from.link.peer_endpoint().value() == to.at("127.0.0.1"));
        CHECK(to.server.connection_count() == 1);
        CHECK(on.loop().counters().opened == 2);
        from.told.on_end = [](sockeye::stream& link) { link.close(); };
        from.link.shutdown();
        CHECK(on.until([&] { return from.told.is_closed(); }));
        CHECK_FALSE(from.told.info.error);
        CHECK(from.told.info.attempts.empty());
    });
}

TEST_CASE("[89] [272] connect: where all addresses fail, each is reported") {
    with_names({89, 272}, [](network& on, naming_kernel& names) {
        one_server to(on);
        to.server.close();
        std::vector<std::string> expected;
        SUBCASE("one") {
            names.name("host.test", {to.at("127.0.0.1")});
            expected = {"127.0.0.1"};
        }
        SUBCASE("families in turn, beginning with the first one") {
            names.name("host.test", {to.at("[::1]"), to.at("127.0.0.1"), to.at("127.0.0.2"),
                                     to.at("127.0.0.3")});
            expected = {"[::1]", "127.0.0.1", "127.0.0.2", "127.0.0.3"};
        }
        SUBCASE("the order within each family stays") {
            names.name("host.test", {to.at("127.0.0.3"), to.at("127.0.0.1"), to.at("127.0.0.2"),
                                     to.at("[::1]")});
            expected = {"127.0.0.3", "[::1]", "127.0.0.1", "127.0.0.2"};
        }
        client from(on, to);
        from.link.write("lost");
        CHECK(from.failure(on) == std::errc::connection_refused);
        CHECK(from.told.info.dropped_bytes == 4);
        REQUIRE(from.tried.peers.size() == expected.size());
        for (std::size_t i = 0; i < expected.size(); ++i) {
            CHECK(from.tried.peers[i] == "tcp://" + expected[i] + ':' + std::to_string(to.port));
            CHECK(from.tried.errors[i] == std::errc::connection_refused);
            CHECK(from.tried.took[i] >= 0s);
        }
    });
}

TEST_CASE("[89] [272] connect: only addresses of the family that is asked for are tried") {
    with_names({89, 272}, [](network& on, naming_kernel& names) {
        one_server to(on);
        names.name("host.test", {to.at("[::1]"), to.at("127.0.0.1"), to.at("127.0.0.2")});
        SUBCASE("the server's") {
            client from(on, to, {.family = sockeye::ip_family::ipv4});
            CHECK(on.until([&] { return from.is_up(); }));
            CHECK(from.link.peer_endpoint().value() == to.at("127.0.0.1"));
        }
        SUBCASE("the other one, where nobody is") {
            client from(on, to, {.family = sockeye::ip_family::ipv6});
            static_cast<void>(from.failure(on));
            CHECK(from.tried.peers == std::vector{to.at("[::1]").to_string()});
        }
        SUBCASE("one that the host has no address of") {
            names.name("host.test", {to.at("127.0.0.1")});
            client from(on, to, {.family = sockeye::ip_family::ipv6});
            CHECK(from.failure(on) == errc::host_without_address);
            CHECK(from.tried.peers.empty());
        }
    });
}

TEST_CASE("[89] connect: one numeric address is reported as well") {
    with_names({89}, [](network& on, naming_kernel& names) {
        one_server to(on);
        to.server.close();
        const auto peer = to.at("127.0.0.1");
        script told;
        report tried;
        told.on_close = [&](sockeye::stream&, const auto& info) { tried.note(info); };
        const auto link = sockeye::connect<support::hooked>(on.loop(), peer, {}, std::ref(told));
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(tried.peers == std::vector{peer.to_string()});
        CHECK(tried.errors == std::vector{told.info.error});
        CHECK(names.look_ups() == 0);
    });
}

TEST_CASE("[266] connect: a look-up that fails is the failure of the connection") {
    with_names({266}, [](network& on, naming_kernel& names) {
        one_server to(on);
        std::error_code expected = errc::host_not_found;
        SUBCASE("no such host") {}
        SUBCASE("no name server") {
            expected = errc::temporary_failure;
            names.fail_with(expected);
        }
        client from(on, to);
        CHECK(from.failure(on) == expected);
        CHECK(from.tried.peers.empty());
    });
}

TEST_CASE("[91] connect: who does not answer is passed by after the attempt delay") {
    with_names({91}, [](network& on, naming_kernel& names) {
        one_server to(on);
        const support::full_backlog silent(on, to.at("127.0.0.2"));
        names.name("host.test", {to.at("127.0.0.2"), to.at("127.0.0.1")});
        const auto before = on.on().descriptors();
        const auto start = on.now();
        client from(on, to, {.attempt_delay = 20ms});
        CHECK(on.until([&] { return from.is_up(); }));
        CHECK(on.now() - start >= 20ms);
        on.settle();
        CHECK(on.on().descriptors() == before + 2); // both ends of the one connection
    });
}

namespace {

/// A connection to host.test, of which so many addresses are being tried in vain.
struct race_in_vain {
    race_in_vain(network& on_it, naming_kernel& names, std::size_t tried)
        : on(on_it), to(on), silent(on, to.at("127.0.0.2")), silent_too(on, to.at("127.0.0.3")),
          before(on.on().descriptors()), attempts(tried) {
        names.name("host.test", {to.at("127.0.0.2"), to.at("127.0.0.3")});
    }

    [[nodiscard]] std::unique_ptr<client> start(sockeye::duration deadline) {
        auto made = std::make_unique<client>(
            on, to,
            sockeye::connect_options{.deadline = deadline,
                                     .attempt_delay = attempts == 1 ? 1h : 1ms});
        CHECK(on.until([&] { return on.on().descriptors() == before + attempts; }));
        return made;
    }
    void check(client& from, std::errc expected) {
        CHECK(from.failure(on) == expected);
        CHECK(from.tried.errors.size() == attempts);
        for (const auto error : from.tried.errors) {
            CHECK(error == expected);
        }
        CHECK(on.on().descriptors() == before);
    }

    network& on;
    one_server to;
    support::full_backlog silent;
    support::full_backlog silent_too;
    std::size_t before;
    std::size_t attempts;
};

} // namespace

TEST_CASE("[91] [92] connect: deadline, close, abort and silence in every phase of a race") {
    with_names({91, 92}, [](network& on, naming_kernel& names) {
        std::size_t attempts = 0;
        SUBCASE("before the look-up begins") {}
        SUBCASE("the first attempt") {
            attempts = 1;
        }
        SUBCASE("two attempts") {
            attempts = 2;
        }
        race_in_vain race(on, names, attempts);
        SUBCASE("close") {
            const auto from = race.start(30s);
            from->link.close();
            race.check(*from, std::errc::operation_canceled);
        }
        SUBCASE("abort") {
            const auto from = race.start(30s);
            from->link.abort();
            race.check(*from, std::errc::operation_canceled);
        }
        SUBCASE("deadline") {
            if (attempts == 0) {
                if (on.on().is_simulated()) {
                    return; // see the tests in virtual time
                }
                names.hang();
            }
            const auto from = race.start(60ms);
            race.check(*from, std::errc::timed_out);
        }
        SUBCASE("its owner goes") {
            const auto from = race.start(30s);
            from->link = sockeye::stream();
            on.settle();
            CHECK(from->told.heard.empty());
            CHECK(from->told.sessions == 0);
            CHECK(on.on().descriptors() == race.before);
        }
    });
}

TEST_CASE("[97] connect: an attempt that connects to itself is refused, and the next one made") {
    with_names({97}, [](network& on, naming_kernel& names) {
        one_server to(on);
        // Whoever binds to the address it connects to connects to itself.
        const auto own = to.at("127.0.0.9");
        names.name("host.test", {own, to.at("[::1]")});
        client from(on, to, {.local = own});
        CHECK(from.failure(on) == std::errc::address_family_not_supported);
        REQUIRE(from.tried.errors.size() == 2);
        CHECK(from.tried.errors[0] == std::errc::connection_refused);
    });
}

TEST_CASE("connect: from an address of one's own") {
    with_names({}, [](network& on, naming_kernel& names) {
        one_server to(on);
        names.name("host.test", {to.at("[::1]"), to.at("127.0.0.1")});
        const auto local = endpoint::parse("127.0.0.5:0").value();
        SUBCASE("by name: other families fail") {
            client from(on, to, {.local = local});
            CHECK(on.until([&] { return from.is_up(); }));
            auto name = from.link.local_endpoint().value();
            CHECK(name.port() != 0);
            name.set_port(0);
            CHECK(name == local);
        }
        SUBCASE("by address") {
            script told;
            auto link = sockeye::connect<support::hooked>(on.loop(), to.at("127.0.0.1"),
                                                          {.local = local}, std::ref(told));
            CHECK(on.until([&] { return told.data == "welcome"; }));
            CHECK(link.local_endpoint().value().to_string().starts_with("tcp://127.0.0.5:"));
        }
        SUBCASE("of another family") {
            script told;
            const auto link = sockeye::connect<support::hooked>(on.loop(), to.at("[::1]"),
                                                                {.local = local}, std::ref(told));
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == std::errc::address_family_not_supported);
        }
        SUBCASE("that is in use") {
            script told;
            const auto link = sockeye::connect<support::hooked>(
                on.loop(), to.at("127.0.0.1"), {.local = to.at("127.0.0.1")}, std::ref(told));
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == std::errc::address_in_use);
        }
    });
}

TEST_CASE("connect: more addresses than may be tried at the same time") {
    with_names({}, [](network& on, naming_kernel& names) {
        one_server to(on);
        std::vector<endpoint> all;
        std::vector<support::full_backlog> silent;
        for (int i = 2; i < 14; ++i) {
            all.push_back(to.at(("127.0.0." + std::to_string(i)).c_str()));
            silent.emplace_back(on, all.back());
        }
        all.push_back(to.at("127.0.0.1"));
        names.name("host.test", all);
        const auto before = on.on().descriptors();
        std::size_t most = 0;
        client from(on, to, {.attempt_delay = 1ms});
        CHECK(on.until([&] {
            most = std::max(most, on.on().descriptors());
            return from.is_up();
        }));
        // One that makes room is closed at the end of the turn.
        CHECK(most <= before + 8 + 2);
        CHECK(from.link.peer_endpoint().value() == to.at("127.0.0.1"));
    });
}

TEST_CASE("connect: many by name at once, and each gets its own") {
    with_names({}, [](network& on, naming_kernel& names) {
        one_server to(on);
        names.name("host.test", {to.at("[::1]"), to.at("127.0.0.1")});
        std::vector<std::unique_ptr<client>> all;
        for (int i = 0; i < 100; ++i) {
            all.push_back(std::make_unique<client>(on, to));
        }
        CHECK(on.until([&] {
            return std::ranges::all_of(all, [](const auto& one) { return one->is_up(); });
        }));
        CHECK(to.remote.made == 100);
    });
}

TEST_CASE("connect: serve refuses names as ever") {
    with_names({}, [](network& on, naming_kernel& names) {
        const auto server =
            sockeye::serve(on.loop(), "tcp://host.test:0", [](sockeye::stream&, sockeye::bytes) {});
        CHECK(server.error() == errc::endpoint_host_is_name);
        CHECK(names.look_ups() == 0);
    });
}

// The same in virtual time, where every moment is exact but for the little that calls cost.

namespace {

constexpr auto a_little = 2ms;
/// Deadlines of connections are looked at in ticks of 4.2 ms.
constexpr auto two_ticks = 9ms;

struct shout {
    void on_open(sockeye::stream& link) const { link.write("hello"); }
    void on_data(sockeye::stream&, sockeye::bytes) const {}
};

/// What a session of the simulated client heard, and when.
struct outcome {
    int opens = 0;
    int closes = 0;
    sockeye::duration at = 0s;
    std::string peer;
    std::error_code error;
    report tried;
};

class watcher {
public:
    watcher(sockeye::simulation& world, outcome& heard) : world_(world), heard_(heard) {}
    void on_open(sockeye::stream& link) {
        ++heard_.opens;
        heard_.at = world_.elapsed();
        heard_.peer = link.peer_endpoint().value().to_string();
    }
    void on_data(sockeye::stream& link, sockeye::bytes) { link.close(); }
    void on_close(sockeye::stream&, const sockeye::close_info& info) {
        ++heard_.closes;
        if (heard_.opens == 0) {
            heard_.at = world_.elapsed();
            heard_.error = info.error;
            heard_.tried.note(info);
        }
    }

private:
    sockeye::simulation& world_;
    outcome& heard_;
};

/// A few servers that one name stands for, and a client that connects to it.
class race_world {
public:
    explicit race_world(std::uint64_t seed = 1, int servers = 3) : world(seed) {
        world.set_default_link({.latency = 10ms});
        for (int i = 0; i < servers; ++i) {
            auto& one = world.host("server-" + std::to_string(i));
            one.run([](sockeye::loop& owner) {
                std::vector<sockeye::server> both;
                both.push_back(sockeye::serve<shout>(owner, "tcp://*:7").value());
                both.push_back(sockeye::serve<shout>(owner, "tcp://[::]:7").value());
                return both;
            });
        }
        home = &world.host("client");
    }

    void connect(const sockeye::connect_options& options = {}) {
        home->run([this, options](sockeye::loop& owner) {
            return sockeye::connect<watcher>(owner, "tcp://all.test:7", options, std::ref(world),
                                             std::ref(heard));
        });
    }
    void block(const char* server) { world.block(*home, world.host(server)); }
    [[nodiscard]] sockeye::simulation_report run(sockeye::duration limit = 10min) {
        auto found = world.run_until_idle(limit);
        CHECK(found.problems.empty());
        return found;
    }
    [[nodiscard]] bool is_about(sockeye::duration expected,
                                sockeye::duration slack = a_little) const {
        return heard.at >= expected && heard.at < expected + slack;
    }

    sockeye::simulation world;
    sockeye::simulated_host* home;
    outcome heard;
};

constexpr auto round_trip = 20ms;

} // namespace

TEST_CASE("[91] [272] happy eyeballs: in virtual time, to the moment") {
    race_world at;
    SUBCASE("the first address answers: a look-up and a handshake") {
        at.world.set_addresses("all.test", {"10.0.0.1", "10.0.0.2"});
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(2 * round_trip));
        CHECK(at.heard.peer == "tcp://10.0.0.1:7");
    }
    SUBCASE("the first one is silent: 250 ms later the second wins") {
        at.world.set_addresses("all.test", {"10.0.0.1", "10.0.0.2"});
        at.block("server-0");
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(2 * round_trip + 250ms));
        CHECK(at.heard.peer == "tcp://10.0.0.2:7");
    }
    SUBCASE("two are silent: the third wins after two delays") {
        at.world.set_addresses("all.test", {"10.0.0.1", "fd00::2", "10.0.0.3"});
        at.block("server-0");
        at.block("server-1");
        at.connect({.attempt_delay = 100ms});
        static_cast<void>(at.run());
        CHECK(at.is_about(2 * round_trip + 200ms));
        CHECK(at.heard.peer == "tcp://10.0.0.3:7");
    }
    SUBCASE("the first one refuses: the next at once") {
        at.world.host("empty");
        at.world.set_addresses("all.test", {"10.0.0.5", "10.0.0.1"});
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(3 * round_trip));
        CHECK(at.heard.peer == "tcp://10.0.0.1:7");
    }
    SUBCASE("a network that cannot be reached costs no time at all") {
        at.world.set_addresses("all.test", {"192.0.2.1", "2001:db8::1", "10.0.0.1"});
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(2 * round_trip));
    }
    SUBCASE("slow but not silent: the first one still wins, and the second is closed") {
        at.world.set_addresses("all.test", {"10.0.0.1", "10.0.0.2"});
        at.world.link(*at.home, at.world.host("server-0"), {.latency = 130ms});
        at.world.link(*at.home, at.world.host("server-1"), {.latency = 200ms});
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(round_trip + 260ms));
        CHECK(at.heard.peer == "tcp://10.0.0.1:7");
    }
    SUBCASE("families in turn: IPv6 of the first host, then IPv4") {
        at.world.set_addresses("all.test", {"fd00::1", "fd00::2", "10.0.0.3"});
        at.block("server-0");
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(2 * round_trip + 250ms));
        CHECK(at.heard.peer == "tcp://10.0.0.3:7");
    }
    CHECK(at.heard.opens == 1);
    CHECK(at.heard.closes == 1);
}

TEST_CASE("[91] [271] happy eyeballs: deadlines in virtual time") {
    race_world at;
    at.world.set_addresses("all.test", {"10.0.0.1", "10.0.0.2", "10.0.0.5"});
    at.world.host("empty");
    at.block("server-0");
    at.block("server-1");
    SUBCASE("the deadline ends the look-up") {
        at.world.set_faults({.name_silence = 1});
        at.connect({.deadline = 3s});
        static_cast<void>(at.run());
        CHECK(at.is_about(3s, two_ticks));
        CHECK(at.heard.error == std::errc::timed_out);
        CHECK(at.heard.tried.peers.empty());
    }
    SUBCASE("without one, that of look-ups does") {
        at.world.set_faults({.name_silence = 1});
        at.connect({.deadline = 0s});
        static_cast<void>(at.run());
        CHECK(at.is_about(5s));
        CHECK(at.heard.error == std::errc::timed_out);
    }
    SUBCASE("no name server") {
        at.world.set_faults({.name_failure = 1});
        at.connect();
        static_cast<void>(at.run());
        CHECK(at.is_about(round_trip));
        CHECK(at.heard.error == errc::temporary_failure);
    }
    SUBCASE("the deadline ends all attempts") {
        at.connect({.deadline = 2s});
        static_cast<void>(at.run());
        CHECK(at.is_about(2s, two_ticks));
        CHECK(at.heard.error == std::errc::timed_out);
        REQUIRE(at.heard.tried.peers.size() == 3);
        CHECK(at.heard.tried.peers[2] == "tcp://10.0.0.5:7");
        CHECK(at.heard.tried.errors[0] == std::errc::timed_out);
        CHECK(at.heard.tried.errors[1] == std::errc::timed_out);
        CHECK(at.heard.tried.errors[2] == std::errc::connection_refused);
        CHECK(at.heard.tried.took[0] >= 2s - round_trip - a_little);
        CHECK(at.heard.tried.took[1] >= 2s - round_trip - 250ms - a_little);
        CHECK(at.heard.tried.took[2] >= round_trip);
        CHECK(at.heard.tried.took[2] < round_trip + a_little);
    }
    CHECK(at.heard.opens == 0);
    CHECK(at.heard.closes == 1);
}

TEST_CASE("[92] happy eyeballs: closed at any moment, in virtual time") {
    race_world at;
    at.world.set_addresses("all.test", {"10.0.0.1", "10.0.0.2"});
    at.block("server-0");
    at.block("server-1");
    sockeye::duration moment = 0s;
    std::size_t attempts = 0;
    SUBCASE("at once") {}
    SUBCASE("looking up") {
        moment = 10ms;
    }
    SUBCASE("one attempt") {
        moment = 100ms;
        attempts = 1;
    }
    SUBCASE("two attempts") {
        moment = 400ms;
        attempts = 2;
    }
    sockeye::stream link;
    at.home->run([&](sockeye::loop& owner) {
        link = sockeye::connect<watcher>(owner, "all.test:7", {}, std::ref(at.world),
                                         std::ref(at.heard));
    });
    at.world.at(moment, [&] { link.close(); });
    const auto descriptors = at.home->descriptors();
    CHECK(at.run().is_idle);
    CHECK(at.is_about(moment));
    CHECK(at.heard.error == std::errc::operation_canceled);
    CHECK(at.heard.tried.peers.size() == attempts);
    CHECK(at.home->descriptors() == descriptors);
    CHECK(at.heard.opens == 0);
    CHECK(at.heard.closes == 1);
}

TEST_CASE("resolve: names of a simulated network") {
    race_world at;
    at.world.set_addresses("other.test", {"fd00::2", "192.0.2.1"});
    const auto ask = [&](const std::string& host, sockeye::look_up_options options = {}) {
        sockeye::result<std::vector<endpoint>> heard(std::errc::operation_in_progress);
        auto pending = sockeye::resolve(at.home->loop(), host, options,
                                        [&](auto said) { heard = std::move(said); });
        at.world.run_for(10s);
        std::string text;
        for (const auto& one : heard ? *heard : std::vector<endpoint>()) {
            text += one.to_string() + ' ';
        }
        return text.empty() ? heard.error().message() : text;
    };
    at.home->run([](sockeye::loop&) {});
    CHECK(ask("server-1:80") == "tcp://10.0.0.2:80 tcp://[fd00::2]:80 ");
    CHECK(ask("SERVER-1.:80") == "tcp://10.0.0.2:80 tcp://[fd00::2]:80 ");
    CHECK(ask("udp://server-1:80", {.family = sockeye::ip_family::ipv6}) == "udp://[fd00::2]:80 ");
    CHECK(ask("other.test:1") == "tcp://[fd00::2]:1 tcp://192.0.2.1:1 ");
    CHECK(ask("nobody:1") == make_error_code(errc::host_not_found).message());
    at.world.set_addresses("other.test", {});
    CHECK(ask("other.test:1") == make_error_code(errc::host_not_found).message());
    at.world.set_faults({.name_silence = 1});
    CHECK(ask("server-1:80") == std::make_error_code(std::errc::timed_out).message());
}

namespace {

/// What a seed made of clients that connect by name.
struct seed_outcome {
    std::uint64_t hash = 0;
    std::string wrong;
    int opens = 0;
};

/// Four servers, some of which have nobody who serves, and faults that the seed draws.
std::vector<sockeye::simulated_host*> draw_servers(sockeye::simulation& world) {
    world.swarm();
    auto faults = world.faults();
    faults.name_failure = 0.1;
    faults.name_silence = 0.1;
    world.set_faults(faults);
    std::vector<sockeye::simulated_host*> servers;
    for (int i = 0; i < 4; ++i) {
        servers.push_back(&world.host("server-" + std::to_string(i)));
        if (world.random() % 3 != 0) {
            servers.back()->run([](sockeye::loop& owner) {
                return std::make_unique<sockeye::result<sockeye::server>>(
                    sockeye::serve<shout>(owner, "tcp://*:7"));
            });
        }
    }
    world.set_addresses("all.test", {"10.0.0.1", "fd00::2", "10.0.0.3", "10.0.0.4", "fd00::4"});
    return servers;
}

/// Some servers fall silent, some connections are closed; all are over after half a minute.
void draw_trouble(sockeye::simulation& world, const std::vector<sockeye::simulated_host*>& servers,
                  std::vector<sockeye::stream>& links) {
    for (auto* const one : servers) {
        if (world.random() % 2 == 0) {
            world.at(sockeye::duration(world.random() % 1'000'000'000),
                     [&world, one] { world.block(world.host("client"), *one); });
            world.at(10s, [&world] { world.heal(); });
        }
    }
    for (auto& link : links) {
        if (world.random() % 3 == 0) {
            world.at(sockeye::duration(world.random() % 1'000'000'000), [&link] { link.close(); });
        }
    }
    world.at(30s, [&] { std::ranges::for_each(links, &sockeye::stream::abort); });
}

seed_outcome run_seed(std::uint64_t seed, support::tally& sum) {
    sockeye::simulation world(seed);
    const auto servers = draw_servers(world);
    std::vector<outcome> heard(10);
    std::vector<sockeye::stream> links(heard.size());
    world.host("client").run([&](sockeye::loop& owner) {
        for (std::size_t i = 0; i < heard.size(); ++i) {
            links[i] = sockeye::connect<watcher>(owner, "all.test:7", {.deadline = 3s},
                                                 std::ref(world), std::ref(heard[i]));
        }
    });
    draw_trouble(world, servers, links);
    const auto report = world.run_until_idle(10min);
    sum.add(report);
    seed_outcome made{report.hash, {}, 0};
    for (const auto& one : heard) {
        made.opens += one.opens;
        const bool is_right = one.closes == 1 && one.opens <= 1 && (one.opens == 1 || one.error) &&
                              one.tried.peers.size() <= 5;
        made.wrong += is_right ? "" : "a session did not hear its end once; ";
    }
    made.wrong += report.problems.empty() ? "" : report.problems.front();
    made.wrong += report.is_idle ? "" : "not idle";
    return made;
}

} // namespace

TEST_CASE("[269] happy eyeballs: whatever a seed does, every connection hears its end once") {
    support::tally sum;
    int opens = 0;
    const auto all = support::seeds(500);
    for (const auto seed : all) {
        const auto once = run_seed(seed, sum);
        opens += once.opens;
        CHECK_MESSAGE(once.wrong.empty(), once.wrong << support::how_to_repeat(seed));
        if (seed % 10 == 0) {
            CHECK(run_seed(seed, sum).hash == once.hash);
        }
    }
    // Of ten connections for each seed.
    CHECK((all.size() == 1 || opens > static_cast<int>(all.size()) * 3));
    CHECK((all.size() == 1 || opens < static_cast<int>(all.size()) * 9));
    MESSAGE(opens << " came up; " << sum.to_string());
}
