#include <sockeye/timer.hpp>

#include "support/loops.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::duration;
using sockeye::timer;
using support::clocked_loop;
using support::ground;
using support::on_every_clocked_loop;
using support::on_every_ground;
using support::on_every_loop;
using support::rows;

namespace {

/// Turns without waiting until time has come to `until` after `start`.
void pass(clocked_loop& on, duration length) {
    const auto end = on.system.now() + length;
    while (on.system.now() < end) {
        static_cast<void>(on.loop.run_once(end - on.system.now()));
    }
}

} // namespace

TEST_CASE("timer: [200] fires once, never early, by the clock of the system") {
    on_every_loop({200}, [](ground& on, sockeye::loop& owner) {
        timer once(owner);
        for (const duration delay :
             {duration(1), duration(999'999), duration(1'000'001), duration(2'500'000)}) {
            int fired = 0;
            const auto start = on.system().now();
            once.start(delay, [&] {
                CHECK(on.system().now() - start >= delay);
                ++fired;
            });
            CHECK(once.is_armed());
            CHECK_FALSE(owner.run());
            CHECK(fired == 1);
            CHECK_FALSE(once.is_armed());
        }
        CHECK(owner.counters().timers_fired == 4);
    });
}

TEST_CASE("timer: [200] fires at its time, in the order of deadlines and then of starts") {
    on_every_clocked_loop({200}, [](clocked_loop& on) {
        const auto start = on.system.now();
        std::vector<int> fired;
        std::vector<timer> timers;
        for (const int ms : {30, 10, 20, 10, 20, 10}) {
            const int name = ms * 10 + static_cast<int>(timers.size());
            timers.emplace_back(on.loop).start(std::chrono::milliseconds(ms), [&, ms, name] {
                CHECK(on.system.now() == start + std::chrono::milliseconds(ms));
                CHECK(on.loop.now() == on.system.now());
                fired.push_back(name);
            });
        }
        CHECK_FALSE(on.loop.run());
        CHECK(fired == std::vector<int>{101, 103, 105, 202, 204, 300});
        // Not a wait more than there are times.
        CHECK(on.loop.counters().waits == 3);
    });
}

TEST_CASE("timer: [201] zero delay is the next turn, and does not starve descriptors") {
    on_every_loop({201}, [](ground& on, sockeye::loop& owner) {
        timer self(owner);
        int fired = 0;
        std::vector<std::uint64_t> turns;
        std::function<void()> again = [&] {
            ++fired;
            turns.push_back(owner.counters().turns);
            self.start(0s, [&] { again(); });
        };
        self.start(0s, [&] { again(); });
        CHECK(fired == 0);
        const auto pair = support::make_stream_pair(on.system());
        int heard = 0;
        auto reading =
            owner.watch(pair.first.get(), sockeye::interest::readable, [&](sockeye::readiness) {
                ++heard;
                support::take(on.system(), pair.first.get());
            });
        REQUIRE(reading);
        for (int round = 1; round <= 20; ++round) {
            support::put(on.system(), pair.second.get());
            CHECK(support::turn_until(owner, [&] { return heard == round; }));
        }
        CHECK(support::turn_until(owner, [&] { return fired > 20; }));
        for (std::size_t i = 1; i < turns.size(); ++i) {
            CHECK(turns[i] > turns[i - 1]);
        }
    });
}

TEST_CASE("timer: [202] a second start replaces the first") {
    on_every_clocked_loop({202}, [](clocked_loop& on) {
        const auto start = on.system.now();
        timer one(on.loop);
        int fired = 0;
        one.start(1ms, [] { FAIL("was replaced"); });
        one.start(5ms, [&] {
            ++fired;
            CHECK(on.system.now() == start + 5ms);
        });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == 1);
    });
}

TEST_CASE("timer: [202] restarts with the handler and the period it has") {
    on_every_clocked_loop({202, 206}, [](clocked_loop& on) {
        const auto start = on.system.now();
        std::vector<duration> fired;
        const auto note = [&] { fired.push_back(on.system.now() - start); };
        timer one(on.loop);
        SUBCASE("before it fires, and after") {
            one.start_at(start + 5ms, note);
            one.restart_at(start + 3ms);
            CHECK_FALSE(on.loop.run());
            one.restart(1ms);
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{3ms, 4ms});
        }
        SUBCASE("after a cancel") {
            one.start_at(start + 5ms, note);
            one.cancel();
            CHECK_FALSE(one.is_armed());
            one.restart_at(start - 1h);
            CHECK(one.is_armed());
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{0ms});
        }
        SUBCASE("in its own handler") {
            one.start_at(start + 1ms, [&] {
                note();
                if (fired.size() < 3) {
                    one.restart(duration(fired.size() * 10ms));
                }
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{1ms, 11ms, 31ms});
        }
        SUBCASE("with its period") {
            one.start_every(10ms, [&] {
                note();
                if (fired.size() == 2) {
                    one.restart(3ms);
                } else if (fired.size() == 4) {
                    one.cancel();
                }
            });
            one.restart_at(start + 4ms);
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{4ms, 14ms, 17ms, 27ms});
        }
    });
}

