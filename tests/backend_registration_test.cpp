#include "support/backends.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>

#include <climits>
#include <cstdlib>
#include <filesystem>
#include <string>

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

// What add, modify and remove accept, refuse and leave behind.

using sockeye::errc;
using sockeye::interest;
using sockeye::unique_fd;
using support::both;
using support::keys;
using support::keys_of;
using support::on_every_backend;
using support::subject;

namespace {

constexpr auto unknown_bits = static_cast<interest>(0x40);

const support::exemption no_close_verb(
    {54},
    "a backend has no close verb: its destructor is the close, and nothing is left to misuse");

unique_fd open_path(const std::string& path, int flags) {
    unique_fd fd(::open(path.c_str(), flags | O_CLOEXEC | O_NONBLOCK, 0600));
    REQUIRE(fd);
    return fd;
}

/// A number that was a descriptor a moment ago.
int closed_number(subject& on) {
    return on.pair().first.get();
}

void accepts_and_reports(subject& on, int fd, interest wanted) {
    CHECK_FALSE(on->add(fd, wanted, 7));
    const auto told = on.await();
    CHECK(keys_of(told) == keys{7});
    CHECK_FALSE(on->remove(fd));
}

} // namespace

TEST_CASE("backend: [1] the key given to add comes back with the event") {
    on_every_backend({1}, [](subject& on) {
        const auto pipe = on.pair();
        constexpr std::uint64_t key = 0xfedc'ba98'7654'3210;
        CHECK_FALSE(on->add(pipe.first.get(), interest::readable, key));
        support::put(on.system(), pipe.second.get());
        CHECK(keys_of(on.await()) == keys{key});
    });
}

TEST_CASE("backend: [F101] exclusive goes with readable alone, and only where it is offered") {
    on_every_backend({support::fault_row(101)}, [](subject& on) {
        const auto pipe = on.pair();
        const int fd = pipe.first.get();
        constexpr auto alone = interest::readable | interest::exclusive;
        if (!on.entry().features.exclusive) {
            CHECK(on->add(fd, alone, 1) == std::errc::invalid_argument);
            return;
        }
        for (const auto wanted : {both | interest::exclusive, alone | interest::edge}) {
            CHECK(on->add(fd, wanted, 1) == std::errc::invalid_argument);
        }
        REQUIRE_FALSE(on->add(fd, alone, 1));
        CHECK(on->modify(fd, interest::readable, 1) == std::errc::invalid_argument);
        support::put(on.system(), pipe.second.get());
        CHECK(keys_of(on.await()) == keys{1});
        // What it may be changed to is nothing, and back.
        REQUIRE_FALSE(on->modify(fd, interest::exclusive, 2));
        CHECK(keys_of(on.look()) == keys{});
        REQUIRE_FALSE(on->modify(fd, alone, 3));
        CHECK(keys_of(on.await()) == keys{3});
        CHECK_FALSE(on->remove(fd));
        CHECK(keys_of(on.look()) == keys{});
    });
}

TEST_CASE("backend: [2] a second add is refused and the first registration still works") {
    on_every_backend({2, 3}, [](subject& on) {
        const auto pipe = on.pair();
        const int fd = pipe.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK(on->add(fd, interest::readable, 2) == std::errc::file_exists);
        CHECK(on->add(fd, both, 1) == std::errc::file_exists);
        support::put(on.system(), pipe.second.get());
        CHECK(keys_of(on.await()) == keys{1});

        REQUIRE_FALSE(on->remove(fd));
        CHECK_FALSE(on->add(fd, interest::readable, 2));
        CHECK(keys_of(on.await()) == keys{2});
    });
}

TEST_CASE("backend: [4] unknown interest bits are refused and leave nothing behind") {
    on_every_backend({4}, [](subject& on) {
        const auto pipe = on.pair();
        const int fd = pipe.first.get();
        support::put(on.system(), pipe.second.get());
        CHECK(on->add(fd, unknown_bits, 1) == std::errc::invalid_argument);
        CHECK(on->add(fd, unknown_bits | interest::readable, 1) == std::errc::invalid_argument);
        CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        CHECK(on.is_silent());

        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK(on->modify(fd, unknown_bits, 2) == std::errc::invalid_argument);
        CHECK(keys_of(on.await()) == keys{1});
    });
}

TEST_CASE("backend: [5] a negative or closed descriptor is refused and leaves nothing behind") {
    on_every_backend({5}, [](subject& on) {
        const int closed = closed_number(on);
        for (const int fd : {-1, INT_MIN, closed}) {
            CAPTURE(fd);
            CHECK(on->add(fd, interest::readable, 1) == std::errc::bad_file_descriptor);
            CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        }
        CHECK(on.is_silent());

        const auto pipe = on.pair();
        CHECK(pipe.first.get() == closed);
        CHECK_FALSE(on->add(closed, interest::readable, 2));
    });
}

