#include "support/backends.hpp"
#include "support/support.hpp"

#include <cerrno>
#include <csignal>

#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

// What is told of descriptors that change, and how often.

using sockeye::interest;
using support::both;
using support::keys;
using support::keys_of;
using support::on_every_backend;
using support::subject;

namespace {

constexpr auto edge = interest::edge;

const support::exemption no_one_shot(
    {32},
    "one-shot is no part of the contract: no backend offers it, so that none has to imitate it");

/// The one event of the next wait that tells anything.
sockeye::event the_event(subject& on) {
    const auto told = on.await();
    REQUIRE(told.size() == 1);
    return told[0];
}

/// What receiving one byte finds: a count, or the negative errno.
long receive(subject& on, int fd) {
    const auto got = support::receive_one(on.system(), fd);
    return got ? static_cast<long>(*got) : -got.error().value();
}

/// Whether the answer to a datagram that nobody took comes.
bool is_refused(subject& on, int fd) {
    return support::turn_until(
        [&] { return on.system().pending_error(fd) == std::errc::connection_refused; },
        [&] { on.under().pass(); });
}

void close_with_reset(subject& on, sockeye::owned_fd& fd) {
    CHECK_FALSE(on.system().set_option(fd.get(), sockeye::socket_option::linger_reset, 1));
    fd.reset();
}

constexpr auto tcp_kind = sockeye::transport::tcp;

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
        const auto tcp = on.tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::readable, 1));
        CHECK(on.is_silent());
        support::put(on.system(), tcp.second.get());
        const auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.read_closed);
        CHECK_FALSE(told.hangup);
        CHECK_FALSE(told.error);
        CHECK(support::take(on.system(), tcp.first.get()) == 1);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [24] writable as long as there is room") {
    on_every_backend({24}, [](subject& on) {
        const auto pair = on.pair();
        const int fd = pair.first.get();
        REQUIRE_FALSE(on->add(fd, interest::writable, 1));
        CHECK(the_event(on).writable);
        support::fill(on.system(), fd);
        CHECK(on.is_silent());
        support::take(on.system(), pair.second.get());
        CHECK(the_event(on).writable);
    });
}

TEST_CASE("backend: [25] both directions of one descriptor come as one event") {
    on_every_backend({25}, [](subject& on) {
        const auto tcp = on.tcp_pair();
        support::put(on.system(), tcp.second.get());
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
        auto pair = on.pair();
        const int fd = pair.first.get();
        support::put(on.system(), pair.second.get());
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
        pair.second.reset();
        REQUIRE_FALSE(on->modify(fd, interest::writable, 1));
        told = the_event(on);
        CHECK_FALSE(told.readable);
        CHECK(told.writable);
    });
}

TEST_CASE("backend: [27] an unread byte is told by every wait until it is read") {
    on_every_backend({27}, [](subject& on) {
        const auto pipe = on.pair();
        REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 7));
        support::put(on.system(), pipe.second.get());
        for (int i = 0; i < 5; ++i) {
            CHECK(keys_of(on.await()) == keys{7});
        }
        support::take(on.system(), pipe.first.get());
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [28] [29] an edge is told once until new bytes come") {
    on_every_backend({28, 29}, [](subject& on) {
        if (!on.offers_edge()) {
            on.does_not_apply("edge is not offered");
            return;
        }
        const auto tcp = on.tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable | edge, 1));
        support::put(on.system(), tcp.second.get(), 10);
        CHECK(the_event(on).readable);
        CHECK(on.is_silent());

        CHECK(support::take(on.system(), fd) == 10);
        CHECK(on.is_silent());
        support::put(on.system(), tcp.second.get(), 10);
        CHECK(the_event(on).readable);

        CHECK(receive(on, fd) == 1);
        CHECK(on.is_silent());
        support::put(on.system(), tcp.second.get(), 5);
        CHECK(the_event(on).readable);
        CHECK(support::take(on.system(), fd) == 14);
    });
}

TEST_CASE("backend: [28] what was ready before an edge registration is told once") {
    on_every_backend({28}, [](subject& on) {
        if (!on.offers_edge()) {
            on.does_not_apply("edge is not offered");
            return;
        }
        const auto pipe = on.pair();
        support::put(on.system(), pipe.second.get());
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
        const auto pair = on.pair();
        const int fd = pair.first.get();
        support::fill(on.system(), fd);
        REQUIRE_FALSE(on->add(fd, both | edge, 1));
        CHECK(on.is_silent());
        support::put(on.system(), pair.second.get());
        auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.writable);
        // The byte stays unread: an edge on the way out comes all the same.
        support::take(on.system(), pair.second.get());
        told = the_event(on);
        CHECK(told.writable);
        CHECK(support::turn_until([&] { return on.is_silent(); }, [] {}));
        support::put(on.system(), pair.second.get());
        CHECK(the_event(on).readable);
    });
}

