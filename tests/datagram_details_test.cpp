#include "support/allocations.hpp"
#include "support/handlers.hpp"
#include "support/raw_datagrams.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <array>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using sockeye::datagram;
using sockeye::datagram_options;
using sockeye::datagram_socket;
using sockeye::ecn;
using support::ignore_datagrams;
using support::network;
using support::raw_datagrams;
using support::with_port;

namespace {

using batch = std::span<const datagram>;

/// What the handler was told, kept beyond its call.
struct kept {
    explicit kept(const datagram& one)
        : text(sockeye::as_text(one.data)), view(one),
          local(one.local == nullptr ? "" : one.local->to_string()) {}

    std::string text;
    datagram view;
    std::string local;
};

} // namespace

TEST_CASE("[151] datagrams: a server of every address answers from the one that was asked") {
    support::on_every_network({151}, {"udp://*:0"}, [](network& on) {
        std::vector<std::string> asked;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket& s, batch in) {
                          for (const auto& one : in) {
                              REQUIRE(one.local != nullptr);
                              asked.push_back(one.local->to_string());
                          }
                          CHECK(s.send(in) == in.size());
                      }).value();
        const auto port = server.local_endpoint().value().port();
        for (const auto* address : {"udp://127.0.0.2:0", "udp://127.0.0.1:0"}) {
            // Connected, so that it hears an answer from nowhere else.
            const auto where = with_port(address, port);
            raw_datagrams client(on, where);
            client.say("hello");
            CHECK(on.until([&] {
                client.pump();
                return !client.heard.empty();
            }));
            CHECK(client.heard == std::vector<std::string>{"hello"});
            CHECK(asked.back() == where.to_string());
        }
    });
}

TEST_CASE("[151] datagrams: what waits keeps the address that it is to leave from") {
    support::on_every_network({151}, {"udp://*:0"}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), ignore_datagrams).value();
        const auto where = with_port("udp://127.0.0.2:0", server.local_endpoint().value().port());
        raw_datagrams client(on, where);
        const auto peer = client.name();
        const datagram one = {.data = sockeye::as_bytes("x"), .peer = &peer, .local = &where};
        CHECK(server.send({&one, 1}) == 1);
        CHECK(on.until([&] {
            client.pump();
            return client.heard.size() == 1;
        }));
        // An address that is none of ours is refused, and ends nothing.
        const auto foreign = sockeye::endpoint::parse("udp://192.0.2.1:0").value();
        const datagram forged = {.data = sockeye::as_bytes("y"), .peer = &peer, .local = &foreign};
        CHECK(server.send({&forged, 1}) == 0);
        CHECK(server.counters().rejected == 1);
        CHECK(server.counters().sent == 1);
    });
}

TEST_CASE("[151] datagrams: mark, TTL, time, interface and local address, where they are asked") {
    support::on_every_network({151}, {"udp://127.0.0.1:0", "udp://[::1]:0"}, [](network& on) {
        std::vector<kept> heard;
        const datagram_options all = {
            .tells_local = true, .tells_ecn = true, .tells_ttl = true, .tells_time = true};
        auto server = datagram_socket::open(on.loop(), on.local(), all, [&](auto&, batch in) {
                          for (const auto& one : in) {
                              heard.emplace_back(one);
                          }
                      }).value();
        const auto where = server.local_endpoint().value();
        auto client =
            datagram_socket::connect(on.loop(), where, {.ttl = 9}, ignore_datagrams).value();
        const std::array several = {
            datagram{.data = sockeye::as_bytes("plain")},
            datagram{.data = sockeye::as_bytes("set"), .ttl = 7, .mark = ecn::capable_0},
            datagram{.data = sockeye::as_bytes("named"), .peer = &where, .mark = ecn::capable_1},
            datagram{.data = sockeye::as_bytes("full"), .ttl = 255, .mark = ecn::congested}};
        CHECK(client.send(several) == several.size());
        CHECK(on.until([&] { return heard.size() == several.size(); }));
        const std::array ttls = {9, 7, 9, 255};
        for (std::size_t i = 0; i < several.size(); ++i) {
            CAPTURE(i);
            CHECK(heard[i].text == sockeye::as_text(several[i].data));
            CHECK(heard[i].local == where.to_string());
            CHECK(heard[i].view.seen_mark == several[i].mark);
            CHECK(int{heard[i].view.seen_ttl} == ttls[i]);
            CHECK(heard[i].view.interface_index != 0);
            CHECK(heard[i].view.received_at.time_since_epoch() > 0s);
            // What was seen is not what an answer is sent with.
            CHECK(heard[i].view.ttl == 0);
            CHECK(heard[i].view.mark == ecn::not_capable);
        }
    });
}

TEST_CASE(
    "[151] datagrams: who asks for nothing is told nothing, whatever others of the loop ask") {
    support::on_every_network({151}, {"udp://127.0.0.1:0"}, [](network& on) {
        std::vector<kept> heard;
        const auto note = [&](datagram_socket&, batch in) {
            for (const auto& one : in) {
                heard.emplace_back(one);
            }
        };
        auto plain = datagram_socket::open(on.loop(), on.local(), {}, note).value();
        auto curious = datagram_socket::open(
                           on.loop(), on.local(),
                           {.tells_local = true, .tells_ttl = true, .tells_time = true}, note)
                           .value();
        const auto name = plain.local_endpoint().value();
        for (const auto& to : {name, curious.local_endpoint().value(), name}) {
            const auto before = heard.size();
            CHECK(plain.send(sockeye::as_bytes("x"), to));
            CHECK(on.until([&] { return heard.size() > before; }));
            const auto& view = heard.back().view;
            const bool is_told = to != name;
            CHECK((view.local != nullptr) == is_told);
            CHECK((view.seen_ttl != 0) == is_told);
            CHECK((view.received_at.time_since_epoch() != 0s) == is_told);
        }
    });
}