TEST_CASE("backend: [6] an absurd number is refused before a table of that size is made") {
    on_every_backend({6}, [](subject& on) {
        for (const int fd : {INT_MAX, INT_MAX / 2}) {
            CHECK(on->add(fd, interest::readable, 1) == std::errc::bad_file_descriptor);
            CHECK(on->modify(fd, interest::readable, 1) == std::errc::no_such_file_or_directory);
            CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        }
    });
}

TEST_CASE("backend: [8] sockets of every kind are accepted") {
    on_every_backend({8}, [](subject& on) {
        const auto pair = on.pair();
        accepts_and_reports(on, pair.first.get(), interest::writable);
        const auto tcp = on.tcp_pair();
        accepts_and_reports(on, tcp.first.get(), interest::writable);
        const auto udp = on.system().socket(sockeye::transport::udp, AF_INET).value();
        accepts_and_reports(on, udp.get(), interest::writable);
        const auto channel = on.system().make_wake_channel().value();
        on.system().wake(channel.write_end());
        accepts_and_reports(on, channel.reader.get(), interest::readable);
    });
}

TEST_CASE("backend: [7] [8] files and directories are refused, everything that waits is not") {
    on_every_backend(
        {7, 8},
        [](subject& on) {
            const support::scratch_folder folder;
            const auto file = open_path(folder.path("file"), O_CREAT | O_RDWR);
            const auto directory = open_path(folder.path("."), O_RDONLY);
            CHECK(on->add(file.get(), interest::readable, 1) == errc::not_pollable);
            CHECK(on->add(file.get(), interest::none, 1) == errc::not_pollable);
            CHECK(on->add(directory.get(), interest::readable, 1) == errc::not_pollable);
            CHECK(on->remove(file.get()) == std::errc::no_such_file_or_directory);
            CHECK(on.is_silent());

            const auto pipe = support::make_pipe();
            accepts_and_reports(on, pipe.second.get(), interest::writable);
            const auto fifo_path = folder.path("fifo");
            REQUIRE(::mkfifo(fifo_path.c_str(), 0600) == 0);
            const auto fifo = open_path(fifo_path, O_RDONLY);
            const auto fifo_end = open_path(fifo_path, O_WRONLY);
            support::put(fifo_end.get());
            accepts_and_reports(on, fifo.get(), interest::readable);

            const unique_fd terminal(::posix_openpt(O_RDWR | O_NOCTTY));
            REQUIRE(terminal);
            accepts_and_reports(on, terminal.get(), interest::writable);
        },
        support::needs_real_system{"there are no files, pipes and terminals"});
}

TEST_CASE("backend: [9] [10] modify and remove of an unknown descriptor fail") {
    on_every_backend({9, 10}, [](subject& on) {
        const auto pipe = on.pair();
        const int fd = pipe.first.get();
        support::put(on.system(), pipe.second.get());
        for (const int unknown : {fd, -1, fd + 1000}) {
            CHECK(on->modify(unknown, both, 1) == std::errc::no_such_file_or_directory);
            CHECK(on->remove(unknown) == std::errc::no_such_file_or_directory);
        }
        CHECK(on.is_silent());

        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK_FALSE(on->remove(fd));
        CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        CHECK(on->modify(fd, interest::readable, 1) == std::errc::no_such_file_or_directory);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [11] [12] modify replaces interest, key or both") {
    on_every_backend({11, 12}, [](subject& on) {
        const auto pair = on.pair();
        const int fd = pair.first.get();
        support::put(on.system(), pair.second.get());
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));

        const auto tells = [&](std::uint64_t key, bool readable, bool writable) {
            const auto told = on.await();
            REQUIRE(keys_of(told) == keys{key});
            CHECK(told[0].readable == readable);
            CHECK(told[0].writable == writable);
        };
        tells(1, true, false);
        CHECK_FALSE(on->modify(fd, interest::writable, 1));
        tells(1, false, true);
        CHECK_FALSE(on->modify(fd, interest::writable, 2));
        tells(2, false, true);
        CHECK_FALSE(on->modify(fd, both, 3));
        tells(3, true, true);
        CHECK_FALSE(on->modify(fd, interest::none, 3));
        CHECK(on.is_silent());
        CHECK_FALSE(on->modify(fd, interest::readable, 4));
        tells(4, true, false);
    });
}

