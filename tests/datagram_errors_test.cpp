#include "support/handlers.hpp"
#include "support/raw_datagrams.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

using sockeye::datagram;
using sockeye::datagram_error;
using sockeye::datagram_socket;
using support::echo_datagrams;
using support::network;
using support::raw_datagrams;
using support::refusing_port;

namespace {

using batch = std::span<const datagram>;

const auto word = sockeye::as_bytes("x");

} // namespace

TEST_CASE("[158] [159] datagrams: what the network reports is told with the peer it is about") {
    support::on_every_network({158, 159}, {"udp://127.0.0.1:0", "udp://[::1]:0"}, [](network& on) {
        const refusing_port first(on);
        const refusing_port second(on);
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        std::vector<datagram_error> told;
        int heard = 0;
        auto socket = datagram_socket::open(on.loop(), on.local(), {}, [&](auto&, batch in) {
                          heard += static_cast<int>(in.size());
                      }).value();
        CHECK_FALSE(
            socket.on_error([&](auto&, const datagram_error& one) { told.push_back(one); }));
        SUBCASE("while it reads") {}
        SUBCASE("while it is paused") {
            socket.pause();
        }
        const auto good = server.local_endpoint().value();
        for (const auto* to : {&good, &first.name, &second.name, &good, &first.name}) {
            CHECK(socket.send(word, *to));
        }
        CHECK(on.until([&] { return told.size() == 3; }));
        socket.resume();
        CHECK(on.until([&] { return heard == 2; }));
        std::size_t about_first = 0;
        for (const auto& one : told) {
            CHECK(one.error == std::errc::connection_refused);
            CHECK((one.peer == first.name || one.peer == second.name));
            about_first += one.peer == first.name ? 1 : 0;
            const bool is_ip4 = one.peer.family() == AF_INET;
            CHECK(one.origin ==
                  (is_ip4 ? datagram_error::source::icmp : datagram_error::source::icmp6));
            CHECK(int{one.icmp_type} == (is_ip4 ? 3 : 1)); // destination unreachable
            CHECK(int{one.icmp_code} == (is_ip4 ? 3 : 4)); // port unreachable
        }
        CHECK(about_first == 2);
        on.settle();
        const auto before = on.loop().counters();
        on.settle();
        CHECK(on.loop().counters().events == before.events);
        CHECK(on.loop().counters().reads == before.reads);
        CHECK(told.size() == 3);
        CHECK(socket.counters().errors == 3);
        CHECK(socket.is_open());
    });
}

TEST_CASE(
    "[158] datagrams: many errors at once neither spin nor lose a send, and end with a word") {
    support::on_every_network({158, 167}, {"udp://127.0.0.1:0"}, [](network& on) {
        const refusing_port nobody(on);
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        std::size_t told = 0;
        std::size_t heard = 0;
        auto socket = datagram_socket::open(on.loop(), on.local(), {}, [&](auto&, batch in) {
                          heard += in.size();
                      }).value();
        CHECK_FALSE(socket.on_error([&](auto&, const datagram_error&) { ++told; }));
        const auto good = server.local_endpoint().value();
        for (int i = 0; i < 100; ++i) {
            socket.send(word, nobody.name);
            CHECK(socket.send(word, good));
        }
        CHECK(on.until([&] { return heard == 100; }));
        on.settle();
        CHECK(told > 0);
        CHECK(told <= 100);
        CHECK(socket.counters().errors == told);
        // Without a handler they are told to nobody, as before.
        CHECK_FALSE(socket.on_error({}));
        const auto last = told;
        socket.send(word, nobody.name);
        on.settle();
        CHECK(told == last);
    });
}

