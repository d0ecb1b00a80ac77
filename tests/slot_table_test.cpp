#include "reactor/slot_table.hpp"

#include <cstdint>
#include <limits>
#include <map>
#include <random>
#include <set>
#include <vector>

#include <doctest/doctest.h>

using sockeye::key_of;
using sockeye::slot;
using sockeye::slot_key;
using sockeye::slot_table;

namespace {

constexpr sockeye::slot_operations nothing = {
    .ready = {}, .resume = {}, .flush = {}, .finish = {}, .destroy = {}};

} // namespace

TEST_CASE("slot_table: [G6] a key leads to its slot until that is released, and never again") {
    slot_table table;
    auto& place = table.allocate(nothing);
    const auto key = key_of(place);
    CHECK(key != 0);
    CHECK(table.find(key) == &place);
    table.release(place);
    CHECK(table.find(key) == nullptr);

    auto& again = table.allocate(nothing);
    CHECK(&again == &place);
    CHECK(key_of(again) != key);
    CHECK(table.find(key) == nullptr);
    CHECK(table.find(key_of(again)) == &again);
}

TEST_CASE("slot_table: keys that were never given out lead nowhere") {
    slot_table table;
    CHECK(table.find(0) == nullptr);
    auto& place = table.allocate(nothing);
    CHECK(table.find(0) == nullptr);
    CHECK(table.find(sockeye::make_slot_key(place.index + 1, 1)) == nullptr);
    CHECK(table.find(sockeye::make_slot_key(place.index, place.generation + 1)) == nullptr);
    CHECK(table.find(std::numeric_limits<slot_key>::max()) == nullptr);
    // The next generation of a free slot is not alive yet.
    table.release(place);
    CHECK(table.find(key_of(place)) == nullptr);
}

TEST_CASE("slot_table: a released slot comes back as if it were new") {
    slot_table table;
    auto& place = table.allocate(nothing);
    place.fd = 7;
    place.wanted = sockeye::interest::readable;
    place.flags = 0xffff;
    place.set(sockeye::slot_mark::watched);
    table.release(place);
    auto& again = table.allocate(nothing);
    REQUIRE(&again == &place);
    CHECK(again.fd == -1);
    CHECK(again.wanted == sockeye::interest::none);
    CHECK(again.flags == 0);
    CHECK(again.marks == 0);
    CHECK(again.operations == &nothing);
}

TEST_CASE("slot_table: a slot that is released in a line comes back after its turn there") {
    slot_table table;
    sockeye::slot_line line(table, sockeye::slot_mark::in_ring);
    sockeye::slot_line other(table, sockeye::slot_mark::in_finish);
    auto& first = table.allocate(nothing);
    auto& second = table.allocate(nothing);
    line.push(first);
    line.push(second);
    line.push(first);
    other.push(first);
    CHECK(line.size() == 2);
    table.release(first);
    CHECK(table.used() == 1);
    auto& third = table.allocate(nothing);
    CHECK(&third != &first);
    line.push(third);
    CHECK(line.pop() == nullptr);
    auto& fourth = table.allocate(nothing);
    CHECK(&fourth != &first);
    CHECK(line.pop() == &second);
    CHECK(line.pop() == &third);
    CHECK(line.empty());
    CHECK(other.pop() == nullptr);
    CHECK(&table.allocate(nothing) == &first);
    CHECK(first.marks == 0);
}

TEST_CASE("slot_table: a slot whose generations are used up is retired") {
    slot_table table;
    auto& place = table.allocate(nothing);
    const auto index = place.index;
    place.generation = std::numeric_limits<std::uint32_t>::max();
    const auto last = key_of(place);
    CHECK(table.find(last) == &place);
    CHECK(table.used() == 1);
    table.release(place);
    CHECK(table.used() == 0);
    CHECK(table.find(last) == nullptr);
    for (int i = 0; i < 1000; ++i) {
        auto& fresh = table.allocate(nothing);
        CHECK(fresh.index != index);
        CHECK(key_of(fresh) != 0);
    }
    CHECK(table.used() == 1000);
    CHECK(table.size() == 1001);
}

TEST_CASE("slot_table: slots stay where they are while the table grows") {
    slot_table table;
    std::vector<slot*> places;
    std::set<slot_key> keys;
    for (int i = 0; i < 10'000; ++i) {
        auto& place = table.allocate(nothing);
        CHECK(reinterpret_cast<std::uintptr_t>(&place) % 64 == 0);
        places.push_back(&place);
        keys.insert(key_of(place));
    }
    CHECK(keys.size() == places.size());
    for (auto* place : places) {
        CHECK(table.find(key_of(*place)) == place);
        CHECK(&table.at(place->index) == place);
    }
}

TEST_CASE("slot_table: random use agrees with a model") {
    for (const std::uint64_t seed : {1U, 2U, 3U}) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        slot_table table;
        std::map<slot_key, slot*> alive;
        std::vector<slot_key> dead;
        for (int step = 0; step < 100'000; ++step) {
            if (alive.empty() || random() % 100 < 51) {
                auto& place = table.allocate(nothing);
                // Few generations are left to some, so that they run out on the way.
                if (random() % 64 == 0) {
                    place.generation = std::numeric_limits<std::uint32_t>::max() - 1;
                }
                const bool is_new = alive.emplace(key_of(place), &place).second;
                REQUIRE(is_new);
            } else {
                auto chosen = alive.lower_bound(random());
                chosen = chosen == alive.end() ? alive.begin() : chosen;
                dead.push_back(chosen->first);
                table.release(*chosen->second);
                alive.erase(chosen);
            }
            REQUIRE(table.used() == alive.size());
            const auto one = alive.lower_bound(random());
            if (one != alive.end()) {
                REQUIRE(table.find(one->first) == one->second);
            }
            if (!dead.empty()) {
                const auto key = dead[random() % dead.size()];
                REQUIRE((table.find(key) == nullptr) == !alive.contains(key));
            }
        }
    }
}
