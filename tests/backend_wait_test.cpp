#include "support/allocations.hpp"
#include "support/backends.hpp"
#include "support/support.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <set>
#include <thread>

#include <doctest/doctest.h>
#include <pthread.h>

// How long a wait lasts, and in which order it tells what is ready.

using namespace std::chrono_literals;
using sockeye::interest;
using support::both;
using support::keys;
using support::keys_of;
using support::on_every_backend;
using support::subject;

namespace {

constexpr sockeye::duration ages[] = {24h * 365 * 10, 24h + 1ns, sockeye::duration::max()};

/// One wait with room for a few events: how many there were.
std::size_t wait_for(subject& on, std::optional<sockeye::duration> timeout) {
    std::array<sockeye::event, 4> ready;
    return on->wait(ready, timeout).value();
}

/// Waits with `timeout` for a byte that is there.
void finds_a_byte(subject& on, std::optional<sockeye::duration> timeout) {
    const auto pair = on.pair();
    REQUIRE_FALSE(on->add(pair.first.get(), interest::readable, 1));
    support::put(on.system(), pair.second.get());
    CHECK(wait_for(on, timeout) == 1);
    REQUIRE_FALSE(on->remove(pair.first.get()));
}

/// Waits with `timeout` for a byte that another thread sends.
void wakes_for_a_byte(subject& on, std::optional<sockeye::duration> timeout) {
    const auto pair = on.pair();
    REQUIRE_FALSE(on->add(pair.first.get(), interest::readable, 1));
    std::thread writer([&] { support::put(on.system(), pair.second.get()); });
    CHECK(wait_for(on, timeout) == 1);
    writer.join();
    CHECK(wait_for(on, timeout) == 1);
    REQUIRE_FALSE(on->remove(pair.first.get()));
}

/// Many readable pipes; their keys are 0, 1, 2, ...
std::vector<support::stream_pair> many_ready(subject& on, std::size_t count) {
    std::vector<support::stream_pair> pipes;
    for (std::size_t i = 0; i < count; ++i) {
        pipes.push_back(on.pair());
        support::put(on.system(), pipes.back().second.get());
        REQUIRE_FALSE(on->add(pipes.back().first.get(), interest::readable, i));
    }
    return pipes;
}

} // namespace

TEST_CASE("backend: [33] a wait of zero asks the kernel") {
    on_every_backend({33}, [](subject& on) {
        const auto pair = on.pair();
        REQUIRE_FALSE(on->add(pair.first.get(), interest::readable, 1));
        CHECK(wait_for(on, 0s) == 0);
        support::put(on.system(), pair.second.get());
        CHECK(wait_for(on, 0s) == 1);
        support::take(on.system(), pair.first.get());
        CHECK(wait_for(on, 0s) == 0);
    });
}

TEST_CASE("backend: [34] no timeout waits until something happens, a negative one does not wait") {
    on_every_backend({34}, [](subject& on) {
        CHECK(wait_for(on, -1ns) == 0);
        CHECK(wait_for(on, -1h) == 0);
        CHECK(wait_for(on, sockeye::duration::min()) == 0);
        finds_a_byte(on, std::nullopt);
    });
}

TEST_CASE("backend: [35] with nothing registered a wait sleeps all the same") {
    on_every_backend({35}, [](subject& on) {
        const auto sleeps = [&] {
            const auto start = on.system().now();
            CHECK(wait_for(on, 100ms) == 0);
            CHECK(on.system().now() - start >= 100ms);
        };
        sleeps();
        // Having had registrations once changes nothing.
        const auto pipe = on.pair();
        REQUIRE_FALSE(on->add(pipe.second.get(), interest::writable, 1));
        CHECK(wait_for(on, 100ms) == 1);
        REQUIRE_FALSE(on->remove(pipe.second.get()));
        sleeps();
    });
}

TEST_CASE("backend: [36] no wait ends early") {
    on_every_backend({36}, [](subject& on) {
        const auto pipe = on.pair();
        REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
        const sockeye::duration timeouts[] = {1ns, 999ns,  1us,    1500ns, 999us,
                                              1ms, 1001us, 1999us, 5ms,    5ms + 1ns};
        for (const auto timeout : timeouts) {
            for (int i = 0; i < 5; ++i) {
                const auto start = on.system().now();
                CHECK(wait_for(on, timeout) == 0);
                CHECK(on.system().now() - start >= timeout);
            }
        }
    });
}

TEST_CASE("backend: [37] a timeout of years is accepted") {
    on_every_backend({37}, [](subject& on) {
        for (const auto timeout : ages) {
            finds_a_byte(on, timeout);
        }
    });
}

