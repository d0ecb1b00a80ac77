#pragma once

#include "kernel/backend.hpp"
#include "support/ground.hpp"
#include "support/test_backends.hpp"
#include "support/test_kernel.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

#include <doctest/doctest.h>

namespace support {

/// Runs `body` with a fresh loop of every ground; see on_every_ground. When all that the body made
/// has gone, nothing is left in the loop, no byte is queued, and it does not wake up for nothing.
void on_every_loop(std::initializer_list<int> numbers,
                   const std::function<void(ground&, sockeye::loop&)>& body,
                   const std::optional<needs_real_system>& need = {});

/// Asserts that nothing is left in `owner` but what a fresh loop has, and that it is quiet.
void expect_nothing_left(sockeye::loop& owner);

/// Turns `owner` once, as run_once does, and says how many handlers ran; throws errors.
std::size_t turn(sockeye::loop& owner, std::optional<sockeye::duration> timeout = {});

/// Turns `owner` until `fact` holds. False when it does not within a time that no machine needs.
[[nodiscard]] bool turn_until(sockeye::loop& owner, const std::function<bool()>& fact);

/// A loop over a test's kernel and backend; `features` are what the loop shall believe of it.
[[nodiscard]] sockeye::loop make_loop(sockeye::kernel& system,
                                      std::unique_ptr<sockeye::backend> source,
                                      sockeye::backend_entry row,
                                      sockeye::loop_options options = {});

/// A loop whose time passes only where it waits, and then at once.
struct clocked_loop {
    explicit clocked_loop(ground& on, sockeye::loop_options options = {});

    /// Time passes without a turn.
    void advance(sockeye::duration step) { system.advance(step); }

    test_kernel system;
    clocked_backend* waits = nullptr; ///< lives as long as the loop
    sockeye::loop loop;
};

/// Runs `body` with a clocked loop of every ground, as on_every_loop does.
void on_every_clocked_loop(std::initializer_list<int> numbers,
                           const std::function<void(clocked_loop&)>& body,
                           const std::optional<needs_real_system>& need = {});

/// A connection of `owner` with a fresh Session, and its other end. Throws where it fails.
template <typename Session>
struct joined {
    template <typename... Args>
    joined(ground& on, sockeye::loop& owner, Args&&... args) {
        auto& system = on.system();
        const auto there = make_bound_tcp(system);
        REQUIRE_FALSE(system.listen(there.fd.get(), 1));
        link = sockeye::connect<Session>(owner, there.name, {}, std::forward<Args>(args)...);
        REQUIRE(turn_until(owner, [&] { return !link.is_connecting(); }));
        sockeye::endpoint peer;
        far = system.accept(there.fd.get(), sockeye::transport::tcp, peer).value();
    }

    sockeye::stream link;
    sockeye::owned_fd far;
};

} // namespace support
