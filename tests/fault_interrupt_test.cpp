#include "support/fault_rows.hpp"
#include "support/interrupted_calls.hpp"

#include <cerrno>
#include <utility>

#include <doctest/doctest.h>

// Rows of the fault matrix that end below the kernel interface: what it says is tested here by
// making the system's own calls fail. Linux only.

namespace {

using support::conversation;
using support::fault_row;
using support::faulty_loop;
using support::ground;
using support::interrupt;
using support::system_call;

} // namespace

TEST_CASE("[F27] [F62] [F80] faults: an interrupted call is made again, and nobody hears of it") {
    support::on_every_real_loop({27, 62, 80}, [](faulty_loop& at, ground& on) {
        interrupt(system_call::accept, EINTR, 3);
        interrupt(system_call::receive, EINTR, 5);
        interrupt(system_call::send, EINTR, 5);
        interrupt(system_call::send_gathered, EINTR, 3);
        conversation talk(at, on);
        CHECK(support::calls_of(system_call::accept) > 3);
        CHECK(talk.hears("hello"));
        CHECK(support::calls_of(system_call::receive) > 5);
        CHECK(support::calls_of(system_call::send) > 5);
        const auto large = support::pattern(20'000);
        talk.link().write("small");
        talk.link().write(large);
        CHECK(talk.until([&] { return talk.peer.heard() == "small" + large; }));
        CHECK(support::calls_of(system_call::send_gathered) > 3);
        CHECK(at.loop.counters().accept_errors == 0);
        CHECK(talk.told.closes == 0);
    });
}

TEST_CASE("[F42] faults: an interrupted connect goes on and is not called again") {
    support::on_every_real_loop({42}, [](faulty_loop& at, ground& on) {
        const auto path = "unix:" + on.path("server");
        for (const auto* const local : {"tcp://127.0.0.1:0", path.c_str()}) {
            conversation talk(at, on, {}, local);
            const auto where = talk.server.local_endpoint().value();
            interrupt(system_call::connect, EINTR);
            support::script told;
            auto client = sockeye::connect<support::hooked>(at.loop, where, {}, std::ref(told));
            CHECK(talk.until([&] { return told.count("open") == 1; }));
            CHECK(support::calls_of(system_call::connect) == 1);
        }
    });
}

TEST_CASE("[F124] [F125] faults: whatever close says, a descriptor is closed once") {
    support::on_every_real_loop({124, 125}, [](faulty_loop& at, ground& on) {
        conversation quiet(at, on);
        const auto open = on.descriptors();
        for (const int error : {EINTR, EIO, ENOSPC, ECONNRESET}) {
            {
                conversation talk(at, on);
                interrupt(system_call::close, error);
                talk.link().close();
                CHECK(at.until([&] { return talk.told.is_closed(); }));
                CHECK(support::calls_of(system_call::close) == 1);
                CHECK(talk.told.info.reason == sockeye::close_reason::closed);
            }
            CHECK(on.descriptors() == open);
        }
        CHECK(quiet.hears("undisturbed"));
    });
}
