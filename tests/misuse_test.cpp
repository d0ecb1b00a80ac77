#include "base/misuse.hpp"
#include "support/handlers.hpp"
#include "support/loops.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>
#include <sockeye/sockeye.hpp>

#include <array>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

// What the mistakes of a program lead to: an explanation and an end where the library was built
// with asserts, and nothing at all where the interface says that a verb is harmless.

using namespace std::chrono_literals;
using sockeye::interest;
using sockeye::readiness;
using support::ground;
using support::on_every_loop;
using support::turn_until;

namespace {

#if defined(NDEBUG)
constexpr bool has_asserts = false;
#else
constexpr bool has_asserts = true;
#endif

void ignore_readiness(readiness) {}
void ignore_stream(sockeye::stream&, sockeye::bytes) {}

/// A loop and one object of each kind.
struct one_of_each {
    explicit one_of_each(sockeye::backend_kind kind = sockeye::backend_kind::automatic) {
        owner.emplace(sockeye::loop_options{.backend = kind});
        auto& here = *owner;
        server.emplace(sockeye::serve(here, "tcp://127.0.0.1:0", ignore_stream).value());
        listener.emplace(
            sockeye::listener::open(here, "tcp://127.0.0.1:0", {}, [](sockeye::stream) {}).value());
        link.emplace(
            sockeye::connect<support::silent_session>(here, server->local_endpoint().value(), {}));
        timer.emplace(here);
        watch.emplace(here.watch(pipe.first.get(), interest::readable, ignore_readiness).value());
        datagrams.emplace(
            sockeye::serve(here, "udp://127.0.0.1:0", support::ignore_datagrams).value());
        signals.emplace(sockeye::signal_set::open(here, {SIGUSR1}, [](int) {}).value());
        look_up.emplace(sockeye::resolve(here, "127.0.0.1:1", {}, [](auto) {}));
        hold.emplace(here.hold());
    }

