#include "support/handlers.hpp"
#include "support/misuse.hpp"
#include "support/raw_datagrams.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <set>
#include <string>
#include <utility>
#include <vector>

using sockeye::datagram;
using sockeye::datagram_options;
using sockeye::datagram_socket;
using support::echo_datagrams;
using support::ignore_datagrams;
using support::network;
using support::raw_datagrams;
using support::with_port;

namespace {

using batch = std::span<const datagram>;

const auto letter = sockeye::as_bytes("x");

/// Keeps what it hears.
struct listener {
    std::vector<std::string> heard;

    auto handler() {
        return [this](datagram_socket&, batch in) {
            for (const auto& one : in) {
                heard.emplace_back(sockeye::as_text(one.data));
            }
        };
    }
};

/// A second name like `local`.
sockeye::endpoint client_side(const sockeye::endpoint& local) {
    return local.is_local() ? sockeye::endpoint::parse("unix-dgram:@").value() : local;
}

/// The index of the loopback interface.
std::uint32_t loopback_index(network& on) {
    std::uint32_t index = 0;
    auto socket = datagram_socket::open(
                      on.loop(), "udp://127.0.0.1:0", {.tells_local = true},
                      [&](datagram_socket&, batch in) { index = in.front().interface_index; })
                      .value();
    socket.send(letter, socket.local_endpoint().value());
    CHECK(on.until([&] { return index != 0; }));
    return index;
}

} // namespace

TEST_CASE("[156] datagrams: connected twice is refused; disconnected it hears all, and again one") {
    support::on_every_network({156}, {"udp://127.0.0.1:0", "unix-dgram:"}, [](network& on) {
        const auto other_local = on.is_unix() ? on.local() + "2" : on.local();
        listener first;
        listener second;
        listener client;
        auto one = datagram_socket::open(on.loop(), on.local(), {}, first.handler()).value();
        auto two = datagram_socket::open(on.loop(), other_local, {}, second.handler()).value();
        const auto where = one.local_endpoint().value();
        const auto elsewhere = two.local_endpoint().value();
        auto subject =
            datagram_socket::open(on.loop(), on.is_unix() ? on.local() + "3" : on.local(), {},
                                  client.handler())
                .value();
        const auto own = subject.local_endpoint().value();
        CHECK(subject.disconnect() == std::errc::not_connected);
        CHECK_FALSE(subject.connect(where));
        CHECK(subject.connect(where) == std::errc::already_connected);
        CHECK(subject.connect(elsewhere) == std::errc::already_connected);
        CHECK(subject.send(sockeye::as_bytes("to the first")));
        CHECK_FALSE(subject.send(letter, elsewhere));
        if (!on.is_unix()) { // which refuses where a stranger sends: EPERM
            two.send(sockeye::as_bytes("from a stranger"), own);
        }
        one.send(sockeye::as_bytes("from the first"), own);
        CHECK(on.until([&] { return client.heard.size() == 1 && first.heard.size() == 1; }));
        CHECK(client.heard.front() == "from the first");

        CHECK_FALSE(subject.disconnect());
        CHECK(subject.disconnect() == std::errc::not_connected);
        CHECK_FALSE(subject.send(letter)); // to nobody
        two.send(sockeye::as_bytes("from the second"), own);
        CHECK(on.until([&] { return client.heard.size() == 2; }));
        CHECK_FALSE(subject.connect(elsewhere));
        CHECK(subject.send(sockeye::as_bytes("to the second")));
        CHECK(on.until([&] { return second.heard.size() == 1; }));
        CHECK(first.heard.size() == 1);

        CHECK(subject.connect("tcp://127.0.0.1:1") == sockeye::errc::service_mismatch);
        CHECK(subject.connect("nonsense://") == sockeye::errc::endpoint_scheme_unknown);
    });
}

TEST_CASE("[170] datagrams: an address in use is shared only where both say so") {
    support::on_every_network({170}, {"udp://127.0.0.1:0"}, [](network& on) {
        const datagram_options shared = {.reuse_address = true};
        auto alone = datagram_socket::open(on.loop(), on.local(), {}, ignore_datagrams).value();
        CHECK(datagram_socket::open(on.loop(), alone.local_endpoint().value(), shared,
                                    ignore_datagrams)
                  .error() == std::errc::address_in_use);
        listener heard;
        auto first = datagram_socket::open(on.loop(), on.local(), shared, heard.handler()).value();
        const auto where = first.local_endpoint().value();
        CHECK(datagram_socket::open(on.loop(), where, {}, ignore_datagrams).error() ==
              std::errc::address_in_use);
        auto second = datagram_socket::open(on.loop(), where, shared, heard.handler()).value();
        alone.send(letter, where);
        CHECK(on.until([&] { return !heard.heard.empty(); }));
        on.settle();
        CHECK(heard.heard.size() == 1);
    });
}

