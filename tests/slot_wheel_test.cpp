#include "reactor/slot_wheel.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <random>
#include <vector>

// The wheel against a plain map: who is looked at, when, and when the next look is due.

namespace {

using sockeye::slot;
using sockeye::slot_table;
using sockeye::slot_wheel;
using sockeye::tick;

std::vector<slot*> looked_at;

constexpr sockeye::slot_operations operations = {
    .ready = {}, .resume = {}, .flush = {}, .finish = {}, .destroy = {}, .look = [](slot& place) {
        looked_at.push_back(&place);
    }};

/// The wheel, and what it has to do: each slot with the tick that it is wanted for.
struct model {
    explicit model(tick begin) : now(begin), wheel(slots, begin) {
        for (int i = 0; i < 40; ++i) {
            places.push_back(&slots.allocate(operations));
        }
    }

    void join(slot& place, tick when) {
        wheel.join(place, when);
        wanted[&place] = when;
    }
    void leave(slot& place) {
        wheel.leave(place);
        wanted.erase(&place);
    }
    /// Moves the time on; whoever is looked at too early joins again.
    void advance(tick to) {
        now = std::max(now, to);
        for (int passes = 0; passes < 1000; ++passes) {
            looked_at.clear();
            wheel.advance(now, 7);
            for (auto* const place : looked_at) {
                ++looks;
                REQUIRE(wanted.contains(place));
                if (wanted.at(place) <= now) {
                    wanted.erase(place);
                } else {
                    wheel.join(*place, wanted.at(place));
                }
            }
            if (looked_at.empty()) {
                return;
            }
        }
        FAIL("it never ends");
    }
    void check() const {
        const auto next = wheel.next();
        CHECK(next.has_value() == !wanted.empty());
        for (const auto& [place, when] : wanted) {
            CHECK(when > now); // else it would have been looked at
            CHECK(*next <= when);
            CHECK(*next > now);
        }
    }

    tick now;
    slot_table slots;
    slot_wheel wheel;
    std::vector<slot*> places;
    std::map<slot*, tick> wanted;
    std::size_t looks = 0;
};

} // namespace

TEST_CASE("slot wheel: whoever joins is looked at in time, whatever else happens") {
    for (std::uint64_t seed = 1; seed <= 60; ++seed) {
        CAPTURE(seed);
        std::mt19937_64 random(seed);
        const auto far = [&] { return random() >> (random() % 60 + 4); };
        model at(seed % 3 == 0 ? 0 : far());
        for (int step = 0; step < 1500; ++step) {
            auto& place = *at.places[random() % at.places.size()];
            switch (random() % 4) {
            case 0:
                at.leave(place);
                break;
            case 1:
                at.advance(at.now + far() % 100'000);
                break;
            case 2:
                if (const auto next = at.wheel.next()) {
                    at.advance(*next);
                }
                break;
            default:
                at.join(place, at.now + 1 + far());
            }
            at.advance(at.now);
            at.check();
        }
    }
}

TEST_CASE("slot wheel: a far tick costs a look for each level, and no wake-up between") {
    model at(12'345);
    at.join(*at.places[0], at.now + 1'000'000);
    int wake_ups = 0;
    while (const auto next = at.wheel.next()) {
        ++wake_ups;
        at.advance(*next);
    }
    CHECK(at.now == 12'345 + 1'000'000);
    CHECK(wake_ups <= 5);
    CHECK(at.looks <= 5);
}

TEST_CASE("slot wheel: the past is due at once, and a budget leaves the rest due") {
    model at(1000);
    for (auto* const place : at.places) {
        at.wheel.join(*place, 5);
    }
    CHECK(at.wheel.next() == 1000);
    looked_at.clear();
    at.wheel.advance(1000, 10);
    CHECK(looked_at.size() == 10);
    CHECK(at.wheel.next() == 1000);
    at.wheel.advance(1000, 100);
    CHECK(looked_at.size() == at.places.size());
    CHECK_FALSE(at.wheel.next());
    looked_at.clear();
}