    support::ends pipe = support::make_pipe();
    std::optional<sockeye::loop> owner;
    std::optional<sockeye::server> server;
    std::optional<sockeye::listener> listener;
    std::optional<sockeye::stream> link;
    std::optional<sockeye::timer> timer;
    std::optional<sockeye::watch> watch;
    std::optional<sockeye::datagram_socket> datagrams;
    std::optional<sockeye::signal_set> signals;
    std::optional<sockeye::look_up> look_up;
    std::optional<sockeye::hold_guard> hold;
};

struct mistake {
    std::string_view object; ///< what the line calls it
    void (*make)(one_of_each&);
};

constexpr mistake verbs_and_ends[] = {
    {"a server", [](one_of_each& all) { all.server->close(); }},
    {"a server", [](one_of_each& all) { all.server->pause(); }},
    {"a server", [](one_of_each& all) { static_cast<void>(all.server->connection_count()); }},
    {"a server", [](one_of_each& all) { all.server.reset(); }},
    {"a listener", [](one_of_each& all) { all.listener->close(); }},
    {"a listener", [](one_of_each& all) { all.listener.reset(); }},
    {"a stream", [](one_of_each& all) { all.link->write("hello"); }},
    {"a stream", [](one_of_each& all) { all.link->close(); }},
    {"a stream", [](one_of_each& all) { static_cast<void>(all.link->is_open()); }},
    {"a stream", [](one_of_each& all) { all.link.reset(); }},
    {"a timer", [](one_of_each& all) { all.timer->start(1ms, [] {}); }},
    {"a timer", [](one_of_each& all) { all.timer->cancel(); }},
    {"a timer", [](one_of_each& all) { static_cast<void>(all.timer->is_armed()); }},
    {"a timer", [](one_of_each& all) { all.timer.reset(); }},
    {"a watch", [](one_of_each& all) { static_cast<void>(all.watch->modify(interest::writable)); }},
    {"a watch", [](one_of_each& all) { all.watch->cancel(); }},
    {"a watch", [](one_of_each& all) { all.watch.reset(); }},
    {"a datagram_socket", [](one_of_each& all) { all.datagrams->close(); }},
    {"a datagram_socket",
     [](one_of_each& all) { static_cast<void>(all.datagrams->send(sockeye::bytes())); }},
    {"a datagram_socket", [](one_of_each& all) { all.datagrams.reset(); }},
    {"a signal_set", [](one_of_each& all) { all.signals.reset(); }},
    {"a look_up", [](one_of_each& all) { all.look_up->cancel(); }},
    {"a look_up", [](one_of_each& all) { all.look_up.reset(); }},
    {"a hold_guard", [](one_of_each& all) { all.hold.reset(); }},
};

/// What only another thread can do wrong.
constexpr mistake verbs_of_loops[] = {
    {"a loop", [](one_of_each& all) { static_cast<void>(all.owner->run()); }},
    {"a loop", [](one_of_each& all) { static_cast<void>(all.owner->run_once(0s)); }},
    {"a loop", [](one_of_each& all) { all.owner->stop(); }},
    {"a loop", [](one_of_each& all) { static_cast<void>(all.owner->now()); }},
    {"a loop", [](one_of_each& all) { static_cast<void>(all.owner->dump()); }},
    {"a loop", [](one_of_each& all) { sockeye::timer(*all.owner).cancel(); }},
    {"a loop",
     [](one_of_each& all) {
         static_cast<void>(sockeye::serve(*all.owner, "tcp://127.0.0.1:0", ignore_stream));
     }},
};

/// How a child ended, and what it said on stderr.
struct child_end {
    int status = 0;
    std::string said;
};

child_end end_of_child(const std::function<void()>& body) {
    auto line = support::make_pipe();
    child_end found;
    found.status = support::run_in_child([&] {
        ::signal(SIGABRT, SIG_DFL);
        ::dup2(line.second.get(), STDERR_FILENO);
        body();
        return 0;
    });
    line.second.reset();
    char piece[512];
    for (auto got = ::read(line.first.get(), piece, sizeof piece); got > 0;
         got = ::read(line.first.get(), piece, sizeof piece)) {
        found.said.append(piece, static_cast<std::size_t>(got));
    }
    return found;
}

/// `body` ends with one line that is this one, and an abort.
void expect_misuse(std::string_view object, std::string_view mistake,
                   const std::function<void()>& body) {
    const auto ended = end_of_child(body);
    CHECK(ended.status == 128 + SIGABRT);
    CHECK(ended.said ==
          "sockeye: misuse: " + std::string(object) + " " + std::string(mistake) + "\n");
}

constexpr std::string_view on_another_thread =
    "is used on another thread than that of its loop, which runs: only loop::remote() is for that";
constexpr std::string_view after_its_loop =
    "is used after its loop has gone: it must go before its loop";
constexpr std::string_view in_a_child =
    "of the parent is used in a forked child, which needs a loop of its own";

void expect_misuse_on_thread(const mistake& one) {
    expect_misuse(one.object, on_another_thread, [&] {
        one_of_each all;
        all.owner->remote().post([&] { std::thread([&] { one.make(all); }).join(); });
        static_cast<void>(all.owner->run());
    });
}

int told_misuses = 0;

} // namespace

TEST_CASE("misuse: another thread than the loop's ends the process with an explanation" *
          doctest::skip(!has_asserts)) {
    for (const auto& one : verbs_and_ends) {
        expect_misuse_on_thread(one);
    }
    for (const auto& one : verbs_of_loops) {
        expect_misuse_on_thread(one);
    }
}

TEST_CASE("misuse: another thread may do all of it while the loop does not run") {
    one_of_each all;
    std::thread([&] {
        for (const auto& one : verbs_and_ends) {
            if (one.object != "a look_up") {
                continue;
            }
            one.make(all);
        }
        all.timer->start(0s, [] {});
        static_cast<void>(all.owner->run_once(0s));
        all.server->close();
    }).join();
    CHECK_FALSE(all.server->is_listening());
}

TEST_CASE("misuse: who outlives the loop ends the process with an explanation" *
          doctest::skip(!has_asserts)) {
    for (const auto& one : verbs_and_ends) {
        expect_misuse(one.object, after_its_loop, [&] {
            auto& all = *new one_of_each;
            all.owner.reset();
            one.make(all);
        });
    }
}

