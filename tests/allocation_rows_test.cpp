#include "support/allocations.hpp"
#include "support/fault_rows.hpp"
#include "support/handlers.hpp"

#include <array>
#include <chrono>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

// What happens where there is no memory at all for a while, in places that no scenario reaches.

using support::echo;

namespace {

using namespace sockeye;
using namespace std::chrono_literals;
using support::conversation;
using support::failing;
using support::failing_allocations;
using support::faulty_loop;
using support::ground;
using support::kernel_peer;
using support::no_limit;
using support::on_every_faulty_loop;
using support::seam_call;

/// Turns without any memory.
void turn_hungry(faulty_loop& at, int turns) {
    const failing_allocations none(1, no_limit);
    for (int i = 0; i < turns; ++i) {
        at.turn();
    }
}

bool is_answered(faulty_loop& at, kernel_peer& peer) {
    peer.forget();
    peer.say("hello");
    return at.until([&] {
        peer.pump();
        return peer.heard() == "hello";
    });
}

bool is_hung_up_on(faulty_loop& at, kernel_peer& peer) {
    for (int i = 0; i < 100 && !peer.is_over(); ++i) {
        turn_hungry(at, 1);
        peer.pump();
    }
    return peer.is_over();
}

/// So many timers that the next one needs memory.
class full_of_timers {
public:
    explicit full_of_timers(loop& owner) {
        for (auto& one : timers_) {
            // What a timer itself needs is there, but not room among the others.
            const failing_allocations none_further(2, no_limit);
            try {
                one.emplace(owner);
            } catch (const std::bad_alloc&) {
                is_full_ = true;
                return;
            }
        }
    }
    [[nodiscard]] bool is_full() const noexcept { return is_full_; }

private:
    std::array<std::optional<timer>, 1000> timers_;
    bool is_full_ = false;
};

} // namespace

TEST_CASE("[251] [F134] allocations: a server without memory for its back-off neither spins nor "
          "stops") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        auto server = serve(at.loop, "tcp://127.0.0.1:0", echo).value();
        kernel_peer peer(on.system(), server.local_endpoint().value());
        const full_of_timers full(at.loop);
        REQUIRE(full.is_full());
        at.inject(failing(seam_call::accept, std::errc::too_many_files_open, 1, no_limit));
        const auto begin = at.system.now();
        turn_hungry(at, 50);
        CHECK(at.system.now() - begin >= 100ms);
        CHECK(at.system.plan.count(seam_call::accept) <= 60);
        CHECK(server.connection_count() == 0);
        at.system.plan.clear();
        CHECK(is_answered(at, peer));
    });
}

TEST_CASE("[251] [F134] allocations: a connection for whose session there is no memory is closed") {
    struct hungry {
        void on_data(stream& link, bytes in) { link.write(in); }
        std::array<std::byte, 100> room = {};
    };
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        auto server = serve<hungry>(at.loop, "tcp://127.0.0.1:0").value();
        const auto where = server.local_endpoint().value();
        kernel_peer unlucky(on.system(), where);
        CHECK(is_hung_up_on(at, unlucky));
        CHECK(at.loop.counters().accept_errors == 1);
        CHECK(server.connection_count() == 0);
        kernel_peer lucky(on.system(), where);
        CHECK(is_answered(at, lucky));
    });
}

TEST_CASE("[251] [F134] allocations: what is open goes on without memory") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        auto server = serve(at.loop, "tcp://127.0.0.1:0", echo).value();
        kernel_peer peer(on.system(), server.local_endpoint().value());
        CHECK(is_answered(at, peer));
        peer.forget();
        peer.say("without");
        for (int i = 0; i < 100 && peer.heard() != "without"; ++i) {
            peer.pump();
            turn_hungry(at, 1);
        }
        CHECK(peer.heard() == "without");
    });
}

