#include "support/backends.hpp"
#include "support/support.hpp"

#include <cerrno>
#include <csignal>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

// What is told of descriptors that change, and how often.

using sockeye::interest;
using support::keys;
using support::keys_of;
using support::on_every_backend;
using support::subject;

namespace {

constexpr auto both = interest::readable | interest::writable;
constexpr auto edge = interest::edge;

const support::exemption no_one_shot(
    32,
    "one-shot is no part of the contract: no backend offers it, so that none has to imitate it");

/// The one event of the next wait that tells anything.
sockeye::event the_event(subject& on) {
    const auto told = on.await();
    REQUIRE(told.size() == 1);
    return told[0];
}

/// What recv finds: a count, or the negative errno.
long receive(int fd) {
    char byte = 0;
    const auto got = ::recv(fd, &byte, 1, 0);
    return got < 0 ? -errno : static_cast<long>(got);
}

int pending_error(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    REQUIRE(::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0);
    return error;
}

/// Nothing is wanted of what has ended: told once where that is offered, and never a spin.
void is_told_once(subject& on) {
    if (on.closes_early()) {
        const auto told = the_event(on);
        CHECK_FALSE(told.readable);
        CHECK_FALSE(told.writable);
        CHECK((told.hangup || told.error));
    } else {
        on.does_not_apply("early_close is not offered; nothing is told, and nothing spins");
    }
    CHECK(on.is_silent());
    CHECK(on.is_silent());
}

} // namespace

TEST_CASE("backend: [23] readable when bytes have come and not before") {
    on_every_backend({23}, [](subject& on) {
        const auto tcp = support::make_tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::readable, 1));
        CHECK(on.is_silent());
        support::put(tcp.second.get());
        const auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.read_closed);
        CHECK_FALSE(told.hangup);
        CHECK_FALSE(told.error);
        CHECK(support::take(tcp.first.get()) == 1);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [24] writable as long as there is room") {
    on_every_backend({24}, [](subject& on) {
        const auto pair = support::make_pair();
        const int fd = pair.first.get();
        REQUIRE_FALSE(on->add(fd, interest::writable, 1));
        CHECK(the_event(on).writable);
        support::fill(fd);
        CHECK(on.is_silent());
        support::take(pair.second.get());
        CHECK(the_event(on).writable);
    });
}

TEST_CASE("backend: [25] both directions of one descriptor come as one event") {
    on_every_backend({25}, [](subject& on) {
        const auto tcp = support::make_tcp_pair();
        support::put(tcp.second.get());
        REQUIRE_FALSE(on->add(tcp.first.get(), both, 1));
        const auto is_complete = [&] {
            const auto told = the_event(on);
            return told.readable && told.writable;
        };
        CHECK(support::turn_until(is_complete, [] {}));
        CHECK(is_complete());
    });
}

TEST_CASE("backend: [26] only what was asked for is told") {
    on_every_backend({26}, [](subject& on) {
        const auto pair = support::make_pair();
        const int fd = pair.first.get();
        support::put(pair.second.get());
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.writable);
        REQUIRE_FALSE(on->modify(fd, interest::writable, 1));
        told = the_event(on);
        CHECK_FALSE(told.readable);
        CHECK(told.writable);
        REQUIRE_FALSE(on->modify(fd, interest::none, 1));
        CHECK(on.is_silent());

        // The end of the peer shows as the wanted direction too, and only as that.
        ::shutdown(pair.second.get(), SHUT_RDWR);
        REQUIRE_FALSE(on->modify(fd, interest::writable, 1));
        told = the_event(on);
        CHECK_FALSE(told.readable);
        CHECK(told.writable);
    });
}

TEST_CASE("backend: [27] an unread byte is told by every wait until it is read") {
    on_every_backend({27}, [](subject& on) {
        const auto pipe = support::make_pipe();
        REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 7));
        support::put(pipe.second.get());
        for (int i = 0; i < 5; ++i) {
            CHECK(keys_of(on.await()) == keys{7});
        }
        support::take(pipe.first.get());
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [28] [29] an edge is told once until new bytes come") {
    on_every_backend({28, 29}, [](subject& on) {
        if (!on.offers_edge()) {
            on.does_not_apply("edge is not offered");
            return;
        }
        const auto tcp = support::make_tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable | edge, 1));
        support::put(tcp.second.get(), 10);
        CHECK(the_event(on).readable);
        CHECK(on.is_silent());

        CHECK(support::take(fd) == 10);
        CHECK(on.is_silent());
        support::put(tcp.second.get(), 10);
        CHECK(the_event(on).readable);

        CHECK(receive(fd) == 1);
        CHECK(on.is_silent());
        support::put(tcp.second.get(), 5);
        CHECK(the_event(on).readable);
        CHECK(support::take(fd) == 14);
    });
}