TEST_CASE("misuse: a process_watch that outlives its loop is told as well" *
          doctest::skip(!has_asserts)) {
    expect_misuse("a process_watch", after_its_loop, [] {
        std::optional<sockeye::loop> owner(std::in_place);
        const auto child = ::fork();
        if (child == 0) {
            ::_exit(0);
        }
        auto waiting = sockeye::process_watch::open(*owner, child, [](sockeye::process_end) {});
        owner.reset();
        waiting = std::errc::operation_canceled;
    });
}

TEST_CASE("misuse: what would be sent or waited for in a forked child is explained" *
          doctest::skip(!has_asserts)) {
    constexpr mistake begun[] = {
        {"a timer", [](one_of_each& all) { all.timer->start(1ms, [] {}); }},
        {"a timer", [](one_of_each& all) { all.timer->start_every(1ms, [] {}); }},
        {"a stream", [](one_of_each& all) { all.link->write("hello"); }},
        {"a stream", [](one_of_each& all) { static_cast<void>(all.link->try_write("hello")); }},
        {"a stream", [](one_of_each& all) { all.link->shutdown(); }},
        {"a datagram_socket",
         [](one_of_each& all) { static_cast<void>(all.datagrams->send(sockeye::bytes())); }},
    };
    one_of_each all;
    for (const auto& one : begun) {
        expect_misuse(one.object, in_a_child, [&] { one.make(all); });
    }
}

TEST_CASE("misuse: the end of all that the parent made is none, in a forked child") {
    one_of_each all;
    const auto ended = end_of_child([&] {
        if (all.owner->run() != sockeye::errc::loop_forked) {
            ::_exit(2);
        }
        const one_of_each gone(std::move(all));
    });
    CHECK(ended.status == 0);
    CHECK(ended.said == "");
}

TEST_CASE("misuse: a loop and a timer that were moved from are told" *
          doctest::skip(!has_asserts)) {
    expect_misuse("a loop", "is used after it was moved from", [] {
        sockeye::loop first;
        const sockeye::loop second(std::move(first));
        static_cast<void>(first.run());
    });
    expect_misuse("a timer", "is used after it was moved from", [] {
        sockeye::loop owner;
        sockeye::timer first(owner);
        const sockeye::timer second(std::move(first));
        first.start(1s, [] {});
    });
}

TEST_CASE("misuse: who closes a descriptor under its watch is told at the next verb" *
          doctest::skip(!has_asserts)) {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            for (const bool is_reused : {false, true}) {
                constexpr void (*verbs[])(sockeye::watch&) = {
                    [](sockeye::watch& one) { one.cancel(); },
                    [](sockeye::watch& one) { one = sockeye::watch(); },
                    [](sockeye::watch& one) { static_cast<void>(one.modify(interest::writable)); }};
                for (const auto verb : verbs) {
                    auto pipe = support::make_pipe();
                    auto other = support::make_pipe();
                    const int number = pipe.first.get();
                    expect_misuse("a watch of descriptor " + std::to_string(number),
                                  is_reused ? "outlived it: the number is another file's by now"
                                            : "outlived it: somebody has closed it",
                                  [&] {
                                      sockeye::loop owner({.backend = on.entry().kind});
                                      auto made =
                                          owner.watch(number, interest::readable, ignore_readiness);
                                      if (is_reused) {
                                          ::dup2(other.first.get(), number);
                                      } else {
                                          ::close(number);
                                      }
                                      verb(made.value());
                                  });
                }
            }
        },
        support::needs_real_system{"nobody else has its descriptors"});
}

TEST_CASE("misuse: a stream whose descriptor somebody else closed is told when it is closed" *
          doctest::skip(!has_asserts)) {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            auto pair = support::make_pair();
            const int number = pair.first.get();
            const auto ended = end_of_child([&] {
                sockeye::loop owner({.backend = on.entry().kind});
                auto link = sockeye::adopt(owner, std::move(pair.first)).value();
                link.attach<support::silent_session>();
                ::close(number);
                link.abort();
                static_cast<void>(owner.run_once(0s));
            });
            CHECK(ended.status == 128 + SIGABRT);
            CHECK(ended.said == "sockeye: misuse: descriptor " + std::to_string(number) +
                                    " of a connection was closed by somebody else while it was "
                                    "watched\n");
        },
        support::needs_real_system{"nobody else has its descriptors"});
}

