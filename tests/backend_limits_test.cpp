#include "support/backends.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <set>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <unistd.h>

// Many descriptors, high ones, closed ones, too few of them, and backends inside backends.

using sockeye::interest;
using sockeye::unique_fd;
using support::both;
using support::keys;
using support::keys_of;
using support::on_every_backend;
using support::subject;

namespace {

/// A duplicate of `fd` with the number `number`.
unique_fd duplicate_at(int fd, int number) {
    unique_fd made(::fcntl(fd, F_DUPFD_CLOEXEC, number));
    REQUIRE(made.get() == number);
    return made;
}

/// Pairs of sockets with a byte in each direction. All are files of their own: kernels limit how
/// often one file may be watched through sets inside sets.
std::vector<support::stream_pair> readable_pairs(subject& on, std::size_t count) {
    std::vector<support::stream_pair> pairs;
    while (pairs.size() < count) {
        pairs.push_back(on.pair());
        support::put(on.system(), pairs.back().first.get());
        support::put(on.system(), pairs.back().second.get());
    }
    return pairs;
}

/// What is told of a descriptor that was closed without remove: nothing where the kernel forgets
/// it, else once what was wanted, as an error. Returns how many events there were.
std::size_t end_of_closed(subject& on, std::uint64_t key, interest wanted) {
    const auto told = on.look();
    for (const auto& event : told) {
        CHECK(event.key == key);
        CHECK(event.error);
        CHECK(event.readable == has(wanted, interest::readable));
        CHECK(event.writable == has(wanted, interest::writable));
    }
    CHECK(on.is_silent());
    return told.size();
}

} // namespace

TEST_CASE("backend: [19] a number that was closed and reused in a batch tells nothing stale") {
    on_every_backend({19}, [](subject& on) {
        auto first = on.pair();
        auto second = on.pair();
        const int fd = second.first.get();
        REQUIRE_FALSE(on->add(first.first.get(), interest::readable, 1));
        REQUIRE_FALSE(on->add(fd, interest::readable, 2));
        support::put(on.system(), first.second.get());
        support::put(on.system(), second.second.get());
        CHECK(keys_of(on.await()) == keys{1, 2});

        // While the event of 2 waits for its turn, its descriptor becomes another's.
        CHECK_FALSE(on->remove(fd));
        second.first.reset();
        const auto fresh = on.pair();
        REQUIRE(fresh.first.get() == fd);
        REQUIRE_FALSE(on->add(fd, interest::readable, 3));
        CHECK(keys_of(on.await()) == keys{1});
        support::put(on.system(), fresh.second.get());
        CHECK(keys_of(on.await()) == keys{1, 3});
    });
}

TEST_CASE("backend: [20] all of a large batch may be closed before its second event") {
    const support::raised_descriptor_limit raised;
    on_every_backend({20}, [](subject& on) {
        auto many = readable_pairs(on, std::min<std::size_t>(2500, on.under().room()) / 2);
        std::uint64_t key = 0;
        for (const auto& pair : many) {
            REQUIRE_FALSE(on->add(pair.first.get(), interest::readable, ++key));
            REQUIRE_FALSE(on->add(pair.second.get(), interest::readable, ++key));
        }
        CHECK_FALSE(on.look(key).empty());
        for (auto& pair : many) {
            CHECK_FALSE(on->remove(pair.first.get()));
            pair.first.reset();
            CHECK_FALSE(on->remove(pair.second.get()));
            pair.second.reset();
        }
        CHECK(on.is_silent());
        const auto pipe = on.pair();
        support::put(on.system(), pipe.second.get());
        CHECK_FALSE(on->add(pipe.first.get(), interest::readable, 1));
        CHECK(keys_of(on.await()) == keys{1});
    });
}