TEST_CASE("[251] [F134] allocations: a linger time needs no memory") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on, {.limits = {.queue_max = 64 << 20, .linger = 20ms}});
        CHECK(talk.hears("hello"));
        const std::string text(8 << 20, 'x');
        talk.link().write(text);
        const auto unsent = talk.link().queued_bytes();
        REQUIRE(unsent > 0);
        const full_of_timers full(at.loop);
        REQUIRE(full.is_full());
        const auto begin = at.system.now();
        {
            const failing_allocations none(1, no_limit);
            talk.link().close();
        }
        CHECK(at.until([&] { return talk.told.is_closed(); }));
        CHECK(at.system.now() - begin >= 20ms);
        CHECK(talk.told.info.reason == close_reason::failed);
        CHECK(talk.told.info.error == std::errc::timed_out);
        CHECK(talk.told.info.deadline == deadline_kind::linger);
        CHECK(talk.told.info.dropped_bytes == unsent);
    });
}

TEST_CASE("[251] [F134] allocations: a write that finds no memory counts what is lost") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        CHECK(talk.hears("hello"));
        at.inject(failing(seam_call::send, std::errc::operation_would_block, 1, no_limit));
        at.inject(failing(seam_call::send_gathered, std::errc::operation_would_block, 1, no_limit));
        const std::string text(100'000, 'x');
        {
            const failing_allocations none(1, no_limit);
            talk.link().write("small");
            talk.link().write(text);
            CHECK(talk.link().queued_bytes() == 0);
            CHECK(talk.link().write("more") == write_status::refused);
        }
        at.system.plan.clear();
        CHECK(at.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.error == std::errc::not_enough_memory);
        CHECK(talk.told.info.dropped_bytes == text.size() + 5);
    });
}

TEST_CASE("[251] [F134] allocations: a datagram waits without a timer, or is dropped") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        std::size_t heard = 0;
        auto server = datagram_socket::open(at.loop, "unix-dgram:" + on.path("hungry"), {},
                                            [&](datagram_socket&, std::span<const datagram> in) {
                                                heard += in.size();
                                            })
                          .value();
        auto client = datagram_socket::connect(at.loop, server.local_endpoint().value(), {},
                                               [](datagram_socket&, std::span<const datagram>) {})
                          .value();
        const full_of_timers full(at.loop);
        REQUIRE(full.is_full());
        at.inject(failing(seam_call::send_datagrams, std::errc::operation_would_block, 1, 2));
        const auto dropped = at.loop.counters().datagrams_dropped;
        {
            const failing_allocations none(2, no_limit); // but for one place in the queue
            CHECK(client.send(bytes())); // nothing to copy: only the timer wants memory
            CHECK_FALSE(client.send(as_bytes("copied")));
        }
        CHECK(at.loop.counters().datagrams_dropped == dropped + 1);
        turn_hungry(at, 50);
        CHECK(heard == 1);
        CHECK(client.queued_bytes() == 0);
        CHECK(client.send(as_bytes("copied")));
        CHECK(at.until([&] { return heard == 2; }));
    });
}

TEST_CASE("[251] [F134] allocations: a post that cannot be kept is refused, the others run") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground&) {
        const auto remote = at.loop.remote();
        int posted = 0;
        int refused = 0;
        int ran = 0;
        CHECK(remote.post([&] { ++ran; }));
        {
            const failing_allocations none(1, no_limit);
            for (int i = 0; i < 100; ++i) {
                const bool is_taken = remote.post([&] { ++ran; });
                (is_taken ? posted : refused) += 1;
            }
            CHECK_FALSE(remote.post(stream_ref(), [](stream&) {}));
        }
        CHECK(refused > 0);
        CHECK(at.until([&] { return ran == posted + 1; }));
        CHECK(remote.post([&] { ++ran; }));
        CHECK(at.until([&] { return ran == posted + 2; }));
    });
}

TEST_CASE("[251] [F134] allocations: a socket file is taken away without memory") {
    on_every_faulty_loop({134}, [](faulty_loop& at, ground& on) {
        const auto path = on.path("a-name-longer-than-a-string-keeps-inside");
        auto server =
            std::make_unique<sockeye::server>(serve(at.loop, "unix:" + path, echo).value());
        CHECK(on.system().identify(path));
        if (!on.is_simulated()) {
            const failing_allocations none(1, no_limit);
            CHECK(system_kernel().identify(path));
            CHECK(none.seen() == 0);
        }
        {
            const failing_allocations none(1, no_limit);
            server.reset();
        }
        CHECK_FALSE(on.system().identify(path));
    });
}
