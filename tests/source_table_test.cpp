#include "net/source_table.hpp"
#include "support/conformance.hpp"

#include <doctest/doctest.h>

#include <cstdint>
#include <set>
#include <span>
#include <string>

namespace {

sockeye::source_id source(const std::string& text) {
    return sockeye::source_of(sockeye::endpoint::parse(text).value());
}

} // namespace

TEST_CASE("keyed_hash: it is SipHash-1-3") {
    // SipHash-1-3 of the bytes 0 to 7 under the key of the bytes 0 to 15.
    const sockeye::keyed_hash hash(0x0706'0504'0302'0100, 0x0f0e'0d0c'0b0a'0908);
    const std::uint64_t value = 0x0706'0504'0302'0100;
    const auto bytes = std::as_bytes(std::span(&value, 1));
    CHECK(hash(bytes) == 0x3690'9511'8d29'9a8e);
    CHECK(hash(bytes) != sockeye::keyed_hash(1, 2)(bytes));
}

TEST_CASE("source_table: a source is an IPv4 address, or the /64 of an IPv6 one") {
    CHECK(source("tcp://10.1.2.3:7") == source("tcp://10.1.2.3:8"));
    CHECK(source("tcp://10.1.2.3:7") != source("tcp://10.1.2.4:7"));
    CHECK(source("tcp://[2001:db8:1:2::1]:7") == source("tcp://[2001:db8:1:2:ffff::9]:8"));
    CHECK(source("tcp://[2001:db8:1:2::1]:7") != source("tcp://[2001:db8:1:3::1]:7"));
    // One that reaches us through a socket for both families is the same.
    CHECK(source("tcp://[::ffff:10.1.2.3]:7") == source("tcp://10.1.2.3:7"));
    CHECK(source("tcp://[::ffff:10.1.2.3]:7") != source("tcp://[::ffff:10.1.2.4]:7"));
    CHECK(source("tcp://[::1]:7") != source("tcp://127.0.0.1:7"));
    CHECK(source("unix:/path") == sockeye::no_source);
    CHECK(sockeye::source_of({}) == sockeye::no_source);
}

TEST_CASE("source_table: it holds those sources only that have something open") {
    sockeye::source_table table(2, sockeye::keyed_hash(1, 2));
    CHECK(table.enter(7));
    CHECK(table.enter(7));
    CHECK_FALSE(table.enter(7));
    CHECK(table.enter(8));
    CHECK(table.sources() == 2);
    table.leave(7);
    CHECK(table.enter(7));
    table.leave(7);
    table.leave(7);
    CHECK(table.sources() == 1);
    table.leave(8);
    CHECK(table.sources() == 0);
    // Bounded by what is open, however many came and went.
    for (sockeye::source_id id = 0; id < 10'000; ++id) {
        REQUIRE(table.enter(id));
        table.leave(id);
    }
    CHECK(table.sources() == 0);
}
