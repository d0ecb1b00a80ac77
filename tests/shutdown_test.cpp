#include "support/handlers.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using sockeye::close_reason;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

// How a server ends: what it had taken, what it still takes, and how long that may last.

using support::echo;
using support::mebibyte;

namespace {

const support::exemption
    second_signal({243},
                  "signals are the program's: cli_serve_test, \"a second signal does not wait\"");
const support::exemption exit_code({246}, "exit codes are the program's: cli_serve_test");

} // namespace

TEST_CASE("[240] drain: no newcomers, what is open may finish, and the deadline ends the rest") {
    support::on_every_stream({240}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_end = [](sockeye::stream& link) { link.close(); };
        const auto where = support::local_of(server);
        raw_peer quick(on.system(), where);
        raw_peer slow(on.system(), where);
        REQUIRE(on.until([&] { return told.made == 2; }));
        const auto start = on.now();
        server.drain(50ms);
        CHECK_FALSE(server.is_listening());
        CHECK(server.connection_count() == 2);
        quick.say("finish this");
        quick.finish();
        script late;
        auto newcomer = sockeye::connect<support::hooked>(on.loop(), where, {}, std::ref(late));
        CHECK(on.until([&] {
            quick.pump();
            return told.closes == 1 && late.is_closed();
        }));
        CHECK(told.data == "finish this");
        CHECK(told.info.reason == close_reason::closed);
        CHECK(late.info.reason == close_reason::connect_failed);
        CHECK(on.until([&] {
            slow.pump();
            return told.closes == 2 && slow.is_over();
        }));
        CHECK(told.info.reason == close_reason::aborted);
        CHECK(on.now() - start >= 50ms);
        CHECK(told.made == 2);
        CHECK(server.connection_count() == 0);
    });
}

TEST_CASE("[240] drain: tells once, from the loop, when the last connection is gone") {
    support::on_every_stream({240}, [](network& on) {
        script told;
        std::optional<sockeye::server> server(support::serve_script(on, told));
        told.on_end = [](sockeye::stream& link) { link.close(); };
        auto peers = support::many_peers(on, 3, support::local_of(*server));
        REQUIRE(on.until([&] { return told.made == 3; }));
        int drained = 0;
        SUBCASE("by themselves") {
            server->drain(1h, [&] {
                ++drained;
                CHECK(server->connection_count() == 0);
                // As any handler it may destroy what called it.
                server.reset();
            });
            std::ranges::for_each(peers, &raw_peer::finish);
        }
        SUBCASE("by the deadline") {
            server->drain(10ms, [&] { ++drained; });
        }
        SUBCASE("the later one of two handlers") {
            server->drain(1h, [&] { drained += 100; });
            server->drain(10ms, [&] { ++drained; });
        }
        SUBCASE("of a server that nobody owns any more") {
            server->drain(10ms, [&] { ++drained; });
            server->detach();
        }
        SUBCASE("a handler that throws") {
            server->drain(10ms, [&] {
                ++drained;
                throw 7;
            });
            CHECK_THROWS_AS(static_cast<void>(on.until([] { return false; })), int);
        }
        CHECK(drained <= 1);
        CHECK(on.until([&] {
            std::ranges::for_each(peers, &raw_peer::pump);
            return drained == 1;
        }));
        on.settle();
        CHECK(drained == 1);
        CHECK(told.sessions == 0);
    });
}

TEST_CASE("[240] drain: one without connections tells as well, and never inside the call") {
    support::on_every_stream({240}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        int drained = 0;
        SUBCASE("at once") {
            server.drain(0ms, [&] { ++drained; });
            CHECK(drained == 0);
            // run() goes on until it was told.
            CHECK_FALSE(on.loop().run());
            CHECK(drained == 1);
        }
        SUBCASE("unless the server goes before") {
            server.drain(0ms, [&] { ++drained; });
            server = support::serve_script(on, told);
            on.settle();
            CHECK(drained == 0);
        }
        SUBCASE("after close as well") {
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.made == 1; }));
            server.drain(1h, [&] { ++drained; });
            server.close();
            CHECK(drained == 0);
            CHECK(on.until([&] { return drained == 1; }));
        }
    });
}

TEST_CASE("[241] drain: all that clients still say is echoed to the last byte") {
    support::on_every_stream({241}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo).value();
        auto peers = support::many_peers(on, 5, support::local_of(server));
        REQUIRE(on.until([&] { return server.connection_count() == peers.size(); }));
        const auto whole = pattern(3 * mebibyte);
        for (auto& peer : peers) {
            peer.say(whole);
            peer.pump();
        }
        on.turn();
        server.drain(10s);
        std::ranges::for_each(peers, &raw_peer::finish);
        CHECK(on.until([&] { return support::count_over(peers) == peers.size(); }));
        for (auto& peer : peers) {
            CHECK(peer.has_ended());
            CHECK((peer.heard() == whole));
        }
        CHECK(on.until([&] { return server.connection_count() == 0; }));
    });
}

