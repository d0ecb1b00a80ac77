#include "support/raw_datagrams.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

using sockeye::datagram;
using sockeye::datagram_socket;
using sockeye::endpoint;
using support::network;

namespace {

using batch = std::span<const datagram>;

/// An ICMP echo request: type, code, checksum, identifier, number, and what is to come back.
std::string echo_request(bool is_ip4, std::uint16_t identifier, std::string_view text) {
    std::string made(8, '\0');
    made[0] = is_ip4 ? '\x08' : '\x80';
    made[4] = static_cast<char>(identifier >> 8);
    made[5] = static_cast<char>(identifier & 0xff);
    made[7] = 1;
    made += text;
    return made;
}

/// The sum that IPv4 wants of it. See: RFC 1071.
void add_checksum(std::string& message) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < message.size(); ++at) {
        const auto byte = static_cast<std::uint8_t>(message[at]);
        sum += at % 2 == 0 ? std::uint32_t{byte} << 8 : byte;
    }
    sum = (sum >> 16) + (sum & 0xffff);
    sum = ~((sum >> 16) + sum) & 0xffff;
    message[2] = static_cast<char>(sum >> 8);
    message[3] = static_cast<char>(sum & 0xff);
}

struct heard_message {
    std::string text;
    endpoint peer;
};

auto keep(std::vector<heard_message>& heard) {
    return [&heard](datagram_socket&, batch in) {
        for (const auto& one : in) {
            heard.push_back({std::string(sockeye::as_text(one.data)), *one.peer});
        }
    };
}

/// Nothing where this process may not have such a socket, which the test then says.
std::optional<datagram_socket> permitted(network& on, sockeye::result<datagram_socket> made) {
    if (!made && (made.error() == std::errc::permission_denied ||
                  made.error() == std::errc::operation_not_permitted)) {
        on.does_not_apply("this process may not have such sockets: " + made.error().message());
        return std::nullopt;
    }
    return std::move(made).value();
}

const support::needs_real_system no_packets = {"the simulation carries no packets of its own"};

} // namespace

TEST_CASE("endpoint: echo and raw sockets have forms that read back") {
    for (const auto* text : {"icmp://127.0.0.1", "icmp://[::1]", "icmp://0.0.0.0:77",
                             "icmp://[::1]:77", "raw://127.0.0.1/1", "raw://[::1]/255"}) {
        CAPTURE(text);
        const auto made = endpoint::parse(text).value();
        CHECK(made.to_string() == text);
        CHECK_FALSE(made.is_stream());
        CHECK_FALSE(made.is_local());
    }
    CHECK(endpoint::parse("icmp://localhost").value().to_string() == "icmp://127.0.0.1");
    CHECK(endpoint::parse("raw://*/17").value().port() == 17);
    const auto refusal = [](std::string_view text) { return endpoint::parse(text).error(); };
    for (const auto* text : {"raw://127.0.0.1", "raw://127.0.0.1/", "raw://127.0.0.1/0",
                             "raw://127.0.0.1/256", "raw://127.0.0.1/x", "raw://"}) {
        CAPTURE(text);
        CHECK(refusal(text) == sockeye::errc::endpoint_protocol_invalid);
    }
    CHECK(refusal("icmp://") == sockeye::errc::endpoint_host_missing);
    CHECK(refusal("raw:///1") == sockeye::errc::endpoint_host_missing);
    CHECK(refusal("icmp://::1") == sockeye::errc::endpoint_bracket_missing);
    CHECK(refusal("raw://::1/1") == sockeye::errc::endpoint_bracket_missing);
    CHECK(refusal("icmp://[::1") == sockeye::errc::endpoint_bracket_missing);
    CHECK(refusal("icmp://127.0.0.1:x") == sockeye::errc::endpoint_port_invalid);
    CHECK(refusal("raw://127.0.0.1:9/1") == sockeye::errc::endpoint_host_invalid);
}