TEST_CASE("timer: what has thrown and was not started again is dropped with its captures") {
    on_every_clocked_loop({}, [](clocked_loop& on) {
        const auto token = std::make_shared<int>(0);
        timer one(on.loop);
        one.start(1ms, [token] { throw std::runtime_error("thrown"); });
        CHECK_THROWS_AS(static_cast<void>(on.loop.run()), std::runtime_error);
        CHECK(token.use_count() == 1);
        CHECK_FALSE(one.is_armed());
    });
}

TEST_CASE("timer: [203] one cancelled or destroyed by another due in the same turn is silent") {
    on_every_clocked_loop({203}, [](clocked_loop& on) {
        timer first(on.loop);
        timer cancelled(on.loop);
        auto destroyed = std::make_unique<timer>(on.loop);
        timer restarted(on.loop);
        const auto start = on.system.now();
        int fired = 0;
        first.start(1ms, [&] {
            cancelled.cancel();
            CHECK_FALSE(cancelled.is_armed());
            destroyed.reset();
            restarted.start(1ms, [&] {
                ++fired;
                CHECK(on.system.now() == start + 2ms);
            });
        });
        cancelled.start(1ms, [] { FAIL("was cancelled"); });
        destroyed->start(1ms, [] { FAIL("was destroyed"); });
        restarted.start(1ms, [] { FAIL("was replaced"); });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == 1);
    });
}

