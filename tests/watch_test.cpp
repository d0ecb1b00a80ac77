#include <sockeye/error.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/timer.hpp>

#include "support/loops.hpp"
#include "support/support.hpp"

#include <chrono>
#include <cstdio>
#include <memory>
#include <optional>
#include <stdexcept>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::interest;
using sockeye::readiness;
using sockeye::watch;
using support::ground;
using support::on_every_loop;
using support::turn_until;

namespace {

/// A pipe and the watch of its reading end.
struct watched_pipe {
    support::ends ends = support::make_pipe();
    watch reading;
    int heard = 0;
};

void ignore(readiness) {}

} // namespace

TEST_CASE("watch: a foreign descriptor is told, and stays as it is") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        int both[2] = {-1, -1};
        REQUIRE(::pipe(both) == 0);
        const sockeye::unique_fd reader(both[0]);
        const sockeye::unique_fd writer(both[1]);
        const int status = ::fcntl(reader.get(), F_GETFL);
        const int flags = ::fcntl(reader.get(), F_GETFD);
        std::vector<readiness> told;
        {
            auto reading = owner.watch(reader.get(), interest::readable, [&](readiness what) {
                told.push_back(what);
                char byte = 0;
                CHECK(::read(reader.get(), &byte, 1) == 1);
            });
            REQUIRE(reading);
            CHECK(reading->is_active());
            CHECK(support::turn(owner, 0s) == 0);
            REQUIRE(::write(writer.get(), "ab", 2) == 2);
            CHECK(turn_until(owner, [&] { return told.size() == 2; }));
            CHECK(told.front().readable);
            CHECK_FALSE(told.front().writable);
            CHECK_FALSE(told.front().error);
        }
        CHECK(::fcntl(reader.get(), F_GETFL) == status);
        CHECK(::fcntl(reader.get(), F_GETFD) == flags);
        REQUIRE(::write(writer.get(), "c", 1) == 1);
        CHECK(support::turn(owner, 0s) == 0);
        CHECK(told.size() == 2);
    });
}

TEST_CASE("watch: errors come from the call, and leave nothing behind") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        const auto pipe = support::make_pipe();
        CHECK(owner.watch(-1, interest::readable, ignore).error() ==
              std::errc::bad_file_descriptor);
        int closed = -1;
        closed = support::make_pipe().first.get();
        CHECK(owner.watch(closed, interest::readable, ignore).error() ==
              std::errc::bad_file_descriptor);
        const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
        CHECK(owner.watch(::fileno(file.get()), interest::readable, ignore).error() ==
              sockeye::errc::not_pollable);
        auto first = owner.watch(pipe.first.get(), interest::readable, ignore);
        REQUIRE(first);
        CHECK(owner.watch(pipe.first.get(), interest::readable, ignore).error() ==
              std::errc::file_exists);
        first->cancel();
        CHECK_FALSE(first->is_active());
        // Nothing counts for run() any more.
        CHECK_FALSE(owner.run());
        CHECK(owner.watch(pipe.first.get(), interest::readable, ignore));
    });
}

TEST_CASE("watch: modify replaces what is wanted") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        auto pair = support::make_pair();
        readiness last;
        int heard = 0;
        auto both = owner.watch(pair.first.get(), interest::readable, [&](readiness what) {
            last = what;
            ++heard;
        });
        REQUIRE(both);
        CHECK(support::turn(owner, 0s) == 0);
        CHECK_FALSE(both->modify(interest::writable));
        CHECK(turn_until(owner, [&] { return heard == 1; }));
        CHECK(last.writable);
        CHECK_FALSE(last.readable);
        support::put(pair.second.get());
        CHECK_FALSE(both->modify(interest::readable | interest::writable));
        CHECK(turn_until(owner, [&] { return last.readable && last.writable; }));
        CHECK_FALSE(both->modify(interest::none));
        const auto before = heard;
        CHECK(support::turn(owner, 0s) == 0);
        CHECK(heard == before);
        CHECK_FALSE(both->modify(interest::readable));
        CHECK(turn_until(owner, [&] { return heard == before + 1; }));
        both->cancel();
        CHECK(both->modify(interest::readable) == std::errc::no_such_file_or_directory);
    });
}

