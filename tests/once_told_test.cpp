#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>

#include "loop/loop_core.hpp"
#include "support/loops.hpp"
#include "support/support.hpp"
#include "support/test_backends.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <sys/socket.h>

// The reactor never counts on being told twice, nor on what it is told being true.

using sockeye::backend_entry;
using sockeye::bytes;
using sockeye::close_info;
using sockeye::close_reason;
using sockeye::stream;
using support::ground;
using support::on_every_ground;
using support::rows;
using support::turn_until;

namespace {

constexpr std::size_t message_size = 300'000; // several receive buffers

/// Byte `at` of what a client sends.
constexpr std::byte byte_at(std::size_t at) {
    return static_cast<std::byte>(at * 131 >> 3);
}

struct tally {
    std::size_t empty_reads = 0;
    std::size_t wrong_bytes = 0;
    std::size_t received = 0;
    std::vector<close_info> closes;
};

/// Sends a message, wants it back to the byte, and then the end.
struct client {
    explicit client(tally& all) : told(all) {}

    void on_open(stream& link) {
        std::vector<std::byte> message(message_size);
        for (std::size_t i = 0; i < message.size(); ++i) {
            message[i] = byte_at(i);
        }
        link.write(message);
        link.shutdown();
    }
    void on_data(stream&, bytes in) {
        told.empty_reads += in.empty() ? 1 : 0;
        for (const auto one : in) {
            told.wrong_bytes += one == byte_at(at++) ? 0 : 1;
        }
        told.received += in.size();
    }
    void on_close(stream&, const close_info& why) { told.closes.push_back(why); }

    tally& told;
    std::size_t at = 0;
};

/// Echoes; what the peer has ended is closed once all is sent.
struct echo_session {
    explicit echo_session(tally& all) : told(all) {}

    void on_data(stream& link, bytes in) {
        told.empty_reads += in.empty() ? 1 : 0;
        told.received += in.size();
        link.write(in);
    }
    void on_close(stream&, const close_info& why) { told.closes.push_back(why); }

    tally& told;
};

void expect_ends(const tally& told, std::size_t count) {
    CHECK(told.empty_reads == 0);
    CHECK(told.wrong_bytes == 0);
    CHECK(told.received == count * message_size);
    REQUIRE(told.closes.size() == count);
    for (const auto& why : told.closes) {
        CHECK(why.reason == close_reason::ended);
        CHECK_FALSE(why.error);
        CHECK(why.dropped_bytes == 0);
    }
}

/// Eight clients, each more than a receive buffer at once, both ends on one loop.
void echo_on(sockeye::loop& owner, const char* where) {
    constexpr std::size_t count = 8;
    tally served;
    tally answered;
    auto server = sockeye::serve<echo_session>(owner, where, std::ref(served));
    REQUIRE(server);
    std::vector<stream> clients;
    for (std::size_t i = 0; i < count; ++i) {
        clients.push_back(sockeye::connect<client>(owner, server->local_endpoint().value(), {},
                                                   std::ref(answered)));
    }
    CHECK(turn_until(
        owner, [&] { return served.closes.size() == count && answered.closes.size() == count; }));
    expect_ends(served, count);
    expect_ends(answered, count);
}

/// Reads, and says nothing.
struct sink {
    explicit sink(tally& all) : told(all) {}

    void on_data(stream&, bytes in) { told.received += in.size(); }