TEST_CASE("[88] datagrams: one of both families hears IPv4 by its mapped address, and answers") {
    support::on_every_network(
        {88}, {"udp://[::]:0"},
        [](network& on) {
            std::vector<kept> heard;
            auto server =
                datagram_socket::open(on.loop(), on.local(),
                                      {.dual_stack = true, .tells_ecn = true, .tells_ttl = true},
                                      [&](datagram_socket& s, batch in) {
                                          for (const auto& one : in) {
                                              heard.emplace_back(one);
                                          }
                                          CHECK(s.send(in) == in.size());
                                      })
                    .value();
            const auto port = server.local_endpoint().value().port();
            for (const auto* address : {"udp://127.0.0.2:0", "udp://[::1]:0"}) {
                int answers = 0;
                auto client = datagram_socket::connect(
                                  on.loop(), with_port(address, port), {.ttl = 33},
                                  [&](auto&, batch in) { answers += static_cast<int>(in.size()); })
                                  .value();
                const datagram one = {.data = sockeye::as_bytes("x"), .mark = ecn::capable_0};
                CHECK(client.send({&one, 1}) == 1);
                CHECK(on.until([&] { return answers == 1; }));
                CHECK(int{heard.back().view.seen_ttl} == 33);
                CHECK(heard.back().view.seen_mark == ecn::capable_0);
            }
            CHECK(heard.front().local.starts_with("udp://[::ffff:127.0.0.2]:"));
            // A mapped answer can be told how to go, too.
            auto ear = datagram_socket::open(on.loop(), "udp://127.0.0.1:0",
                                             {.tells_ecn = true, .tells_ttl = true},
                                             [&](auto&, batch in) {
                                                 for (const auto& one : in) {
                                                     heard.emplace_back(one);
                                                 }
                                             })
                           .value();
            const auto to =
                with_port("udp://[::ffff:127.0.0.1]:0", ear.local_endpoint().value().port());
            const datagram one = {
                .data = sockeye::as_bytes("y"), .peer = &to, .ttl = 3, .mark = ecn::capable_1};
            CHECK(server.send({&one, 1}) == 1);
            CHECK(on.until([&] { return heard.size() == 3; }));
            CHECK(int{heard.back().view.seen_ttl} == 3);
            CHECK(heard.back().view.seen_mark == ecn::capable_1);
        },
        support::needs_real_system{"the simulation has no datagram sockets of both families"});
}

TEST_CASE("[88] datagrams: both families are for IPv6 alone, and for a system that has them") {
    support::on_every_network({88}, {"udp://127.0.0.1:0"}, [](network& on) {
        CHECK(datagram_socket::open(on.loop(), on.local(), {.dual_stack = true}, ignore_datagrams)
                  .error() == std::errc::invalid_argument);
        const auto both = datagram_socket::open(on.loop(), "udp://[::]:0", {.dual_stack = true},
                                                ignore_datagrams);
        CHECK(both.has_value() != on.on().is_simulated());
        if (!both) {
            CHECK(both.error() == std::errc::not_supported);
        }
    });
}

TEST_CASE("[175] datagrams: what the receive buffer had no room for is counted where asked") {
    support::on_every_network({175}, {"udp://127.0.0.1:0"}, [](network& on) {
        std::size_t heard = 0;
        auto server = datagram_socket::open(on.loop(), on.local(),
                                            {.receive_buffer = 8192, .tells_overflow = true},
                                            [&](auto&, batch in) { heard += in.size(); })
                          .value();
        raw_datagrams client(on, server.local_endpoint().value());
        std::size_t said = 0;
        for (; said < 3000; ++said) {
            client.say("x");
        }
        on.settle();
        // The one that comes next tells what was lost before it.
        client.say("x");
        ++said;
        CHECK(on.until([&] { return heard + server.counters().overflowed == said; }));
        CHECK(server.counters().overflowed > 0);
        CHECK(server.counters().received == heard);
    });
}

TEST_CASE("[251] datagrams: an echo allocates nothing, told much or merged") {
    support::on_every_network(
        {251}, {"udp://*:0"},
        [](network& on) {
            datagram_options options;
            SUBCASE("plain") {}
            SUBCASE("told all") {
                options = {.tells_ecn = true,
                           .tells_ttl = true,
                           .tells_time = true,
                           .tells_overflow = true};
            }
            SUBCASE("merged") {
                options.offload = true;
            }
            auto server = datagram_socket::open(on.loop(), on.local(), options,
                                                [](datagram_socket& s, batch in) { s.send(in); })
                              .value();
            raw_datagrams client(
                on, with_port("udp://127.0.0.1:0", server.local_endpoint().value().port()));
            const auto round = [&] {
                for (int i = 0; i < 20; ++i) {
                    client.say("hello");
                }
                const auto before = support::allocations();
                const auto reads = on.loop().counters().datagrams_read;
                CHECK(on.until([&] { return on.loop().counters().datagrams_read == reads + 20; }));
                return support::allocations() - before;
            };
            static_cast<void>(round());
            client.pump();
            const auto waits = on.loop().counters().waits;
            const auto allocated = round();
            // The emulation of kqueue allocates in its own kevent.
            const bool is_emulated = on.entry().kind == sockeye::backend_kind::kqueue;
            CHECK(allocated <= (is_emulated ? 2 * (on.loop().counters().waits - waits) : 0));
        },
        support::needs_real_system{"what travels there is kept in memory"});
}