TEST_CASE("backend: [34] [37] another thread ends the longest wait") {
    on_every_backend(
        {34, 37},
        [](subject& on) {
            wakes_for_a_byte(on, std::nullopt);
            for (const auto timeout : ages) {
                wakes_for_a_byte(on, timeout);
            }
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("backend: [38] a signal ends a wait without events and without an error") {
    on_every_backend(
        {38},
        [](subject& on) {
            const auto pipe = on.pair();
            REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
            struct sigaction action = {};
            struct sigaction before = {};
            action.sa_handler = [](int) {};
            REQUIRE(::sigaction(SIGUSR1, &action, &before) == 0);

            // A signal that comes before the wait is lost, so there is more than one.
            std::atomic<bool> is_over = false;
            const auto waiter = ::pthread_self();
            std::thread sender([&] {
                while (!is_over) {
                    ::pthread_kill(waiter, SIGUSR1);
                    std::this_thread::sleep_for(1ms);
                }
            });
            CHECK(wait_for(on, 1h) == 0);
            is_over = true;
            sender.join();
            CHECK(::sigaction(SIGUSR1, &before, nullptr) == 0);

            support::put(on.system(), pipe.second.get());
            CHECK(keys_of(on.await()) == keys{1});
        },
        support::needs_real_system{"there are no real signals"});
}

TEST_CASE("backend: [39] a full batch loses nothing and starves nobody") {
    on_every_backend({39}, [](subject& on) {
        const auto count = std::min<std::size_t>(70, on.under().room() / 2);
        for (const std::size_t room : {1U, 3U, 8U}) {
            CAPTURE(room);
            const auto pipes = many_ready(on, count);
            std::set<std::uint64_t> seen;
            // All stay ready: only turning the order shows those behind the first ones.
            for (std::size_t turn = 0; turn < 2 * (count / room + 1); ++turn) {
                const auto told = on.look(room);
                CHECK(told.size() == room);
                const auto fresh = keys_of(told);
                CHECK(std::set(fresh.begin(), fresh.end()).size() == told.size());
                seen.insert(fresh.begin(), fresh.end());
            }
            CHECK(seen.size() == count);
            for (const auto& pipe : pipes) {
                CHECK_FALSE(on->remove(pipe.first.get()));
            }
        }
    });
}

TEST_CASE("backend: [39] what is served as it is told comes exactly once") {
    on_every_backend({39}, [](subject& on) {
        const auto pipes = many_ready(on, std::min<std::size_t>(70, on.under().room() / 2));
        std::vector<std::uint64_t> served;
        for (auto told = on.look(8); !told.empty(); told = on.look(8)) {
            for (const auto& event : told) {
                served.push_back(event.key);
                CHECK(support::take(on.system(), pipes[event.key].first.get()) == 1);
            }
        }
        CHECK(served.size() == pipes.size());
        CHECK(std::set(served.begin(), served.end()).size() == pipes.size());
    });
}

TEST_CASE("backend: [39] both directions of all come through a full batch, merged") {
    on_every_backend({39}, [](subject& on) {
        std::vector<support::stream_pair> pairs;
        for (std::size_t i = 0; i < 6; ++i) {
            pairs.push_back(on.pair());
            support::put(on.system(), pairs.back().second.get());
            REQUIRE_FALSE(on->add(pairs.back().first.get(), both, i));
        }
        std::set<std::uint64_t> readable;
        std::set<std::uint64_t> writable;
        for (int turn = 0; turn < 24; ++turn) {
            const auto told = on.look(4);
            const auto fresh = keys_of(told);
            CHECK(std::set(fresh.begin(), fresh.end()).size() == told.size());
            for (const auto& event : told) {
                if (event.readable) {
                    readable.insert(event.key);
                }
                if (event.writable) {
                    writable.insert(event.key);
                }
            }
        }
        CHECK(readable.size() == 6);
        CHECK(writable.size() == 6);
    });
}

TEST_CASE("backend: a wait does not allocate") {
    on_every_backend(
        {},
        [](subject& on) {
            if (on.entry().kind == sockeye::backend_kind::kqueue) {
                return; // the emulation of the kernel allocates
            }
            const auto pipes = many_ready(on, 10);
            std::array<sockeye::event, 64> ready;
            static_cast<void>(on->wait(ready, 0s));
            const auto before = support::allocations();
            for (int i = 0; i < 10; ++i) {
                static_cast<void>(on->wait(ready, 0s));
            }
            const auto after = support::allocations();
            CHECK(after == before);
        },
        support::needs_real_system{"what happens there may allocate"});
}
