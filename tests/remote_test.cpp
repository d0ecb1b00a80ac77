#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>
#include <sockeye/timer.hpp>

#include "support/backends.hpp"
#include "support/kernels.hpp"
#include "support/loops.hpp"
#include "support/support.hpp"
#include "support/test_backends.hpp"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::remote;
using support::ground;
using support::on_every_backend;
using support::on_every_ground;
using support::on_every_loop;
using support::rows;
using support::turn_until;

namespace {

constexpr int posts_per_thread = support::repetitions(125'000);
constexpr int races = support::repetitions(2'000);
#if defined(NDEBUG)
constexpr int spinning_races = 10'000'000;
#else
constexpr int spinning_races = 500'000;
#endif
constexpr int thread_count = 8;
/// Where the machine is slow or busy, there are fewer races.
constexpr auto races_time_max = 60s;

/// Says when it dies, and on which thread.
struct mourned {
    std::atomic<int>* alive;
    std::thread::id where;

    mourned(std::atomic<int>& count, std::thread::id expected) : alive(&count), where(expected) {
        ++count;
    }
    mourned(mourned&& other) noexcept
        : alive(std::exchange(other.alive, nullptr)), where(other.where) {}
    mourned& operator=(mourned&&) = delete;
    ~mourned() {
        if (alive != nullptr) {
            --*alive;
            CHECK(std::this_thread::get_id() == where);
        }
    }
};

/// Lets others run now and then, should the processor have nothing else for them.
void rest(unsigned spins) {
    if (spins % 512 == 511) {
        std::this_thread::yield();
    }
}

/// Lasts the longer the larger `count` is: up to a microsecond or so.
void delay(int count) {
    for (int i = 0; i < count; ++i) {
        std::atomic_signal_fence(std::memory_order_seq_cst);
    }
}

/// A kernel whose sleepers spin: between a post and a loop that goes to sleep nothing is left but
/// our own instructions, so that they meet a million times in a second.
class spinning_kernel final : public support::forwarding_kernel {
public:
    void wake(int) noexcept override { is_told.store(true, std::memory_order_release); }
    void drain(int) noexcept override {}

    std::atomic<bool> is_told = false;
    int sleeps = 0; ///< waits that really had to wait
};

class spinning_backend final : public sockeye::backend {
public:
    explicit spinning_backend(spinning_kernel& system) : system_(system) {}

    std::error_code add(int, sockeye::interest, std::uint64_t key) override {
        key_ = key;
        return {};
    }
    std::error_code modify(int, sockeye::interest, std::uint64_t) override { return {}; }
    std::error_code remove(int) override { return {}; }
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override {
        unsigned spins = 0;
        while (!system_.is_told.exchange(false, std::memory_order_acq_rel)) {
            if (timeout && *timeout == sockeye::duration::zero()) {
                return 0;
            }
            system_.sleeps += spins == 0 ? 1 : 0;
            if (++spins > patience) {
                return std::errc::timed_out;
            }
            rest(spins);
        }
        ready[0] = {.key = key_, .readable = true};
        return 1;
    }

private:
    static constexpr unsigned patience = 50'000'000;

    spinning_kernel& system_;
    std::uint64_t key_ = 0;
};

/// Says what a test wants of the first descriptor that was added, or of the wait itself.
class failing_backend final : public support::wrapped_backend {
public:
    using wrapped_backend::wrapped_backend;

    std::error_code add(int fd, sockeye::interest wanted, std::uint64_t key) override {
        first_ = first_ == 0 ? key : first_;
        return wrapped_backend::add(fd, wanted, key);
    }
    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override {
        if (error) {
            return error;
        }
        if (breaks_channel) {
            ready[0] = {.key = first_, .readable = true, .error = true};
            return 1;
        }
        return wrapped_backend::wait(ready, timeout);
    }

    bool breaks_channel = false;
    std::error_code error;

private:
    std::uint64_t first_ = 0;
};

} // namespace

TEST_CASE("remote: [228] a task posted before run runs once, in run") {
    on_every_loop({228}, [](ground&, sockeye::loop& owner) {
        const auto box = owner.remote();
        int ran = 0;
        CHECK(box.post([&] { ++ran; }));
        CHECK(ran == 0);
        CHECK_FALSE(owner.run());
        CHECK(ran == 1);
        CHECK_FALSE(owner.run());
        CHECK(ran == 1);
    });
}

TEST_CASE("remote: [228] a task posted before run, and one from another thread, run once") {
    on_every_loop(
        {228},
        [](ground&, sockeye::loop& owner) {
            const auto guard = owner.hold();
            const auto box = owner.remote();
            const auto here = std::this_thread::get_id();
            int ran = 0;
            CHECK(box.post([&] { ++ran; }));
            CHECK(ran == 0);
            bool is_posted = false;
            std::thread poster([&, copy = box] {
                is_posted = copy.post([&] {
                    ++ran;
                    CHECK(std::this_thread::get_id() == here);
                    owner.stop();
                });
            });
            CHECK_FALSE(owner.run());
            poster.join();
            CHECK(is_posted);
            CHECK(ran == 2);
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [229] a post ends a wait that has no end of its own, within a millisecond") {
    on_every_loop(
        {229},
        [](ground&, sockeye::loop& owner) {
            const auto typical_latency = [&] {
                std::vector<sockeye::duration> all;
                for (int i = 0; i < 50; ++i) {
                    std::thread poster([&, box = owner.remote()] {
                        box.post([&all, posted = sockeye::clock::now()] {
                            all.push_back(sockeye::clock::now() - posted);
                        });
                    });
                    CHECK(support::turn(owner) == 1);
                    poster.join();
                }
                std::ranges::sort(all);
                return all[all.size() / 2];
            };
            // Other programs may take the processor away: only the best of some rounds is ours.
            CHECK(support::turn_until([&] { return typical_latency() < 1ms; }, [] {}));
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [56] what another thread wants watched during a wait, it posts") {
    on_every_loop(
        {56},
        [](ground& on, sockeye::loop& owner) {
            const auto pair = support::make_stream_pair(on.system());
            std::optional<sockeye::watch> watched;
            bool is_heard = false;
            std::thread other([&, box = owner.remote()] {
                box.post([&] {
                    watched = owner
                                  .watch(pair.first.get(), sockeye::interest::readable,
                                         [&](sockeye::readiness what) { is_heard = what.readable; })
                                  .value();
                    CHECK(support::put(on.system(), pair.second.get()) == 1);
                });
            });
            CHECK(turn_until(owner, [&] { return is_heard; }));
            other.join();
            watched.reset();
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [230] many posts from many threads all run, in the order of each thread") {
    on_every_ground(
        {230, 232},
        [](ground& on, rows&) {
            support::test_kernel system(on.system());
            auto owner = support::make_loop(system, on.make_backend(), on.entry());
            const auto guard = owner.hold();
            std::array<int, thread_count> next = {};
            std::size_t out_of_order = 0;
            int ran = 0;
            std::vector<std::thread> threads;
            for (std::size_t name = 0; name < thread_count; ++name) {
                threads.emplace_back([&, name, box = owner.remote()] {
                    for (int i = 0; i < posts_per_thread; ++i) {
                        box.post([&, name, i] {
                            out_of_order += next[name]++ == i ? 0 : 1;
                            ++ran;
                        });
                    }
                });
            }
            const int wanted = posts_per_thread * thread_count;
            CHECK(turn_until(owner, [&] { return ran == wanted; }));
            for (auto& one : threads) {
                one.join();
            }
            CHECK(ran == wanted);
            CHECK(out_of_order == 0);
            CHECK(owner.counters().posts == static_cast<std::uint64_t>(wanted));
            MESSAGE(on.name() << ": " << wanted << " posts, " << system.wakes() << " wake-ups, "
                              << owner.counters().waits << " waits");
            CHECK(system.wakes() <= owner.counters().waits + 1);
            CHECK(owner.counters().waits < static_cast<std::uint64_t>(wanted / 4));
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [230] [232] posts that come between two turns cost one wake-up, and run in "
          "their order") {
    on_every_ground({230, 232}, [](ground& on, rows&) {
        support::test_kernel system(on.system());
        auto owner = support::make_loop(system, on.make_backend(), on.entry());
        const auto box = owner.remote();
        int ran = 0;
        int out_of_order = 0;
        for (int i = 0; i < 1000; ++i) {
            box.post([&, i] { out_of_order += ran++ == i ? 0 : 1; });
        }
        CHECK(system.wakes() == 1);
        CHECK(support::turn(owner, 0s) == 1000);
        box.post([&] { ++ran; });
        CHECK(system.wakes() == 2);
        CHECK(support::turn(owner, 0s) == 1);
        CHECK(ran == 1001);
        CHECK(out_of_order == 0);
    });
}

TEST_CASE("remote: [231] no post is lost to a loop that falls asleep") {
    on_every_loop(
        {231},
        [](ground&, sockeye::loop& owner) {
            // A lost wake-up would stop both sides for ever.
            std::atomic<int> answered = 0;
            std::atomic<bool> is_over = false;
            std::thread poster([&, box = owner.remote()] {
                for (int i = 1; i <= races * 10; ++i) {
                    // The second one meets the loop where it takes the first one.
                    box.post([&] { ++answered; });
                    box.post([&] { ++answered; });
                    while (answered < 2 * i && !is_over) {
                        std::this_thread::yield();
                    }
                }
            });
            const bool is_done = support::turn_until([&] { return answered == races * 20; },
                                                     [&] { static_cast<void>(owner.run_once()); });
            CHECK(is_done);
            is_over = true;
            poster.join();
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [231] no post is lost in millions of races with the way to sleep") {
    const support::rows covered({231});
    spinning_kernel system;
    auto source = std::make_unique<spinning_backend>(system);
    const sockeye::backend_entry row = {.kind = sockeye::backend_kind::automatic};
    auto owner = support::make_loop(system, std::move(source), row);
    const auto guard = owner.hold();
    std::atomic<int> answered = 0;
    std::atomic<bool> is_over = false;
    std::thread poster([&, box = owner.remote()] {
        const auto deadline = sockeye::clock::now() + races_time_max;
        for (int done = 0; done < spinning_races;) {
            // The second one meets the loop where it takes the first one, or goes to sleep again.
            for (int i = 0; i < 2; ++i) {
                box.post([&] { answered.fetch_add(1, std::memory_order_release); });
                delay(done % 256);
            }
            done += 2;
            for (unsigned spins = 0; answered.load(std::memory_order_acquire) < done; ++spins) {
                if (is_over) {
                    return;
                }
                rest(spins);
            }
            if (done % 1024 == 0 && sockeye::clock::now() > deadline) {
                break;
            }
        }
        box.post([&] { owner.stop(); });
    });
    const auto error = owner.run();
    is_over = true; // where a post was lost, its answer never comes
    poster.join();
    CHECK_FALSE(error);
    MESSAGE(answered.load() << " races, " << system.sleeps << " sleeps");
    CHECK(answered >= 100'000);
    CHECK(system.sleeps > answered / 1000);
}

TEST_CASE("remote: [236] a channel that is full is readable, and no error") {
    on_every_backend({236}, [](support::subject& on) {
        const auto channel = on.system().make_wake_channel().value();
        REQUIRE_FALSE(on->add(channel.reader.get(), sockeye::interest::readable, 1));
        // More than a pipe has room for.
        for (int i = 0; i < 20'000; ++i) {
            on.system().wake(channel.write_end());
        }
        CHECK(support::keys_of(on.await()) == support::keys{1});
        on.system().drain(channel.reader.get());
        CHECK(on.is_silent());
        on.system().wake(channel.write_end());
        CHECK(support::keys_of(on.await()) == support::keys{1});
    });
}

TEST_CASE("remote: [237] what is wrong with the wake-up channel or the wait is reported") {
    on_every_ground({237}, [](ground& on, rows&) {
        auto source = std::make_unique<failing_backend>(on.make_backend());
        auto& failing = *source;
        auto owner = support::make_loop(on.system(), std::move(source), on.entry());
        const auto guard = owner.hold();
        SUBCASE("the channel is broken") {
            failing.breaks_channel = true;
            const auto waits = owner.counters().waits;
            CHECK(owner.run() == std::errc::io_error);
            CHECK(owner.run() == std::errc::io_error);
            CHECK(owner.counters().waits - waits == 2);
            // What is left of it does not spin.
            failing.breaks_channel = false;
            const auto events = owner.counters().events;
            CHECK(owner.run_once(5ms).error() == std::errc::io_error);
            CHECK(owner.counters().events == events);
        }
        SUBCASE("the wait fails") {
            failing.error = std::make_error_code(std::errc::not_enough_memory);
            CHECK(owner.run() == std::errc::not_enough_memory);
            CHECK(owner.counters().waits == 1);
            failing.error.clear();
            owner.remote().post([&] { owner.stop(); });
            CHECK_FALSE(owner.run());
        }
    });
}

TEST_CASE("remote: [238] what another thread does without a post is caught by an assertion") {
    on_every_ground(
        {238},
        [](ground& on, rows& covered) {
#if defined(NDEBUG)
            static_cast<void>(on);
            covered.do_not_apply("this build has no assertions");
#else
            static_cast<void>(covered);
            using call = std::function<void(sockeye::watch&, sockeye::timer&)>;
            const call bad[] = {
                [](sockeye::watch& one, sockeye::timer&) { one.cancel(); },
                [](sockeye::watch& one, sockeye::timer&) {
                    static_cast<void>(one.modify(sockeye::interest::none));
                },
                [](sockeye::watch&, sockeye::timer& one) { one.start(1ms, [] {}); },
            };
            for (const auto& what : bad) {
                CHECK(support::run_in_child([&] {
                          support::silence_errors();
                          sockeye::loop owner({.backend = on.entry().kind});
                          const auto pair = support::make_pair();
                          auto reading = owner.watch(pair.first.get(), sockeye::interest::readable,
                                                     [](sockeye::readiness) {});
                          sockeye::timer soon(owner);
                          std::optional<std::thread> other;
                          owner.remote().post([&] {
                              other.emplace([&] { what(reading.value(), soon); });
                              other->join();
                          });
                          static_cast<void>(owner.run_once());
                          return 0;
                      }) == 128 + SIGABRT);
            }
#endif
        },
        support::needs_real_system{"the assertion ends a child"});
}

TEST_CASE("remote: [233] a task that a task posts runs in the next turn, not inside it") {
    on_every_loop({233}, [](ground&, sockeye::loop& owner) {
        const auto box = owner.remote();
        std::vector<std::uint64_t> turns;
        std::function<void()> again = [&] {
            const auto depth = turns.size();
            turns.push_back(owner.counters().turns);
            if (depth < 5) {
                CHECK(box.post([&] { again(); }));
                CHECK(turns.size() == depth + 1);
            }
        };
        box.post([&] { again(); });
        CHECK_FALSE(owner.run());
        CHECK(turns == std::vector<std::uint64_t>{1, 2, 3, 4, 5, 6});
    });
}

TEST_CASE("remote: [234] tasks that post for ever starve neither descriptors nor timers") {
    on_every_loop({234}, [](ground& on, sockeye::loop& owner) {
        const auto box = owner.remote();
        bool is_over = false;
        std::size_t ran = 0;
        std::function<void()> again = [&] {
            ++ran;
            if (!is_over) {
                box.post([&] { again(); });
            }
        };
        for (int i = 0; i < 3000; ++i) {
            box.post([&] { again(); });
        }
        sockeye::timer soon(owner);
        int fired = 0;
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
            soon.start(0s, [&] { ++fired; });
            CHECK(turn_until(owner, [&] { return heard == round && fired == round; }));
        }
        CHECK(ran > 3000);
        is_over = true;
        reading->cancel();
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("remote: [235] after the loop is gone, post says so") {
    on_every_ground({235}, [](ground& on, rows&) {
        std::optional<remote> box;
        std::atomic<int> alive = 0;
        const auto here = std::this_thread::get_id();
        {
            auto owner = on.make_loop();
            box.emplace(owner.remote());
            CHECK(box->post([one = mourned(alive, here)] { FAIL_CHECK("never runs"); }));
            CHECK(alive == 1);
        }
        CHECK(alive == 0);
        CHECK_FALSE(box->post([one = mourned(alive, here)] { FAIL_CHECK("never runs"); }));
        CHECK(alive == 0);
    });
}

TEST_CASE("remote: [235] posting races with the end of the loop") {
    on_every_ground(
        {235, 238},
        [](ground& on, rows&) {
            for (int round = 0; round < races; ++round) {
                std::atomic<int> alive = 0;
                std::atomic<int> refused = 0;
                std::atomic<int> ran = 0;
                std::vector<std::thread> threads;
                {
                    auto owner = on.make_loop();
                    for (int i = 0; i < 2; ++i) {
                        threads.emplace_back([&, box = owner.remote()] {
                            struct counted {
                                std::atomic<int>* count;
                                explicit counted(std::atomic<int>& all) : count(&all) { ++all; }
                                counted(counted&& other) noexcept
                                    : count(std::exchange(other.count, nullptr)) {}
                                ~counted() {
                                    if (count != nullptr) {
                                        --*count;
                                    }
                                }
                            };
                            while (box.post([&, one = counted(alive)] { ++ran; })) {
                            }
                            ++refused;
                        });
                    }
                    for (int i = round % 4; i > 0; --i) {
                        static_cast<void>(owner.run_once(0s));
                    }
                }
                for (auto& one : threads) {
                    one.join();
                }
                REQUIRE(refused == 2);
                REQUIRE(alive == 0);
            }
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: [239] tasks may be move-only and may throw; they go before the next one runs") {
    on_every_loop(
        {239},
        [](ground&, sockeye::loop& owner) {
            std::atomic<int> alive = 0;
            const auto here = std::this_thread::get_id();
            const auto box = owner.remote();
            int ran = 0;
            std::thread poster([&] {
                box.post([one = mourned(alive, here), &ran] { ++ran; });
                box.post([one = mourned(alive, here), &ran, &alive] {
                    ++ran;
                    CHECK(alive == 2);
                    throw std::runtime_error("expected");
                });
                box.post([one = mourned(alive, here), &ran, &alive] {
                    ++ran;
                    CHECK(alive == 1);
                });
            });
            poster.join();
            CHECK_THROWS_WITH_AS(static_cast<void>(owner.run()), "expected", std::runtime_error);
            CHECK(ran == 3);
            CHECK(alive == 0);
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("remote: what a task owns may be torn down by the task itself") {
    on_every_loop({239}, [](ground&, sockeye::loop& owner) {
        auto held = std::make_shared<std::optional<sockeye::timer>>();
        held->emplace(owner);
        held->value().start(1h, [held] { FAIL_CHECK("was destroyed"); });
        owner.remote().post([held]() mutable {
            held->reset();
            held.reset();
        });
        held.reset();
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("remote: no more than posted_tasks_max tasks wait") {
    on_every_ground({}, [](ground& on, rows&) {
        auto owner = on.make_loop({.posted_tasks_max = 10});
        const auto box = owner.remote();
        int ran = 0;
        for (int i = 0; i < 10; ++i) {
            CHECK(box.post([&] { ++ran; }));
        }
        CHECK_FALSE(box.post([&] { ++ran; }));
        CHECK(support::turn(owner, 0s) == 10);
        CHECK(box.post([&] { ++ran; }));
        CHECK_FALSE(owner.run());
        CHECK(ran == 11);
    });
}

TEST_CASE("remote: a task for a stream runs where that lives, and else not at all") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        struct session {
            void on_data(sockeye::stream&, sockeye::bytes) {}
        };
        const support::joined<session> both(on, owner);
        const auto box = owner.remote();
        std::atomic<int> alive = 0;
        const auto here = std::this_thread::get_id();
        int ran = 0;
        const auto target = both.link.ref();
        for (int i = 0; i < 2; ++i) {
            box.post(target, [&, target, one = mourned(alive, here)](sockeye::stream& found) {
                ++ran;
                CHECK(found.ref() == target);
                found.abort();
            });
        }
        box.post(sockeye::stream_ref(), [&](sockeye::stream&) { ran += 100; });
        CHECK(turn_until(owner, [&] { return alive == 0; }));
        CHECK(ran >= 1);
        CHECK(turn_until(owner, [&] { return owner.find(target) == nullptr; }));
        const auto before = ran;
        box.post(target, [&](sockeye::stream&) { ++ran; });
        CHECK(turn_until(owner, [&] { return owner.counters().posts == 4; }));
        CHECK(ran == before);
    });
}
