#pragma once

#include <sockeye/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <system_error>

namespace sockeye {

/// What happens to a datagram for which the queue of those that wait has no room.
enum class queue_policy : std::uint8_t {
    refuse,      ///< it is not taken, and send says so
    drop_newest, ///< it is taken, and lost as on the way
    drop_oldest, ///< it is taken, and those that wait longest are lost until it fits
};

/// Whether routers may cut datagrams, and who minds the size that passes. See: IP_MTU_DISCOVER in
/// ip(7).
enum class path_mtu_discovery : std::uint8_t {
    off,   ///< routers may cut them
    on,    ///< they are not cut: what is known to be too long is refused (message_size)
    probe, ///< they are not cut, and go out whatever is known
};

/// How a datagram socket is to be made.
///
/// Errors: invalid_argument for a TTL out of range, and not_supported for what this system, or the
/// transport, does not have; the socket is not made then.
struct datagram_options {
    /// Bytes that wait because the system took no more, with what each entry costs.
    std::size_t queue_max = std::size_t{1} << 20;
    queue_policy when_full = queue_policy::refuse;
    /// 0 leaves the system's default. See: SO_RCVBUF, SO_SNDBUF in socket(7).
    int receive_buffer = 0;
    int send_buffer = 0;

    /// Others may bind the same address; each datagram goes to one of them. See: SO_REUSEADDR.
    bool reuse_address = false;
    /// Others of this user may too, and the system spreads the peers over them where it can.
    /// See: SO_REUSEPORT.
    bool reuse_port = false;
    /// An IPv6 socket has to do with IPv4 as well, whose addresses look like ::ffff:127.0.0.1.
    bool dual_stack = false;
    /// May send to broadcast addresses.
    bool broadcast = false;

    // What handlers are told of each datagram beside data and peer; each costs a little.
    bool tells_local = false; ///< address and interface; one bound to every address always tells
    bool tells_ecn = false;
    bool tells_ttl = false;
    bool tells_time = false;
    /// Asks how many were lost for want of room in the receive buffer: datagram_counters.
    bool tells_overflow = false;

    /// The system merges what one peer sends in a row, and cuts what one peer is sent in a row
    /// (UDP_GRO, UDP_SEGMENT): many times cheaper where there is much for few. What it cannot send
    /// so goes one by one.
    bool offload = false;

    std::optional<int> ttl = {}; ///< 1 to 255 (IPv6: hop limit)
    std::optional<path_mtu_discovery> discovery = {};
    std::optional<int> multicast_ttl = {}; ///< 0 (this machine) to 255
    /// Whether this machine hears what it sends to groups it has joined.
    std::optional<bool> multicast_loop = {};
    std::uint32_t multicast_interface = 0; ///< its index; 0: as the system chooses
};

/// What the network, or this system, reports of a datagram that was sent.
struct datagram_error {
    enum class source : std::uint8_t { local, icmp, icmp6 };

    std::error_code error;
    endpoint peer; ///< whom the datagram was for
    source origin = source::local;
    std::uint8_t icmp_type = 0;
    std::uint8_t icmp_code = 0;
    std::uint32_t path_mtu = 0; ///< where the datagram was too long: what passes; else 0
};

/// What became of the datagrams of one socket.
struct datagram_counters {
    std::uint64_t received = 0;
    std::uint64_t sent = 0;
    std::uint64_t refused = 0;        ///< by queue_policy::refuse
    std::uint64_t dropped_newest = 0; ///< by the queue policies of these names
    std::uint64_t dropped_oldest = 0;
    std::uint64_t rejected = 0;   ///< by the system: too long, no address, not permitted
    std::uint64_t lost = 0;       ///< given up: the peer does not read, no memory, closed
    std::uint64_t errors = 0;     ///< what the network reported
    std::uint64_t overflowed = 0; ///< lost for want of room in the receive buffer, where told
};

} // namespace sockeye