TEST_CASE("[171] datagrams: one port over several sockets: each peer has one, none hears twice") {
    support::on_every_network({171}, {"udp://127.0.0.1:0"}, [](network& on) {
        const datagram_options shared = {.reuse_port = true};
        std::array<listener, 3> ears;
        std::vector<datagram_socket> servers;
        auto where = sockeye::endpoint::parse(on.local()).value();
        for (auto& ear : ears) {
            servers.push_back(
                datagram_socket::open(on.loop(), where, shared, ear.handler()).value());
            where = servers.front().local_endpoint().value();
        }
        CHECK(datagram_socket::open(on.loop(), where, {}, ignore_datagrams).error() ==
              std::errc::address_in_use);
        constexpr std::size_t peers = 40;
        std::vector<datagram_socket> clients;
        for (std::size_t i = 0; i < peers; ++i) {
            clients.push_back(
                datagram_socket::connect(on.loop(), where, {}, ignore_datagrams).value());
            for (int times = 0; times < 3; ++times) {
                CHECK(clients.back().send(sockeye::as_bytes(std::to_string(i))));
            }
        }
        const auto heard = [&] {
            return ears[0].heard.size() + ears[1].heard.size() + ears[2].heard.size();
        };
        CHECK(on.until([&] { return heard() == 3 * peers; }));
        on.settle();
        CHECK(heard() == 3 * peers);
        std::multiset<std::string> said;
        for (const auto& ear : ears) {
            CHECK(!ear.heard.empty()); // by a hash of 40 peers: none in 10^7 runs
            said.insert(ear.heard.begin(), ear.heard.end());
            for (const auto& text : ear.heard) {
                CHECK(std::ranges::count(ear.heard, text) == 3);
            }
        }
        CHECK(said.size() == 3 * peers);
    });
}

TEST_CASE("[172] datagrams: a TTL is from 1 to 255, that of multicast from 0") {
    support::on_every_network({172}, {"udp://127.0.0.1:0", "udp://[::1]:0"}, [](network& on) {
        for (const int ttl : {1, 64, 255}) {
            std::vector<int> seen;
            auto ear =
                datagram_socket::open(on.loop(), on.local(), {.tells_ttl = true},
                                      [&](auto&, batch in) { seen.push_back(in.front().seen_ttl); })
                    .value();
            auto mouth =
                datagram_socket::open(on.loop(), on.local(), {.ttl = ttl}, ignore_datagrams)
                    .value();
            CHECK(mouth.send(letter, ear.local_endpoint().value()));
            CHECK(on.until([&] { return !seen.empty(); }));
            CHECK(seen.front() == ttl);
        }
        for (const int ttl : {0, -1, 256}) {
            CHECK(datagram_socket::open(on.loop(), on.local(), {.ttl = ttl}, ignore_datagrams)
                      .error() == std::errc::invalid_argument);
            if (ttl != 0) {
                CHECK(datagram_socket::open(on.loop(), on.local(), {.multicast_ttl = ttl},
                                            ignore_datagrams)
                          .error() == std::errc::invalid_argument);
            }
        }
        const auto scoped =
            datagram_socket::open(on.loop(), on.local(), {.multicast_ttl = 0}, ignore_datagrams);
        CHECK(scoped.has_value() != on.on().is_simulated());
        if (!scoped) {
            CHECK(scoped.error() == std::errc::not_supported);
        }
    });
}