    tally& told;
};

/// A peer that the loop does not know: sends in one piece what is more than a receive buffer,
/// then data and FIN in one go, and takes the answer late.
void echo_to_foreigner(ground& on, sockeye::loop& owner, int peer, const tally& served) {
    std::size_t sent = 0;
    std::size_t taken = 0;
    for (int piece = 0; piece < 20; ++piece) {
        const auto fits = support::put(on.system(), peer, 150'000);
        sent += fits;
        // Both ends are slow in turns, so that the answers pile up.
        if (piece % 4 == 3) {
            CHECK(turn_until(owner, [&] {
                taken += support::take(on.system(), peer);
                return taken == sent;
            }));
        } else {
            static_cast<void>(owner.run_once(sockeye::duration::zero()));
        }
    }
    sent += support::put(on.system(), peer, 1000);
    REQUIRE_FALSE(on.system().shutdown_write(peer));
    CHECK(turn_until(owner, [&] {
        taken += support::take(on.system(), peer);
        return !served.closes.empty();
    }));
    taken += support::take(on.system(), peer);
    CHECK(served.received == sent);
    CHECK(taken == sent);
    REQUIRE(served.closes.size() == 1);
    CHECK(served.closes.front().reason == close_reason::ended);
}

void all_scenarios(ground& on, sockeye::loop& owner) {
    SUBCASE("TCP") {
        echo_on(owner, "tcp://127.0.0.1:0");
    }
    SUBCASE("Unix") {
        echo_on(owner, "unix:@"); // a name that the kernel chooses
    }
    SUBCASE("foreign TCP") {
        tally served;
        support::joined<echo_session> ends(on, owner, std::ref(served));
        echo_to_foreigner(on, owner, ends.far.get(), served);
    }
    if (!on.is_simulated()) { // which adopts nothing
        SUBCASE("foreign Unix") {
            tally served;
            auto pair = support::make_stream_pair(on.system(), sockeye::transport::unix_stream);
            auto link = sockeye::adopt(owner, sockeye::unique_fd(pair.first.release())).value();
            link.attach<echo_session>(std::ref(served));
            echo_to_foreigner(on, owner, pair.second.get(), served);
        }
    }
}

/// The row of a backend that the loop shall take for a level-triggered one.
backend_entry without_edge(backend_entry row) {
    row.features.edge = false;
    return row;
}

} // namespace

TEST_CASE("reactor: a backend that tells each change only once loses nothing") {
    on_every_ground(
        {},
        [](ground& on, rows&) {
            support::test_kernel system(on.system());
            auto once = std::make_unique<support::once_backend>(on.make_backend(), system);
            auto owner = support::make_loop(system, std::move(once), without_edge(on.entry()));
            all_scenarios(on, owner);
        },
        support::needs_real_system{"asks poll(2) what has arrived"});
}

TEST_CASE("reactor: the once-telling backend keeps quiet where others repeat themselves") {
    on_every_ground(
        {},
        [](ground& on, rows&) {
            support::test_kernel system(on.system());
            support::once_backend once(on.make_backend(), system);
            const auto pair = support::make_stream_pair(on.system());
            std::array<sockeye::event, 4> ready = {};
            REQUIRE_FALSE(once.add(pair.first.get(), sockeye::interest::readable, 7));
            support::put(on.system(), pair.second.get());
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 1);
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 0);
            CHECK(once.kept_quiet == 1);
            support::put(on.system(), pair.second.get());
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 1);
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 0);
            REQUIRE_FALSE(once.modify(
                pair.first.get(), sockeye::interest::readable | sockeye::interest::writable, 7));
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 1);
            CHECK(ready[0].writable);
            CHECK_FALSE(ready[0].readable);
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 0);
            REQUIRE_FALSE(on.system().shutdown_write(pair.second.get()));
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 1);
            CHECK(ready[0].read_closed);
            CHECK(once.wait(ready, sockeye::duration::zero()).value() == 0);
        },
        support::needs_real_system{"asks poll(2) what has arrived"});
}

TEST_CASE("reactor: a kernel's own edges lose nothing, though the loop counts on levels") {
    on_every_ground({}, [](ground& on, rows&) {
        if (!on.entry().features.edge) {
            return;
        }
        auto edges = std::make_unique<support::edge_backend>(on.make_backend());
        auto owner = support::make_loop(on.system(), std::move(edges), without_edge(on.entry()));
        all_scenarios(on, owner);
    });
}

