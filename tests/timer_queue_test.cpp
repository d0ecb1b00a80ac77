#include "loop/timer_queue.hpp"

#include "support/allocations.hpp"
#include "support/conformance.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <random>
#include <set>
#include <utility>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using sockeye::time_point;
using sockeye::timer_id;
using sockeye::timer_queue;

namespace {

/// Calls a function with the key of each timer that fires.
struct listener {
    std::function<void(std::uint64_t)> hear;

    [[nodiscard]] sockeye::timer_target target(std::uint64_t key) {
        return {[](void* owner, std::uint64_t told) { static_cast<listener*>(owner)->hear(told); },
                this, key};
    }
};

/// The same, and remembers them.
struct record_of_fires : listener {
    record_of_fires() {
        hear = [this](std::uint64_t key) { fired.push_back(key); };
    }
    std::vector<std::uint64_t> fired;
};

using key_list = std::vector<std::uint64_t>;

constexpr time_point at(std::int64_t nanoseconds) {
    return time_point(sockeye::duration(nanoseconds));
}

/// An explicit instantiation may name what is private: it opens the counter of starts, which
/// would take minutes to wrap round otherwise.
template <auto Member>
struct opened {
    friend std::uint32_t& order_of(timer_queue& queue) { return queue.*Member; }
};
std::uint32_t& order_of(timer_queue& queue);
template struct opened<&timer_queue::order_>;

constexpr std::size_t all = 1'000'000;

} // namespace

TEST_CASE("timer_queue: [200] fires what is due, in the order of deadlines") {
    timer_queue queue;
    record_of_fires heard;
    CHECK_FALSE(queue.next());
    queue.start(at(30), heard.target(3));
    queue.start(at(10), heard.target(1));
    queue.start(at(20), heard.target(2));
    CHECK(queue.next() == at(10));
    CHECK(queue.fire_due(at(9), all) == 0);
    CHECK(queue.fire_due(at(20), all) == 2);
    CHECK(heard.fired == key_list{1, 2});
    CHECK(queue.next() == at(30));
    CHECK(queue.fire_due(at(30), all) == 1);
    CHECK(queue.fire_due(at(1000), all) == 0);
    CHECK(heard.fired == key_list{1, 2, 3});
}

TEST_CASE("timer_queue: [200] equal deadlines fire in the order of their starts") {
    timer_queue queue;
    record_of_fires heard;
    SUBCASE("from the beginning") {}
    SUBCASE("while the counter of starts wraps round") {
        order_of(queue) = 0xffff'ff00;
    }
    key_list expected;
    for (std::uint64_t key = 0; key < 1000; ++key) {
        queue.start(at(5), heard.target(key));
        expected.push_back(key);
    }
    CHECK(queue.fire_due(at(5), all) == 1000);
    CHECK(heard.fired == expected);
}

TEST_CASE("timer_queue: cancel is told once, and stale names are harmless") {
    timer_queue queue;
    record_of_fires heard;
    const auto first = queue.start(at(1), heard.target(1));
    CHECK(first != 0);
    CHECK(queue.is_armed(first));
    CHECK(queue.cancel(first));
    CHECK_FALSE(queue.is_armed(first));
    CHECK_FALSE(queue.cancel(first));
    const auto second = queue.start(at(1), heard.target(2));
    CHECK(second != first);
    CHECK_FALSE(queue.cancel(first));
    CHECK(queue.is_armed(second));
    CHECK(queue.fire_due(at(1), all) == 1);
    CHECK_FALSE(queue.is_armed(second));
    CHECK_FALSE(queue.cancel(second));
    CHECK_FALSE(queue.cancel(0));
    CHECK_FALSE(queue.is_armed(0));
    CHECK_FALSE(queue.cancel(~timer_id{0}));
    CHECK(heard.fired == key_list{2});
}