TEST_CASE("misuse: a listener hears of it instead, and the program goes on" *
          doctest::skip(!has_asserts)) {
    told_misuses = 0;
    const auto before = sockeye::listen_to_misuse(
        [](std::string_view object, std::string_view) { told_misuses += object == "a watch"; });
    CHECK(sockeye::misuse("a watch", "is nothing"));
    CHECK(sockeye::misuse("a timer", "is nothing"));
    sockeye::listen_to_misuse(before);
    CHECK(told_misuses == 1);
}

TEST_CASE("life_mark: knows what lives, and what has gone") {
    std::array<char, 3> places = {};
    CHECK_FALSE(sockeye::life_mark::is_at(&places[0]));
    {
        const sockeye::life_mark first(&places[0]);
        const sockeye::life_mark second(&places[1]);
        CHECK(sockeye::life_mark::is_at(&places[0]));
        CHECK(sockeye::life_mark::is_at(&places[1]));
        CHECK_FALSE(sockeye::life_mark::is_at(&places[2]));
    }
    CHECK_FALSE(sockeye::life_mark::is_at(&places[0]));
    CHECK_FALSE(sockeye::life_mark::is_at(&places[1]));
}

TEST_CASE("life_mark: many come and go on many threads, and each finds its own") {
    constexpr int rounds = support::repetitions(100'000);
    const auto work = [] {
        std::array<char, 16> places = {};
        for (int i = 0; i < rounds; ++i) {
            const auto* const place = &places[static_cast<std::size_t>(i) % places.size()];
            {
                const sockeye::life_mark mark(place);
                if (!sockeye::life_mark::is_at(place)) {
                    return false;
                }
            }
            if (sockeye::life_mark::is_at(place)) {
                return false;
            }
        }
        return true;
    };
    bool is_good[3] = {};
    std::thread threads[] = {std::thread([&] { is_good[0] = work(); }),
                             std::thread([&] { is_good[1] = work(); }),
                             std::thread([&] { is_good[2] = work(); })};
    for (auto& one : threads) {
        one.join();
    }
    CHECK(is_good[0]);
    CHECK(is_good[1]);
    CHECK(is_good[2]);
}

TEST_CASE("life_mark: with more than there is room for, nothing is said to be gone") {
    CHECK(support::run_in_child([] {
              std::vector<char> places(5000);
              std::vector<std::unique_ptr<sockeye::life_mark>> marks;
              for (const auto& place : places) {
                  marks.push_back(std::make_unique<sockeye::life_mark>(&place));
              }
              const bool is_silent = sockeye::life_mark::is_at(&places.back());
              marks.clear();
              return is_silent && sockeye::life_mark::is_at(&places.front()) ? 0 : 1;
          }) == 0);
}

TEST_CASE("misuse: every verb of what is closed is harmless, and says so where it says anything") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        support::joined<support::silent_session> ends(on, owner);
        auto& link = ends.link;
        link.abort();
        REQUIRE(turn_until(owner, [&] { return owner.counters().closed == 1; }));
        for (const bool is_empty : {false, true}) {
            if (is_empty) {
                link = sockeye::stream();
            }
            CHECK_FALSE(link.is_open());
            CHECK_FALSE(link.is_connecting());
            CHECK(link.write("late") == sockeye::write_status::refused);
            CHECK(link.try_write("late").error() == std::errc::not_connected);
            CHECK_FALSE(link.when_sent([](std::error_code) {}));
            link.pause();
            link.resume();
            link.cancel();
            link.set_limits({});
            link.shutdown();
            link.close();
            link.graceful_close();
            link.abort();
            CHECK(link.queued_bytes() == 0);
            CHECK(link.local_endpoint().error() == std::errc::not_connected);
            CHECK(link.peer_endpoint().error() == std::errc::not_connected);
            CHECK(link.peer_credentials().error() == std::errc::not_connected);
            CHECK(link.info().error() == std::errc::not_connected);
            CHECK(link.options().error() == std::errc::not_connected);
            CHECK(link.set_options({}) == std::errc::not_connected);
            CHECK(link.release().error() == std::errc::not_connected);
            CHECK(owner.find(link.ref()) == nullptr);
        }
        link.detach();
        CHECK_FALSE(owner.run());
    });
}
