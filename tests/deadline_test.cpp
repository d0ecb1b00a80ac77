#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <vector>

using namespace std::chrono_literals;
using sockeye::close_reason;
using sockeye::deadline_kind;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

// Time limits of streams: each ends its connection, never early, and says which one it was.

using support::mebibyte;

namespace {

/// How late one may be where the loop has nothing else to do; a real machine has.
constexpr auto lateness_max = 13ms;

void check_time(network& on, sockeye::time_point since, sockeye::duration limit) {
    const auto passed = on.now() - since;
    CHECK(passed >= limit);
    if (on.on().is_simulated()) {
        CHECK(passed <= limit + lateness_max);
    }
}

void check_passed(const script& told, deadline_kind which) {
    CHECK(told.closes == 1);
    CHECK(told.info.reason == close_reason::failed);
    CHECK(told.info.error == std::errc::timed_out);
    CHECK(told.info.deadline == which);
}

} // namespace

TEST_CASE("[146] deadlines: who says nothing is closed after the idle time, and not before") {
    support::on_every_stream({146}, [](network& on) {
        for (const auto limit : std::vector<sockeye::duration>{1ns, 10ms, 100ms}) {
            script told;
            auto server = support::serve_script(on, told, {.limits = {.idle = limit}});
            sockeye::time_point opened;
            told.on_open = [&](sockeye::stream&) { opened = on.loop().now(); };
            raw_peer peer(on.system(), support::local_of(server));
            CHECK(on.until([&] { return told.is_closed(); }));
            check_passed(told, deadline_kind::idle);
            check_time(on, opened, limit);
            CHECK(on.until([&] {
                peer.pump();
                return peer.has_ended();
            }));
        }
    });
}

TEST_CASE("[146] deadlines: any byte, either way, begins the idle time anew") {
    support::on_every_stream({146}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.idle = 60ms}});
        sockeye::time_point last;
        told.on_data = [&](sockeye::stream&, sockeye::bytes) { last = on.loop().now(); };
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const bool speaks = [&] {
            bool answer = false;
            SUBCASE("the peer's") {
                answer = true;
            }
            SUBCASE("ours") {}
            return answer;
        }();
        const auto begin = on.now();
        while (on.now() - begin < 200ms && !told.is_closed()) {
            if (speaks) {
                peer.say("!");
            } else {
                told.link->write("!");
                last = on.loop().now();
            }
            peer.pump();
            on.pass(5ms);
        }
        if (on.on().is_simulated()) {
            CHECK_FALSE(told.is_closed()); // a real machine may have been away for too long
        }
        CHECK(on.until([&] { return told.is_closed(); }));
        check_passed(told, deadline_kind::idle);
        check_time(on, last, 60ms);
    });
}

TEST_CASE("deadlines: who never says a first byte is closed, whatever it is told") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.first_byte = 50ms}});
        sockeye::time_point opened;
        told.on_open = [&](sockeye::stream& link) {
            opened = on.loop().now();
            link.write("welcome");
        };
        raw_peer peer(on.system(), support::local_of(server));
        SUBCASE("closed") {
            CHECK(on.until([&] { return told.is_closed(); }));
            check_passed(told, deadline_kind::first_byte);
            check_time(on, opened, 50ms);
        }
        SUBCASE("in time") {
            peer.say("h");
            CHECK(on.until([&] {
                peer.pump();
                return told.data == "h";
            }));
            on.pass(150ms);
            CHECK_FALSE(told.is_closed());
        }
    });
}

TEST_CASE("deadlines: a lifetime ends in the middle of a talk") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server =
            support::serve_script(on, told, {.limits = {.idle = 50ms, .lifetime = 150ms}});
        sockeye::time_point opened;
        told.on_open = [&](sockeye::stream&) { opened = on.loop().now(); };
        told.on_data = [](sockeye::stream& link, sockeye::bytes in) { link.write(in); };
        raw_peer peer(on.system(), support::local_of(server));
        CHECK(on.until([&] {
            peer.say("still here");
            peer.pump();
            return told.is_closed();
        }));
        check_passed(told, deadline_kind::lifetime);
        check_time(on, opened, 150ms);
    });
}

