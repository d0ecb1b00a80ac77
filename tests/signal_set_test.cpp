#include <sockeye/loop.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>

#include "support/loops.hpp"
#include "support/support.hpp"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::signal_set;
using support::ground;
using support::on_every_ground;
using support::on_every_loop;
using support::rows;
using support::turn_until;

namespace {

constexpr int storm_size = support::repetitions(100'000);

using handler = void (*)(int);

/// As a number, which a failed CHECK can show.
std::uintptr_t number_of(handler function) {
    return reinterpret_cast<std::uintptr_t>(function);
}

std::uintptr_t disposition_of(int signal) {
    struct sigaction action = {};
    REQUIRE(::sigaction(signal, nullptr, &action) == 0);
    return number_of(action.sa_handler);
}

const std::uintptr_t default_disposition = number_of(SIG_DFL);

/// What somebody else has set for a signal, as long as it lives.
class foreign_handler {
public:
    foreign_handler(int signal, handler wanted) : signal_(signal) {
        struct sigaction action = {};
        action.sa_handler = wanted;
        REQUIRE(::sigaction(signal, &action, &former_) == 0);
    }
    foreign_handler(const foreign_handler&) = delete;
    foreign_handler& operator=(const foreign_handler&) = delete;
    ~foreign_handler() { ::sigaction(signal_, &former_, nullptr); }

private:
    int signal_;
    struct sigaction former_ = {};
};

void do_nothing(int) {}

/// The real system has a disposition for each signal, and it is the default one again.
void expect_let_go(ground& on, int signal) {
    if (!on.is_simulated()) {
        CHECK(disposition_of(signal) == default_disposition);
    }
}

const support::needs_real_system needs_threads = {"there are no threads"};
const support::needs_real_system needs_dispositions = {"there are no dispositions"};

} // namespace

TEST_CASE("signal_set: [217] a signal is a handler call on the loop thread") {
    on_every_loop({217}, [](ground& on, sockeye::loop& owner) {
        const auto here = std::this_thread::get_id();
        std::vector<int> heard;
        std::optional<signal_set> set;
        auto made = signal_set::open(owner, {SIGUSR1, SIGUSR2}, [&](int signal) {
            heard.push_back(signal);
            CHECK(std::this_thread::get_id() == here);
            if (heard.size() == 3) {
                set.reset();
            }
        });
        REQUIRE(made);
        set.emplace(std::move(made.value()));
        on.raise(SIGUSR2);
        CHECK(heard.empty());
        CHECK(support::turn(owner) == 1);
        CHECK(heard == std::vector<int>{SIGUSR2});
        CHECK(support::turn(owner, 0s) == 0);
        on.raise(SIGUSR1);
        CHECK(turn_until(owner, [&] { return heard.size() == 2; }));
        CHECK(heard.back() == SIGUSR1);
        on.raise(SIGUSR1);
        // It keeps the loop going as long as it lives.
        CHECK_FALSE(owner.run());
        CHECK(heard.size() == 3);
    });
}

TEST_CASE("signal_set: [217] a signal ends a wait that has no end of its own") {
    on_every_loop(
        {217},
        [](ground&, sockeye::loop& owner) {
            int heard = 0;
            auto set = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(set);
            const auto self = ::pthread_self();
            for (int i = 1; i <= 30; ++i) {
                std::thread other([&] {
                    if (i % 2 == 0) {
                        ::pthread_kill(self, SIGUSR1); // interrupts the wait itself
                    } else {
                        ::raise(SIGUSR1); // runs on the other thread
                    }
                });
                CHECK(support::turn(owner) == 1);
                other.join();
                CHECK(heard == i);
            }
        },
        needs_threads);
}

TEST_CASE("signal_set: [218] several sets of one signal each hear of it, and go in any order") {
    on_every_loop({218, 219, 226}, [](ground& on, sockeye::loop& owner) {
        std::vector<int> heard(4);
        std::vector<std::optional<signal_set>> sets(4);
        const auto open = [&](std::size_t which) {
            auto made = signal_set::open(owner, {SIGUSR1, SIGHUP},
                                         [&heard, which](int) { ++heard[which]; });
            REQUIRE(made);
            sets[which].emplace(std::move(made.value()));
        };
        const auto tell = [&] {
            on.raise(SIGUSR1);
            static_cast<void>(owner.run_once(0s));
        };
        for (std::size_t i = 0; i < 4; ++i) {
            open(i);
        }
        tell();
        CHECK(heard == std::vector<int>{1, 1, 1, 1});
        sets[1].reset();
        tell();
        CHECK(heard == std::vector<int>{2, 1, 2, 2});
        sets[0].reset();
        sets[3].reset();
        open(1);
        tell();
        CHECK(heard == std::vector<int>{2, 2, 3, 2});
        sets[1].reset();
        tell();
        CHECK(heard == std::vector<int>{2, 2, 4, 2});
        sets[2].reset();
        expect_let_go(on, SIGUSR1);
        expect_let_go(on, SIGHUP);
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("signal_set: a number that is given twice is told once") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        int heard = 0;
        {
            auto set = signal_set::open(owner, {SIGUSR1, SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(set);
            on.raise(SIGUSR1);
            CHECK(support::turn(owner, 0s) == 1);
            CHECK(heard == 1);
        }
        expect_let_go(on, SIGUSR1);
    });
}

TEST_CASE("signal_set: [218] loops in several threads each hear of a signal") {
    on_every_ground(
        {218, 226},
        [](ground& on, rows&) {
            constexpr int count = 4;
            std::atomic<int> ready = 0;
            std::atomic<int> heard = 0;
            std::vector<std::thread> threads;
            for (int i = 0; i < count; ++i) {
                threads.emplace_back([&] {
                    auto owner = on.make_loop();
                    auto set = signal_set::open(owner, {SIGUSR1}, [&](int) {
                        ++heard;
                        owner.stop();
                    });
                    ++ready;
                    static_cast<void>(owner.run());
                });
            }
            CHECK(support::turn_until([&] { return ready == count; }, std::this_thread::yield));
            CHECK(::kill(::getpid(), SIGUSR1) == 0);
            for (auto& one : threads) {
                one.join();
            }
            CHECK(heard == count);
            CHECK(disposition_of(SIGUSR1) == default_disposition);
        },
        needs_threads);
}

TEST_CASE("signal_set: [220] numbers that are no signal or cannot be caught are refused") {
    on_every_loop({220}, [](ground& on, sockeye::loop& owner) {
        for (const int bad : {0, -1, -64, NSIG, 128, 1024, SIGKILL, SIGSTOP}) {
            CAPTURE(bad);
            const auto refused = signal_set::open(owner, {SIGUSR1, bad}, [](int) {});
            CHECK(refused.error() == std::errc::invalid_argument);
            // The good one that came first is let go as well.
            expect_let_go(on, SIGUSR1);
        }
        CHECK_FALSE(owner.run());
    });
}

#if defined(SIGRTMAX)
TEST_CASE("signal_set: [220] the lowest and the highest signals can be watched") {
    on_every_loop({220}, [](ground& on, sockeye::loop& owner) {
        std::vector<int> heard;
        auto set = signal_set::open(owner, {SIGHUP, SIGRTMIN, SIGRTMAX},
                                    [&](int signal) { heard.push_back(signal); });
        REQUIRE(set);
        on.raise(SIGRTMAX);
        CHECK(support::turn(owner, 0s) == 1);
        on.raise(SIGHUP);
        CHECK(support::turn(owner, 0s) == 1);
        CHECK(heard == std::vector<int>{SIGRTMAX, SIGHUP});
    });
}
#endif

TEST_CASE("signal_set: [221] with the last one the former disposition returns") {
    on_every_loop(
        {221},
        [](ground&, sockeye::loop& owner) {
            for (const handler former : {handler(SIG_IGN), handler(do_nothing), handler(SIG_DFL)}) {
                const foreign_handler set_before(SIGUSR1, former);
                {
                    auto first = signal_set::open(owner, {SIGUSR1}, [](int) {});
                    auto second = signal_set::open(owner, {SIGUSR1}, [](int) {});
                    REQUIRE(first);
                    REQUIRE(second);
                    CHECK(disposition_of(SIGUSR1) != number_of(former));
                }
                CHECK(disposition_of(SIGUSR1) == number_of(former));
            }
        },
        needs_dispositions);
}

TEST_CASE("signal_set: [222] a signal that waits when its set or its loop goes is not delivered") {
    on_every_ground({222}, [](ground& on, rows&) {
        int heard = 0;
        {
            auto owner = on.make_loop();
            auto first = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            on.raise(SIGUSR1);
            first = signal_set::open(owner, {SIGHUP}, [&](int) { ++heard; });
            CHECK(support::turn(owner, 0s) == 0);
            on.raise(SIGHUP);
        }
        CHECK(heard == 0);
        expect_let_go(on, SIGUSR1);
        expect_let_go(on, SIGHUP);
    });
}

TEST_CASE("signal_set: [222] may be destroyed in its own handler and in another's") {
    on_every_loop({222}, [](ground& on, sockeye::loop& owner) {
        std::vector<std::optional<signal_set>> sets(3);
        const auto token = std::make_shared<int>(0);
        int heard = 0;
        for (auto& one : sets) {
            auto made = signal_set::open(owner, {SIGUSR1, SIGUSR2}, [&, token](int) {
                ++heard;
                for (auto& other : sets) {
                    other.reset();
                }
                CHECK(token.use_count() > 1);
            });
            REQUIRE(made);
            one.emplace(std::move(made.value()));
        }
        on.raise(SIGUSR1);
        on.raise(SIGUSR2);
        CHECK_FALSE(owner.run());
        CHECK(heard == 1);
        CHECK(token.use_count() == 1);
        expect_let_go(on, SIGUSR1);
    });
}

TEST_CASE("signal_set: one that a handler opens hears of later signals only") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        std::optional<signal_set> second;
        int heard_first = 0;
        int heard_second = 0;
        auto first = signal_set::open(owner, {SIGUSR1}, [&](int) {
            ++heard_first;
            if (!second) {
                second.emplace(
                    signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard_second; }).value());
            }
        });
        REQUIRE(first);
        on.raise(SIGUSR1);
        CHECK(support::turn(owner, 0s) == 1);
        CHECK(heard_second == 0);
        on.raise(SIGUSR1);
        CHECK(support::turn(owner, 0s) == 2);
        CHECK(heard_first == 2);
        CHECK(heard_second == 1);
    });
}

