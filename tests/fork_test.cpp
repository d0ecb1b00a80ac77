#include "support/handlers.hpp"
#include "support/loops.hpp"
#include "support/support.hpp"

#include <sockeye/serve.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

// What becomes of a loop and its descriptors in children, forked and executed.

using namespace std::chrono_literals;
using sockeye::interest;
using sockeye::readiness;
using sockeye::signal_set;
using support::ground;
using support::on_every_loop;
using support::silent_session;
using support::turn_until;

namespace {

const support::needs_real_system fork_and_exec = {"there is no fork and no exec"};

/// What a program that this one executes finds open: its own descriptors and what it inherited.
std::string inherited_descriptors() {
    const std::unique_ptr<std::FILE, int (*)(std::FILE*)> lister(
        ::popen("exec ls -1 /dev/fd/", "r"), ::pclose);
    if (!lister) {
        throw std::runtime_error("popen");
    }
    std::string listed;
    for (int c = std::fgetc(lister.get()); c != EOF; c = std::fgetc(lister.get())) {
        listed += static_cast<char>(c);
    }
    return listed;
}

/// Executes a program that does nothing, and says whether it ended well.
bool executes_well() {
    return support::run_in_child([] {
               ::execl("/bin/sh", "sh", "-c", "exit 7", nullptr);
               return 1;
           }) == 7;
}

} // namespace

TEST_CASE("fork: [259] nothing that a loop makes is inherited by a program") {
    const auto before = inherited_descriptors();
    REQUIRE_FALSE(before.empty());
    on_every_loop(
        {259},
        [&](ground& on, sockeye::loop& owner) {
            auto server =
                sockeye::serve(owner, "tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {});
            REQUIRE(server);
            auto local = sockeye::serve(owner, "unix:" + on.path("server"),
                                        [](sockeye::stream&, sockeye::bytes) {});
            REQUIRE(local);
            auto datagrams = sockeye::serve(
                owner, "udp://127.0.0.1:0",
                [](sockeye::datagram_socket&, std::span<const sockeye::datagram>) {});
            REQUIRE(datagrams);
            auto signals = signal_set::open(owner, {SIGUSR1}, [](int) {});
            REQUIRE(signals);
            auto client =
                sockeye::connect<silent_session>(owner, server->local_endpoint().value(), {});
            auto neighbour =
                sockeye::connect<silent_session>(owner, local->local_endpoint().value(), {});
            REQUIRE(turn_until(owner, [&] { return owner.counters().opened == 4; }));
            CHECK(on.descriptors() > 8);
            CHECK(inherited_descriptors() == before);
        },
        fork_and_exec);
}

TEST_CASE("fork: [262] a signal to the child is not heard by the parent, nor the other way round") {
    on_every_loop(
        {262},
        [](ground&, sockeye::loop& owner) {
            int heard = 0;
            auto set = signal_set::open(owner, {SIGUSR1}, [&](int) { ++heard; });
            REQUIRE(set);
            const int status = support::run_in_child([&] {
                int heard_here = 0;
                sockeye::loop fresh({.backend = owner.backend()});
                auto own = signal_set::open(fresh, {SIGUSR1}, [&](int) { ++heard_here; });
                ::raise(SIGUSR1);
                static_cast<void>(fresh.run_once(0s));
                return own && heard_here == 1 ? 0 : 1;
            });
            CHECK(status == 0);
            CHECK(support::turn(owner, 0s) == 0);
            CHECK(heard == 0);
            // The child went with its sets; the parent's are as they were.
            ::raise(SIGUSR1);
            CHECK(support::turn(owner, 0s) == 1);
            CHECK(heard == 1);
        },
        fork_and_exec);
}

TEST_CASE("fork: [263] what the child still holds tells the parent nothing once that closed it") {
    on_every_loop(
        {263},
        [](ground& on, sockeye::loop& owner) {
            auto pair = support::make_stream_pair(on.system());
            auto finish = support::make_pipe();
            auto begun = support::make_pipe();
            int heard = 0;
            auto watching =
                owner.watch(pair.first.get(), interest::readable, [&](readiness) { ++heard; });
            REQUIRE(watching);
            const pid_t child = ::fork();
            REQUIRE(child >= 0);
            if (child == 0) {
                support::put(begun.second.get());
                finish.second.reset();
                char byte = 0;
                while (::read(finish.first.get(), &byte, 1) != 0) {
                    // Non-blocking: until the parent lets go of the other end.
                }
                ::_exit(0);
            }
            CHECK(support::turn_until([&] { return support::take(begun.first.get()) == 1; },
                                      [&] { on.pass(); }));
            watching->cancel();
            pair.first.reset();
            CHECK(support::put(on.system(), pair.second.get()) == 1);
            const auto before = owner.counters();
            for (int i = 0; i < 3; ++i) {
                CHECK(support::turn(owner, 1ms) == 0);
            }
            CHECK(heard == 0);
            CHECK(owner.counters().events == before.events);
            finish.second.reset();
            CHECK(::waitpid(child, nullptr, 0) == child);
        },
        fork_and_exec);
}

TEST_CASE("fork: [264] a program may be executed at any time, and the loop goes on") {
    on_every_loop(
        {264},
        [](ground& on, sockeye::loop& owner) {
            const auto pair = support::make_stream_pair(on.system());
            int heard = 0;
            auto watching = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
                ++heard;
                support::take(on.system(), pair.first.get());
                CHECK(executes_well());
            });
            REQUIRE(watching);
            CHECK(executes_well());
            sockeye::timer soon(owner);
            int fired = 0;
            soon.start(1ms, [&] { ++fired; });
            for (int round = 1; round <= 3; ++round) {
                support::put(on.system(), pair.second.get());
                CHECK(turn_until(owner, [&] { return heard == round; }));
            }
            CHECK(turn_until(owner, [&] { return fired == 1; }));
        },
        fork_and_exec);
}
