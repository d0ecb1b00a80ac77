#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

using namespace std::chrono_literals;
using sockeye::relay_end;
using support::stream_places;
using support::mebibyte;
using support::network;
using support::pattern;
using support::raw_peer;

namespace {

/// Waits until the stream to the far side is up, then hands it over.
struct joiner {
    explicit joiner(std::optional<sockeye::stream>& place) : place_(place) {}
    void on_open(sockeye::stream& link) { place_ = std::move(link); }
    void on_data(sockeye::stream&, sockeye::bytes) {}

    std::optional<sockeye::stream>& place_;
};

/// near - first - relay - second - far
struct joined_peers {
    explicit joined_peers(network& on, const sockeye::stream_limits& limits = {})
        : on_(on), far_listener(on.system(), sockeye::endpoint::parse(far_name(on)).value(), 8),
          listener(
              sockeye::listener::open(on.loop(), on.local(), {.limits = limits},
                                      [this](sockeye::stream made) { first = std::move(made); })
                  .value()),
          near(on.system(), listener.local_endpoint().value()) {
        auto dialled =
            sockeye::connect<joiner>(on.loop(), far_listener.local(), {}, std::ref(second));
        REQUIRE(on.until([&] { return first && second; }));
        std::optional<raw_peer> accepted;
        REQUIRE(on.until([&] {
            accepted = far_listener.accept();
            return accepted.has_value();
        }));
        far = std::move(*accepted);
        first_ref = first->ref();
        second_ref = second->ref();
        joint = std::make_unique<sockeye::relay>(std::move(*first), std::move(*second),
                                                 [this](const relay_end& said) {
                                                     ++ends;
                                                     end = said;
                                                     if (destroys_itself) {
                                                         joint.reset();
                                                     }
                                                 });
    }

    static std::string far_name(network& on) {
        return on.is_unix() ? on.local() + ".far" : on.local();
    }
    [[nodiscard]] bool until(const std::function<bool()>& fact) {
        return on_.until([&] {
            near.pump();
            far.pump();
            return fact();
        });
    }
    /// Bytes that wait in this process to be sent.
    [[nodiscard]] std::size_t queued() { return on_.loop().counters().queued_bytes; }

    network& on_;
    support::raw_listener far_listener;
    std::optional<sockeye::stream> first;
    std::optional<sockeye::stream> second;
    sockeye::listener listener;
    raw_peer near;
    raw_peer far;
    sockeye::stream_ref first_ref;
    sockeye::stream_ref second_ref;
    std::unique_ptr<sockeye::relay> joint;
    int ends = 0;
    relay_end end;
    bool destroys_itself = false;
};

} // namespace

TEST_CASE("[130] relay: what one side says the other hears, and each end is passed on") {
    support::on_every_network({130}, stream_places, [](network& on) {
        joined_peers all(on);
        const auto request = pattern(3 * mebibyte, 1);
        const auto answer = pattern(5 * mebibyte, 2);
        all.near.say(request);
        all.near.finish();
        REQUIRE(all.until([&] { return all.far.has_ended(); }));
        CHECK((all.far.heard() == request));
        CHECK(all.joint->is_open());
        CHECK(all.ends == 0);
        // Half closed: the other direction goes on.
        all.far.say(answer);
        all.far.finish();
        REQUIRE(all.until([&] { return all.near.has_ended(); }));
        CHECK((all.near.heard() == answer));
        CHECK(all.until([&] { return all.ends == 1; }));
        CHECK_FALSE(all.end.error);
        CHECK(all.end.bytes_forward == request.size());
        CHECK(all.end.bytes_back == answer.size());
        CHECK_FALSE(all.joint->is_open());
        on.settle();
        CHECK(all.ends == 1);
    });
}

TEST_CASE("relay: the far side may end first, and both may talk at once") {
    support::on_every_network({}, stream_places, [](network& on) {
        joined_peers all(on);
        const auto one = pattern(4 * mebibyte, 3);
        const auto two = pattern(4 * mebibyte, 4);
        all.near.say(one);
        all.far.say(two);
        REQUIRE(all.until([&] {
            return all.near.heard().size() == two.size() && all.far.heard().size() == one.size();
        }));
        CHECK((all.near.heard() == two));
        CHECK((all.far.heard() == one));
        all.far.finish();
        REQUIRE(all.until([&] { return all.near.has_ended(); }));
        all.near.say("and last");
        all.near.finish();
        REQUIRE(all.until([&] { return all.far.has_ended(); }));
        CHECK(all.far.heard().size() == one.size() + 8);
        CHECK(all.until([&] { return all.ends == 1; }));
        CHECK_FALSE(all.end.error);
    });
}

TEST_CASE("[120] relay: who does not read keeps the other from being read, in bounded memory") {
    support::on_every_network({120}, stream_places, [](network& on) {
        joined_peers all(on);
        const auto request = pattern(32 * mebibyte, 5);
        all.near.say(request);
        all.far.is_deaf = true;
        std::size_t queued_max = 0;
        for (int turns = 0; turns < 300; ++turns) {
            all.near.pump();
            all.far.pump();
            on.turn();
            queued_max = std::max(queued_max, all.queued());
        }
        CHECK_FALSE(all.near.has_said_all());
        CHECK(queued_max > 0);
        // One read of 64 KiB may come above the high mark of 64 KiB.
        CHECK(queued_max <= 2 * 65536);
        SUBCASE("and the other direction goes on meanwhile") {
            all.far.say("independent");
            CHECK(all.until([&] { return all.near.heard() == "independent"; }));
        }
        all.far.is_deaf = false;
        REQUIRE(all.until([&] { return all.far.heard().size() == request.size(); }));
        CHECK((all.far.heard() == request));
    });
}