TEST_CASE("backend: [44] a FIN is readable, and reading finds the end") {
    on_every_backend({44}, [](subject& on) {
        const auto tcp = on.tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        support::put(on.system(), tcp.second.get(), 3);
        CHECK_FALSE(the_event(on).read_closed);
        CHECK_FALSE(on.system().shutdown_write(tcp.second.get()));
        // The hint may come while bytes are there; they are read before the end all the same.
        CHECK(the_event(on).readable);
        CHECK(support::take(on.system(), fd) == 3);
        auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.error);
        if (on.closes_early()) {
            CHECK(told.read_closed);
        }
        CHECK(receive(on, fd) == 0);
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
        auto tcp = on.tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::none, 1));
        CHECK(on.is_silent());
        CHECK_FALSE(on.system().shutdown_write(tcp.first.get()));
        CHECK(support::turn_until([&] { return receive(on, tcp.second.get()) == 0; },
                                  [&] { on.under().pass(); }));
        tcp.second.reset();
        is_told_once(on);

        // The interest that comes later hears of it as long as it lasts.
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::readable, 2));
        for (int i = 0; i < 3; ++i) {
            CHECK(the_event(on).readable);
        }
        CHECK(receive(on, tcp.first.get()) == 0);
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::none, 3));
        is_told_once(on);
        // Another key is no other interest.
        REQUIRE_FALSE(on->modify(tcp.first.get(), interest::none, 4));
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [45] a muted registration can be removed and its number used again") {
    on_every_backend({45}, [](subject& on) {
        auto first = on.pair();
        const auto second = on.pair();
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
        const auto udp = support::make_refused_udp(on.system());
        const int fd = udp.fd.get();
        REQUIRE_FALSE(on->add(fd, interest::none, 1));
        support::put(on.system(), fd);
        is_told_once(on);
        CHECK(is_refused(on, fd));
        support::put(on.system(), fd);
        CHECK(on.is_silent());
        CHECK(is_refused(on, fd));
    });
}

TEST_CASE("backend: [18] [45] what was muted once is heard again, a laid ghost or not") {
    on_every_backend(
        {18, 45},
        [](subject& on) {
            const auto udp = support::make_refused_udp(on.system());
            const int fd = udp.fd.get();
            REQUIRE_FALSE(on->add(fd, interest::none, 1));
            support::put(on.system(), fd);
            is_told_once(on);
            CHECK(is_refused(on, fd));
            REQUIRE_FALSE(on->modify(fd, interest::readable, 2));

            auto pipe = on.pair();
            const int ghost = pipe.first.get();
            const auto duplicate = support::make_duplicate(ghost);
            REQUIRE_FALSE(on->add(ghost, interest::readable, 3));
            pipe.first.reset();
            REQUIRE_FALSE(on->remove(ghost));
            support::put(on.system(), pipe.second.get());
            CHECK(on.look().empty());
            CHECK(on.is_silent());

            support::put(on.system(), fd);
            const auto told = the_event(on);
            CHECK(told.key == 2);
            CHECK(told.readable);
        },
        support::needs_real_system{"there are no duplicates of descriptors"});
}

TEST_CASE("backend: [46] a reset is readable, and reading finds it") {
    on_every_backend({46}, [](subject& on) {
        auto tcp = on.tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        close_with_reset(on, tcp.second);
        const auto told = the_event(on);
        CHECK(told.readable);
        CHECK_FALSE(told.writable);
        if (on.closes_early()) {
            CHECK(told.error);
        }
        CHECK(receive(on, fd) == -ECONNRESET);
    });
}

TEST_CASE("backend: [46] a reset with nothing wanted is told once") {
    on_every_backend({46}, [](subject& on) {
        auto tcp = on.tcp_pair();
        REQUIRE_FALSE(on->add(tcp.first.get(), interest::none, 1));
        close_with_reset(on, tcp.second);
        is_told_once(on);
        CHECK(receive(on, tcp.first.get()) == -ECONNRESET);
        CHECK(on.is_silent());
    });
}

TEST_CASE("backend: [47] a reset after a half-close is noticed without a read, and never spins") {
    on_every_backend({47}, [](subject& on) {
        auto tcp = on.tcp_pair();
        const int fd = tcp.first.get();
        REQUIRE_FALSE(on->add(fd, interest::readable, 1));
        CHECK_FALSE(on.system().shutdown_write(tcp.second.get()));
        CHECK(the_event(on).readable);
        CHECK(receive(on, fd) == 0);
        REQUIRE_FALSE(on->modify(fd, interest::none, 1));
        CHECK(on.is_silent());
        close_with_reset(on, tcp.second);
        is_told_once(on);
        CHECK(on.system().pending_error(fd));
    });
}