TEST_CASE("timer_queue: [203] one cancelled by another of the same call does not fire") {
    timer_queue queue;
    record_of_fires heard;
    std::vector<timer_id> ids(4);
    listener canceller;
    canceller.hear = [&](std::uint64_t) {
        CHECK(queue.is_armed(ids[2]));
        CHECK(queue.cancel(ids[2]));
        CHECK_FALSE(queue.cancel(ids[2]));
        CHECK_FALSE(queue.is_armed(ids[2]));
    };
    ids[0] = queue.start(at(1), heard.target(0));
    ids[1] = queue.start(at(2), canceller.target(1));
    ids[2] = queue.start(at(3), heard.target(2));
    ids[3] = queue.start(at(4), heard.target(3));
    CHECK(queue.fire_due(at(9), all) == 3);
    CHECK(heard.fired == key_list{0, 3});
    CHECK(queue.size() == 0);
}

TEST_CASE("timer_queue: [204] one that fires is no longer armed, and may start itself again") {
    timer_queue queue;
    listener again;
    int fired = 0;
    timer_id id = 0;
    again.hear = [&](std::uint64_t) {
        ++fired;
        CHECK_FALSE(queue.is_armed(id));
        CHECK_FALSE(queue.cancel(id));
        id = queue.start(at(1), again.target(0));
    };
    id = queue.start(at(1), again.target(0));
    CHECK(queue.fire_due(at(5), all) == 1);
    CHECK(fired == 1);
    CHECK(queue.fire_due(at(5), all) == 1);
    CHECK(fired == 2);
}

TEST_CASE("timer_queue: [201] one started by a handler waits for the next call, due or not") {
    timer_queue queue;
    record_of_fires heard;
    listener starter;
    starter.hear = [&](std::uint64_t) {
        for (std::uint64_t key = 1; key < 100; ++key) {
            queue.start(at(0), heard.target(key));
        }
    };
    queue.start(at(1), starter.target(0));
    queue.start(at(2), heard.target(0));
    CHECK(queue.fire_due(at(9), all) == 2);
    CHECK(heard.fired == key_list{0});
    CHECK(queue.fire_due(at(9), all) == 99);
}

TEST_CASE("timer_queue: a call fires no more than its budget, and forgets nobody") {
    timer_queue queue;
    record_of_fires heard;
    key_list expected;
    for (std::uint64_t key = 0; key < 10; ++key) {
        queue.start(at(1), heard.target(key));
        expected.push_back(key);
    }
    CHECK(queue.fire_due(at(1), 4) == 4);
    CHECK(queue.next() == at(1));
    CHECK(queue.fire_due(at(1), 4) == 4);
    CHECK(queue.fire_due(at(1), 4) == 2);
    CHECK(queue.fire_due(at(1), 4) == 0);
    CHECK(heard.fired == expected);
}

TEST_CASE("timer_queue: [207] deadlines at both ends of time stay in order") {
    timer_queue queue;
    record_of_fires heard;
    queue.start(time_point::max(), heard.target(2));
    queue.start(at(0), heard.target(1));
    queue.start(time_point::min(), heard.target(0));
    CHECK(queue.next() == time_point::min());
    CHECK(queue.fire_due(at(0), all) == 2);
    CHECK(queue.fire_due(time_point::max() - 1ns, all) == 0);
    CHECK(queue.fire_due(time_point::max(), all) == 1);
    CHECK(heard.fired == key_list{0, 1, 2});
}

TEST_CASE("timer_queue: [251] without memory nothing starts, but what was armed starts again") {
    timer_queue queue;
    record_of_fires heard;
    std::vector<sockeye::timer_id> armed;
    armed.reserve(1000);
    {
        armed.push_back(queue.start(at(1), heard.target(0)));
        const support::failing_allocations none(1, all);
        CHECK_THROWS_AS(
            [&] {
                for (std::uint64_t key = 1; key < 1000; ++key) {
                    armed.push_back(queue.start(at(1), heard.target(key)));
                }
            }(),
            std::bad_alloc);
        CHECK(queue.size() == armed.size());
        CHECK(queue.cancel(armed.back()));
        armed.back() = queue.start(at(2), heard.target(armed.size() - 1));
        CHECK(queue.size() == armed.size());
    }
    CHECK(queue.fire_due(at(2), all) == armed.size());
    CHECK(heard.fired.size() == armed.size());
}