TEST_CASE("[172] datagrams: a group is heard once it is joined, and no more when it is left") {
    support::on_every_network(
        {172}, {"udp://*:0"},
        [](network& on) {
            const auto loopback = loopback_index(on);
            listener ear;
            auto hears = datagram_socket::open(on.loop(), on.local(), {}, ear.handler()).value();
            const auto port = hears.local_endpoint().value().port();
            const auto group = with_port("udp://239.255.77.7:0", port);
            const auto direct = with_port("udp://127.0.0.1:0", port);
            auto says =
                datagram_socket::open(
                    on.loop(), "udp://127.0.0.1:0",
                    {.multicast_ttl = 0, .multicast_loop = true, .multicast_interface = loopback},
                    ignore_datagrams)
                    .value();
            const auto say = [&](std::string_view text) {
                CHECK(says.send(sockeye::as_bytes(text), group));
                // What comes after it has overtaken nothing.
                const auto before = ear.heard.size();
                CHECK(says.send(sockeye::as_bytes("direct"), direct));
                CHECK(on.until(
                    [&] { return ear.heard.size() > before && ear.heard.back() == "direct"; }));
            };
            const sockeye::group_options here = {.source = {}, .interface_index = loopback};
            say("too early");
            CHECK_FALSE(hears.join(group, here));
            say("joined");
            CHECK_FALSE(hears.leave(group, here));
            say("too late");
            const sockeye::group_options stranger = {.source = with_port("udp://127.0.0.9:0", 0),
                                                     .interface_index = loopback};
            CHECK_FALSE(hears.join(group, stranger));
            say("from another source");
            const sockeye::group_options own = {.source = with_port("udp://127.0.0.1:0", 0),
                                                .interface_index = loopback};
            CHECK_FALSE(hears.join(group, own));
            say("from the right source");
            CHECK_FALSE(hears.leave(group, own));
            say("from none");
            const std::vector<std::string> expected = {"direct", "joined", "direct",
                                                       "direct", "direct", "from the right source",
                                                       "direct", "direct"};
            CHECK((ear.heard == expected));
        },
        support::needs_real_system{"the simulation has no groups"});
}

TEST_CASE(
    "[172] datagrams: joined twice, left twice, and what is no group of the socket's family") {
    support::on_every_network(
        {172}, {"udp://*:0", "udp://[::]:0"},
        [](network& on) {
            const bool is_ip4 = on.local() == "udp://*:0";
            const sockeye::group_options here = {.source = {},
                                                 .interface_index = loopback_index(on)};
            auto socket =
                datagram_socket::open(on.loop(), on.local(), {}, ignore_datagrams).value();
            const std::string ip4 = "udp://239.255.77.7:0";
            const std::string ip6 = "udp://[ff11::7707]:0";
            const auto group = is_ip4 ? ip4 : ip6;
            CHECK_FALSE(socket.join(group, here));
            CHECK(socket.join(group, here) == std::errc::address_in_use);
            CHECK_FALSE(socket.leave(group, here));
            CHECK(socket.leave(group, here) == std::errc::address_not_available);
            CHECK(socket.join(is_ip4 ? ip6 : ip4, here) == std::errc::invalid_argument);
            CHECK(socket.join(is_ip4 ? "udp://127.0.0.1:0" : "udp://[::1]:0", here) ==
                  std::errc::invalid_argument);
            CHECK(socket.join("udp://nonsense", here) == sockeye::errc::endpoint_port_missing);
        },
        support::needs_real_system{"the simulation has no groups"});
}

TEST_CASE("[166] datagrams: to broadcast addresses only with permission") {
    support::on_every_network(
        {166}, {"udp://127.0.0.1:0"},
        [](network& on) {
            const auto everybody = sockeye::endpoint::parse("udp://127.255.255.255:9").value();
            auto plain = datagram_socket::open(on.loop(), on.local(), {}, ignore_datagrams).value();
            CHECK_FALSE(plain.send(letter, everybody));
            auto permitted =
                datagram_socket::open(on.loop(), on.local(), {.broadcast = true}, ignore_datagrams)
                    .value();
            CHECK(permitted.send(letter, everybody));
        },
        support::needs_real_system{"the simulation broadcasts to nobody"});
}

TEST_CASE("[173] datagrams: verbs of one that is closed, or never was, say so") {
    support::on_every_network({173}, {"udp://127.0.0.1:0"}, [](network& on) {
        const auto check = [](datagram_socket& gone) {
            const auto bad = std::errc::bad_file_descriptor;
            CHECK(gone.connect("udp://127.0.0.1:9") == bad);
            CHECK(gone.disconnect() == bad);
            CHECK(gone.join("udp://239.255.77.7:9") == bad);
            CHECK(gone.leave("udp://239.255.77.7:9") == bad);
            CHECK(gone.path_mtu().error() == bad);
            CHECK(gone.local_endpoint().error() == bad);
            CHECK(gone.on_error([](auto&, const sockeye::datagram_error&) {}) == bad);
            CHECK_FALSE(gone.send(letter));
            CHECK(gone.counters().sent == 0);
            CHECK(gone.queued_bytes() == 0);
            gone.pause();
            gone.resume();
            gone.close();
        };
        auto closed = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
        closed.close();
        check(closed);
        datagram_socket never;
        check(never);
    });
}