TEST_CASE("watch: may be cancelled, destroyed, moved and changed in its own handler") {
    on_every_loop({204}, [](ground&, sockeye::loop& owner) {
        const auto pipe = support::make_pipe();
        support::put(pipe.second.get());
        const auto token = std::make_shared<int>(0);
        std::optional<watch> own;
        int heard = 0;
        std::function<void()> act;
        auto made = owner.watch(pipe.first.get(), interest::readable, [&, token](readiness) {
            ++heard;
            act();
            CHECK(token.use_count() == 2);
        });
        REQUIRE(made);
        own.emplace(std::move(made.value()));
        SUBCASE("cancelled") {
            act = [&] { own->cancel(); };
            CHECK_FALSE(owner.run());
            CHECK(heard == 1);
            CHECK(token.use_count() == 1);
        }
        SUBCASE("destroyed") {
            act = [&] { own.reset(); };
            CHECK_FALSE(owner.run());
            CHECK(heard == 1);
            CHECK(token.use_count() == 1);
        }
        SUBCASE("moved, then cancelled") {
            watch other;
            act = [&] {
                if (heard == 1) {
                    other = std::move(*own);
                    CHECK(other.is_active());
                } else {
                    other.cancel();
                }
            };
            CHECK_FALSE(owner.run());
            CHECK(heard == 2);
        }
        SUBCASE("replaced by another watch of the same descriptor") {
            int heard_by_other = 0;
            act = [&] {
                own.reset();
                auto again = owner.watch(pipe.first.get(), interest::readable, [&](readiness) {
                    ++heard_by_other;
                    own.reset();
                });
                REQUIRE(again);
                own.emplace(std::move(again.value()));
            };
            CHECK_FALSE(owner.run());
            CHECK(heard == 1);
            CHECK(heard_by_other == 1);
        }
    });
}

TEST_CASE("watch: [20] 2500 that are ready may all be closed inside the first handler") {
    const support::raised_descriptor_limit raised;
    if (support::descriptor_room() < 5100) {
        MESSAGE("not enough descriptors for 2500 pipes");
        return;
    }
    on_every_loop({20, 72}, [](ground&, sockeye::loop& owner) {
        std::vector<watched_pipe> pipes(2500);
        int heard = 0;
        for (auto& one : pipes) {
            auto made = owner.watch(one.ends.first.get(), interest::readable, [&](readiness) {
                ++heard;
                for (auto& other : pipes) {
                    other.reading.cancel();
                    other.ends.first.reset();
                }
            });
            REQUIRE(made);
            one.reading = std::move(made.value());
            support::put(one.ends.second.get());
        }
        CHECK_FALSE(owner.run());
        CHECK(heard == 1);
        CHECK(owner.counters().stale_events + 1 == owner.counters().events);
    });
}

TEST_CASE("watch: [19] who gets the number of one closed in the same batch hears nothing stale") {
    on_every_loop({19, 78}, [](ground&, sockeye::loop& owner) {
        watched_pipe pipes[2];
        watched_pipe fresh;
        int first = -1;
        const auto on_ready = [&](int which) {
            if (first >= 0) {
                FAIL_CHECK("the second was closed before its event came up");
                return;
            }
            first = which;
            auto& other = pipes[1 - which];
            const int number = other.ends.first.get();
            other.reading.cancel();
            other.ends.first.reset();
            const sockeye::unique_fd spare(::dup(fresh.ends.first.get()));
            if (spare.get() != number) {
                REQUIRE(::dup2(fresh.ends.first.get(), number) == number);
            }
            other.ends.first = sockeye::unique_fd(number);
            if (spare.get() == number) {
                static_cast<void>(const_cast<sockeye::unique_fd&>(spare).release());
            }
            auto made = owner.watch(number, interest::readable, [&](readiness) { ++fresh.heard; });
            REQUIRE(made);
            fresh.reading = std::move(made.value());
            pipes[which].reading.cancel();
        };
        for (int i = 0; i < 2; ++i) {
            auto made = owner.watch(pipes[i].ends.first.get(), interest::readable,
                                    [&, i](readiness) { on_ready(i); });
            REQUIRE(made);
            pipes[i].reading = std::move(made.value());
            support::put(pipes[i].ends.second.get());
        }
        CHECK(turn_until(owner, [&] { return first >= 0; }));
        CHECK(support::turn(owner, 0s) == 0);
        CHECK(fresh.heard == 0);
        CHECK(owner.counters().stale_events == 1);
        support::put(fresh.ends.second.get());
        CHECK(turn_until(owner, [&] { return fresh.heard > 0; }));
    });
}