TEST_CASE("relay: where one side breaks the other is reset, and the error is told") {
    support::on_every_network({}, stream_places, [](network& on) {
        joined_peers all(on);
        all.near.say("hello");
        REQUIRE(all.until([&] { return all.far.heard() == "hello"; }));
        const auto check = [&](raw_peer& left) {
            CHECK(all.until([&] { return all.ends == 1 && left.is_over(); }));
            CHECK(all.end.error);
            if (!on.is_unix()) {
                CHECK(left.error() == std::errc::connection_reset);
                CHECK_FALSE(left.has_ended());
            }
        };
        SUBCASE("the first") {
            all.near.reset();
            if (on.is_unix()) {
                all.far.say("into nothing"); // a reset is an end there, until something is sent
            }
            check(all.far);
        }
        SUBCASE("the second") {
            all.far.reset();
            if (on.is_unix()) {
                all.near.say("into nothing");
            }
            check(all.near);
        }
        SUBCASE("aborted here") {
            on.loop().find(all.second_ref)->abort();
            check(all.near);
            CHECK(all.end.error == std::errc::connection_aborted);
        }
    });
}

TEST_CASE("relay: closed here by a handle, both close in good order") {
    support::on_every_network({}, stream_places, [](network& on) {
        joined_peers all(on);
        on.loop().find(all.first_ref)->close();
        CHECK(all.until([&] { return all.near.has_ended() && all.far.has_ended(); }));
        CHECK(all.until([&] { return all.ends == 1; }));
        CHECK_FALSE(all.end.error);
    });
}

TEST_CASE("[142] relay: its destructor closes both in silence; it may go in its own handler") {
    support::on_every_network({142}, stream_places, [](network& on) {
        joined_peers all(on);
        all.near.say("sent before");
        REQUIRE(all.until([&] { return all.far.heard() == "sent before"; }));
        SUBCASE("destroyed") {
            all.joint.reset();
            CHECK(all.until([&] { return all.near.is_over() && all.far.is_over(); }));
            CHECK(all.ends == 0);
        }
        SUBCASE("moved, then destroyed") {
            sockeye::relay moved = std::move(*all.joint);
            CHECK(moved.is_open());
            all.joint.reset();
            all.near.say("!");
            REQUIRE(all.until([&] { return all.far.heard().ends_with("!"); }));
            sockeye::relay other = std::move(moved);
            moved = std::move(other);
            CHECK(moved.is_open());
        }
        SUBCASE("in its own handler") {
            all.destroys_itself = true;
            all.near.finish();
            all.far.finish();
            CHECK(all.until([&] { return all.ends == 1; }));
            CHECK(all.joint == nullptr);
        }
        SUBCASE("left to the loop") {
            all.joint->detach();
            CHECK_FALSE(all.joint->is_open());
            all.joint.reset();
            all.far.say("goes on");
            REQUIRE(all.until([&] { return all.near.heard() == "goes on"; }));
            all.near.finish();
            all.far.finish();
            CHECK(all.until([&] { return all.ends == 1; }));
            CHECK(all.end.bytes_back == 7);
        }
        SUBCASE("left to the loop, which ends") {
            all.joint->detach();
            on.leaves_to_the_loop(2);
        }
        on.settle();
    });
}

TEST_CASE("[146] relay: a stream that is idle for too long ends both, and not before") {
    support::on_every_network({146}, stream_places, [](network& on) {
        joined_peers all(on, {.idle = 300ms});
        const auto start = on.now();
        auto heard_at = start;
        for (int i = 0; i < 4; ++i) {
            on.pass(100ms);
            auto& speaker = i % 2 == 0 ? all.near : all.far;
            auto& hearer = i % 2 == 0 ? all.far : all.near;
            const auto before = hearer.heard().size();
            speaker.say("x");
            REQUIRE(all.until([&] { return hearer.heard().size() > before; }));
            if (all.ends != 0) {
                return; // a machine too busy to tell
            }
            heard_at = on.now();
        }
        CHECK(all.until([&] { return all.ends == 1; }));
        CHECK(all.end.error == std::errc::timed_out);
        CHECK(on.now() - start >= 700ms);
        CHECK(heard_at - start >= 400ms);
        CHECK(all.until([&] { return all.near.is_over() && all.far.is_over(); }));
    });
}

TEST_CASE("relay: a stream that is over already ends the other") {
    support::on_every_network({}, {"tcp://127.0.0.1:0"}, [](network& on) {
        std::optional<sockeye::stream> first;
        std::optional<sockeye::stream> second;
        auto listener =
            sockeye::listener::open(on.loop(), on.local(), {}, [&](sockeye::stream made) {
                (first ? second : first) = std::move(made);
            }).value();
        auto peers = support::many_peers(on, 2, listener.local_endpoint().value());
        REQUIRE(on.until([&] { return first && second; }));
        second->abort();
        on.settle();
        CHECK_FALSE(second->is_open());
        std::optional<relay_end> end;
        const sockeye::relay joint(std::move(*first), std::move(*second),
                                   [&](const relay_end& said) { end = said; });
        CHECK(on.until([&] { return end.has_value(); }));
        CHECK(end->bytes_forward == 0);
        CHECK(support::count_over(peers) >= 1);
        CHECK(on.until([&] { return support::count_over(peers) == 2; }));
    });
}
