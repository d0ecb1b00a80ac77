#include <sockeye/error.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/timer.hpp>

#include "support/loops.hpp"
#include "support/misuse.hpp"
#include "support/support.hpp"

#include <algorithm>
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

/// A connection and the watch of its first end.
struct watched_pair {
    explicit watched_pair(support::pair_source& source) : ends(source.make()) {}

    support::stream_pair ends;
    watch reading;
    int heard = 0;
};

void ignore(readiness) {}

} // namespace

TEST_CASE("watch: a foreign descriptor is told, and stays as it is") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
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
        },
        support::needs_real_system{"there are no pipes"});
}

TEST_CASE("watch: errors come from the call, and leave nothing behind") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        const auto pair = support::make_stream_pair(on.system());
        CHECK(owner.watch(-1, interest::readable, ignore).error() ==
              std::errc::bad_file_descriptor);
        int closed = -1;
        closed = support::make_stream_pair(on.system()).first.get();
        CHECK(owner.watch(closed, interest::readable, ignore).error() ==
              std::errc::bad_file_descriptor);
        auto first = owner.watch(pair.first.get(), interest::readable, ignore);
        REQUIRE(first);
        CHECK(owner.watch(pair.first.get(), interest::readable, ignore).error() ==
              std::errc::file_exists);
        first->cancel();
        CHECK_FALSE(first->is_active());
        // Nothing counts for run() any more.
        CHECK_FALSE(owner.run());
        CHECK(owner.watch(pair.first.get(), interest::readable, ignore));
    });
}

TEST_CASE("watch: a file is refused") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::tmpfile(), std::fclose);
            CHECK(owner.watch(::fileno(file.get()), interest::readable, ignore).error() ==
                  sockeye::errc::not_pollable);
            CHECK_FALSE(owner.run());
        },
        support::needs_real_system{"there are no files"});
}

