#include <sockeye/datagram_socket.hpp>
#include <sockeye/error.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>

#include "loop/loop_core.hpp"
#include "support/handlers.hpp"
#include "support/loops.hpp"
#include "support/support.hpp"

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::duration;
using sockeye::interest;
using sockeye::readiness;
using sockeye::timer;
using support::clocked_loop;
using support::ground;
using support::on_every_clocked_loop;
using support::on_every_ground;
using support::on_every_loop;
using support::rows;
using support::silent_session;
using support::turn_until;

namespace {

bool is_readable(int fd) {
    pollfd question = {fd, POLLIN, 0};
    return ::poll(&question, 1, 0) == 1;
}

const support::exemption
    no_unref({70, 71},
             "there is no unref: whatever is started counts for run() until it ends, and a remote, "
             "which does not count, starts nothing");
const support::exemption no_coroutines({275, 276, 277, 278, 279, 280, 281, 282, 283, 284, 285, 286,
                                        287, 288, 289},
                                       "there are no coroutines yet");

std::size_t resident_pages() {
    std::ifstream facts("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    facts >> all >> resident;
    return resident;
}

/// Threads of this process; 0 where the system does not say.
std::size_t running_threads() {
    std::size_t count = 0;
    std::error_code unknown;
    for (const auto& one : std::filesystem::directory_iterator("/proc/self/task", unknown)) {
        count += one.is_directory() ? 1 : 0;
    }
    return count;
}

} // namespace

TEST_CASE("loop: [61] run returns at once where nothing is left") {
    on_every_loop({61}, [](ground&, sockeye::loop& owner) {
        CHECK_FALSE(owner.run());
        CHECK_FALSE(owner.run());
        CHECK(owner.counters().waits == 0);
    });
}

TEST_CASE("loop: [62] run_once waits for one batch and says how many handlers ran") {
    on_every_loop({62}, [](ground& on, sockeye::loop& owner) {
        timer soon(owner);
        int fired = 0;
        soon.start(2ms, [&] { ++fired; });
        CHECK(support::turn(owner) == 1);
        CHECK(fired == 1);
        CHECK(support::turn(owner, 0s) == 0);
        CHECK(support::turn(owner, 1ms) == 0);
        const auto start = on.system().now();
        CHECK(support::turn(owner, 5ms) == 0);
        CHECK(on.system().now() - start >= 5ms);
        CHECK(support::turn(owner, -1s) == 0);
    });
}

TEST_CASE("loop: [62] run_once waits for no longer than it is told, however old its last turn") {
    on_every_clocked_loop({62}, [](clocked_loop& on) {
        on.advance(1h);
        const auto start = on.system.now();
        CHECK(support::turn(on.loop, 0s) == 0);
        CHECK(on.system.now() == start);
        CHECK(on.waits->timeouts == std::vector<std::optional<duration>>{duration::zero()});
        on.advance(1h);
        const auto later = on.system.now();
        CHECK(support::turn(on.loop, 10ms) == 0);
        CHECK(on.system.now() == later + 10ms);
        CHECK(on.loop.now() == on.system.now());
    });
}

TEST_CASE("loop: [62] a signal that interrupts the wait leaves the rest of it") {
    on_every_loop(
        {62},
        [](ground&, sockeye::loop& owner) {
            struct sigaction action = {};
            struct sigaction former = {};
            action.sa_handler = [](int) {};
            REQUIRE(::sigaction(SIGUSR2, &action, &former) == 0);
            std::atomic<bool> is_done = false;
            const auto self = ::pthread_self();
            std::thread interrupter([&] {
                while (!is_done) {
                    ::pthread_kill(self, SIGUSR2);
                    std::this_thread::sleep_for(100us);
                }
            });
            const auto start = sockeye::clock::now();
            const auto ran = owner.run_once(30ms);
            const auto passed = sockeye::clock::now() - start;
            is_done = true;
            interrupter.join();
            REQUIRE(::sigaction(SIGUSR2, &former, nullptr) == 0);
            CHECK(ran.value() == 0);
            CHECK(passed >= 30ms);
            CHECK(owner.counters().waits > 1);
        },
        support::needs_real_system{"there are no real signals"});
}

TEST_CASE("loop: [63] stop finishes the batch, and the loop can run again") {
    on_every_loop({63}, [](ground& on, sockeye::loop& owner) {
        support::pair_source source(on.system());
        std::vector<support::stream_pair> pairs;
        std::vector<sockeye::watch> watches;
        int heard = 0;
        for (int i = 0; i < 10; ++i) {
            pairs.push_back(source.make());
            support::put(on.system(), pairs.back().second.get());
            auto made = owner.watch(pairs.back().first.get(), interest::readable, [&](readiness) {
                ++heard;
                owner.stop();
            });
            REQUIRE(made);
            watches.push_back(std::move(made.value()));
        }
        CHECK_FALSE(owner.run());
        CHECK(heard == 10);
        CHECK(owner.counters().turns == 1);
        CHECK_FALSE(owner.run());
        CHECK(heard == 20);
    });
}

TEST_CASE("loop: [64] stop before run makes the next run return without a turn") {
    on_every_loop({64}, [](ground&, sockeye::loop& owner) {
        timer soon(owner);
        int fired = 0;
        soon.start(0s, [&] { ++fired; });
        owner.stop();
        owner.stop();
        CHECK_FALSE(owner.run());
        CHECK(fired == 0);
        CHECK(owner.counters().turns == 0);
        CHECK_FALSE(owner.run());
        CHECK(fired == 1);
    });
}

TEST_CASE("loop: [65] run inside a handler is refused, and the loop goes on") {
    on_every_loop({65}, [](ground& on, sockeye::loop& owner) {
        const auto is_refused = [&] {
            return owner.run() == sockeye::errc::loop_running &&
                   owner.run_once(0s).error() == sockeye::errc::loop_running;
        };
        const auto pair = support::make_stream_pair(on.system());
        support::put(on.system(), pair.second.get());
        timer soon(owner);
        sockeye::watch reading;
        int refused = 0;
        auto made = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
            refused += is_refused() ? 1 : 0;
            reading.cancel();
            owner.remote().post([&] {
                refused += is_refused() ? 1 : 0;
                soon.start(0s, [&] { refused += is_refused() ? 1 : 0; });
            });
        });
        REQUIRE(made);
        reading = std::move(made.value());
        CHECK_FALSE(owner.run());
        CHECK(refused == 3);
    });
}