TEST_CASE("datagrams: an echo socket hears the answers to its own requests") {
    support::on_every_network(
        {}, {"icmp://127.0.0.1", "icmp://[::1]"},
        [](network& on) {
            const bool is_ip4 = on.local() == "icmp://127.0.0.1";
            std::vector<heard_message> heard;
            const auto target = endpoint::parse(on.local()).value();
            SUBCASE("to whom it names") {
                auto socket =
                    permitted(on, datagram_socket::open(on.loop(), on.local(), {}, keep(heard)));
                if (!socket) {
                    return;
                }
                const auto request = echo_request(is_ip4, 0, "are you there?");
                CHECK(socket->send(sockeye::as_bytes(request), target));
                CHECK(on.until([&] { return !heard.empty(); }));
                CHECK(socket->local_endpoint().value().port() != 0);
            }
            SUBCASE("to its peer") {
                auto socket =
                    permitted(on, datagram_socket::connect(on.loop(), on.local(), {}, keep(heard)));
                if (!socket) {
                    return;
                }
                const auto request = echo_request(is_ip4, 0, "are you there?");
                CHECK(socket->send(sockeye::as_bytes(request)));
                CHECK(on.until([&] { return !heard.empty(); }));
                const datagram cut = {.data = sockeye::as_bytes(request), .segment_size = 9};
                CHECK(socket->send({&cut, 1}) == 0); // there is no such thing
            }
            CHECK(heard.size() == 1);
            CHECK(heard.front().text[0] == (is_ip4 ? '\0' : '\x81'));
            CHECK(heard.front().text.substr(8) == "are you there?");
            CHECK(heard.front().peer == target);
        },
        no_packets);
}

TEST_CASE("datagrams: a raw socket hears the packets of its protocol, on IPv4 with their header") {
    support::on_every_network(
        {}, {"raw://127.0.0.1/1", "raw://[::1]/58"},
        [](network& on) {
            const bool is_ip4 = on.local() == "raw://127.0.0.1/1";
            const auto target = endpoint::parse(on.local()).value();
            std::vector<heard_message> heard;
            auto socket =
                permitted(on, datagram_socket::open(on.loop(), on.local(),
                                                    {.receive_buffer = 1 << 20}, keep(heard)));
            if (!socket) {
                return;
            }
            CHECK(socket->local_endpoint().value() == target);
            // An identifier of our own: others of this machine are heard, too.
            const auto text = "raw " + std::to_string(on.now().time_since_epoch().count());
            auto request = echo_request(is_ip4, 4711, text);
            if (is_ip4) { // of ICMPv6 the system makes it
                add_checksum(request);
            }
            CHECK(socket->send(sockeye::as_bytes(request), target));
            const auto answer = [&]() -> const heard_message* {
                const std::size_t header = is_ip4 ? 20 : 0;
                for (const auto& one : heard) {
                    const bool is_ours =
                        one.text.size() == header + 8 + text.size() && one.text.ends_with(text);
                    if (is_ours && one.text[header] == (is_ip4 ? '\0' : '\x81')) {
                        return &one;
                    }
                }
                return nullptr;
            };
            CHECK(on.until([&] { return answer() != nullptr; }));
            CHECK(answer()->peer == target);
            if (is_ip4) {
                CHECK(answer()->text[0] == '\x45'); // version 4, five words
                CHECK(answer()->text[9] == '\x01'); // ICMP
            }
        },
        no_packets);
}

TEST_CASE("datagrams: echo and raw sockets are refused where the system has none") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        const auto ignore = [](datagram_socket&, batch) {};
        for (const auto* text : {"icmp://127.0.0.1", "raw://127.0.0.1/1"}) {
            const auto made = datagram_socket::open(on.loop(), text, {}, ignore);
            if (on.on().is_simulated()) {
                CHECK(made.error() == std::errc::not_supported);
            } else if (!made) {
                CHECK((made.error() == std::errc::permission_denied ||
                       made.error() == std::errc::operation_not_permitted));
            }
        }
        CHECK(sockeye::serve(on.loop(), "icmp://127.0.0.1", [](sockeye::stream&, sockeye::bytes) {
              }).error() == sockeye::errc::service_mismatch);
    });
}
