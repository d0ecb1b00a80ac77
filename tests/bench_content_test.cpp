#include "bench/account.hpp"
#include "bench/client/ring.hpp"
#include "bench/client/tally.hpp"
#include "bench/load.hpp"
#include "bench/machine/hardware.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstddef>
#include <set>
#include <vector>

namespace bench = sockeye::bench;
using bench::ring;

namespace {

std::vector<std::byte> copy_of(sockeye::bytes data) {
    return {data.begin(), data.end()};
}

} // namespace

TEST_CASE("ring: what was sent is found right, at every length and across the end") {
    const ring content(1);
    for (const std::size_t size : {1u, 63u, 64u, 4096u, 65536u}) {
        for (const std::uint64_t position : {0u, 1u, 16384u, 16385u, 1'000'000'007u}) {
            CAPTURE(size);
            CAPTURE(position);
            const auto sent = copy_of(content.view(position, size));
            CHECK_FALSE(content.first_difference(position, sent).has_value());
        }
    }
}

TEST_CASE("ring: a flipped bit is found, wherever it is") {
    const ring content(2);
    auto got = copy_of(content.view(5, 300));
    for (std::size_t i = 0; i < got.size(); ++i) {
        const auto bit = std::byte{1} << (i % 8);
        got[i] ^= bit;
        CHECK(content.first_difference(5, got) == i);
        got[i] ^= bit;
    }
    CHECK_FALSE(content.first_difference(5, got).has_value());
}

TEST_CASE("ring: shifted, doubled, zeroed and swapped bytes are found") {
    const ring content(3);
    const auto right = copy_of(content.view(100, 256));
    SUBCASE("shifted by one") {
        CHECK(content.first_difference(101, right).has_value());
    }
    SUBCASE("shifted by a message") {
        CHECK(content.first_difference(100 + 64, right).has_value());
    }
    SUBCASE("one byte twice") {
        auto got = right;
        got.insert(got.begin() + 10, got[10]);
        got.pop_back();
        CHECK(content.first_difference(100, got).value_or(0) >= 11);
    }
    SUBCASE("a message twice") {
        auto got = right;
        std::copy(got.begin(), got.begin() + 64, got.begin() + 64);
        CHECK(content.first_difference(100, got).value_or(0) >= 64);
    }
    SUBCASE("zeroed") {
        const std::vector<std::byte> zeroes(64);
        CHECK(content.first_difference(100, zeroes).has_value());
    }
    SUBCASE("swapped") {
        auto got = right;
        std::size_t at = 20;
        while (got[at] == got[at + 1]) {
            ++at;
        }
        std::swap(got[at], got[at + 1]);
        CHECK(content.first_difference(100, got) == at);
    }
}

TEST_CASE("ring: usual message sizes never come round to the same bytes soon") {
    for (const std::size_t size : {1u, 2u, 64u, 100u, 512u, 1000u, 1024u, 4096u, 65536u}) {
        CAPTURE(size);
        CHECK(size % ring::length != 0);
        CHECK((2 * size) % ring::length != 0);
    }
}

TEST_CASE("ring: connections begin at different places, and seeds differ") {
    std::set<std::size_t> starts;
    for (std::uint64_t connection = 0; connection < ring::length; ++connection) {
        starts.insert(ring::start_of(connection));
    }
    CHECK(starts.size() == ring::length);
    const ring one(1);
    const ring two(2);
    CHECK(two.first_difference(0, one.view(0, 64)).has_value());
}

TEST_CASE("tally: an excerpt shows eight bytes at most, and nothing beyond the end") {
    const std::vector<std::byte> data = {std::byte{0x00}, std::byte{0xff}, std::byte{0x0a}};
    CHECK(bench::hex_excerpt(data, 0) == "00 ff 0a");
    CHECK(bench::hex_excerpt(data, 2) == "0a");
    CHECK(bench::hex_excerpt(data, 3).empty());
    CHECK(bench::hex_excerpt(std::vector<std::byte>(20), 0) == "00 00 00 00 00 00 00 00");
}

TEST_CASE("account: what a server says is read back the same") {
    bench::account said;
    said.cpu_ns = 18'446'744'073'709'551'615u;
    said.waits = 3;
    said.reads = 1000;
    said.writes = 1001;
    said.registrations = 7;
    said.accepts = 2;
    said.events = 999;
    const auto line = bench::format_account(said);
    const auto read = bench::parse_account(line);
    REQUIRE(read.has_value());
    CHECK(bench::format_account(*read) == line);
    CHECK(read->cpu_ns == said.cpu_ns);
    CHECK(read->system_calls() == 3 + 1000 + 1001 + 7 + 2);
    CHECK(bench::difference(*read, *read).system_calls() == 0);
    CHECK_FALSE(read->counts.voluntary_switches.has_value());
}

TEST_CASE("account: what the system does not count, or one side does not tell, stays absent") {
    bench::account said;
    said.counts.voluntary_switches = 40;
    said.counts.involuntary_switches = 0;
    said.counts.minor_faults = 7;
    said.counts.instructions = 5'000'000'000;
    const auto later = bench::parse_account(bench::format_account(said));
    REQUIRE(later.has_value());
    CHECK(later->counts.voluntary_switches == 40u);
    CHECK(later->counts.involuntary_switches == 0u);
    CHECK(later->counts.instructions == 5'000'000'000u);
    CHECK_FALSE(later->counts.major_faults.has_value());
    CHECK_FALSE(later->counts.cycles.has_value());
    bench::account before;
    before.counts.voluntary_switches = 30;
    before.counts.minor_faults = 8; // as of another process: no count of the time between
    before.counts.cycles = 1;
    const auto did = bench::difference(*later, before).counts;
    CHECK(did.voluntary_switches == 10u);
    CHECK_FALSE(did.minor_faults.has_value());
    CHECK_FALSE(did.instructions.has_value());
    CHECK_FALSE(did.cycles.has_value());
    const auto both = bench::sum(later->counts, before.counts);
    CHECK(both.voluntary_switches == 70u);
    CHECK_FALSE(both.instructions.has_value());
}

TEST_CASE("hardware: a count that was not taken all the time is none") {
    using reading = bench::host::counter_reading;
    CHECK(bench::whole_count(reading{12, 500, 500}) == 12u);
    CHECK(bench::whole_count(reading{0, 0, 0}) == 0u);
    CHECK_FALSE(bench::whole_count(reading{12, 500, 499}).has_value());
    CHECK_FALSE(bench::whole_count(std::nullopt).has_value());
    CHECK_FALSE(bench::host::read_counter(-1).has_value());
}

TEST_CASE("hardware: counters count this thread, where the system has them") {
    using bench::host::counted_event;
    const auto counter = bench::host::open_counter(counted_event::task_clock, 0,
                                                   bench::host::counter_scope::one_thread);
    if (counter) { // the kernel's own; containers may forbid it
        const auto before = bench::whole_count(bench::host::read_counter(counter.get()));
        bench::burn_cpu(std::chrono::milliseconds(5));
        const auto after = bench::whole_count(bench::host::read_counter(counter.get()));
        REQUIRE(before.has_value());
        REQUIRE(after.has_value());
        CHECK(*after > *before);
    }
    const auto own = bench::hardware_counters::of_this_thread();
    const auto first = own.read();
    bench::burn_cpu(std::chrono::milliseconds(5));
    const auto did = bench::difference(own.read(), first);
    // Most virtual machines have none: then both are absent.
    CHECK((!did.instructions || *did.instructions > 1000));
    CHECK((!did.cycles || *did.cycles > 1000));
    CHECK_FALSE(did.voluntary_switches.has_value());
}

TEST_CASE("account: unknown names are passed over, malformed lines are refused") {
    const auto read = bench::parse_account("stats later_idea=5 waits=2");
    REQUIRE(read.has_value());
    CHECK(read->waits == 2);
    CHECK(bench::parse_account("stats").has_value());
    for (const char* line :
         {"", "stat waits=1", "statswaits=1", "stats waits", "stats waits=", "stats waits=x",
          "stats waits=-1", "stats waits=1 ", "stats waits=99999999999999999999"}) {
        CAPTURE(line);
        CHECK_FALSE(bench::parse_account(line).has_value());
    }
}