TEST_CASE("loop: [66] [67] a loop that goes closes what is left, in silence") {
    on_every_ground({66, 67}, [](ground& on, rows&) {
        const auto token = std::make_shared<int>(0);
        const auto shout = [token] { FAIL_CHECK("a handler ran"); };
        {
            auto owner = on.make_loop({.on_exception = [token](auto) {}});
            auto server = sockeye::serve(owner, "tcp://127.0.0.1:0",
                                         [shout](sockeye::stream&, sockeye::bytes) { shout(); });
            REQUIRE(server);
            const auto where = server->local_endpoint().value();
            server->detach();
            for (int i = 0; i < 3; ++i) {
                auto client = sockeye::connect<silent_session>(owner, where, {});
                client.write("left unsaid");
                client.detach();
            }
            REQUIRE(turn_until(owner, [&] { return owner.counters().accepted == 3; }));
            // What handlers hold on to goes with them, whatever it is.
            auto held = std::make_shared<std::vector<timer>>();
            held->emplace_back(owner).start(1h, shout);
            auto signals = sockeye::signal_set::open(owner, {SIGUSR1}, [shout](int) { shout(); });
            REQUIRE(signals);
            auto pair =
                std::make_shared<support::stream_pair>(support::make_stream_pair(on.system()));
            auto reading =
                owner.watch(pair->first.get(), interest::readable, [shout](readiness) { shout(); });
            REQUIRE(reading);
            owner.remote().post(
                [shout, held, pair,
                 set = std::make_shared<sockeye::signal_set>(std::move(signals.value())),
                 watching = std::make_shared<sockeye::watch>(std::move(reading.value()))] {
                    shout();
                });
        }
        CHECK(token.use_count() == 2); // and `shout`
    });
}