TEST_CASE("backend: [13] modify that changes no interest does not ask the system") {
    on_every_backend({13}, [](subject& on) {
        auto pipe = on.pair();
        const int fd = pipe.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        // The system would refuse any question about a number that is closed.
        pipe.first.reset();
        CHECK_FALSE(on->modify(fd, interest::readable, 1));
        CHECK_FALSE(on->modify(fd, interest::readable, 2));
        CHECK_FALSE(on->remove(fd));
    });
}

TEST_CASE("backend: [14] a modify that the system refuses leaves all or nothing registered") {
    on_every_backend({14}, [](subject& on) {
        auto pipe = on.pair();
        const int fd = pipe.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        pipe.first.reset();
        // Those that keep the kernel's table in the process hear of it when they wait.
        if (const auto error = on->modify(fd, both, 2)) {
            CHECK(error == std::errc::bad_file_descriptor);
            CHECK(on.is_silent());
        } else {
            CHECK(keys_of(on.look()) == keys{2});
            CHECK(on.is_silent());
        }
        static_cast<void>(on->remove(fd));
        CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);

        const auto next = on.pair();
        REQUIRE(next.first.get() == fd);
        REQUIRE_FALSE(on->add(fd, interest::readable, 3));
        support::put(on.system(), next.second.get());
        CHECK(keys_of(on.await()) == keys{3});
    });
}