TEST_CASE("reactor: levels lose nothing, though the loop could have edges") {
    on_every_ground({}, [](ground& on, rows&) {
        auto owner = support::make_loop(on.system(), on.make_backend(), without_edge(on.entry()));
        all_scenarios(on, owner);
    });
}

TEST_CASE("reactor: the loop does not sleep while somebody has work left") {
    on_every_ground({}, [](ground& on, rows&) {
        support::clocked_loop at(on);
        tally served;
        support::joined<sink> ends(on, at.loop, std::ref(served));
        const auto buffer = sockeye::core_of(at.loop).io().receive_buffer().size();
        const auto sent = support::put(on.system(), ends.far.get(), buffer + buffer / 2);
        REQUIRE(sent > buffer);
        REQUIRE(turn_until(at.loop, [&] { return served.received >= buffer; }));
        REQUIRE(served.received < sent);
        at.waits->timeouts.clear();
        support::turn(at.loop);
        REQUIRE(at.waits->timeouts.size() == 1);
        CHECK(at.waits->timeouts.front() == sockeye::duration::zero());
        CHECK(turn_until(at.loop, [&] { return served.received == sent; }));
    });
}

TEST_CASE("reactor: [52] readiness that is not there leads to nothing") {
    on_every_ground({52}, [](ground& on, rows&) {
        std::uint64_t seed = 1;
        SUBCASE("now and then") {
            auto lying = std::make_unique<support::lying_backend>(on.make_backend(), seed, 100);
            auto owner = support::make_loop(on.system(), std::move(lying), on.entry());
            all_scenarios(on, owner);
        }
        SUBCASE("all the time") {
            auto lying = std::make_unique<support::lying_backend>(on.make_backend(), seed, 2);
            const auto& told = *lying;
            auto owner = support::make_loop(on.system(), std::move(lying), on.entry());
            all_scenarios(on, owner);
            CHECK(told.lies > 0);
        }
    });
}

TEST_CASE("reactor: [52] a connection attempt is not over because somebody says so") {
    on_every_ground({52}, [](ground& on, rows&) {
        // The backlog is full, so that the next attempt stays on its way.
        auto& system = on.system();
        constexpr auto kind = sockeye::transport::tcp;
        const auto full = support::make_bound_tcp(system);
        REQUIRE_FALSE(system.listen(full.fd.get(), 0));
        std::vector<sockeye::owned_fd> waiting;
        for (int i = 0; i < 3; ++i) {
            waiting.push_back(system.socket(kind, AF_INET).value());
            static_cast<void>(system.connect(waiting.back().get(), full.name));
        }
        auto lying = std::make_unique<support::lying_backend>(on.make_backend(), 1, 1);
        auto owner = support::make_loop(on.system(), std::move(lying), on.entry());
        struct session {
            explicit session(int& count) : opened(count) {}
            void on_open(stream&) { ++opened; }
            void on_data(stream&, bytes) {}
            int& opened;
        };
        int opened = 0;
        auto link = sockeye::connect<session>(owner, full.name, {}, std::ref(opened));
        for (int i = 0; i < 100; ++i) {
            static_cast<void>(owner.run_once(sockeye::duration::zero()));
        }
        CHECK(opened == 0);
        CHECK(link.is_connecting());
        // Whoever is taken from the queue makes room.
        std::vector<sockeye::owned_fd> taken;
        const auto accept_one = [&] {
            sockeye::endpoint peer;
            if (auto accepted = system.accept(full.fd.get(), kind, peer)) {
                taken.push_back(std::move(accepted.value()));
            }
            return opened == 1;
        };
        // A loop that is lied to never waits: the time until it knocks again passes here.
        CHECK(support::turn_until(accept_one, [&] {
            static_cast<void>(owner.run_once(sockeye::duration::zero()));
            on.pass(std::chrono::milliseconds(20));
        }));
    });
}