TEST_CASE("loop: [66] tasks that a throwing run left behind go with the loop") {
    on_every_ground({66}, [](ground& on, rows&) {
        const auto token = std::make_shared<int>(0);
        {
            auto owner = on.make_loop();
            const auto box = owner.remote();
            for (int i = 0; i < 3000; ++i) {
                auto signals = std::make_shared<std::optional<sockeye::signal_set>>();
                if (i == 2999) {
                    signals->emplace(
                        sockeye::signal_set::open(owner, {SIGUSR1}, [](int) {}).value());
                }
                box.post([token, signals] {});
            }
            CHECK(owner.run_once(0s).value() < 3000);
            CHECK(token.use_count() > 1);
        }
        CHECK(token.use_count() == 1);
    });
}

TEST_CASE("loop: [68] 10 000 loops come and go without a trace") {
    on_every_ground({68}, [](ground& on, rows&) {
        const auto cycle = [&] {
            auto owner = on.make_loop();
            timer soon(owner);
            soon.start(0s, [] {});
            owner.remote().post([] {});
            CHECK_FALSE(owner.run());
        };
        const auto before = on.descriptors();
        for (int i = 0; i < 100; ++i) {
            cycle();
        }
        const auto pages = resident_pages();
        for (int i = 0; i < support::repetitions(10'000); ++i) {
            cycle();
        }
        CHECK(on.descriptors() == before);
        // What is freed stays in the quarantine of a sanitizer.
        CHECK((support::is_sanitized || resident_pages() < pages + 1000));
    });
}

TEST_CASE("loop: [69] one without a wake-up channel leaves nothing") {
    on_every_ground({69}, [](ground& on, rows&) {
        support::test_kernel system(on.system());
        system.refuse_wake_channel();
        CHECK_THROWS_AS(
            static_cast<void>(support::make_loop(system, on.make_backend(), on.entry())),
            std::system_error);
    });
}

TEST_CASE("loop: [69] one for which there are too few descriptors leaves nothing") {
    on_every_ground(
        {69},
        [](ground& on, rows&) {
            const auto before = support::open_descriptors();
            const auto make = [&] {
                return sockeye::loop::open({.backend = on.entry().kind}).has_value();
            };
            rlimit limit = {};
            REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
            const int highest = before.back();
            bool is_made = false;
            // One more descriptor is allowed each time, until a loop fits.
            for (int allowed = highest + 1; !is_made && allowed < highest + 20; ++allowed) {
                rlimit lowered = limit;
                lowered.rlim_cur = static_cast<rlim_t>(allowed);
                REQUIRE(::setrlimit(RLIMIT_NOFILE, &lowered) == 0);
                is_made = make();
                REQUIRE(::setrlimit(RLIMIT_NOFILE, &limit) == 0);
                CHECK(support::open_descriptors() == before);
            }
            CHECK(is_made);
        },
        support::needs_real_system{"the limit of descriptors is the process's"});
}

TEST_CASE("loop: [60] a backend that is not there is an error, not another backend") {
    CHECK(::setenv("SOCKEYE_BACKEND", "nonsense", 1) == 0);
    CHECK(sockeye::loop::open().error() == sockeye::errc::backend_unknown);
    CHECK_THROWS_AS(sockeye::loop(), std::system_error);
    CHECK(::setenv("SOCKEYE_BACKEND", "poll", 1) == 0);
    CHECK(sockeye::loop().backend() == sockeye::backend_kind::poll);
    CHECK(::unsetenv("SOCKEYE_BACKEND") == 0);
    CHECK(sockeye::loop({.backend = sockeye::backend_kind::select}).backend() ==
          sockeye::backend_kind::select);
}

TEST_CASE("loop: [72] one handler may destroy everything of its loop, of every kind") {
    on_every_loop({72}, [](ground& on, sockeye::loop& owner) {
        struct everything {
            std::vector<support::stream_pair> pairs; // first, so that they go last
            std::vector<sockeye::watch> watches;
            std::vector<timer> timers;
            std::vector<sockeye::signal_set> signals;
            std::vector<sockeye::stream> streams;
            std::vector<sockeye::server> servers;
            std::vector<sockeye::datagram_socket> datagrams;
        };
        std::optional<everything> all(std::in_place);
        int heard = 0;
        const auto end = [&] {
            ++heard;
            all.reset();
        };
        for (int i = 0; i < 8; ++i) {
            auto& pair = all->pairs.emplace_back(support::make_stream_pair(on.system()));
            all->watches.push_back(
                owner.watch(pair.first.get(), interest::readable, [&](readiness) { end(); })
                    .value());
            all->timers.emplace_back(owner).start(0s, end);
            all->signals.push_back(
                sockeye::signal_set::open(owner, {SIGUSR1}, [&](int) { end(); }).value());
            all->servers.push_back(
                sockeye::serve(owner, "tcp://127.0.0.1:0", [&](sockeye::stream&, sockeye::bytes) {
                    end();
                }).value());
            const auto where = all->servers.back().local_endpoint().value();
            all->streams.push_back(sockeye::connect<silent_session>(owner, where, {}));
            all->streams.back().write("hello");
            all->datagrams.push_back(
                sockeye::serve(
                    owner, "udp://127.0.0.1:0",
                    [&](sockeye::datagram_socket&, std::span<const sockeye::datagram>) { end(); })
                    .value());
        }
        SUBCASE("a watch") {
            for (const auto& pair : all->pairs) {
                support::put(on.system(), pair.second.get());
            }
        }
        SUBCASE("a timer") {}
        SUBCASE("a signal") {
            for (auto& one : all->timers) {
                one.cancel();
            }
            on.raise(SIGUSR1);
        }
        SUBCASE("a session") {
            for (auto& one : all->timers) {
                one.cancel();
            }
        }
        CHECK_FALSE(owner.run());
        CHECK(heard == 1);
    });
}

TEST_CASE("loop: [73] one turn is descriptors, timers, tasks, output, closes, in this order") {
    on_every_loop({73}, [](ground& on, sockeye::loop& owner) {
        std::vector<std::string> order;
        struct session {
            explicit session(std::vector<std::string>& all) : said(all) {}
            void on_data(sockeye::stream& link, sockeye::bytes in) {
                said.emplace_back("data");
                link.write(in);
                link.close();
            }
            void on_close(sockeye::stream&, const sockeye::close_info&) {
                said.emplace_back("close");
            }
            std::vector<std::string>& said;
        };
        const support::joined<session> both(on, owner, std::ref(order));
        const auto turns = owner.counters().turns;
        timer due(owner);
        due.start(0s, [&] {
            order.emplace_back("timer");
            CHECK(support::take(on.system(), both.far.get()) == 0);
        });
        owner.remote().post([&] {
            order.emplace_back("task");
            CHECK(support::take(on.system(), both.far.get()) == 0);
        });
        support::put(on.system(), both.far.get(), 3);
        CHECK(support::turn(owner, 0s) == 4);
        CHECK(order == std::vector<std::string>{"data", "timer", "task", "close"});
        CHECK(owner.counters().turns == turns + 1);
        CHECK(support::take(on.system(), both.far.get()) == 3);
    });
}

TEST_CASE("loop: [74] its time moves once a turn and never back") {
    on_every_clocked_loop({74}, [](clocked_loop& on) {
        const auto start = on.loop.now();
        on.advance(5ms);
        CHECK(on.loop.now() == start);
        timer one(on.loop);
        timer two(on.loop);
        one.start(0s, [&] {
            CHECK(on.loop.now() == start + 5ms);
            on.advance(7ms);
            CHECK(on.loop.now() == start + 5ms);
        });
        two.start(0s, [&] { CHECK(on.loop.now() == start + 5ms); });
        CHECK(support::turn(on.loop, 0s) == 2);
        on.advance(-1h);
        CHECK(support::turn(on.loop, 0s) == 0);
        CHECK(on.loop.now() == start + 5ms);
    });
}

TEST_CASE("loop: [75] what handlers throw goes to on_exception, and the turn goes on") {
    on_every_ground({75}, [](ground& on, rows&) {
        std::vector<std::string> heard;
        auto owner = on.make_loop({.on_exception = [&](std::exception_ptr what) {
            try {
                std::rethrow_exception(std::move(what));
            } catch (const std::exception& error) {
                heard.emplace_back(error.what());
            }
        }});
        timer first(owner);
        timer second(owner);
        first.start(0s, [] { throw std::runtime_error("timer"); });
        second.start(0s, [&] {
            heard.emplace_back("in between");
            owner.remote().post([] { throw std::runtime_error("task"); });
            owner.remote().post([&] { heard.emplace_back("after"); });
        });
        CHECK_FALSE(owner.run());
        CHECK(heard == std::vector<std::string>{"timer", "in between", "task", "after"});
    });
}

TEST_CASE("loop: [75] without on_exception the first one leaves run, at the end of the turn") {
    on_every_loop({75}, [](ground&, sockeye::loop& owner) {
        int ran = 0;
        for (const char* name : {"first", "second"}) {
            owner.remote().post([&, name] {
                ++ran;
                throw std::runtime_error(name);
            });
        }
        owner.remote().post([&] { ++ran; });
        SUBCASE("run") {
            CHECK_THROWS_WITH_AS(static_cast<void>(owner.run()), "first", std::runtime_error);
        }
        SUBCASE("run_once") {
            CHECK_THROWS_WITH_AS(static_cast<void>(owner.run_once(0s)), "first",
                                 std::runtime_error);
        }
        CHECK(ran == 3);
        CHECK_FALSE(owner.run());
        CHECK(support::turn(owner, 0s) == 0);
    });
}

TEST_CASE("loop: [75] what on_exception throws leaves run") {
    on_every_ground({75}, [](ground& on, rows&) {
        auto owner = on.make_loop({.on_exception = [](std::exception_ptr what) {
            std::rethrow_exception(std::move(what));
        }});
        owner.remote().post([] { throw 7; });
        CHECK_THROWS_AS(static_cast<void>(owner.run()), int);
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("loop: [76] loops in several threads share nothing") {
    on_every_ground(
        {76},
        [](ground& on, rows&) {
            std::vector<std::thread> threads;
            std::atomic<int> right = 0;
            for (int i = 0; i < 4; ++i) {
                threads.emplace_back([&, i] {
                    auto owner = on.make_loop();
                    timer every(owner);
                    int fired = 0;
                    const int wanted = 20 + i;
                    every.start_every(100us, [&] {
                        if (++fired == wanted) {
                            every.cancel();
                        }
                    });
                    const bool is_well = !owner.run();
                    right += is_well && fired == wanted &&
                                     owner.counters().timers_fired == std::uint64_t(wanted)
                                 ? 1
                                 : 0;
                });
            }
            for (auto& one : threads) {
                one.join();
            }
            CHECK(right == 4);
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("loop: [77] an idle loop makes no turns") {
    on_every_loop({77}, [](ground& on, sockeye::loop& owner) {
        const auto pair = support::make_stream_pair(on.system());
        auto idle = owner.watch(pair.first.get(), interest::readable, [](readiness) {});
        REQUIRE(idle);
        auto server =
            sockeye::serve(owner, "tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
        REQUIRE(server);
        auto link = sockeye::connect<silent_session>(owner, server->local_endpoint().value(), {});
        REQUIRE(turn_until(
            owner, [&] { return owner.counters().accepted == 1 && !link.is_connecting(); }));
        static_cast<void>(owner.run_once(20ms));
        const auto before = owner.counters();
        CHECK(support::turn(owner, 300ms) == 0);
        const auto& after = owner.counters();
        // One for the time itself; a coarse clock may ask for one more.
        CHECK(after.turns - before.turns <= 2);
        CHECK(after.waits - before.waits <= 2);
        CHECK(after.events == before.events);
        CHECK(after.registrations == before.registrations);
    });
}

TEST_CASE("loop: [77] ten idle seconds are one wait") {
    on_every_clocked_loop({77}, [](clocked_loop& on) {
        const auto pair = support::make_stream_pair(on.system);
        auto idle = on.loop.watch(pair.first.get(), interest::readable, [](readiness) {});
        REQUIRE(idle);
        auto server =
            sockeye::serve(on.loop, "tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
        REQUIRE(server);
        const auto before = on.loop.counters();
        CHECK(support::turn(on.loop, 10s) == 0);
        CHECK(on.loop.counters().waits - before.waits == 1);
        CHECK(on.loop.counters().events == before.events);
    });
}

TEST_CASE("loop: [78] counts what it does") {
    on_every_loop({78}, [](ground& on, sockeye::loop& owner) {
        const auto pair = support::make_stream_pair(on.system());
        support::put(on.system(), pair.second.get());
        auto reading = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
            support::take(on.system(), pair.first.get());
            owner.remote().post([] {});
        });
        REQUIRE(reading);
        timer soon(owner);
        soon.start(0s, [&] { owner.stop(); });
        CHECK_FALSE(owner.run());
        const auto& counted = owner.counters();
        CHECK(counted.turns == 1);
        CHECK(counted.waits == 1);
        CHECK(counted.events == 1);
        CHECK(counted.stale_events == 0);
        CHECK(counted.posts == 1);
        CHECK(counted.timers_fired == 1);
        CHECK(counted.registrations == 2); // its own wake-up, and this one
    });
}

TEST_CASE("loop: [78] the longest handler is known to within the seven before it") {
    on_every_clocked_loop({78}, [](clocked_loop& on) {
        timer slow(on.loop);
        slow.start(0s, [&] { on.advance(50ms); });
        CHECK_FALSE(on.loop.run());
        CHECK(on.loop.counters().longest_handler == 50ms);
        on.loop.remote().post([&] { on.advance(70ms); });
        CHECK_FALSE(on.loop.run());
        CHECK(on.loop.counters().longest_handler == 70ms);
        // Waiting is no handler's time.
        slow.start(1h, [] {});
        CHECK_FALSE(on.loop.run());
        CHECK(on.loop.counters().longest_handler == 70ms);
    });
}

TEST_CASE("loop: [265] a numeric address is known at once and starts no thread") {
    on_every_loop({265}, [](ground&, sockeye::loop& owner) {
        struct session {
            explicit session(std::thread::id& told) : opened_on(told) {}
            void on_open(sockeye::stream&) { opened_on = std::this_thread::get_id(); }
            void on_data(sockeye::stream&, sockeye::bytes) {}
            std::thread::id& opened_on;
        };
        const auto before = running_threads();
        for (const char* where : {"tcp://127.0.0.1:0", "tcp://[::1]:0"}) {
            auto server = sockeye::serve(owner, where, [](sockeye::stream&, sockeye::bytes) {});
            REQUIRE(server);
            std::thread::id opened_on;
            auto link = sockeye::connect<session>(
                owner, server->local_endpoint().value().to_string(), {}, std::ref(opened_on));
            CHECK(turn_until(owner, [&] { return opened_on == std::this_thread::get_id(); }));
        }
        CHECK(running_threads() == before);
    });
}

TEST_CASE("loop: a guard holds run until it goes") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            std::optional<sockeye::hold_guard> guard(owner.hold());
            const auto box = owner.remote();
            std::thread poster([&] { box.post([&] { guard.reset(); }); });
            CHECK_FALSE(owner.run());
            poster.join();
            CHECK_FALSE(guard.has_value());
            CHECK_FALSE(owner.run());
        },
        support::needs_real_system{"there are no threads"});
}

TEST_CASE("loop: what waits for another turn keeps run going") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        const auto box = owner.remote();
        int ran = 0;
        std::function<void()> again = [&] {
            if (++ran < 5) {
                box.post([&] { again(); });
            }
        };
        box.post([&] { again(); });
        CHECK_FALSE(owner.run());
        CHECK(ran == 5);
        for (int i = 0; i < 5000; ++i) {
            box.post([&] { ++ran; });
        }
        CHECK_FALSE(owner.run());
        CHECK(ran == 5005);
    });
}

TEST_CASE("loop: [260] [261] says in a forked child that it does not work there, and leaves the "
          "parent's be") {
    on_every_loop(
        {260, 261},
        [](ground&, sockeye::loop& owner) {
            const auto pipe = support::make_pipe();
            int heard = 0;
            auto reading = owner.watch(pipe.first.get(), interest::readable, [&](readiness) {
                ++heard;
                support::take(pipe.first.get());
            });
            REQUIRE(reading);
            auto server =
                sockeye::serve(owner, "tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
            REQUIRE(server);
            auto link =
                sockeye::connect<silent_session>(owner, server->local_endpoint().value(), {});
            REQUIRE(turn_until(owner, [&] { return owner.counters().accepted == 1; }));
            const int status = support::run_in_child([&] {
                const auto other = support::make_pipe();
                const bool is_told =
                    owner.run() == sockeye::errc::loop_forked &&
                    owner.run_once(0s).error() == sockeye::errc::loop_forked &&
                    reading->modify(interest::none) == sockeye::errc::loop_forked &&
                    owner.watch(other.first.get(), interest::readable, [](readiness) {}).error() ==
                        sockeye::errc::loop_forked;
                reading->cancel();
                link = sockeye::stream();
                const sockeye::loop gone(std::move(owner));
                // A loop of its own works there.
                sockeye::loop fresh({.backend = gone.backend()});
                timer soon(fresh);
                soon.start(0s, [] {});
                return is_told && !fresh.run() ? 0 : 1;
            });
            CHECK(status == 0);
            support::put(pipe.second.get());
            CHECK(turn_until(owner, [&] { return heard == 1; }));
            auto second =
                sockeye::connect<silent_session>(owner, server->local_endpoint().value(), {});
            CHECK(turn_until(owner, [&] { return owner.counters().accepted == 2; }));
        },
        support::needs_real_system{"there is no fork"});
}

TEST_CASE("loop: one runs inside another through its descriptor") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& inner) {
            const int handle = inner.native_handle();
            if (handle < 0) {
                CHECK((inner.backend() == sockeye::backend_kind::poll ||
                       inner.backend() == sockeye::backend_kind::select));
                return;
            }
            CHECK(inner.native_handle() == handle);
            const auto pipe = support::make_pipe();
            int heard = 0;
            auto reading = inner.watch(pipe.first.get(), interest::readable, [&](readiness) {
                ++heard;
                support::take(pipe.first.get());
            });
            REQUIRE(reading);
            sockeye::loop outer;
            auto nested = outer.watch(handle, interest::readable,
                                      [&](readiness) { CHECK(inner.run_once(0s)); });
            REQUIRE(nested);
            support::put(pipe.second.get());
            CHECK(turn_until(outer, [&] { return heard == 1; }));
            int posted = 0;
            std::thread poster(
                [box = inner.remote(), &posted] { box.post([&posted] { ++posted; }); });
            CHECK(turn_until(outer, [&] { return posted == 1; }));
            poster.join();
            static_cast<void>(outer.run_once(20ms));
            CHECK_FALSE(is_readable(handle));
        },
        support::needs_real_system{"there are no sets inside sets"});
}