TEST_CASE("backend: [40] more than ten thousand registrations work") {
    const support::raised_descriptor_limit raised;
    on_every_backend({40}, [](subject& on) {
        const auto possible = std::min<std::size_t>(10'500, on.under().room());
        if (possible < 10'500) {
            on.does_not_apply("this process may open too few descriptors; as many as it may work");
        }
        const auto apart = on.pair();
        const auto pairs = readable_pairs(on, (possible - 2) / 2);
        std::vector<int> watched;
        for (const auto& pair : pairs) {
            for (const int fd : {pair.first.get(), pair.second.get()}) {
                const auto error = on->add(fd, interest::readable, watched.size() + 1);
                if (error == sockeye::errc::too_many_descriptors) {
                    CHECK(fd >= FD_SETSIZE);
                    continue;
                }
                REQUIRE_FALSE(error);
                watched.push_back(fd);
            }
        }
        // All are ready all the time, and a batch has room for a few.
        REQUIRE_FALSE(on->add(apart.first.get(), interest::readable, 0));
        std::set<std::uint64_t> seen;
        for (std::size_t turn = 0; turn < 2 * (watched.size() / 256 + 1); ++turn) {
            for (const auto& event : on.look(256)) {
                seen.insert(event.key);
            }
        }
        CHECK(seen.size() == watched.size());
        CHECK_FALSE(seen.contains(0));

        for (const auto& pair : pairs) {
            support::take(on.system(), pair.first.get());
            support::take(on.system(), pair.second.get());
        }
        CHECK(on.is_silent());
        support::put(on.system(), apart.second.get());
        CHECK(keys_of(on.await()) == keys{0});
        for (const int fd : watched) {
            CHECK_FALSE(on->remove(fd));
        }
        CHECK(keys_of(on.await()) == keys{0});
    });
}

TEST_CASE("backend: [40] one descriptor with a high number is told by its own key") {
    const support::raised_descriptor_limit raised;
    on_every_backend(
        {40},
        [](subject& on) {
            const auto pair = on.pair();
            rlimit limit = {};
            REQUIRE(::getrlimit(RLIMIT_NOFILE, &limit) == 0);
            for (const int number : {1023, 1024, 1025, 5000}) {
                if (static_cast<rlim_t>(number) >= limit.rlim_cur) {
                    continue;
                }
                const auto high = duplicate_at(pair.first.get(), number);
                const auto error = on->add(high.get(), both, 1);
                if (error) {
                    CHECK(error == sockeye::errc::too_many_descriptors);
                    CHECK(number >= FD_SETSIZE);
                    CHECK(on->remove(high.get()) == std::errc::no_such_file_or_directory);
                    continue;
                }
                CHECK(keys_of(on.await()) == keys{1});
                CHECK_FALSE(on->modify(high.get(), interest::readable, 2));
                CHECK(on.is_silent());
                support::put(on.system(), pair.second.get());
                CHECK(keys_of(on.await()) == keys{2});
                support::take(on.system(), pair.first.get());
                CHECK_FALSE(on->remove(high.get()));
            }
        },
        support::needs_real_system{"there are no duplicates of descriptors"});
}

TEST_CASE("backend: [41] bits above the kernel's table of descriptors are not believed") {
    on_every_backend(
        {41},
        [](subject& on) {
            if (on.entry().kind != sockeye::backend_kind::select) {
                on.does_not_apply("about select only");
                return;
            }
            if (on.under().room() < 800) {
                on.does_not_apply("this process may not open descriptor 700");
                return;
            }
            const auto pipe = on.pair();
            auto high = duplicate_at(pipe.second.get(), 700);
            auto middle = duplicate_at(pipe.first.get(), 300);
            REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
            REQUIRE_FALSE(on->add(high.get(), interest::writable, 2));
            REQUIRE_FALSE(on->add(middle.get(), interest::readable, 3));
            high.reset();
            middle.reset();
            // The table of a forked child is only as large as its open descriptors ask for.
            CHECK(support::run_in_child([&] {
                      if (!on.look().empty()) {
                          return 1;
                      }
                      support::put(on.system(), pipe.second.get());
                      return keys_of(on.look()) == keys{1} ? 0 : 2;
                  }) == 0);
        },
        support::needs_real_system{"about the table of descriptors of a real kernel"});
}

TEST_CASE("backend: [42] [43] a descriptor that was closed unremoved ends alone") {
    on_every_backend({42, 43}, [](subject& on) {
        const auto before = on.pair();
        auto closed = on.pair();
        const auto after = on.pair();
        const int fd = closed.first.get();
        interest wanted = interest::readable;
        SUBCASE("readable") {}
        SUBCASE("writable") {
            wanted = interest::writable;
        }
        SUBCASE("both") {
            wanted = both;
        }
        REQUIRE_FALSE(on->add(before.first.get(), interest::readable, 1));
        REQUIRE_FALSE(on->add(fd, wanted, 2));
        REQUIRE_FALSE(on->add(after.first.get(), interest::readable, 3));
        closed.first.reset();

        const auto count = end_of_closed(on, 2, wanted);
        const bool is_dropped = count > 0;
        CHECK(count <= 1);
        const auto kind = on.entry().kind;
        const bool keeps_the_table =
            kind == sockeye::backend_kind::poll || kind == sockeye::backend_kind::select;
        CHECK((is_dropped == keeps_the_table || on.under().is_simulated()));
        const auto removed = on->remove(fd);
        CHECK(removed == (is_dropped ? make_error_code(std::errc::no_such_file_or_directory)
                                     : std::error_code()));

        support::put(on.system(), before.second.get());
        support::put(on.system(), after.second.get());
        CHECK(keys_of(on.await()) == keys{1, 3});
        const auto fresh = on.pair();
        REQUIRE(fresh.first.get() == fd);
        REQUIRE_FALSE(on->add(fd, interest::readable, 4));
        support::put(on.system(), fresh.second.get());
        CHECK(keys_of(on.await()) == keys{1, 3, 4});
    });
}

TEST_CASE("backend: [42] [43] many closed descriptors all end, whatever the room") {
    on_every_backend({42, 43}, [](subject& on) {
        const auto alive = on.pair();
        support::put(on.system(), alive.second.get());
        REQUIRE_FALSE(on->add(alive.first.get(), interest::readable, 0));
        std::vector<support::stream_pair> pipes;
        for (std::uint64_t key = 1; key <= 10; ++key) {
            pipes.push_back(on.pair());
            REQUIRE_FALSE(on->add(pipes.back().first.get(), interest::readable, key));
        }
        pipes.clear();
        std::multiset<std::uint64_t> ended;
        for (int turn = 0; turn < 20; ++turn) {
            for (const auto& event : on.look(3)) {
                if (event.key != 0) {
                    CHECK(event.error);
                    ended.insert(event.key);
                }
            }
        }
        CHECK((ended.empty() || ended.size() == 10));
        CHECK(std::set(ended.begin(), ended.end()).size() == ended.size());
        CHECK(keys_of(on.look()) == keys{0});
    });
}

TEST_CASE("backend: [55] one backend can wait for another") {
    on_every_backend(
        {55},
        [](subject& on) {
            for (const auto& entry : sockeye::backend_table()) {
                if (entry.make == nullptr) {
                    continue;
                }
                CAPTURE(std::string(entry.name));
                const auto inner = entry.make().value();
                if (inner->native_handle() < 0) {
                    continue;
                }
                const auto pipe = on.pair();
                REQUIRE_FALSE(inner->add(pipe.first.get(), interest::readable, 5));
                REQUIRE_FALSE(on->add(inner->native_handle(), interest::readable, 1));
                CHECK(on.is_silent());
                support::put(on.system(), pipe.second.get());
                CHECK(keys_of(on.await()) == keys{1});
                std::vector<sockeye::event> ready(4);
                CHECK(inner->wait(ready, std::chrono::seconds(0)).value() == 1);
                CHECK(ready[0].key == 5);
                support::take(on.system(), pipe.first.get());
                static_cast<void>(inner->wait(ready, std::chrono::seconds(0)));
                CHECK(on.is_silent());
                CHECK_FALSE(on->remove(inner->native_handle()));
            }
        },
        support::needs_real_system{"there are no sets inside sets"});
}

TEST_CASE("backend: [55] a backend cannot wait for itself, not even round a corner") {
    on_every_backend(
        {55},
        [](subject& on) {
            if (on->native_handle() < 0) {
                on.does_not_apply("it has no descriptor of its own to put into another");
                return;
            }
            CHECK(on->add(on->native_handle(), interest::readable, 1));
            const auto other = on.under().make_backend();
            REQUIRE_FALSE(on->add(other->native_handle(), interest::readable, 1));
            CHECK(other->add(on->native_handle(), interest::readable, 2));
            CHECK(on->remove(on->native_handle()) == std::errc::no_such_file_or_directory);
            CHECK_FALSE(on->remove(other->native_handle()));
            CHECK(on.is_silent());
        },
        support::needs_real_system{"there are no sets inside sets"});
}

TEST_CASE("backend: [55] a handle in another backend still works after a ghost was laid") {
    on_every_backend(
        {55},
        [](subject& on) {
            if (on->native_handle() < 0) {
                on.does_not_apply("it has no descriptor of its own to put into another");
                return;
            }
            const auto outer = sockeye::make_poll_backend().value();
            std::vector<sockeye::event> ready(4);
            const auto shows = [&] {
                return outer->wait(ready, std::chrono::seconds(0)).value() == 1;
            };
            const auto outer_of_its_kind = on.under().make_backend();
            REQUIRE_FALSE(outer->add(on->native_handle(), interest::readable, 1));
            REQUIRE_FALSE(outer_of_its_kind->add(on->native_handle(), interest::readable, 1));

            auto pipe = on.pair();
            const int fd = pipe.first.get();
            const auto duplicate = support::make_duplicate(fd);
            REQUIRE_FALSE(on->add(fd, interest::readable, 1));
            pipe.first.reset();
            REQUIRE_FALSE(on->remove(fd));
            support::put(on.system(), pipe.second.get());
            CHECK(on.look().empty());
            CHECK(on.is_silent());
            CHECK_FALSE(shows());

            const auto live = on.pair();
            REQUIRE_FALSE(on->add(live.first.get(), interest::readable, 2));
            support::put(on.system(), live.second.get());
            CHECK(support::turn_until(shows, [] {}));
            CHECK(outer_of_its_kind->wait(ready, std::chrono::seconds(0)).value() == 1);
        },
        support::needs_real_system{"there are no sets inside sets"});
}

TEST_CASE("backend: [59] all of this holds with 64 descriptors") {
    // Each backend is a subcase, which runs this anew; once is enough for all of them.
    static const int status = support::run_in_child([] {
        const rlimit few = {.rlim_cur = 64, .rlim_max = 64};
        if (::setrlimit(RLIMIT_NOFILE, &few) != 0) {
            return 2;
        }
        doctest::Context context;
        context.setOption("test-case", "backend:*");
        context.setOption("test-case-exclude", "*[59]*");
        context.setOption("minimal", true);
        return context.run();
    });
    on_every_backend(
        {59}, [](subject&) { CHECK(status == 0); },
        support::needs_real_system{"it has no limit that a child may lower"});
}