TEST_CASE("backend: [28] what was ready before an edge registration is told once") {
    on_every_backend({28}, [](subject& on) {
        if (!on.offers_edge()) {
            on.does_not_apply("edge is not offered");
            return;
        }
        const auto pipe = support::make_pipe();
        support::put(pipe.second.get());
        REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable | edge, 1));
        CHECK(the_event(on).readable);
        CHECK(on.is_silent());
        // Asking for the same again is no new question.
        REQUIRE_FALSE(on->modify(pipe.first.get(), interest::readable | edge, 2));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [30] the edges of both directions do not disturb each other") {
    on_every_backend({30}, [](subject& on) {
        if (!on.offers_edge()) {
            on.does_not_apply("edge is not offered");
            return;
        }
        const auto pair = support::make_pair();
        const int fd = pair.first.get();
        support::fill(fd);
        REQUIRE_FALSE(on->add(fd, both | edge, 1));
        CHECK(on.is_silent());
        support::put(pair.second.get());
        auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.writable);
        // The byte stays unread: an edge on the way out comes all the same.
        support::take(pair.second.get());
        told = the_event(on);
        CHECK(told.writable);
        CHECK(support::turn_until([&] { return on.is_silent(); }, [] {}));
        support::put(pair.second.get());
        CHECK(the_event(on).readable);
    });
}

TEST_CASE("backend: [44] a FIN is readable, and reading finds the end") {
    on_every_backend({44}, [](subject& on) {
        const auto tcp = support::make_tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        support::put(tcp.second.get(), 3);
        CHECK_FALSE(the_event(on).read_closed);
        ::shutdown(tcp.second.get(), SHUT_WR);
        // The hint may come while bytes are there; they are read before the end all the same.
        CHECK(the_event(on).readable);
        CHECK(support::take(fd) == 3);
        auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.error);
        if (on.closes_early()) {
            CHECK(told.read_closed);
        }
        CHECK(receive(fd) == 0);
        // Our half goes on.
        REQUIRE_FALSE(on->modify(fd, interest::writable, 1));
        told = the_event(on);
        CHECK(told.writable);
        CHECK_FALSE(told.readable);
        REQUIRE_FALSE(on->modify(fd, interest::none, 1));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [45] both halves closed with nothing wanted is told once") {
    on_every_backend({45}, [](subject& on) {
        auto tcp = support::make_tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::none, 1));
        CHECK(on.is_silent());
        ::shutdown(tcp.first.get(), SHUT_WR);
        CHECK(support::turn_until([&] { return receive(tcp.second.get()) == 0; }, [] {}));
        tcp.second.reset();
        is_told_once(on);

        // The interest that comes later hears of it as long as it lasts.
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::readable, 2));
        for (int i = 0; i < 3; ++i) {
            CHECK(the_event(on).readable);
        }
        CHECK(receive(tcp.first.get()) == 0);
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::none, 3));
        is_told_once(on);
        // Another key is no other interest.
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::none, 4));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [45] a muted registration can be removed and its number used again") {
    on_every_backend({45}, [](subject& on) {
        auto first = support::make_pair();
        const auto second = support::make_pipe();
        const int fd = first.first.get();
        REQUIRE_FALSE(on->add(fd, interest::none, 1));
        REQUIRE_FALSE(on->add(second.first.get(), interest::readable, 2));
        first.second.reset();
        is_told_once(on);
        CHECK_FALSE(on->remove(second.first.get()));
        CHECK(on.is_silent());
        CHECK_FALSE(on->remove(fd));
        CHECK(on->remove(fd) == std::errc::no_such_file_or_directory);
        CHECK_FALSE(on->add(fd, interest::readable, 3));
        CHECK(keys_of(on.await()) == keys{3});
    });
}

TEST_CASE("backend: [45] each new error is not told anew while nothing is wanted") {
    on_every_backend({45}, [](subject& on) {
        // Datagrams to a port that nobody has bring back an error each.
        const support::ends udp = support::make_refused_udp();
        const int fd = udp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::none, 1));
        const auto is_refused = [&] { return pending_error(fd) == ECONNREFUSED; };
        support::put(fd);
        is_told_once(on);
        CHECK(support::turn_until(is_refused, [] {}));
        support::put(fd);
        CHECK(on.is_silent());
        CHECK(support::turn_until(is_refused, [] {}));
    });
}

TEST_CASE("backend: [18] [45] what was muted once is heard again, a laid ghost or not") {
    on_every_backend({18, 45}, [](subject& on) {
        const auto udp = support::make_refused_udp();
        const int fd = udp.first.get();
        const auto is_refused = [&] { return pending_error(fd) == ECONNREFUSED; };
        REQUIRE_FALSE(on->add(fd, interest::none, 1));
        support::put(fd);
        is_told_once(on);
        CHECK(support::turn_until(is_refused, [] {}));
        REQUIRE_FALSE(on->modify(fd, interest::readable, 2));

        auto pipe = support::make_pipe();
        const int ghost = pipe.first.get();
        const auto duplicate = support::make_duplicate(ghost);
        REQUIRE_FALSE(on->add(ghost, interest::readable, 3));
        pipe.first.reset();
        REQUIRE_FALSE(on->remove(ghost));
        support::put(pipe.second.get());
        CHECK(on.look().empty());
        CHECK(on.is_silent());

        support::put(fd);
        const auto told = the_event(on);
        CHECK(told.key == 2);
        CHECK(told.readable);
    });
}