TEST_CASE("loop: next_deadline says when it wants to run, whatever the descriptors do") {
    on_every_clocked_loop({}, [](clocked_loop& on) {
        auto& owner = on.loop;
        CHECK_FALSE(owner.next_deadline());
        const auto start = on.system.now();
        timer later(owner);
        timer sooner(owner);
        later.start(2h, [] {});
        CHECK(owner.next_deadline() == start + 2h);
        sooner.start(1h, [] {});
        CHECK(owner.next_deadline() == start + 1h);
        sooner.cancel();
        CHECK(owner.next_deadline() == start + 2h);
        later.cancel();
        CHECK_FALSE(owner.next_deadline());
        // Tasks that wait are due at once, also those that one turn did not get through.
        for (int i = 0; i < 1500; ++i) {
            owner.remote().post([] {});
        }
        CHECK(owner.next_deadline() <= on.system.now());
        CHECK(owner.run_once(0s).value() < 1500);
        CHECK(owner.next_deadline() <= on.system.now());
        while (owner.next_deadline()) {
            CHECK(owner.run_once(0s).value() > 0);
        }
        CHECK(owner.counters().posts == 1500);
    });
}

TEST_CASE("loop: may be moved between turns") {
    on_every_ground({}, [](ground& on, rows&) {
        auto owner = on.make_loop();
        std::unique_ptr<sockeye::loop> moved; // first, so that it goes last
        auto box = owner.remote();
        timer soon(owner);
        int ran = 0;
        soon.start(1ms, [&] { ++ran; });
        auto server =
            sockeye::serve(owner, "tcp://127.0.0.1:0", [&](sockeye::stream& link, sockeye::bytes) {
                ++ran;
                link.loop().stop();
            });
        REQUIRE(server);
        moved = std::make_unique<sockeye::loop>(std::move(owner));
        box.post([&] { ++ran; });
        auto link = sockeye::connect<silent_session>(*moved, server->local_endpoint().value(), {});
        link.write("hello");
        CHECK(&link.loop() == moved.get());
        CHECK_FALSE(moved->run());
        CHECK(turn_until(*moved, [&] { return ran == 3; }));
    });
}