TEST_CASE("deadlines: after our FIN the peer has its time to end, too") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.shutdown = 50ms}});
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        on.pass(100ms);
        const auto begin = on.now();
        told.link->write("bye");
        told.link->shutdown();
        SUBCASE("it does not") {
            CHECK(on.until([&] {
                peer.pump();
                return told.is_closed();
            }));
            check_passed(told, deadline_kind::shutdown);
            check_time(on, begin, 50ms);
        }
        SUBCASE("it does") {
            peer.finish();
            CHECK(on.until([&] {
                peer.pump();
                return told.is_closed();
            }));
            CHECK(told.info.reason == close_reason::ended);
            CHECK(told.info.deadline == deadline_kind::none);
        }
        CHECK(peer.heard() == "bye");
        CHECK(peer.has_ended());
    });
}

TEST_CASE("deadlines: output that waits too long ends the connection, however much there is") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(
            on, told, {.limits = {.queue_max = 64 * mebibyte, .write = 80ms}});
        raw_peer peer(on.system(), support::local_of(server));
        peer.is_deaf = true;
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        // It waits from the loop's time on, and to queue so much may take as long as it waits.
        const auto begin = on.loop().now();
        told.link->write(pattern(16 * mebibyte));
        REQUIRE(told.link->queued_bytes() != 0);
        while (!told.is_closed() && on.now() - begin < 10s) {
            told.link->write("and more");
            on.pass(5ms);
        }
        check_passed(told, deadline_kind::write);
        CHECK(told.info.dropped_bytes != 0);
        CHECK(on.now() - begin >= 80ms);
        if (on.on().is_simulated()) {
            CHECK(on.now() - begin <= 80ms + 80ms / 8 + lateness_max + 5ms);
        }
    });
}

TEST_CASE("deadlines: a peer that reads slowly but fast enough is served to the end") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told,
                                            {.limits = {.queue_max = 64 * mebibyte,
                                                        .write = 10s,
                                                        .min_rate = 1024,
                                                        .min_rate_window = 100ms}});
        told.on_data = [](sockeye::stream& link, sockeye::bytes) {
            link.write(pattern(16 * mebibyte));
        };
        raw_peer peer(on.system(), support::local_of(server));
        peer.say("all of it");
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() >= 16 * mebibyte || told.is_closed();
        }));
        CHECK((peer.heard() == pattern(16 * mebibyte)));
        on.pass(300ms);
        CHECK_FALSE(told.is_closed()); // nothing waits: there is no rate to keep
    });
}

TEST_CASE("deadlines: [S1] who never reads is closed for its rate, and others are served again") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        constexpr std::size_t deaf = 20;
        sockeye::loop_options options;
        options.queued_bytes_max = deaf * mebibyte; // less than they ask for
        auto loop = on.on().make_loop(std::move(options));
        std::size_t slow = 0;
        struct gives_much {
            explicit gives_much(std::size_t& count) : slow(count) {}
            void on_data(sockeye::stream& link, sockeye::bytes in) {
                if (in.size() == 1) {
                    link.write(pattern(16 * mebibyte));
                } else {
                    link.write(in);
                }
            }
            void on_close(sockeye::stream&, const sockeye::close_info& info) {
                slow += info.deadline == deadline_kind::rate ? 1U : 0U;
            }
            std::size_t& slow;
        };
        auto server = sockeye::serve<gives_much>(loop, "tcp://127.0.0.1:0",
                                                 {.limits = {.queue_max = 64 * mebibyte,
                                                             .min_rate = 1024,
                                                             .min_rate_window = 300ms}},
                                                 std::ref(slow))
                          .value();
        const auto turn = [&] { static_cast<void>(loop.run_once(10ms).value()); };
        auto peers = support::many_peers(on, deaf, support::local_of(server));
        for (auto& peer : peers) {
            peer.is_deaf = true;
            peer.say("!");
        }
        CHECK(support::turn_until(
            [&] {
                std::ranges::for_each(peers, &raw_peer::pump);
                return loop.counters().queued_bytes > deaf * mebibyte;
            },
            turn));
        raw_peer good(on.system(), support::local_of(server));
        good.say("served");
        CHECK(support::turn_until(
            [&] {
                std::ranges::for_each(peers, &raw_peer::pump);
                good.pump();
                return good.heard() == "served";
            },
            turn));
        CHECK(support::turn_until([&] { return slow == deaf; },
                                  [&] {
                                      std::ranges::for_each(peers, &raw_peer::pump);
                                      turn();
                                  }));
        CHECK(server.connection_count() == 1);
        CHECK(loop.counters().queued_bytes == 0);
    });
}

