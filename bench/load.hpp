#pragma once

#include "bench/client/message_sizes.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// What a client does with its connections.
enum class mode : std::uint8_t {
    echo,     ///< each message comes back
    upload,   ///< messages go to the server, as fast as it takes them
    download, ///< bytes come from the server, as fast as it sends them
    churn,    ///< connect, one message and its answer, close; again
};

/// When the messages of an open loop are due.
enum class arrival : std::uint8_t {
    poisson,  ///< independent of each other
    constant, ///< one after the other at equal distances
};

/// Messages that an open loop may have on their way where nobody says.
inline constexpr std::size_t in_flight_default = std::size_t{1} << 20;

/// The load of one test.
///
/// In a closed loop each busy connection keeps `pipeline` messages on their way. In an open loop
/// messages are due by a schedule, whatever the server does, and are dealt to the connections in
/// turn.
struct load {
    mode how = mode::echo;
    transport carrier = transport::tcp;
    std::size_t connections = 64;
    std::size_t pipeline = 1;
    message_sizes sizes;
    std::size_t idle = 0;    ///< further connections that say nothing
    std::size_t threads = 1; ///< of the client; each has its share of the connections
    double rate_per_s = 0;   ///< of an open loop; 0: a closed loop
    arrival law = arrival::poisson;
    std::vector<endpoint>
        sources; ///< addresses to connect from, in turn; empty: as the system likes
    std::size_t in_flight_max = in_flight_default; ///< an open loop that reaches it is overloaded
    bool is_verified = true;
    duration burn = {}; ///< CPU time that the client wastes for each answer, to prove it is noticed

    [[nodiscard]] bool is_open_loop() const noexcept { return rate_per_s > 0; }
    /// What thread `index` does of it.
    [[nodiscard]] load share_of(std::size_t index) const;
    /// The number of the first busy connection of that thread.
    [[nodiscard]] std::size_t first_of(std::size_t index) const noexcept;
};

/// `echo`, `upload`, `download`, `churn`.
[[nodiscard]] std::string_view name_of(mode how) noexcept;
/// `poisson`, `constant`.
[[nodiscard]] std::string_view name_of(arrival law) noexcept;
/// `tcp`, `udp`, `unix`, `unix-dgram`.
[[nodiscard]] std::string_view name_of(transport carrier) noexcept;

/// Whether it carries a stream of bytes and not datagrams.
[[nodiscard]] constexpr bool is_stream(transport carrier) noexcept {
    return carrier == transport::tcp || carrier == transport::unix_stream;
}

/// Does nothing for so long, with all its might.
inline void burn_cpu(duration time) noexcept {
    for (const time_point end = clock::now() + time; clock::now() < end;) {
    }
}

} // namespace sockeye::bench
