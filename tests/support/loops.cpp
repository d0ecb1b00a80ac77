#include "support/loops.hpp"

#include "loop/loop_core.hpp"
#include "support/support.hpp"

#include <chrono>
#include <system_error>

#include <doctest/doctest.h>

namespace support {

using namespace std::chrono_literals;

void on_every_loop(std::initializer_list<int> numbers,
                   const std::function<void(ground&, sockeye::loop&)>& body,
                   const std::optional<needs_real_system>& need) {
    on_every_ground(
        numbers,
        [&](ground& on, rows&) {
            auto owner = on.make_loop();
            body(on, owner);
            expect_nothing_left(owner);
        },
        need);
}

void expect_nothing_left(sockeye::loop& owner) {
    // The one of its wake-up. Connections without an owner go once what they took is sent.
    const auto& slots = sockeye::core_of(owner).io().slots();
    CHECK(turn_until(owner, [&] { return slots.used() == 1; }));
    CHECK(owner.counters().queued_bytes == 0);
    CHECK_FALSE(owner.next_deadline());
    // A wake-up that its task did not wait for may still be there to be read.
    CHECK(turn(owner, 0s) == 0);
    const auto before = owner.counters();
    CHECK(turn(owner, 1ms) == 0);
    CHECK(owner.counters().events == before.events);
    CHECK(owner.counters().waits - before.waits <= 2); // a coarse clock may ask for one more
}

std::size_t turn(sockeye::loop& owner, std::optional<sockeye::duration> timeout) {
    return owner.run_once(timeout).value();
}

bool turn_until(sockeye::loop& owner, const std::function<bool()>& fact) {
    return turn_until(fact, [&] { static_cast<void>(owner.run_once(20ms)); });
}

sockeye::loop make_loop(sockeye::kernel& system, std::unique_ptr<sockeye::backend> source,
                        sockeye::backend_entry row, sockeye::loop_options options) {
    auto core =
        std::make_unique<sockeye::loop_core>(system, std::move(source), row, std::move(options));
    if (const auto error = core->start()) {
        throw std::system_error(error);
    }
    return sockeye::loop_access::make(std::move(core));
}

namespace {

sockeye::loop make_clocked_loop(clocked_loop& of, ground& on, sockeye::loop_options options) {
    of.system.stop_clock();
    auto waits = std::make_unique<clocked_backend>(on.make_backend(), of.system);
    of.waits = waits.get();
    return make_loop(of.system, std::move(waits), on.entry(), std::move(options));
}

} // namespace

clocked_loop::clocked_loop(ground& on, sockeye::loop_options options)
    : system(on.system()), loop(make_clocked_loop(*this, on, std::move(options))) {}

void on_every_clocked_loop(std::initializer_list<int> numbers,
                           const std::function<void(clocked_loop&)>& body,
                           const std::optional<needs_real_system>& need) {
    on_every_ground(
        numbers,
        [&](ground& under, rows&) {
            clocked_loop on(under);
            body(on);
            expect_nothing_left(on.loop);
        },
        need);
}

} // namespace support