TEST_CASE("[173] datagrams: what is no option of a transport is refused with the socket") {
    support::on_every_network({173}, {"unix-dgram:"}, [](network& on) {
        for (const auto& options :
             {datagram_options{.tells_local = true}, datagram_options{.tells_ecn = true},
              datagram_options{.tells_ttl = true}, datagram_options{.ttl = 9},
              datagram_options{.discovery = sockeye::path_mtu_discovery::off},
              datagram_options{.multicast_ttl = 1}}) {
            CHECK(datagram_socket::open(on.loop(), on.local(), options, echo_datagrams).error() ==
                  std::errc::not_supported);
        }
        CHECK_FALSE(on.has_file(on.path()));
        // Offload is a wish: where there is none, all goes one by one.
        listener ear;
        auto server =
            datagram_socket::open(on.loop(), on.local(), {.offload = true}, ear.handler()).value();
        auto client =
            datagram_socket::connect(on.loop(), on.local(), {.offload = true}, echo_datagrams)
                .value();
        const std::array several = {datagram{.data = sockeye::as_bytes("one")},
                                    datagram{.data = sockeye::as_bytes("cut"), .segment_size = 1},
                                    datagram{.data = sockeye::as_bytes("two")},
                                    datagram{.data = sockeye::as_bytes("old"), .ttl = 1}};
        CHECK(client.send(several) == 2);
        CHECK(client.counters().rejected == 2);
        CHECK(on.until([&] { return ear.heard.size() == 2; }));
        CHECK(ear.heard == std::vector<std::string>{"one", "two"});
    });
}

TEST_CASE("[174] datagrams: a socket from elsewhere, bound or connected; twice is refused") {
    support::on_every_network(
        {174}, {"udp://127.0.0.1:0", "unix-dgram:"},
        [](network& on) {
            const auto any = sockeye::endpoint::parse(on.local()).value();
            auto raw = support::make_bound(on.system(), any);
            auto adopted = datagram_socket::adopt(on.loop(), sockeye::unique_fd(raw.release()), {},
                                                  echo_datagrams)
                               .value();
            raw_datagrams client(on, adopted.local_endpoint().value());
            client.say("hello");
            CHECK(on.until([&] {
                client.pump();
                return client.heard.size() == 1;
            }));
            auto other = support::make_bound(on.system(), client_side(any));
            const support::tolerated_misuse closed_by_adopt;
            const auto watched =
                on.loop()
                    .watch(other.get(), sockeye::interest::readable, [](sockeye::readiness) {})
                    .value();
            CHECK(datagram_socket::adopt(on.loop(), sockeye::unique_fd(other.release()), {},
                                         echo_datagrams)
                      .error() == std::errc::file_exists);
            CHECK(datagram_socket::adopt(on.loop(), sockeye::unique_fd(), {}, echo_datagrams)
                      .error() == std::errc::bad_file_descriptor);
        },
        support::needs_real_system{"its descriptors are nobody else's"});
}

TEST_CASE("[174] datagrams: an adopted socket that is connected talks to its peer") {
    support::on_every_network(
        {174}, {"udp://127.0.0.1:0"},
        [](network& on) {
            listener ear;
            auto server = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
            auto raw =
                support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value());
            REQUIRE_FALSE(on.system().connect(raw.get(), server.local_endpoint().value()));
            auto adopted = datagram_socket::adopt(on.loop(), sockeye::unique_fd(raw.release()),
                                                  {.ttl = 9}, ear.handler())
                               .value();
            CHECK(adopted.connect(server.local_endpoint().value()) == std::errc::already_connected);
            CHECK(adopted.send(sockeye::as_bytes("hello")));
            CHECK(on.until([&] { return ear.heard.size() == 1; }));
            // What is none is refused, and closed.
            auto stream = on.system().socket(sockeye::transport::tcp, AF_INET).value();
            CHECK(datagram_socket::adopt(on.loop(), sockeye::unique_fd(stream.release()), {},
                                         echo_datagrams)
                      .error() == sockeye::errc::service_mismatch);
            auto file = on.system().reserve().value();
            CHECK(datagram_socket::adopt(on.loop(), sockeye::unique_fd(file.release()), {},
                                         echo_datagrams)
                      .error() == std::errc::not_a_socket);
        },
        support::needs_real_system{"its descriptors are nobody else's"});
}