TEST_CASE("timer_queue: [251] without memory timers fire in groups, and each may start again") {
    timer_queue queue;
    std::size_t fired = 0;
    listener again;
    again.hear = [&](std::uint64_t key) {
        ++fired;
        queue.start(at(100), again.target(key));
    };
    for (std::uint64_t key = 0; key < 200; ++key) {
        queue.start(at(1), again.target(key));
    }
    const support::failing_allocations none(1, all);
    for (int calls = 0; calls < 200 && fired < 200; ++calls) {
        CHECK(queue.fire_due(at(1), all) > 0);
    }
    CHECK(fired == 200);
    CHECK(queue.size() == 200);
    CHECK(queue.fire_due(at(1), all) == 0);
}

TEST_CASE("timer_queue: a handler that throws does not take the others' timers with it") {
    timer_queue queue;
    record_of_fires heard;
    listener thrower;
    thrower.hear = [](std::uint64_t) { throw std::bad_alloc(); };
    queue.start(at(1), heard.target(1));
    queue.start(at(2), thrower.target(2));
    queue.start(at(3), heard.target(3));
    const auto last = queue.start(at(4), heard.target(4));
    CHECK_THROWS_AS(queue.fire_due(at(9), all), std::bad_alloc);
    CHECK(heard.fired == key_list{1});
    // Those that were on their way are due now, whatever the time.
    CHECK(queue.next() <= at(9));
    CHECK(queue.is_armed(last));
    CHECK(queue.fire_due(at(9), all) == 2);
    CHECK(heard.fired == key_list{1, 3, 4});
    CHECK_FALSE(queue.next());
}

