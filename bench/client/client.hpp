#pragma once

#include "bench/client/ring.hpp"
#include "bench/client/tally.hpp"
#include "bench/load.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace sockeye::bench {

/// What every client of a test is made with. Lifetime: all that is referred to outlives it.
struct client_setup {
    loop& owner;
    load what; ///< its own share of the load
    const ring& content;
    tally& result;
    duration timeout = {};            ///< after it a datagram counts as lost
    std::uint64_t seed = 1;           ///< of the schedule of an open loop
    std::size_t first_connection = 0; ///< the number of its first one among those of all threads
};

/// One thread's part of the load: connections to a server, what is sent over them and what comes
/// back. The driver turns the loop and calls work() before each turn.
class client {
public:
    client() = default;
    client(const client&) = delete;
    client& operator=(const client&) = delete;
    virtual ~client() = default;

    /// Begins to connect, a bounded number at a time.
    virtual void open(const endpoint& server, duration deadline) = 0;
    /// Every connection is there and can be used.
    [[nodiscard]] virtual bool is_open() const noexcept = 0;
    /// One of them has failed.
    [[nodiscard]] virtual bool has_failed() const noexcept = 0;
    /// Connections that are still there, busy ones only.
    [[nodiscard]] virtual std::size_t alive() const noexcept = 0;
    /// Messages without an answer, those included that are due and still to be sent.
    [[nodiscard]] virtual std::size_t on_way() const noexcept = 0;

    /// Sends the first messages; a schedule begins now.
    virtual void start(time_point now) = 0;
    /// Sends what is due by now. Returns when it wants to be called again at the latest.
    virtual time_point work(time_point now) = 0;
    /// From now on answers are taken but cause no further message; those of an open loop that were
    /// due before `end` still go out.
    virtual void stop_sending(time_point end) = 0;
    /// Ends every connection at once, so that none of them lingers in the kernel.
    virtual void close() = 0;
};

/// The client for such a load.
[[nodiscard]] std::unique_ptr<client> make_client(const client_setup& setup);

/// Never again: what work() returns when nothing will be due.
inline constexpr time_point never = time_point::max();

} // namespace sockeye::bench
