#pragma once

#include "loop/loop_core.hpp"
#include "net/connect_race.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/session.hpp>

#include <memory>
#include <optional>
#include <span>

namespace sockeye {

/// What a connection needs until it is up.
struct connecting_state {
    explicit connecting_state(loop_core& owner) noexcept : core(owner) {}

    loop_core& core;
    /// The only endpoint; unknown until it is tried, and where several race.
    connect_attempt only;
    time_point began;
    duration retry_delay = std::chrono::milliseconds(1);
    /// What the deadline means: would-block where the last try found a full backlog.
    std::errc late = std::errc::timed_out;
    /// Connect left the SYN to the first send. See: TCP_FASTOPEN_CONNECT in tcp(7).
    bool sends_syn = false;
    /// Of a host that is connected to by its name.
    std::unique_ptr<connect_race> race;

    /// The connection comes to nothing.
    static void fail(slot& place, std::error_code error) noexcept;
    /// Connects to one endpoint, in the connection's own slot.
    static void begin(slot& place, const endpoint& peer, const connect_options& options);
    /// The socket may be connected: finds out, and opens the connection or ends it.
    static void check(slot& place);
    /// Calls connect; registers only after it.
    static void attempt(slot& place);
    /// What was tried, now that all is over.
    [[nodiscard]] std::span<const connect_attempt> report(std::error_code reason) noexcept;
};

/// A socket for a connection to `peer`, with its options set and bound where that is wanted.
[[nodiscard]] result<owned_fd> open_socket(kernel& system, const endpoint& peer,
                                           const connect_options& options);
/// What became of a socket that the backend called ready: connected, without an error code, or
/// failed with one. Nothing where it was told too early.
[[nodiscard]] std::optional<std::error_code> outcome_of(kernel& system, int fd, transport carrier);

} // namespace sockeye
