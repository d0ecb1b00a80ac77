#include "cli/client.hpp"
#include "cli/common.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using sockeye::ip_family;
using sockeye::transport;
using sockeye::cli::command_error;
using sockeye::cli::common_options;

namespace {

/// How `text` is understood with -4, -6 or neither; what is said where it is not.
std::string understood(const std::string& text, ip_family family = ip_family::any) {
    common_options common;
    common.family = family;
    try {
        return sockeye::cli::name_of(sockeye::cli::parse_address(text, common));
    } catch (const command_error& error) {
        CHECK(error.code() == sockeye::cli::exit_usage);
        return error.what();
    }
}

struct meaning {
    std::string text;
    std::string plain;
    std::string ip6; ///< with -6
};

bool is_prefix(const std::string& beginning, const std::string& text) {
    return text.starts_with(beginning);
}

} // namespace

TEST_CASE("address: -6 makes a missing host, * and localhost those of IPv6") {
    const std::vector<meaning> table = {
        {":7007", "tcp://127.0.0.1:7007", "tcp://[::1]:7007"},
        {"*:7007", "tcp://0.0.0.0:7007", "tcp://[::]:7007"},
        {"localhost:7007", "tcp://127.0.0.1:7007", "tcp://[::1]:7007"},
        {"tcp://:7007", "tcp://127.0.0.1:7007", "tcp://[::1]:7007"},
        {"udp://:7007", "udp://127.0.0.1:7007", "udp://[::1]:7007"},
        {"udp://localhost:7007", "udp://127.0.0.1:7007", "udp://[::1]:7007"},
        {"udp://*:7007", "udp://0.0.0.0:7007", "udp://[::]:7007"},
        {"[::1]:7", "tcp://[::1]:7", "tcp://[::1]:7"},
        {"udp://[::]:7", "udp://[::]:7", "udp://[::]:7"},
        {"unix:/tmp/a:b", "unix:/tmp/a:b", "unix:/tmp/a:b"},
        {"unix:localhost:7", "unix:localhost:7", "unix:localhost:7"},
        {"unix-dgram:*:7", "unix-dgram:*:7", "unix-dgram:*:7"},
        {"example.org:80", "tcp://example.org:80", "tcp://example.org:80"},
        {"udp://example.org:53", "udp://example.org:53", "udp://example.org:53"},
    };
    for (const auto& row : table) {
        CAPTURE(row.text);
        CHECK(understood(row.text) == row.plain);
        CHECK(understood(row.text, ip_family::ipv6) == row.ip6);
    }
}

TEST_CASE("address: -4 and -6 refuse addresses of the other family") {
    CHECK(understood("127.0.0.1:7", ip_family::ipv6) ==
          "endpoint '127.0.0.1:7': is an IPv4 address, and -6 asks for IPv6");
    CHECK(understood("udp://127.0.0.1:7", ip_family::ipv6) ==
          "endpoint 'udp://127.0.0.1:7': is an IPv4 address, and -6 asks for IPv6");
    CHECK(understood("[::1]:7", ip_family::ipv4) ==
          "endpoint '[::1]:7': is an IPv6 address, and -4 asks for IPv4");
    CHECK(understood("127.0.0.1:7", ip_family::ipv4) == "tcp://127.0.0.1:7");
    CHECK(understood(":7", ip_family::ipv4) == "tcp://127.0.0.1:7");
    CHECK(understood("unix:/tmp/a", ip_family::ipv4) == "unix:/tmp/a");
}

TEST_CASE("address: what is none is refused with the text and a way out") {
    for (const std::string text : {"", ":", ":x", "tcp://", "::1:80", "[::1", "unix:", "xyz://a:1",
                                   "a..b:1", "256.0.0.1:80", "tcp://127.0.0.1", "*", "localhost"}) {
        for (const auto family : {ip_family::any, ip_family::ipv4, ip_family::ipv6}) {
            CAPTURE(text);
            CHECK(is_prefix("endpoint '" + text + "': ", understood(text, family)));
        }
    }
    CHECK(is_prefix("endpoint 'a\\x0ab:1': ", understood("a\nb:1")));
}

TEST_CASE("address: its carrier is known before it is looked up") {
    const common_options plain;
    const auto carrier = [&](const std::string& text) {
        return sockeye::cli::carrier_of(sockeye::cli::parse_address(text, plain));
    };
    CHECK(carrier("example.org:80") == transport::tcp);
    CHECK(carrier("udp://example.org:80") == transport::udp);
    CHECK(carrier("unix:/tmp/a") == transport::unix_stream);
    CHECK(carrier("unix-dgram:/tmp/a") == transport::unix_datagram);
    CHECK(carrier("unix-seqpacket:/tmp/a") == transport::unix_seqpacket);
    CHECK(carrier("icmp://127.0.0.1") == transport::icmp);
}

TEST_CASE("address: a failure to connect is told in words, with a way out") {
    const auto told = [](const char* address, std::errc error) {
        return sockeye::cli::explain_failure(address, std::make_error_code(error));
    };
    CHECK(told("tcp://127.0.0.1:7070", std::errc::connection_refused) ==
          "tcp://127.0.0.1:7070: connection refused: nobody listens there");
    CHECK(told("unix:/tmp/a", std::errc::connection_refused) ==
          "unix:/tmp/a: connection refused: no server has this socket open");
    CHECK(told("unix:/tmp/a", std::errc::no_such_file_or_directory) ==
          "unix:/tmp/a: there is no such socket; is its server running?");
    CHECK(told("example.org:80", std::errc::connection_reset) ==
          "tcp://example.org:80: connection reset: the answer may be cut");
    CHECK(told("icmp://127.0.0.1", std::errc::permission_denied)
              .starts_with("icmp://127.0.0.1: ICMP echo sockets are not permitted here; "));
    CHECK(told("tcp://127.0.0.1:1", std::errc::network_unreachable) ==
          "tcp://127.0.0.1:1: " + std::make_error_code(std::errc::network_unreachable).message());
}