TEST_CASE("[242] drain: without time every connection is reset, at once") {
    support::on_every_stream({242}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        auto peers = support::many_peers(on, 50, support::local_of(server));
        REQUIRE(on.until([&] { return told.made == 50; }));
        std::size_t dropped = 0;
        told.on_close = [&](sockeye::stream&, const sockeye::close_info& info) {
            CHECK(info.reason == close_reason::aborted);
            dropped += info.dropped_bytes;
        };
        told.link->write(pattern(20 * mebibyte));
        const auto queued = on.loop().counters().queued_bytes;
        CHECK(queued > 0);
        server.drain(0s);
        const auto turns = on.loop().counters().turns;
        CHECK(on.until([&] { return told.closes == 50; }));
        CHECK(on.loop().counters().turns - turns <= 3);
        CHECK(dropped == queued);
        CHECK(told.sessions == 0);
        CHECK(on.until([&] { return support::count_over(peers) == peers.size(); }));
        if (!on.is_unix()) {
            CHECK(std::ranges::all_of(peers, [](const raw_peer& peer) {
                return peer.error() == std::errc::connection_reset;
            }));
        }
    });
}

TEST_CASE("[244] close: in the middle of a storm of newcomers") {
    support::on_every_stream({244}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        auto peers = support::many_peers(on, 300, support::local_of(server));
        REQUIRE(on.until([&] { return told.made > 0; }));
        // Fewer than all: the others are in the kernel.
        CHECK(told.made < 300);
        server.close();
        CHECK(on.until([&] { return support::count_over(peers) == peers.size(); }));
        CHECK(told.closes == told.made);
        CHECK(told.sessions == 0);
        CHECK(told.made < 300);
        CHECK(server.connection_count() == 0);
    });
}

TEST_CASE("[244] close: with full queues to peers that do not read it ends in its linger time") {
    support::on_every_stream({244}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.linger = 40ms}});
        const auto whole = pattern(5 * mebibyte);
        told.on_open = [&](sockeye::stream& link) { link.write(whole); };
        auto peers = support::many_peers(on, 20, support::local_of(server));
        REQUIRE(on.until([&] { return told.made == 20; }));
        std::size_t dropped = 0;
        told.on_close = [&](sockeye::stream&, const sockeye::close_info& info) {
            CHECK(info.error == std::errc::timed_out);
            dropped += info.dropped_bytes;
        };
        const auto start = on.now();
        server.close();
        CHECK(on.until([&] { return told.closes == 20; }));
        CHECK(on.now() - start >= 40ms);
        CHECK(dropped > 0);
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(on.loop().counters().bytes_written + dropped == 20 * whole.size());
    });
}

TEST_CASE("[244] close: of clients that are still connecting") {
    support::on_every_stream({244}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_end = [](sockeye::stream& link) { link.close(); };
        script connected;
        std::vector<sockeye::stream> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(sockeye::connect<support::hooked>(
                on.loop(), support::local_of(server), {}, std::ref(connected)));
        }
        SUBCASE("with a word") {
            for (auto& client : clients) {
                client.close();
            }
            CHECK(on.until([&] { return connected.closes == 20; }));
            CHECK(connected.info.error == std::errc::operation_canceled);
        }
        SUBCASE("in silence") {
            clients.clear();
            on.settle();
            CHECK(connected.heard.empty());
        }
        CHECK(connected.count("open") == 0);
        CHECK(connected.sessions == 0);
        CHECK(on.until([&] { return told.sessions == 0; }));
    });
}

TEST_CASE("[245] close: clients that wait to be accepted are told, and nothing of them is left") {
    support::on_every_stream({245}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto before = on.on().descriptors();
        auto peers = support::many_peers(on, 10, support::local_of(server));
        SUBCASE("before a turn") {}
        SUBCASE("paused, after some") {
            server.pause();
            on.settle();
        }
        server.close();
        CHECK(on.until([&] { return support::count_over(peers) == peers.size(); }));
        CHECK(told.made == 0);
        peers.clear();
        CHECK(on.on().descriptors() == before - 1);
    });
}

TEST_CASE("[247] serve: on the same port again, at once") {
    support::on_every_stream({247}, [](network& on) {
        auto where = sockeye::endpoint::parse(on.local()).value();
        for (int i = 0; i < 5; ++i) {
            script told;
            auto server = sockeye::serve<support::hooked>(on.loop(), where, std::ref(told)).value();
            where = support::local_of(server);
            raw_peer peer(on.system(), where);
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            // Who closes first keeps the port in TIME_WAIT.
            told.link->close();
            CHECK(on.until([&] {
                peer.pump();
                return peer.has_ended() && told.is_closed();
            }));
        }
    });
}