TEST_CASE("watch: [75] one whose handler throws hears nothing more, and the others go on") {
    on_every_loop({75}, [](ground&, sockeye::loop& owner) {
        watched_pipe bad;
        watched_pipe good;
        auto first = owner.watch(bad.ends.first.get(), interest::readable, [&](readiness) {
            ++bad.heard;
            throw std::runtime_error("expected");
        });
        auto second = owner.watch(good.ends.first.get(), interest::readable, [&](readiness) {
            ++good.heard;
            support::take(good.ends.first.get());
            owner.stop();
        });
        REQUIRE(first);
        REQUIRE(second);
        support::put(bad.ends.second.get());
        CHECK_THROWS_WITH_AS(static_cast<void>(owner.run()), "expected", std::runtime_error);
        support::put(good.ends.second.get());
        CHECK_FALSE(owner.run());
        CHECK(bad.heard == 1);
        CHECK(good.heard >= 1);
        CHECK(first->modify(interest::readable) == std::errc::no_such_file_or_directory);
        second->cancel();
        // It does not keep the loop going either.
        CHECK_FALSE(owner.run());
        first->cancel();
    });
}

TEST_CASE("watch: one that throws after it has destroyed itself does no harm") {
    on_every_loop({75}, [](ground&, sockeye::loop& owner) {
        const auto pipe = support::make_pipe();
        support::put(pipe.second.get());
        std::optional<watch> own;
        auto made = owner.watch(pipe.first.get(), interest::readable, [&](readiness) {
            own.reset();
            throw std::runtime_error("expected");
        });
        REQUIRE(made);
        own.emplace(std::move(made.value()));
        CHECK_THROWS_AS(static_cast<void>(owner.run()), std::runtime_error);
        CHECK_FALSE(owner.run());
    });
}

TEST_CASE("watch: a descriptor that somebody else closed does not make the loop spin") {
    on_every_loop({}, [](ground&, sockeye::loop& owner) {
        auto pair = support::make_pair();
        auto other = support::make_pipe();
        int heard = 0;
        auto lost = owner.watch(pair.first.get(), interest::readable, [&](readiness) { ++heard; });
        REQUIRE(lost);
        SUBCASE("before its first event") {}
        SUBCASE("while it was ready") {
            support::put(pair.second.get());
        }
        pair.first.reset();
        // The loop still waits for the others.
        int told = 0;
        auto alive = owner.watch(other.first.get(), interest::readable, [&](readiness) {
            ++told;
            support::take(other.first.get());
        });
        REQUIRE(alive);
        const auto before = owner.counters().waits;
        for (int i = 0; i < 5; ++i) {
            static_cast<void>(owner.run_once(5ms));
        }
        CHECK(heard <= 1);
        CHECK(owner.counters().waits - before <= 30);
        support::put(other.second.get());
        CHECK(turn_until(owner, [&] { return told == 1; }));
        lost->cancel();
        support::put(other.second.get());
        CHECK(turn_until(owner, [&] { return told == 2; }));
    });
}

TEST_CASE("watch: [21] removed and added again within one turn, the last word counts") {
    on_every_loop({21, 22}, [](ground&, sockeye::loop& owner) {
        auto pair = support::make_pair();
        support::put(pair.second.get());
        watch own;
        int heard = 0;
        bool is_last = false;
        std::function<void()> add = [&] {
            auto made = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
                ++heard;
                own.cancel();
                add();
                own.cancel();
                if (!is_last) {
                    is_last = true;
                    add();
                }
            });
            REQUIRE(made);
            own = std::move(made.value());
        };
        add();
        CHECK_FALSE(owner.run());
        CHECK(heard == 2);
    });
}