TEST_CASE("backend: [14] a modify after the number was closed and reused watches the new one") {
    on_every_backend({14}, [](subject& on) {
        auto old = on.pair();
        const int fd = old.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        old.first.reset();
        const auto fresh = on.pair();
        REQUIRE(fresh.first.get() == fd);
        CHECK_FALSE(on->modify(fd, both, 2));
        support::put(on.system(), fresh.second.get());
        const auto told = on.await();
        REQUIRE(keys_of(told) == keys{2});
        CHECK(told[0].writable);
        CHECK_FALSE(on->remove(fd));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [15] after remove and close nothing is told any more") {
    on_every_backend({15}, [](subject& on) {
        auto pair = on.pair();
        REQUIRE_FALSE(on->add(pair.first.get(), both, 1));
        support::put(on.system(), pair.second.get());
        CHECK(keys_of(on.await()) == keys{1});
        CHECK_FALSE(on->remove(pair.first.get()));
        CHECK(on.is_silent());
        pair.first.reset();
        pair.second.reset();
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [16] remove after close is harmless") {
    on_every_backend({16}, [](subject& on) {
        auto pair = on.pair();
        const int fd = pair.first.get();
        REQUIRE_FALSE(on->add(fd, both, 1));
        support::put(on.system(), pair.second.get());
        pair.first.reset();
        CHECK_FALSE(on->remove(fd));
        CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [17] removing the old owner of a reused number leaves the new one alone") {
    on_every_backend({17}, [](subject& on) {
        auto old = on.pair();
        const int fd = old.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        old.first.reset();
        const auto fresh = on.pair();
        REQUIRE(fresh.first.get() == fd);
        support::put(on.system(), fresh.second.get());

        CHECK_FALSE(on->remove(fd));
        CHECK(on.is_silent());
        REQUIRE_FALSE(on->add(fd, interest::readable, 2));
        CHECK(keys_of(on.await()) == keys{2});
        old.second.reset();
        CHECK(keys_of(on.await()) == keys{2});
        CHECK(support::take(on.system(), fd) == 1);
    });
}

TEST_CASE("backend: [18] a dead registration is silent though a duplicate of it lives") {
    on_every_backend(
        {18},
        [](subject& on) {
            auto pipe = on.pair();
            const int fd = pipe.first.get();
            const auto duplicate = support::make_duplicate(fd);
            REQUIRE_FALSE(on->add(fd, interest::readable, 1));
            SUBCASE("removed first") {
                CHECK_FALSE(on->remove(fd));
                pipe.first.reset();
            }
            SUBCASE("closed first") {
                pipe.first.reset();
                CHECK_FALSE(on->remove(fd));
            }
            support::put(on.system(), pipe.second.get());
            CHECK(on.look().empty());
            CHECK(on.is_silent());

            // The number may be another's by now, and the duplicate is a descriptor like any other.
            const auto other = on.pair();
            REQUIRE(other.first.get() == fd);
            REQUIRE_FALSE(on->add(fd, interest::readable, 2));
            CHECK(on.is_silent());
            REQUIRE_FALSE(on->add(duplicate.get(), interest::readable, 3));
            CHECK(keys_of(on.await()) == keys{3});
            support::put(on.system(), other.second.get());
            CHECK(keys_of(on.await()) == keys{2, 3});
        },
        support::needs_real_system{"there are no duplicates of descriptors"});
}

TEST_CASE("backend: [18] laying a ghost keeps the other registrations as they were") {
    on_every_backend(
        {18},
        [](subject& on) {
            auto pipe = on.pair();
            const auto duplicate = support::make_duplicate(pipe.first.get());
            const auto quiet = on.pair();
            const auto ended = on.pair();
            const auto ready = on.pair();
            REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
            REQUIRE_FALSE(on->add(quiet.first.get(), interest::readable, 2));
            REQUIRE_FALSE(on->add(ready.first.get(), interest::readable, 3));
            const int fd = pipe.first.get();
            pipe.first.reset();
            REQUIRE_FALSE(on->remove(fd));
            support::put(on.system(), pipe.second.get());
            static_cast<void>(on.look());
            CHECK(on.is_silent());

            support::put(on.system(), ready.second.get());
            CHECK(keys_of(on.await()) == keys{3});
            support::put(on.system(), quiet.second.get());
            CHECK(keys_of(on.await()) == keys{2, 3});
            CHECK_FALSE(on->modify(quiet.first.get(), interest::writable, 4));
            CHECK(keys_of(on.await()) == keys{3, 4});
            CHECK_FALSE(on->remove(ready.first.get()));
            CHECK(keys_of(on.await()) == keys{4});
        },
        support::needs_real_system{"there are no duplicates of descriptors"});
}

TEST_CASE("backend: [21] of add and remove in one turn the last counts") {
    on_every_backend({21}, [](subject& on) {
        const auto pair = on.pair();
        const int fd = pair.first.get();
        support::put(on.system(), pair.second.get());
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK(keys_of(on.await()) == keys{1});

        CHECK_FALSE(on->remove(fd));
        CHECK_FALSE(on->add(fd, interest::readable, 2));
        CHECK_FALSE(on->remove(fd));
        CHECK(on.is_silent());

        CHECK_FALSE(on->add(fd, interest::readable, 3));
        CHECK_FALSE(on->remove(fd));
        CHECK_FALSE(on->add(fd, interest::writable, 4));
        const auto told = on.await();
        REQUIRE(keys_of(told) == keys{4});
        CHECK_FALSE(told[0].readable);
        CHECK(told[0].writable);
    });
}

TEST_CASE("backend: [22] of several changes without a wait only the last applies") {
    on_every_backend({22}, [](subject& on) {
        const auto pair = on.pair();
        const int fd = pair.first.get();
        support::put(on.system(), pair.second.get());
        REQUIRE_FALSE(on->add(fd, interest::none, 1));
        CHECK_FALSE(on->modify(fd, both, 2));
        CHECK_FALSE(on->modify(fd, interest::writable, 3));
        CHECK_FALSE(on->modify(fd, interest::readable, 4));
        const auto told = on.await();
        REQUIRE(keys_of(told) == keys{4});
        CHECK(told[0].readable);
        CHECK_FALSE(told[0].writable);
        CHECK_FALSE(on->modify(fd, both, 5));
        CHECK_FALSE(on->modify(fd, interest::none, 6));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [31] edge is refused where it is not offered, and never mixed with level") {
    on_every_backend({31}, [](subject& on) {
        const auto pipe = on.pair();
        const int fd = pipe.first.get();
        const auto edge = interest::readable | interest::edge;
        if (!on.offers_edge()) {
            CHECK(on->add(fd, edge, 1) == std::errc::invalid_argument);
            CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        }
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK(on->modify(fd, edge, 2) == std::errc::invalid_argument);
        support::put(on.system(), pipe.second.get());
        CHECK(keys_of(on.await()) == keys{1});
        CHECK(keys_of(on.await()) == keys{1});
        if (on.offers_edge()) {
            REQUIRE_FALSE(on->remove(fd));
            REQUIRE_FALSE(on->add(fd, edge, 3));
            CHECK(on->modify(fd, interest::readable, 4) == std::errc::invalid_argument);
            CHECK(keys_of(on.await()) == keys{3});
            CHECK(on.is_silent());
        }
    });
}

TEST_CASE("backend: [53] destroying one with registrations leaves the descriptors open") {
    on_every_backend({53}, [](subject& on) {
        const auto pair = on.pair();
        const auto pipe = on.pair();
        const auto before = on.under().descriptors();
        {
            const auto second = on.under().make_backend();
            REQUIRE_FALSE(second->add(pair.first.get(), both, 1));
            REQUIRE_FALSE(second->add(pipe.first.get(), interest::readable, 2));
        }
        CHECK(on.under().descriptors() == before);
        CHECK(support::put(on.system(), pair.first.get()) == 1);
        CHECK(support::take(on.system(), pair.second.get()) == 1);

        REQUIRE_FALSE(on->add(pair.first.get(), both, 1));
        on.destroy();
        CHECK(support::put(on.system(), pair.first.get()) == 1);
    });
}
