#pragma once

#include "base/platform.hpp"
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
#include <vector>

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
    /// How many more may be opened, less a few that are left for others.
    [[nodiscard]] virtual std::size_t room() = 0;
    /// A path of this ground, for a socket file.
    [[nodiscard]] virtual std::string path(std::string_view name) = 0;
    /// A signal comes to this process, on this thread.
    virtual void raise(int signal) = 0;
    /// Lets a moment pass, for what is on its way.
    void pass(sockeye::duration step = std::chrono::milliseconds(1));

    [[nodiscard]] std::string_view name() const noexcept { return entry().name; }
    [[nodiscard]] sockeye::loop make_loop(sockeye::loop_options options = {});
    /// The same over `altered`, which passes on to system() what it does not change.
    [[nodiscard]] sockeye::loop make_loop(sockeye::kernel& altered,
                                          sockeye::loop_options options = {});
};

/// One for each backend of this build, over the kernel of this machine.
[[nodiscard]] std::vector<std::unique_ptr<ground>> make_real_grounds();

/// Why a test cannot run on the simulation: what it uses beside the kernel interface.
struct needs_real_system {
    std::string reason;
};

/// That backend over the kernel of this machine. Requires: this build has it.
[[nodiscard]] std::unique_ptr<ground> make_real_ground(const sockeye::backend_entry& entry);

/// Calls `visit` with every ground there is, each in a subcase of its name.
void for_each_ground(const std::function<void(ground&)>& visit);

/// Runs `body`. What it throws is a failure of this ground alone; false when it threw.
bool run_guarded(const std::function<void()>& body);

/// Runs `body` on every ground, as a subcase of its name, and notes the rows. Whatever the body
/// does, no descriptor is left open. A body that needs the real system does not run on the
/// simulation: its rows are noted there as not applicable, with that reason.
void on_every_ground(std::initializer_list<int> numbers,
                     const std::function<void(ground&, rows&)>& body,
                     const std::optional<needs_real_system>& need = {});

/// Two stream sockets that are connected to each other.
struct stream_pair {
    sockeye::owned_fd first;
    sockeye::owned_fd second;
};

/// What carries a pair where nobody says: Unix sockets, where they need no file.
constexpr auto pair_kind = sockeye::platform::has_abstract_names ? sockeye::transport::unix_stream
                                                                 : sockeye::transport::tcp;

/// Makes pairs of connected stream sockets. Throws where the system refuses.
class pair_source {
public:
    explicit pair_source(sockeye::kernel& system, sockeye::transport kind = pair_kind);

    /// `first` gets the lowest number that is free when this is called.
    [[nodiscard]] stream_pair make();

private:
    sockeye::kernel& system_;
    sockeye::transport kind_;
    sockeye::owned_fd listening_;
    sockeye::endpoint name_;
};

[[nodiscard]] stream_pair make_stream_pair(sockeye::kernel& system,
                                           sockeye::transport kind = pair_kind);

/// A TCP socket that is bound to a port of its own on 127.0.0.1; it refuses connections until it
/// listens.
struct bound_socket {
    sockeye::owned_fd fd;
    sockeye::endpoint name;
};
[[nodiscard]] bound_socket make_bound_tcp(sockeye::kernel& system);

/// A connected UDP socket whose datagrams the owner of the port does not take: each brings back
/// an error.
struct refused_socket {
    sockeye::owned_fd fd;
    sockeye::owned_fd owner;
};
[[nodiscard]] refused_socket make_refused_udp(sockeye::kernel& system);

/// Sends `count` bytes, or as many as fit, and says how many.
std::size_t put(sockeye::kernel& system, int fd, std::size_t count = 1);
/// Receives all that is there, and says how much.
std::size_t take(sockeye::kernel& system, int fd);
/// Sends until nothing more fits.
void fill(sockeye::kernel& system, int fd);
/// Receives one byte: 1, or 0 at the end, or the error.
sockeye::result<std::size_t> receive_one(sockeye::kernel& system, int fd);

} // namespace support