TEST_CASE("deadlines: other limits for one stream hold from then on, and for it alone") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.idle = 1h}});
        raw_peer first(on.system(), support::local_of(server));
        raw_peer second(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.made == 2; }));
        auto limits = told.link->limits();
        CHECK(limits.idle == 1h);
        limits.idle = 30ms;
        told.link->set_limits(limits);
        CHECK(told.link->limits().idle == 30ms);
        CHECK(on.until([&] { return told.closes == 1; }));
        check_passed(told, deadline_kind::idle);
        on.pass(100ms);
        CHECK(told.closes == 1);
        CHECK(server.connection_count() == 1);
    });
}

TEST_CASE("deadlines: those of connect and linger are told by name") {
    support::on_every_stream({91}, [](network& on) {
        script told;
        auto server = support::serve_script(
            on, told, {.limits = {.queue_max = 64 * mebibyte, .linger = 40ms}});
        raw_peer peer(on.system(), support::local_of(server));
        peer.is_deaf = true;
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        told.link->write(pattern(16 * mebibyte));
        const auto begin = on.now();
        told.link->close();
        CHECK(on.until([&] { return told.is_closed(); }));
        check_passed(told, deadline_kind::linger);
        check_time(on, begin, 40ms);
    });
}

TEST_CASE("deadlines: a loop with far ones alone sleeps until then") {
    support::on_every_ground({}, [](support::ground& on, support::rows&) {
        auto loop = on.make_loop();
        script told;
        auto server =
            sockeye::serve<support::hooked>(
                loop, "tcp://127.0.0.1:0",
                {.limits = {.first_byte = 20h, .idle = 10h, .lifetime = 30h}}, std::ref(told))
                .value();
        std::vector<raw_peer> peers;
        for (int i = 0; i < 50; ++i) {
            peers.emplace_back(on.system(), support::local_of(server));
        }
        const auto opened = on.system().now();
        while (told.made < 50) {
            static_cast<void>(loop.run_once(1s).value());
        }
        REQUIRE(loop.next_deadline());
        // The first look. How far it is depends on the clock: the wheel looks in vain where one of
        // its levels begins anew, which may be soon.
        CHECK(*loop.next_deadline() > opened);
        CHECK(*loop.next_deadline() - opened <= 10h + lateness_max);
        const auto before = loop.counters().waits;
        const bool sleeps = on.is_simulated();
        while (sleeps && told.closes < 50) {
            static_cast<void>(loop.run_once(24h).value());
        }
        if (sleeps) {
            CHECK(told.info.deadline == deadline_kind::idle);
            CHECK(on.system().now() - opened >= 10h);
            CHECK(loop.counters().waits - before <= 20);
        }
        server.close();
        while (told.sessions != 0) {
            static_cast<void>(loop.run_once(1s).value());
        }
        CHECK_FALSE(loop.next_deadline());
    });
}
