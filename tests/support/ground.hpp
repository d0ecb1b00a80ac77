#pragma once

#include "kernel/backend.hpp"
#include "kernel/kernel.hpp"
#include "support/conformance.hpp"

#include <sockeye/loop.hpp>

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace support {

/// The two seams that a test runs on: a backend, and the kernel under it.
///
/// There is one for each backend of this build, over the kernel of this machine, and one for the
/// simulation. What a test makes by system() works on each of them.
class ground {
public:
    virtual ~ground() = default;

    [[nodiscard]] virtual const sockeye::backend_entry& entry() const noexcept = 0;
    [[nodiscard]] virtual bool is_simulated() const noexcept = 0;
    /// Makes the descriptors that backend and loop understand.
    [[nodiscard]] virtual sockeye::kernel& system() noexcept = 0;
    [[nodiscard]] virtual std::unique_ptr<sockeye::backend> make_backend() = 0;
    /// How many descriptors are open.
    [[nodiscard]] virtual std::size_t descriptors() = 0;
    /// A path of this ground, for a socket file.
    [[nodiscard]] virtual std::string path(std::string_view name) = 0;

    [[nodiscard]] std::string_view name() const noexcept { return entry().name; }
    [[nodiscard]] sockeye::loop make_loop(sockeye::loop_options options = {});
    /// The same over `altered`, which passes on to system() what it does not change.
    [[nodiscard]] sockeye::loop make_loop(sockeye::kernel& altered,
                                          sockeye::loop_options options = {});
};

/// Why a test cannot be run on the simulation, which then counts as not applicable.
struct needs_real_system {
    std::string_view reason;
};

/// Calls `visit` with every ground there is, each in a subcase of its name.
void for_each_ground(const std::function<void(ground&)>& visit);

/// Runs `body`. What it throws is a failure of this ground alone; false when it threw.
bool run_guarded(const std::function<void()>& body);

/// Runs `body` on every ground, as a subcase of its name, and notes the rows. Whatever the body
/// does, no descriptor is left open.
void on_every_ground(std::initializer_list<int> numbers,
                     const std::function<void(ground&, rows&)>& body,
                     const std::optional<needs_real_system>& need = {});

/// Connected stream sockets of that kind. Throws where the system refuses.
struct stream_pair {
    sockeye::owned_fd first;
    sockeye::owned_fd second;
};
[[nodiscard]] stream_pair make_stream_pair(sockeye::kernel& system, sockeye::transport kind);

} // namespace support
