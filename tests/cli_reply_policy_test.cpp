#include "cli/reply_policy.hpp"

#include <doctest/doctest.h>

#include <string>

#include <netinet/in.h>
#include <sys/un.h>

using sockeye::endpoint;
using sockeye::transport;
using sockeye::cli::reply_policy;

namespace {

endpoint parse(const std::string& text) {
    return endpoint::parse(text).value();
}

const endpoint here = parse("udp://127.0.0.1:7007");
const endpoint anywhere = parse("udp://*:7007");
const endpoint one_address = parse("udp://192.0.2.7:7007");
const endpoint here6 = parse("udp://[::1]:7007");
const endpoint anywhere6 = parse("udp://[::]:7007");

/// A sender as the kernel would report it, whatever parse() says of its scope.
endpoint link_local(std::uint32_t scope) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(40000);
    address.sin6_addr.s6_addr[0] = 0xfe;
    address.sin6_addr.s6_addr[1] = 0x80;
    address.sin6_addr.s6_addr[15] = 1;
    address.sin6_scope_id = scope;
    return endpoint::from_system(transport::udp, reinterpret_cast<const sockaddr*>(&address),
                                 sizeof address);
}

} // namespace

TEST_CASE("reply policy: ordinary senders are answered") {
    const reply_policy policy;
    CHECK(policy.allows(parse("udp://127.0.0.1:40000"), here));
    CHECK(policy.allows(parse("udp://127.0.0.1:1024"), here));
    CHECK(policy.allows(parse("udp://127.0.0.1:65535"), here));
    CHECK(policy.allows(parse("udp://127.0.0.1:40000"), anywhere));
    CHECK(policy.allows(parse("udp://198.51.100.9:40000"), anywhere));
    CHECK(policy.allows(parse("udp://198.51.100.9:40000"), one_address));
    CHECK(policy.allows(parse("udp://[::1]:40000"), here6));
    CHECK(policy.allows(parse("udp://[2001:db8::9]:40000"), anywhere6));
}

TEST_CASE("reply policy: ports of other services and of ours are refused") {
    reply_policy policy;
    policy.add_own_port(7007);
    policy.add_own_port(40001);
    for (const int port : {0,   1,   7,   9,    13,   17,   19,   37,   53,    69,   123,
                           137, 161, 389, 1023, 2049, 1900, 3702, 5353, 11211, 7007, 40001}) {
        CAPTURE(port);
        for (const auto* host : {"udp://127.0.0.1:", "udp://198.51.100.9:", "udp://[::1]:"}) {
            const auto sender = parse(host + std::to_string(port));
            CHECK_FALSE(policy.allows(sender, sender.family() == AF_INET ? here : here6));
        }
    }
    CHECK(policy.allows(parse("udp://127.0.0.1:7008"), here));
}

TEST_CASE("reply policy: addresses of nobody and of everybody are refused") {
    reply_policy policy;
    policy.add_broadcast(parse("udp://198.51.100.255:0"));
    for (const auto* sender :
         {"udp://0.0.0.0:40000", "udp://0.1.2.3:40000", "udp://255.255.255.255:40000",
          "udp://224.0.0.1:40000", "udp://239.255.255.255:40000", "udp://198.51.100.255:40000"}) {
        CAPTURE(sender);
        CHECK_FALSE(policy.allows(parse(sender), anywhere));
    }
    for (const auto* sender :
         {"udp://[::]:40000", "udp://[ff02::1]:40000", "udp://[::ffff:198.51.100.9]:40000"}) {
        CAPTURE(sender);
        CHECK_FALSE(policy.allows(parse(sender), anywhere6));
    }
    CHECK(policy.allows(parse("udp://198.51.100.254:40000"), anywhere));
    CHECK(policy.allows(parse("udp://223.255.255.255:40000"), anywhere));
}

TEST_CASE("reply policy: link-local senders need their scope") {
    const reply_policy policy;
    CHECK_FALSE(policy.allows(link_local(0), anywhere6));
    CHECK(policy.allows(link_local(1), anywhere6));
}

TEST_CASE("reply policy: a loopback sender reaches no other address of the machine") {
    const reply_policy policy;
    CHECK_FALSE(policy.allows(parse("udp://127.0.0.1:40000"), one_address));
    CHECK_FALSE(policy.allows(parse("udp://[::1]:40000"), parse("udp://[2001:db8::7]:7007")));
}

TEST_CASE("reply policy: Unix senders are answered if they have a name") {
    const reply_policy policy;
    const auto local = parse("unix-dgram:/tmp/server");
    CHECK(policy.allows(parse("unix-dgram:/tmp/client"), local));
    sockaddr_un unnamed = {};
    unnamed.sun_family = AF_UNIX;
    const auto* address = reinterpret_cast<const sockaddr*>(&unnamed);
    CHECK_FALSE(policy.allows(
        endpoint::from_system(transport::unix_datagram, address, offsetof(sockaddr_un, sun_path)),
        local));
    CHECK_FALSE(policy.allows(endpoint(), local));
}