TEST_CASE("signal_set: [75] one whose handler throws hears nothing more, and the others do") {
    on_every_loop({75}, [](ground& on, sockeye::loop& owner) {
        int thrown = 0;
        int heard = 0;
        auto bad = signal_set::open(owner, {SIGUSR1}, [&](int) {
            ++thrown;
            throw std::runtime_error("expected");
        });
        {
            auto good = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(bad);
            REQUIRE(good);
            on.raise(SIGUSR1);
            CHECK_THROWS_WITH_AS(static_cast<void>(owner.run()), "expected", std::runtime_error);
            on.raise(SIGUSR1);
            CHECK(support::turn(owner, 0s) == 1);
            CHECK(thrown == 1);
            CHECK(heard == 2);
        }
        expect_let_go(on, SIGUSR1);
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("signal_set: [223] what comes while nobody turns is merged into one") {
    on_every_loop({223, 236}, [](ground& on, sockeye::loop& owner) {
        int heard = 0;
        auto set = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
        REQUIRE(set);
        for (int i = 0; i < storm_size; ++i) {
            on.raise(SIGUSR1);
        }
        CHECK(support::turn(owner, 0s) == 1);
        CHECK(support::turn(owner, 0s) == 0);
        on.raise(SIGUSR1);
        CHECK(support::turn(owner, 0s) == 1);
        CHECK(heard == 2);
    });
}

TEST_CASE("signal_set: [223] a storm is heard of, loses no last one, and blocks nobody") {
    on_every_loop(
        {223},
        [](ground&, sockeye::loop& owner) {
            std::atomic<bool> is_over = false;
            int heard = 0;
            auto set = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(set);
            std::thread storm([&] {
                for (int i = 0; i < storm_size; ++i) {
                    ::raise(SIGUSR1);
                }
                is_over = true;
            });
            CHECK(turn_until(owner, [&] { return is_over.load(); }));
            storm.join();
            static_cast<void>(owner.run_once(0s));
            CHECK(heard > 1);
            CHECK(support::turn(owner, 0s) == 0);
            ::raise(SIGUSR1);
            CHECK(support::turn(owner, 0s) == 1);
        },
        needs_threads);
}

TEST_CASE("signal_set: sets come and go while signals rain on other threads") {
    on_every_loop(
        {226},
        [](ground&, sockeye::loop& owner) {
            std::atomic<bool> is_over = false;
            std::atomic<int> drops = 0;
            int heard = 0;
            auto lasting = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(lasting);
            std::vector<std::thread> rain;
            for (int i = 0; i < 2; ++i) {
                rain.emplace_back([&] {
                    while (!is_over) {
                        ::raise(SIGUSR1);
                        ++drops;
                    }
                });
            }
            CHECK(support::turn_until([&] { return drops > 0; }, std::this_thread::yield));
            for (int i = 0; i < 300; ++i) {
                // Its state and its loop's are freed right after.
                sockeye::loop passing({.backend = owner.backend()});
                auto set = signal_set::open(passing, {SIGUSR1}, [](int) {});
                CHECK(set);
                static_cast<void>(passing.run_once(0s));
            }
            is_over = true;
            for (auto& one : rain) {
                one.join();
            }
            CHECK(turn_until(owner, [&] { return heard > 0; }));
        },
        needs_threads);
}

TEST_CASE("signal_set: [224] the handler leaves errno alone") {
    on_every_loop(
        {224},
        [](ground&, sockeye::loop& owner) {
            auto set = signal_set::open(owner, {SIGUSR1}, [](int) {});
            REQUIRE(set);
            errno = ELOOP;
            ::raise(SIGUSR1);
            CHECK(errno == ELOOP);
            static_cast<void>(owner.run_once(0s));
        },
        needs_dispositions);
}

TEST_CASE("signal_set: [225] nothing but what was asked for is touched") {
    on_every_loop(
        {225},
        [](ground&, sockeye::loop& owner) {
            std::vector<std::uintptr_t> before;
            for (int signal = 1; signal < 32; ++signal) {
                before.push_back(disposition_of(signal));
            }
            auto set = signal_set::open(owner, {SIGUSR1}, [](int) {});
            REQUIRE(set);
            for (int signal = 1; signal < 32; ++signal) {
                const bool is_same = disposition_of(signal) == before[std::size_t(signal) - 1];
                CHECK(is_same == (signal != SIGUSR1));
            }
        },
        needs_dispositions);
}

TEST_CASE("signal_set: [225] SIGPIPE does not end a process that sends to a peer that is gone") {
    on_every_loop({225}, [](ground& on, sockeye::loop&) {
        expect_let_go(on, SIGPIPE);
        for (const auto kind : {sockeye::transport::tcp, sockeye::transport::unix_stream}) {
            auto pair = support::make_stream_pair(on.system(), kind);
            pair.second.reset();
            const auto is_refused = [&] {
                const auto sent = on.system().send(pair.first.get(), sockeye::as_bytes("x"));
                return sent.error() == std::errc::broken_pipe;
            };
            CHECK(support::turn_until(is_refused, [&] { on.pass(); }));
            const sockeye::bytes parts[] = {sockeye::as_bytes("x"), sockeye::as_bytes("y")};
            CHECK(on.system().send_gathered(pair.first.get(), parts).error() ==
                  std::errc::broken_pipe);
        }
    });
}

TEST_CASE("signal_set: the table of listeners is bounded, and says when it is full") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        std::vector<signal_set> sets;
        std::error_code refused;
        while (!refused && sets.size() < 1000) {
            auto made = signal_set::open(owner, {SIGUSR1}, [](int) {});
            if (made) {
                sets.push_back(std::move(made.value()));
            } else {
                refused = made.error();
            }
        }
        CHECK(refused == std::errc::resource_unavailable_try_again);
        CHECK(sets.size() >= 200);
        sets.pop_back();
        CHECK(signal_set::open(owner, {SIGUSR1}, [](int) {}));
    });
}