TEST_CASE("timer_queue: no allocation in steady state") {
    timer_queue queue;
    record_of_fires heard;
    heard.fired.reserve(1'000'000);
    std::mt19937_64 random(7);
    std::vector<timer_id> ids(1000);
    const auto round = [&](std::int64_t now) {
        for (auto& id : ids) {
            queue.cancel(id);
            id = queue.start(at(now + static_cast<std::int64_t>(random() % 100)), heard.target(1));
        }
        queue.fire_due(at(now + 50), 256);
    };
    round(0);
    queue.fire_due(at(0), 256);
    const auto before = support::allocations();
    for (std::int64_t now = 100; now < 10'000; now += 100) {
        round(now);
    }
    CHECK(support::allocations() == before);
    CHECK(heard.fired.size() > 10'000);
}

namespace {

/// Takes random steps, also inside handlers, and compares with a std::multimap.
class timer_model_run {
public:
    /// Deadlines and steps of time reach up to `range` nanoseconds.
    timer_model_run(std::uint64_t seed, std::uint64_t range) : random_(seed), range_(range) {
        heard_.hear = [this](std::uint64_t key) { on_fire(key); };
    }

    void step();
    std::size_t fired = 0;

private:
    struct entry {
        std::uint64_t key;
        timer_id id;
    };
    using model = std::multimap<time_point, entry>;

    std::uint64_t below(std::uint64_t bound) { return random_() % bound; }
    /// Of every order of magnitude below `bound`.
    std::int64_t length_below(std::uint64_t bound) {
        const auto magnitude = below(static_cast<std::uint64_t>(std::bit_width(bound)));
        return static_cast<std::int64_t>(below(std::min(bound, std::uint64_t{2} << magnitude)));
    }
    [[nodiscard]] time_point any_deadline() {
        return now_ + sockeye::duration(length_below(range_)) - sockeye::duration(8);
    }
    model::iterator any_waiting() {
        return std::next(waiting_.begin(), static_cast<std::ptrdiff_t>(
                                               below(std::min<std::size_t>(waiting_.size(), 64))));
    }
    void start();
    void restart();
    void cancel();
    void fire();
    void on_fire(std::uint64_t key);
    void compare();

    std::mt19937_64 random_;
    std::uint64_t range_;
    timer_queue queue_;
    listener heard_;
    model waiting_; ///< equal key_list stay in the order of insertion
    std::deque<entry> due_;
    std::vector<timer_id> past_;
    time_point now_ = at(1'000);
    std::uint64_t last_key_ = 0;
};

void timer_model_run::start() {
    const auto deadline = any_deadline();
    const auto key = ++last_key_;
    const auto id = queue_.start(deadline, heard_.target(key));
    REQUIRE(id != 0);
    waiting_.emplace(deadline, entry{key, id});
}

void timer_model_run::cancel() {
    if (!past_.empty() && below(4) == 0) {
        REQUIRE_FALSE(queue_.cancel(past_[below(past_.size())]));
    }
    if (!due_.empty() && below(2) == 0) {
        const auto chosen = due_.begin() + static_cast<std::ptrdiff_t>(below(due_.size()));
        REQUIRE(queue_.cancel(chosen->id));
        past_.push_back(chosen->id);
        due_.erase(chosen);
    } else if (!waiting_.empty()) {
        const auto chosen = any_waiting();
        REQUIRE(queue_.cancel(chosen->second.id));
        past_.push_back(chosen->second.id);
        waiting_.erase(chosen);
    }
}

void timer_model_run::restart() {
    if (!past_.empty() && below(4) == 0) {
        REQUIRE_FALSE(queue_.restart(past_[below(past_.size())], now_));
    }
    const auto deadline = any_deadline();
    if (!due_.empty() && below(2) == 0) {
        const auto chosen = due_.begin() + static_cast<std::ptrdiff_t>(below(due_.size()));
        REQUIRE(queue_.restart(chosen->id, deadline));
        waiting_.emplace(deadline, *chosen);
        due_.erase(chosen);
    } else if (!waiting_.empty()) {
        const auto chosen = any_waiting();
        REQUIRE(queue_.restart(chosen->second.id, deadline));
        waiting_.emplace(deadline, chosen->second);
        waiting_.erase(chosen);
    }
}

void timer_model_run::fire() {
    now_ += sockeye::duration(length_below(range_ / 4));
    const auto budget = 1 + below(10);
    while (due_.size() < budget && !waiting_.empty() && waiting_.begin()->first <= now_) {
        due_.push_back(waiting_.begin()->second);
        waiting_.erase(waiting_.begin());
    }
    const auto before = fired;
    const auto count = queue_.fire_due(now_, budget);
    REQUIRE(count == fired - before);
    REQUIRE(due_.empty());
}

void timer_model_run::on_fire(std::uint64_t key) {
    REQUIRE_FALSE(due_.empty());
    REQUIRE(due_.front().key == key);
    REQUIRE_FALSE(queue_.is_armed(due_.front().id));
    past_.push_back(due_.front().id);
    due_.pop_front();
    ++fired;
    for (auto steps = below(4); steps > 0; --steps) {
        const auto kind = below(5);
        kind < 2 ? start() : kind < 3 ? restart() : cancel();
    }
}

void timer_model_run::compare() {
    REQUIRE(queue_.size() == waiting_.size());
    // Being asked brings order into the queue: not always.
    if (below(2) == 0) {
        return;
    }
    if (waiting_.empty()) {
        REQUIRE_FALSE(queue_.next());
    } else {
        REQUIRE(queue_.next() == waiting_.begin()->first);
    }
}

void timer_model_run::step() {
    switch (below(6)) {
    case 0:
    case 1:
        start();
        break;
    case 2:
        cancel();
        break;
    case 3:
        restart();
        break;
    default:
        fire();
    }
    compare();
}

} // namespace

TEST_CASE("timer_queue: [209] a million timers start, are cancelled and fire in order") {
    const support::rows covered({209});
    timer_queue queue;
    std::mt19937_64 random(209);
    std::uint64_t last = 0;
    std::size_t fired = 0;
    bool is_in_order = true;
    listener ear;
    ear.hear = [&](std::uint64_t due) {
        is_in_order = is_in_order && due >= last;
        last = due;
        ++fired;
    };
    // Work that grows with the number of timers for each of them would take hours.
    std::vector<timer_id> started;
    for (std::size_t i = 0; i < all; ++i) {
        const auto due = random() % 1'000'000'000;
        started.push_back(queue.start(at(static_cast<std::int64_t>(due)), ear.target(due)));
    }
    for (std::size_t i = 0; i < all; i += 2) {
        REQUIRE(queue.cancel(started[i]));
    }
    CHECK(queue.size() == all / 2);
    CHECK(queue.fire_due(at(1'000'000'000), all) == all / 2);
    CHECK(fired == all / 2);
    CHECK(is_in_order);
    CHECK(queue.size() == 0);
}

namespace {

/// Fires what was started within `span` from a point far ahead, while time passes in `steps`, as a
/// loop does; and holds each call to what it may do.
void fire_in_portions(std::size_t count, std::uint64_t span, std::uint64_t steps) {
    constexpr std::int64_t begin = 100'000'000'000;
    constexpr std::size_t budget = 256;
    constexpr auto moves_max = timer_queue::moves_per_call + budget * timer_queue::moves_per_timer;
    timer_queue queue;
    std::mt19937_64 random(span);
    std::pair<std::uint64_t, std::uint64_t> last;
    std::int64_t now = 0;
    std::vector<std::uint64_t> due(count);
    std::size_t fired = 0;
    bool is_right = true;
    listener ear;
    ear.hear = [&](std::uint64_t key) {
        const std::pair fresh(due[key], key);
        is_right = is_right && fresh >= last && begin + static_cast<std::int64_t>(due[key]) <= now;
        last = fresh;
        ++fired;
    };
    for (std::uint64_t key = 0; key < count; ++key) {
        due[key] = random() % span;
        queue.start(at(begin + static_cast<std::int64_t>(due[key])), ear.target(key));
    }
    record_of_fires urgent;
    std::size_t calls = 0;
    while (fired < count) {
        now = begin + static_cast<std::int64_t>(span * std::min(calls, steps) / steps);
        // What has been due for long does not wait until order has been brought into them.
        queue.start(at(0), urgent.target(calls));
        const auto before = queue.moves();
        REQUIRE(queue.next() == at(0));
        REQUIRE(queue.moves() - before <= timer_queue::moves_per_call);
        const auto at_first = queue.moves();
        REQUIRE(queue.fire_due(at(now), budget) <= budget);
        REQUIRE(queue.moves() - at_first <= moves_max);
        REQUIRE(urgent.fired.size() == ++calls);
        REQUIRE(calls < count);
    }
    CHECK(is_right);
    CHECK(calls >= count / budget);
    CHECK_FALSE(queue.next());
}

} // namespace

TEST_CASE("timer_queue: [209] a call moves a bounded number of a million that lie together") {
    fire_in_portions(all, 1'000'000'000, 1000);
    fire_in_portions(all / 10, 1'000'000'000'000, 100);
    fire_in_portions(all / 10, 50'000, 10);
    fire_in_portions(all / 10, 1, 1);
}

TEST_CASE(
    "timer_queue: [200] who is started when its part of the wheel is reached overtakes nobody") {
    for (unsigned bits = 18; bits < 62; ++bits) {
        CAPTURE(bits);
        const auto reached = std::int64_t{1} << bits;
        timer_queue queue;
        record_of_fires heard;
        queue.start(at(reached - 1), heard.target(1));
        queue.start(at(reached + 40'000), heard.target(2));
        CHECK(queue.fire_due(at(reached - 1), all) == 1);
        queue.start(at(reached + 80'000), heard.target(3));
        CHECK(queue.fire_due(at(reached + 90'000), all) == 2);
        CHECK(heard.fired == key_list{1, 2, 3});
    }
}

TEST_CASE("timer_queue: while a list is open its timers are cancelled and moved as ever") {
    constexpr std::int64_t begin = 100'000'000'000;
    constexpr std::size_t count = 20'000;
    for (const std::int64_t span : {1, 10'000, 5'000'000}) {
        CAPTURE(span);
        timer_queue queue;
        record_of_fires heard;
        std::vector<timer_id> ids;
        for (std::size_t key = 0; key < count; ++key) {
            ids.push_back(
                queue.start(at(begin + static_cast<std::int64_t>(key) % span), heard.target(key)));
        }
        CHECK(queue.fire_due(at(begin + span), 0) == 0);
        CHECK(queue.moves() > 0);
        CHECK(queue.moves() <= timer_queue::moves_per_call);
        for (std::size_t key = 0; key < count; key += 2) {
            CHECK(queue.cancel(ids[key]));
        }
        for (std::size_t key = 1; key < count; key += 4) {
            CHECK(queue.restart(ids[key], at(begin + span + 1)));
        }
        CHECK(queue.size() == count / 2);
        CHECK(queue.next() <= at(begin + span));
        while (queue.next() <= at(begin + span)) {
            queue.fire_due(at(begin + span), 100);
        }
        CHECK(heard.fired.size() == count / 4);
        CHECK(queue.next() == at(begin + span + 1));
        CHECK(queue.fire_due(at(begin + span + 1), all) == count / 4);
        CHECK(queue.size() == 0);
        key_list expected;
        for (std::size_t key = 1; key < count; key += 4) {
            expected.push_back(key);
        }
        CHECK(key_list(heard.fired.end() - count / 4, heard.fired.end()) == expected);
    }
}

TEST_CASE("timer_queue: [210] random use agrees with a model") {
    const support::rows covered({210});
    // From within one tick to centuries: every level of the wheel.
    for (const unsigned bits : {5U, 14U, 22U, 30U, 40U, 52U}) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            CAPTURE(bits);
            CAPTURE(seed);
            timer_model_run run(seed, std::uint64_t{1} << bits);
            for (int step = 0; step < 50'000; ++step) {
                run.step();
            }
            CHECK(run.fired > 5'000);
        }
    }
}

TEST_CASE("timer_queue: a restart moves a deadline, as a start after all others") {
    timer_queue queue;
    record_of_fires heard;
    const auto first = queue.start(at(10'000'000), heard.target(1));
    queue.start(at(20'000'000), heard.target(2));
    CHECK(queue.restart(first, at(20'000'000)));
    CHECK(queue.is_armed(first));
    CHECK(queue.next() == at(20'000'000));
    CHECK(queue.size() == 2);
    CHECK(queue.fire_due(at(20'000'000), all) == 2);
    CHECK(heard.fired == key_list{2, 1});
    CHECK_FALSE(queue.restart(first, at(30'000'000)));
    CHECK_FALSE(queue.restart(0, at(30'000'000)));
}

TEST_CASE("timer_queue: the next deadline is exact, however far and however many") {
    std::mt19937_64 random(3);
    for (const std::size_t count : {1UL, 10UL, 1000UL, 100'000UL}) {
        CAPTURE(count);
        timer_queue queue;
        record_of_fires heard;
        std::set<std::int64_t> waiting;
        std::int64_t now = 12'345'678'901'234;
        CHECK(queue.fire_due(at(now), all) == 0);
        for (std::size_t i = 0; i < count; ++i) {
            const auto due = now + static_cast<std::int64_t>(random() % 60'000'000'000);
            queue.start(at(due), heard.target(i));
            waiting.insert(due);
        }
        for (int step = 0; step < 1000 && !waiting.empty(); ++step) {
            REQUIRE(queue.next() == at(*waiting.begin()));
            now = *waiting.begin();
            REQUIRE(queue.fire_due(at(now - 1), all) == 0);
            REQUIRE(queue.fire_due(at(now), all) >= 1);
            waiting.erase(waiting.begin());
        }
    }
}

TEST_CASE("timer_queue: a kept one has its room until it is released, and starts without memory") {
    timer_queue queue;
    record_of_fires heard;
    const auto kept = queue.keep(heard.target(7));
    CHECK_FALSE(queue.is_armed(kept));
    CHECK_FALSE(queue.cancel(kept));
    CHECK_FALSE(queue.next());
    heard.fired.reserve(10);
    const support::failing_allocations without_memory(1, all);
    for (std::int64_t round = 1; round <= 3; ++round) {
        CHECK_FALSE(queue.restart(kept, at(round * 100)));
        CHECK(queue.is_armed(kept));
        CHECK(queue.restart(kept, at(round * 100 + 1)));
        CHECK(queue.size() == 1);
        CHECK(queue.fire_due(at(round * 100), all) == 0);
        CHECK(queue.fire_due(at(round * 100 + 1), all) == 1);
        CHECK_FALSE(queue.is_armed(kept));
    }
    CHECK(heard.fired.size() == 3);
    CHECK_FALSE(queue.restart(kept, at(1'000)));
    queue.release(kept);
    CHECK(queue.size() == 0);
    CHECK_FALSE(queue.restart(kept, at(2'000)));
    CHECK_FALSE(queue.is_armed(kept));
    CHECK_FALSE(queue.next());
}