TEST_CASE("backend: [48] a socket that was never connected does not spin with nothing wanted") {
    on_every_backend({48}, [](subject& on) {
        const auto fresh = on.system().socket(tcp_kind, AF_INET).value();
        REQUIRE_FALSE(on->add(fresh.get(), interest::none, 1));
        // The kernel may call it hung up; that is one hint and no direction.
        for (const auto& told : on.look()) {
            CHECK_FALSE(told.readable);
            CHECK_FALSE(told.writable);
        }
        CHECK(on.is_silent());

        // What was told before leaves the result of the connect to be told.
        const auto listener = support::make_bound_tcp(on.system());
        REQUIRE_FALSE(on.system().listen(listener.fd.get(), 1));
        const auto begun = on.system().connect(fresh.get(), listener.name);
        CHECK((!begun || begun == std::errc::operation_in_progress));
        REQUIRE_FALSE(on->modify(fresh.get(), interest::writable, 2));
        CHECK(the_event(on).writable);
        CHECK_FALSE(on.system().pending_error(fresh.get()));
    });
}

TEST_CASE("backend: [49] the end of a connect is writable, well or badly") {
    on_every_backend({49}, [](subject& on) {
        const auto target = support::make_bound_tcp(on.system());
        const auto client = on.system().socket(tcp_kind, AF_INET).value();
        auto expected = make_error_code(std::errc::connection_refused);
        SUBCASE("refused") {}
        SUBCASE("accepted") {
            REQUIRE_FALSE(on.system().listen(target.fd.get(), 1));
            expected = {};
        }
        REQUIRE(on.system().connect(client.get(), target.name) == std::errc::operation_in_progress);
        REQUIRE_FALSE(on->add(client.get(), interest::writable, 1));
        const auto told = the_event(on);
        CHECK(told.writable);
        CHECK_FALSE(told.readable);
        CHECK(on.system().pending_error(client.get()).default_error_condition() ==
              expected.default_error_condition());
    });
}

TEST_CASE("backend: [50] an urgent byte does not spin") {
    on_every_backend(
        {50},
        [](subject& on) {
            const auto tcp = on.tcp_pair();
            const int fd = tcp.first.get();
            REQUIRE_FALSE(on->add(fd, interest::readable, 1));
            REQUIRE(::send(tcp.second.get(), "!", 1, MSG_OOB) == 1);
            // The mark may show as one empty readiness where a kernel counts it; it must not last.
            CHECK(support::turn_until([&] { return on.is_silent(); },
                                      [&] { CHECK(receive(on, fd) == -EAGAIN); }));
            support::put(on.system(), tcp.second.get());
            CHECK(the_event(on).readable);
            CHECK(receive(on, fd) == 1);
            CHECK(on.is_silent());
        },
        support::needs_real_system{"there is no urgent data"});
}

TEST_CASE("backend: [51] the reader of a connection hears that the writer is gone") {
    on_every_backend({51}, [](subject& on) {
        auto pair = on.pair();
        REQUIRE_FALSE(on->add(pair.first.get(), interest::readable, 1));
        support::put(on.system(), pair.second.get(), 2);
        pair.second.reset();
        CHECK(the_event(on).readable);
        CHECK(support::take(on.system(), pair.first.get()) == 2);
        CHECK(the_event(on).readable);
        CHECK(receive(on, pair.first.get()) == 0);
    });
}

TEST_CASE("backend: [51] the writer of a full connection hears that the reader is gone") {
    on_every_backend({51}, [](subject& on) {
        auto pair = on.pair();
        const int fd = pair.second.get();
        support::fill(on.system(), fd);
        REQUIRE_FALSE(on->add(fd, interest::writable, 1));
        CHECK(on.is_silent());
        pair.first.reset();
        CHECK(the_event(on).writable);
        const auto sent = on.system().send(fd, sockeye::as_bytes("x"));
        CHECK((sent.error() == std::errc::broken_pipe ||
               sent.error() == std::errc::connection_reset));
    });
}

TEST_CASE("backend: [51] so do the reader and the writer of a pipe") {
    on_every_backend(
        {51},
        [](subject& on) {
            auto pipe = support::make_pipe();
            REQUIRE_FALSE(on->add(pipe.first.get(), interest::readable, 1));
            support::put(pipe.second.get(), 2);
            pipe.second.reset();
            CHECK(the_event(on).readable);
            CHECK(support::take(pipe.first.get()) == 2);
            CHECK(the_event(on).readable);
            char byte = 0;
            CHECK(::read(pipe.first.get(), &byte, 1) == 0);
            CHECK_FALSE(on->remove(pipe.first.get()));

            pipe = support::make_pipe();
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
            CHECK_FALSE(on->remove(fd));
        },
        support::needs_real_system{"there are no pipes"});
}