TEST_CASE("timer: [204] may be restarted and changed in its own handler") {
    on_every_clocked_loop({204, 206}, [](clocked_loop& on) {
        auto own = std::make_unique<timer>(on.loop);
        int fired = 0;
        const auto token = std::make_shared<int>(0);
        SUBCASE("restarted") {
            own->start(1ms, [&, token] {
                ++fired;
                own->start(1ms, [&] { ++fired; });
                CHECK(token.use_count() == 2);
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 2);
            CHECK(token.use_count() == 1);
        }
        SUBCASE("restarted with another period") {
            const auto start = on.system.now();
            own->start_every(10ms, [&] {
                ++fired;
                own->start_every(3ms, [&] {
                    if (++fired == 3) {
                        own->cancel();
                    }
                });
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 3);
            CHECK(on.system.now() == start + 16ms);
        }
    });
}

TEST_CASE("timer: [204] may be cancelled, moved and destroyed in its own handler") {
    on_every_clocked_loop({204}, [](clocked_loop& on) {
        auto own = std::make_unique<timer>(on.loop);
        int fired = 0;
        const auto token = std::make_shared<int>(0);
        SUBCASE("cancelled") {
            own->start_every(1ms, [&, token] {
                if (++fired == 3) {
                    own->cancel();
                    CHECK_FALSE(own->is_armed());
                }
                CHECK(token.use_count() == 2);
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 3);
        }
        SUBCASE("moved") {
            timer other(on.loop);
            own->start_every(1ms, [&, token] {
                if (++fired == 1) {
                    other = std::move(*own);
                    CHECK(other.is_armed());
                    CHECK_FALSE(own->is_armed());
                    own->cancel();
                } else if (fired == 3) {
                    other.cancel();
                }
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 3);
        }
        SUBCASE("destroyed, once") {
            own->start(1ms, [&, token] {
                ++fired;
                own.reset();
                CHECK(token.use_count() == 2);
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 1);
            CHECK(token.use_count() == 1);
        }
        SUBCASE("destroyed, repeating") {
            own->start_every(1ms, [&, token] {
                ++fired;
                own.reset();
                CHECK(token.use_count() == 2);
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == 1);
            CHECK(token.use_count() == 1);
        }
    });
}

TEST_CASE("timer: [205] repeats by plan, whatever the handler takes, and skips missed ticks") {
    on_every_clocked_loop({205, 212}, [](clocked_loop& on) {
        const auto start = on.system.now();
        timer every(on.loop);
        std::vector<duration> fired;
        every.start_every(10ms, [&] {
            fired.push_back(on.system.now() - start);
            if (fired.size() == 2) {
                on.advance(3ms); // within the period: the next one is on time
            } else if (fired.size() == 3) {
                on.advance(1s); // a hundred ticks are missed
            } else if (fired.size() == 6) {
                every.cancel();
            }
        });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == std::vector<duration>{10ms, 20ms, 30ms, 1030ms, 1040ms, 1050ms});
    });
}

TEST_CASE("timer: [205] a tick that is late is told at once, and the plan is kept") {
    on_every_clocked_loop({205}, [](clocked_loop& on) {
        const auto start = on.system.now();
        timer every(on.loop);
        std::vector<duration> fired;
        every.start_every(10ms, [&] { fired.push_back(on.system.now() - start); });
        on.advance(34ms);
        pass(on, 20ms);
        CHECK(fired == std::vector<duration>{34ms, 40ms, 50ms});
    });
}

TEST_CASE("timer: [205] makes up missed ticks where it was told to, but not without end") {
    on_every_clocked_loop({205}, [](clocked_loop& on) {
        const auto start = on.system.now();
        timer every(on.loop);
        std::vector<duration> fired;
        std::vector<std::uint64_t> turns;
        every.start_every(10ms, sockeye::missed_ticks::catch_up, [&] {
            fired.push_back(on.system.now() - start);
            turns.push_back(on.loop.counters().turns);
            if (fired.size() == 2) {
                on.advance(35ms); // three are missed
            } else if (fired.size() == 8) {
                on.advance(1s); // a hundred are missed
            } else if (fired.size() == 27) {
                every.cancel();
            }
        });
        CHECK_FALSE(on.loop.run());
        std::vector<duration> expected = {10ms, 20ms, 55ms, 55ms, 55ms, 60ms, 70ms, 80ms};
        // The one that was next, and the last 16 before now.
        expected.insert(expected.end(), 17, 1080ms);
        expected.insert(expected.end(), {1090ms, 1100ms});
        CHECK(fired == expected);
        CHECK(std::ranges::adjacent_find(turns) == turns.end());
    });
}

TEST_CASE("timer: [205] lets a whole period pass after its handler where it was told to") {
    on_every_clocked_loop({205}, [](clocked_loop& on) {
        const auto start = on.system.now();
        timer every(on.loop);
        std::vector<duration> fired;
        every.start_every(10ms, sockeye::missed_ticks::delay, [&] {
            CHECK(every.is_armed());
            fired.push_back(on.system.now() - start);
            on.advance(7ms);
            if (fired.size() == 3) {
                every.restart(1ms); // from the beginning of the turn
            } else if (fired.size() == 5) {
                every.cancel();
            }
        });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == std::vector<duration>{10ms, 27ms, 44ms, 51ms, 68ms});
    });
}

TEST_CASE("timer: [211] on the wall clock it fires when the time of day comes, however it comes") {
    on_every_clocked_loop({211}, [](clocked_loop& on) {
        const auto steady_start = on.system.now();
        const auto shown = on.system.read_clock(sockeye::clock_kind::wall).value();
        const auto wall_start = std::chrono::system_clock::time_point(
            std::chrono::round<std::chrono::system_clock::duration>(shown));
        auto at = timer::open(on.loop, sockeye::timer_clock::wall).value();
        timer unmoved(on.loop);
        std::vector<duration> fired;
        const auto note = [&] { fired.push_back(on.system.now() - steady_start); };
        at.start_at(wall_start + 10s, note);
        SUBCASE("by itself") {
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{10s});
        }
        SUBCASE("set forward") {
            unmoved.start(20s, note);
            on.advance(500ms);
            static_cast<void>(on.loop.run_once(0s));
            on.system.set_wall_clock(1h);
            CHECK_FALSE(on.loop.run());
            // Noticed within a second; the steady clock knows nothing of it.
            REQUIRE(fired.size() == 2);
            CHECK(fired[0] <= 1500ms);
            CHECK(fired[1] == 20s);
        }
        SUBCASE("set back") {
            on.advance(9s);
            on.system.set_wall_clock(-1h);
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{10s + 1h});
        }
        SUBCASE("every minute, and set back by one") {
            at.start_every(1min, [&] {
                note();
                if (fired.size() == 1) {
                    on.system.set_wall_clock(-1min);
                } else {
                    at.cancel();
                }
            });
            CHECK_FALSE(on.loop.run());
            CHECK(fired == std::vector<duration>{1min, 3min});
        }
    });
}

TEST_CASE("timer: a clock of its own fires never early, beside the others, and leaves nothing") {
    on_every_loop({200}, [](ground& on, sockeye::loop& owner) {
        for (const auto which : {sockeye::timer_clock::boot, sockeye::timer_clock::wall}) {
            const auto kind = which == sockeye::timer_clock::boot ? sockeye::clock_kind::boot
                                                                  : sockeye::clock_kind::wall;
            const auto shown = on.system().read_clock(kind);
            auto one = timer::open(owner, which);
            REQUIRE(one.has_value() == shown.has_value());
            if (!one) {
                CHECK(one.error() == std::errc::not_supported);
                continue;
            }
            auto other = timer::open(owner, which).value();
            std::vector<int> fired;
            one->start(20ms, [&] { fired.push_back(2); });
            other.start(5ms, [&] {
                fired.push_back(1);
                CHECK(*on.system().read_clock(kind) - *shown >= 5ms);
            });
            timer steady(owner);
            steady.start(1ms, [&] { fired.push_back(0); });
            const auto waits = owner.counters().waits;
            CHECK_FALSE(owner.run());
            CHECK(fired == std::vector<int>{0, 1, 2});
            CHECK(*on.system().read_clock(kind) - *shown >= 20ms);
            // One for each, and one for each alarm that was set again.
            CHECK(owner.counters().waits - waits <= 6);
        }
    });
}

TEST_CASE("timer: its handler may end the last timer of a clock, and begin another") {
    on_every_loop({204}, [](ground&, sockeye::loop& owner) {
        std::optional<timer> own = timer::open(owner, sockeye::timer_clock::wall).value();
        int fired = 0;
        own->start(1ms, [&] {
            own.reset();
            own = timer::open(owner, sockeye::timer_clock::wall).value();
            own->start(1ms, [&] {
                ++fired;
                own.reset();
            });
        });
        CHECK_FALSE(owner.run());
        CHECK(fired == 1);
    });
}

TEST_CASE("timer: [207] huge delays and periods saturate") {
    on_every_clocked_loop({207}, [](clocked_loop& on) {
        timer far(on.loop);
        timer farther(on.loop);
        far.start(duration::max(), [] { FAIL("too early"); });
        farther.start_every(duration::max(), [] { FAIL("too early"); });
        CHECK(far.is_armed());
        CHECK(farther.is_armed());
        CHECK(on.loop.next_deadline() == sockeye::time_point::max());
        int fired = 0;
        timer near(on.loop);
        near.start(1ms, [&] { ++fired; });
        CHECK(support::turn(on.loop) == 1);
        CHECK(fired == 1);
        static_cast<void>(on.loop.run_once(std::chrono::hours(24 * 30)));
        far.start(std::chrono::duration_cast<duration>(std::chrono::hours(24 * 365 * 100)),
                  [] { FAIL("too early"); });
        static_cast<void>(on.loop.run_once(std::chrono::hours(24 * 30)));
        CHECK(far.is_armed());
    });
}

TEST_CASE("timer: [208] negative delays are the next turn") {
    on_every_clocked_loop({208}, [](clocked_loop& on) {
        timer past(on.loop);
        const auto start = on.system.now();
        int fired = 0;
        for (const duration delay : {duration(-1), duration(-1h), duration::min()}) {
            past.start(delay, [&] { ++fired; });
            CHECK_FALSE(on.loop.run());
        }
        CHECK(fired == 3);
        CHECK(on.system.now() == start);
    });
}

TEST_CASE("timer: [212] what a blocked loop missed fires late, once, and in order") {
    on_every_clocked_loop({212}, [](clocked_loop& on) {
        timer blocker(on.loop);
        timer second(on.loop);
        timer third(on.loop);
        std::vector<int> fired;
        const auto start = on.system.now();
        third.start(300ms, [&] {
            fired.push_back(3);
            CHECK(on.loop.now() >= start + 1s);
        });
        second.start(200ms, [&] { fired.push_back(2); });
        blocker.start(100ms, [&] {
            fired.push_back(1);
            on.advance(1s);
        });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == std::vector<int>{1, 2, 3});
        CHECK(on.system.now() == start + 1100ms);
    });
}

TEST_CASE("timer: [214] one that was moved from takes a cancel and tells that it is not armed") {
    on_every_clocked_loop({214}, [](clocked_loop& on) {
        timer source(on.loop);
        int fired = 0;
        source.start(1ms, [&] { ++fired; });
        timer target(std::move(source));
        CHECK_FALSE(source.is_armed());
        source.cancel();
        CHECK(target.is_armed());
        CHECK_FALSE(on.loop.run());
        CHECK(fired == 1);
        source = timer(on.loop);
        source.start(1ms, [&] { ++fired; });
        CHECK_FALSE(on.loop.run());
        CHECK(fired == 2);
    });
}

TEST_CASE("timer: [75] a repeating one whose handler throws is disarmed, and no other") {
    on_every_clocked_loop({75}, [](clocked_loop& on) {
        timer thrower(on.loop);
        timer other(on.loop);
        int thrown = 0;
        int fired = 0;
        thrower.start_every(1ms, [&] {
            ++thrown;
            throw std::runtime_error("expected");
        });
        other.start_every(1ms, [&] {
            if (++fired == 3) {
                other.cancel();
            }
        });
        CHECK_THROWS_WITH_AS(static_cast<void>(on.loop.run()), "expected", std::runtime_error);
        CHECK_FALSE(thrower.is_armed());
        CHECK_FALSE(on.loop.run());
        CHECK(thrown == 1);
        CHECK(fired == 3);
        // It is as good as new.
        thrower.start(1ms, [&] { ++thrown; });
        CHECK_FALSE(on.loop.run());
        CHECK(thrown == 2);
    });
}

TEST_CASE("timer: [209] hundreds due at once leave descriptors their turn") {
    on_every_clocked_loop({209}, [](clocked_loop& on) {
        std::vector<timer> timers;
        std::size_t fired = 0;
        for (int i = 0; i < 2000; ++i) {
            timers.emplace_back(on.loop).start(1ms, [&] { ++fired; });
        }
        const auto pair = support::make_stream_pair(on.system);
        std::vector<std::size_t> seen;
        auto reading = on.loop.watch(pair.first.get(), sockeye::interest::readable,
                                     [&](sockeye::readiness) { seen.push_back(fired); });
        REQUIRE(reading);
        support::put(on.system, pair.second.get());
        on.advance(1ms);
        while (fired < timers.size()) {
            const auto before = fired;
            static_cast<void>(on.loop.run_once(0s));
            CHECK(fired > before);
            CHECK(fired - before <= 256);
        }
        CHECK(seen.size() >= 2000 / 256);
    });
}

TEST_CASE("timer: [211] the clock is steady, so that the time of day may be set") {
    on_every_clocked_loop({211}, [](clocked_loop& on) {
        static_assert(sockeye::clock::is_steady);
        // What reads another clock than the kernel's would notice that this one stands still.
        timer once(on.loop);
        int fired = 0;
        const auto start = on.system.now();
        once.start(24h, [&] { ++fired; });
        CHECK(support::turn(on.loop, 1h) == 0);
        CHECK(on.system.now() == start + 1h);
        CHECK(support::turn(on.loop) == 1);
        CHECK(on.system.now() == start + 24h);
        CHECK(fired == 1);
    });
}

TEST_CASE("timer: [213] what is ready in the turn of a deadline is told first, and may cancel it") {
    on_every_clocked_loop({213}, [](clocked_loop& on) {
        const auto pair = support::make_stream_pair(on.system);
        std::vector<std::string> told;
        timer deadline(on.loop);
        bool cancels = false;
        auto reading =
            on.loop.watch(pair.first.get(), sockeye::interest::readable, [&](sockeye::readiness) {
                told.emplace_back("data");
                support::take(on.system, pair.first.get());
                if (cancels) {
                    deadline.cancel();
                }
            });
        REQUIRE(reading);
        std::vector<std::string> expected = {"data", "timer"};
        SUBCASE("both") {}
        SUBCASE("one of them") {
            cancels = true;
            expected.pop_back();
        }
        deadline.start(1ms, [&] { told.emplace_back("timer"); });
        support::put(on.system, pair.second.get());
        on.advance(5ms); // the deadline has passed for long when the loop comes to look
        CHECK(support::turn(on.loop, 0s) == expected.size());
        CHECK(support::turn(on.loop, 10ms) == 0);
        CHECK(told == expected);
    });
}

TEST_CASE("timer: [215] an empty handler is a bug of the caller, and an assertion says so") {
    on_every_ground(
        {215},
        [](ground& on, rows& covered) {
#if defined(NDEBUG)
            static_cast<void>(on);
            covered.do_not_apply("this build has no assertions");
#else
            static_cast<void>(covered);
            for (const bool repeats : {false, true}) {
                CHECK(support::run_in_child([&] {
                          support::silence_errors();
                          sockeye::loop owner({.backend = on.entry().kind});
                          timer empty(owner);
                          if (repeats) {
                              empty.start_every(1ms, {});
                          } else {
                              empty.start(1ms, {});
                          }
                          return 0;
                      }) == 128 + SIGABRT);
            }
#endif
        },
        support::needs_real_system{"the assertion ends a child"});
}

TEST_CASE("timer: [216] an idle loop is late by less than two milliseconds") {
    on_every_loop({216}, [](ground& on, sockeye::loop& owner) {
        const auto kind = owner.backend();
        // Where a wait counts milliseconds one of them may be lost to rounding.
        const bool is_exact = !on.is_simulated() && (kind == sockeye::backend_kind::select ||
                                                     kind == sockeye::backend_kind::epoll);
        const duration limit = is_exact ? duration(1ms) : duration(2ms);
        constexpr std::size_t count = 100;
        timer once(owner);
        const auto lateness_of_99_in_100 = [&] {
            std::vector<duration> late;
            while (late.size() < count) {
                const auto start = on.system().now();
                once.start(1500us, [&] { late.push_back(on.system().now() - start - 1500us); });
                static_cast<void>(owner.run());
            }
            std::ranges::sort(late);
            CHECK(late.front() >= duration::zero());
            return late[count - 2];
        };
        // Other programs may take the processor away: only the best of some rounds is ours.
        CHECK(support::turn_until([&] { return lateness_of_99_in_100() < limit; }, [] {}));
    });
}