TEST_CASE("backend: [46] a reset is readable, and reading finds it") {
    on_every_backend({46}, [](subject& on) {
        auto tcp = support::make_tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        support::reset_on_close(tcp.second.get());
        tcp.second.reset();
        const auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.writable);
        if (on.closes_early()) {
            CHECK(told.error);
        }
        CHECK(receive(fd) == -ECONNRESET);
    });
}

TEST_CASE("backend: [46] a reset with nothing wanted is told once") {
    on_every_backend({46}, [](subject& on) {
        auto tcp = support::make_tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::none, 1));
        support::reset_on_close(tcp.second.get());
        tcp.second.reset();
        is_told_once(on);
        CHECK(receive(tcp.first.get()) == -ECONNRESET);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [47] a reset after a half-close is noticed without a read, and never spins") {
    on_every_backend({47}, [](subject& on) {
        auto tcp = support::make_tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        ::shutdown(tcp.second.get(), SHUT_WR);
        CHECK(the_event(on).readable);
        CHECK(receive(fd) == 0);
        REQUIRE_FALSE(on->modify(fd, interest::none, 1));
        CHECK(on.is_silent());
        support::reset_on_close(tcp.second.get());
        tcp.second.reset();
        is_told_once(on);
        CHECK(pending_error(fd) != 0);
    });
}

TEST_CASE("backend: [48] a socket that was never connected does not spin with nothing wanted") {
    on_every_backend({48}, [](subject& on) {
        const auto fresh = support::make_tcp_socket();
        REQUIRE_FALSE(on->add(fresh.get(), interest::none, 1));
        // The kernel may call it hung up; that is one hint and no direction.
        for (const auto& told : on.look()) {
            CHECK_FALSE(told.readable);
            CHECK_FALSE(told.writable);
        }
        CHECK(on.is_silent());

        // What was told before leaves the result of the connect to be told.
        const auto listener = support::make_bound_tcp_socket();
        REQUIRE(::listen(listener.get(), 1) == 0);
        const int begun = support::connect_to(fresh.get(), listener.get());
        CHECK((begun == 0 || begun == EINPROGRESS));
        REQUIRE_FALSE(on->modify(fresh.get(), interest::writable, 2));
        CHECK(the_event(on).writable);
        CHECK(pending_error(fresh.get()) == 0);
    });
}

TEST_CASE("backend: [49] the end of a connect is writable, well or badly") {
    on_every_backend({49}, [](subject& on) {
        const auto target = support::make_bound_tcp_socket();
        const auto client = support::make_tcp_socket();
        int expected = ECONNREFUSED;
        SUBCASE("refused") {}
        SUBCASE("accepted") {
            REQUIRE(::listen(target.get(), 1) == 0);
            expected = 0;
        }
        REQUIRE(support::connect_to(client.get(), target.get()) == EINPROGRESS);
        REQUIRE_FALSE(on->add(client.get(), interest::writable, 1));
        const auto told = the_event(on);
        CHECK(told.writable);
        CHECK_FALSE(told.readable);
        CHECK(pending_error(client.get()) == expected);
    });
}

TEST_CASE("backend: [50] an urgent byte does not spin") {
    on_every_backend({50}, [](subject& on) {
        const auto tcp = support::make_tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        REQUIRE(::send(tcp.second.get(), "!", 1, MSG_OOB) == 1);
        // The mark may show as one empty readiness where a kernel counts it; it must not last.
        CHECK(support::turn_until([&] { return on.is_silent(); },
                                  [&] { CHECK(receive(fd) == -EAGAIN); }));
        support::put(tcp.second.get());
        CHECK(the_event(on).readable);
        CHECK(receive(fd) == 1);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [51] the reader of a pipe hears that the writer is gone") {
    on_every_backend({51}, [](subject& on) {
        auto pipe = support::make_pipe();
        REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
        support::put(pipe.second.get(), 2);
        pipe.second.reset();
        CHECK(the_event(on).readable);
        CHECK(support::take(pipe.first.get()) == 2);
        CHECK(the_event(on).readable);
        char byte = 0;
        CHECK(::read(pipe.first.get(), &byte, 1) == 0);
    });
}

TEST_CASE("backend: [51] the writer of a full pipe hears that the reader is gone") {
    on_every_backend({51}, [](subject& on) {
        auto pipe = support::make_pipe();
        const int fd = pipe.second.get();
        support::fill(fd);
        REQUIRE_FALSE(on->add(fd, interest::writable, 1));
        CHECK(on.is_silent());
        pipe.first.reset();
        CHECK(the_event(on).writable);
        auto* const before = std::signal(SIGPIPE, SIG_IGN);
        CHECK(support::put(fd) == 0);
        CHECK(errno == EPIPE);
        std::signal(SIGPIPE, before);
    });
}