TEST_CASE("[176] datagrams: a connected one hears of a peer that is gone, and of its return") {
    support::on_every_network({176}, {"udp://127.0.0.1:0"}, [](network& on) {
        std::optional<refusing_port> gone(on);
        const auto where = gone->name;
        std::vector<datagram_error> told;
        int heard = 0;
        auto client = datagram_socket::connect(on.loop(), where, {}, [&](auto&, batch in) {
                          heard += static_cast<int>(in.size());
                      }).value();
        CHECK_FALSE(
            client.on_error([&](auto&, const datagram_error& one) { told.push_back(one); }));
        CHECK(client.send(word));
        CHECK(on.until([&] { return told.size() == 1; }));
        CHECK(told.front().error == std::errc::connection_refused);
        CHECK(told.front().peer == where);
        gone.reset();
        auto server = sockeye::serve(on.loop(), where, echo_datagrams).value();
        CHECK(client.send(word));
        CHECK(on.until([&] { return heard == 1; }));
        CHECK(told.size() == 1);
    });
}

TEST_CASE("[159] datagrams: closed, replaced or thrown out of inside the handler of errors") {
    support::on_every_network({159}, {"udp://127.0.0.1:0"}, [](network& on) {
        const refusing_port nobody(on);
        int told = 0;
        int thrown = 0;
        auto socket = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
        bool stays_open = false;
        SUBCASE("closed") {
            CHECK_FALSE(socket.on_error([&](datagram_socket& s, const datagram_error&) {
                ++told;
                s.close();
            }));
        }
        SUBCASE("replaced") {
            stays_open = true;
            CHECK_FALSE(socket.on_error(
                [&, kept = std::string(100, 'k')](datagram_socket& s, const datagram_error&) {
                    CHECK_FALSE(s.on_error([&](auto&, const datagram_error&) { ++told; }));
                    CHECK(kept == std::string(100, 'k'));
                }));
        }
        SUBCASE("thrown out of") {
            CHECK_FALSE(socket.on_error([&](auto&, const datagram_error&) {
                ++told;
                throw std::runtime_error("on purpose");
            }));
        }
        CHECK(socket.send(word, nobody.name));
        CHECK(socket.send(word, nobody.name));
        CHECK(on.until([&] {
            try {
                on.turn();
            } catch (const std::runtime_error&) {
                ++thrown;
            }
            return told > 0;
        }));
        CHECK(socket.is_open() == stays_open);
        CHECK(thrown <= 1);
    });
}

TEST_CASE("[159] datagrams: Unix sockets have no such errors, and closed ones have nothing") {
    support::on_every_network({159}, {"unix-dgram:"}, [](network& on) {
        auto socket = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
        CHECK(socket.on_error([](auto&, const datagram_error&) {}) == std::errc::not_supported);
        socket.close();
        CHECK(socket.on_error([](auto&, const datagram_error&) {}) ==
              std::errc::bad_file_descriptor);
    });
}

TEST_CASE("datagrams: too long for the path is told with the length that passes") {
    support::on_every_network(
        {154}, {"udp://127.0.0.1:0"},
        [](network& on) {
            std::vector<datagram_error> told;
            auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
            auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(),
                                                   {.discovery = sockeye::path_mtu_discovery::on},
                                                   echo_datagrams)
                              .value();
            CHECK(client.path_mtu().value() >= 1280);
            CHECK_FALSE(
                client.on_error([&](auto&, const datagram_error& one) { told.push_back(one); }));
            const auto longest = std::string(65'507, 'x');
            // The loopback of this machine may well take the longest there is.
            const bool passes = client.path_mtu().value() >= 65'535;
            CHECK(client.send(sockeye::as_bytes(longest)) == passes);
            if (!passes) {
                CHECK(on.until([&] { return !told.empty(); }));
                CHECK(told.front().error == std::errc::message_size);
                CHECK(told.front().path_mtu ==
                      static_cast<std::uint32_t>(client.path_mtu().value()));
                CHECK(told.front().origin == datagram_error::source::local);
            }
            client.close();
            CHECK(client.path_mtu().error() == std::errc::bad_file_descriptor);
        },
        support::needs_real_system{"the simulation has no path MTU"});
}