TEST_CASE("watch: modify replaces what is wanted") {
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        auto pair = support::make_stream_pair(on.system());
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
        support::put(on.system(), pair.second.get());
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
    on_every_loop({204}, [](ground& on, sockeye::loop& owner) {
        const auto pair = support::make_stream_pair(on.system());
        support::put(on.system(), pair.second.get());
        const auto token = std::make_shared<int>(0);
        std::optional<watch> own;
        int heard = 0;
        std::function<void()> act;
        auto made = owner.watch(pair.first.get(), interest::readable, [&, token](readiness) {
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
                auto again = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
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

TEST_CASE("watch: [20] [72] 2500 that are ready may all be closed inside the first handler") {
    const support::raised_descriptor_limit raised;
    on_every_loop({20, 72}, [](ground& on, sockeye::loop& owner) {
        const auto count = std::min<std::size_t>(2500, on.room() / 2);
        support::pair_source source(on.system());
        std::vector<watched_pair> pairs;
        int heard = 0;
        for (std::size_t i = 0; i < count; ++i) {
            auto& one = pairs.emplace_back(source);
            auto made = owner.watch(one.ends.first.get(), interest::readable, [&](readiness) {
                ++heard;
                for (auto& other : pairs) {
                    other.reading.cancel();
                    other.ends.first.reset();
                }
            });
            REQUIRE(made);
            one.reading = std::move(made.value());
            support::put(on.system(), one.ends.second.get());
        }
        CHECK_FALSE(owner.run());
        CHECK(heard == 1);
        CHECK(owner.counters().stale_events + 1 == owner.counters().events);
    });
}

TEST_CASE("watch: [19] who gets the number of one closed in the same batch hears nothing stale") {
    on_every_loop({19, 78}, [](ground& on, sockeye::loop& owner) {
        support::pair_source source(on.system());
        watched_pair pairs[] = {watched_pair(source), watched_pair(source)};
        std::optional<watched_pair> fresh;
        int heard_fresh = 0;
        int first = -1;
        const auto on_ready = [&](int which) {
            if (first >= 0) {
                FAIL_CHECK("the second was closed before its event came up");
                return;
            }
            first = which;
            auto& other = pairs[1 - which];
            const int number = other.ends.first.get();
            other.reading.cancel();
            other.ends.first.reset();
            fresh.emplace(source);
            REQUIRE(fresh->ends.first.get() == number);
            auto made = owner.watch(number, interest::readable, [&](readiness) { ++heard_fresh; });
            REQUIRE(made);
            fresh->reading = std::move(made.value());
            pairs[which].reading.cancel();
        };
        for (int i = 0; i < 2; ++i) {
            auto made = owner.watch(pairs[i].ends.first.get(), interest::readable,
                                    [&, i](readiness) { on_ready(i); });
            REQUIRE(made);
            pairs[i].reading = std::move(made.value());
            support::put(on.system(), pairs[i].ends.second.get());
        }
        CHECK(turn_until(owner, [&] { return first >= 0; }));
        CHECK(support::turn(owner, 0s) == 0);
        CHECK(heard_fresh == 0);
        CHECK(owner.counters().stale_events == 1);
        support::put(on.system(), fresh->ends.second.get());
        CHECK(turn_until(owner, [&] { return heard_fresh > 0; }));
    });
}

TEST_CASE("watch: [75] one whose handler throws hears nothing more, and the others go on") {
    on_every_loop({75}, [](ground& on, sockeye::loop& owner) {
        support::pair_source source(on.system());
        watched_pair bad(source);
        watched_pair good(source);
        auto first = owner.watch(bad.ends.first.get(), interest::readable, [&](readiness) {
            ++bad.heard;
            throw std::runtime_error("expected");
        });
        auto second = owner.watch(good.ends.first.get(), interest::readable, [&](readiness) {
            ++good.heard;
            support::take(on.system(), good.ends.first.get());
            owner.stop();
        });
        REQUIRE(first);
        REQUIRE(second);
        support::put(on.system(), bad.ends.second.get());
        CHECK_THROWS_WITH_AS(static_cast<void>(owner.run()), "expected", std::runtime_error);
        support::put(on.system(), good.ends.second.get());
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
    on_every_loop({75}, [](ground& on, sockeye::loop& owner) {
        const auto pair = support::make_stream_pair(on.system());
        support::put(on.system(), pair.second.get());
        std::optional<watch> own;
        auto made = owner.watch(pair.first.get(), interest::readable, [&](readiness) {
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
    on_every_loop({}, [](ground& on, sockeye::loop& owner) {
        const support::tolerated_misuse tolerated;
        auto pair = support::make_stream_pair(on.system());
        auto other = support::make_stream_pair(on.system());
        int heard = 0;
        auto lost = owner.watch(pair.first.get(), interest::readable, [&](readiness) { ++heard; });
        REQUIRE(lost);
        SUBCASE("before its first event") {}
        SUBCASE("while it was ready") {
            support::put(on.system(), pair.second.get());
        }
        pair.first.reset();
        // The loop still waits for the others.
        int told = 0;
        auto alive = owner.watch(other.first.get(), interest::readable, [&](readiness) {
            ++told;
            support::take(on.system(), other.first.get());
        });
        REQUIRE(alive);
        const auto before = owner.counters().waits;
        for (int i = 0; i < 5; ++i) {
            static_cast<void>(owner.run_once(5ms));
        }
        CHECK(heard <= 1);
        CHECK(owner.counters().waits - before <= 30);
        support::put(on.system(), other.second.get());
        CHECK(turn_until(owner, [&] { return told == 1; }));
        lost->cancel();
        support::put(on.system(), other.second.get());
        CHECK(turn_until(owner, [&] { return told == 2; }));
    });
}

TEST_CASE("watch: [21] removed and added again within one turn, the last word counts") {
    on_every_loop({21, 22}, [](ground& on, sockeye::loop& owner) {
        auto pair = support::make_stream_pair(on.system());
        support::put(on.system(), pair.second.get());
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
