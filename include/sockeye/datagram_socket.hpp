#pragma once

#include <sockeye/datagram.hpp>
#include <sockeye/datagram_options.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/unique_fd.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace sockeye {

/// Where a multicast group is joined, and whom it is joined for.
struct group_options {
    std::optional<endpoint> source;    ///< what others send to the group is not heard
    std::uint32_t interface_index = 0; ///< 0: as the system chooses
};

/// A socket of datagrams: UDP or Unix, ICMP echo or raw IP. They arrive and leave in batches.
///
/// There is no end and nothing connected: an error that the network reports of one peer never
/// ends the socket. A move-only handle; its destructor closes in silence. The one that a handler is
/// given names the socket without owning it: moving from it gives an empty one. It is the same
/// object as long as the socket is open, and may be kept.
/// Unix: a peer that does not read for a second loses what waits for it here. What waits in the
/// queue of a peer that is connected to this socket fills its send buffer, and while it is full
/// the system lets it send to nobody: servers of peers that may not read do without such. See:
/// unix(7).
/// ICMP (`icmp://`): sends echo requests, whose identifier and checksum the system fills in, and
/// hears the answers to its own; needs a group in net.ipv4.ping_group_range. Raw (`raw://`): each
/// packet of that protocol that comes to this machine is heard; over IPv4 it begins with its IP
/// header, over IPv6 behind it, and what is sent never has one. Needs CAP_NET_RAW; else both are
/// refused with permission_denied or operation_not_permitted. See: icmp(7), raw(7).
/// Verbs of one that is closed give bad_file_descriptor, and do nothing.
/// Threads: loop thread only. Lifetime: dies before its loop.
class datagram_socket {
public:
    using handler = unique_function<void(datagram_socket&, std::span<const datagram>)>;
    using error_handler = unique_function<void(datagram_socket&, const datagram_error&)>;

    /// Binds to `local` and calls `on_datagrams` with each batch: what one receive call a turn
    /// brought, at most 64. With datagram_options::offload, at most 16 merged ones, cut.
    /// Errors: errc::service_mismatch for a stream endpoint, errc::endpoint_...,
    /// not_enough_memory, those of datagram_options, and what socket(2) and bind(2) say.
    static result<datagram_socket> open(sockeye::loop& owner, const endpoint_argument& local,
                                        const datagram_options& options, handler on_datagrams);
    /// Connects to `peer` from a free local address; hears and talks to that peer only.
    /// Unix: the local name is chosen by the system (Linux), so that the peer can answer.
    static result<datagram_socket> connect(sockeye::loop& owner, const endpoint_argument& peer,
                                           const datagram_options& options, handler on_datagrams);
    /// Takes over a socket from elsewhere, bound or not, connected or not; of `options`, what must
    /// be set before a socket is bound is left as it is. The descriptor becomes non-blocking and
    /// close-on-exec. Errors: errc::service_mismatch for a stream, file_exists for one that this
    /// loop watches already, not_a_socket, not_supported in a simulation, and as open.
    static result<datagram_socket> adopt(sockeye::loop& owner, unique_fd fd,
                                         const datagram_options& options, handler on_datagrams);

    datagram_socket() = default;
    datagram_socket(datagram_socket&& other) noexcept;
    datagram_socket& operator=(datagram_socket&& other) noexcept;
    ~datagram_socket();

    /// Sends each datagram to its peer, in order; `send(in)` is an echo, which leaves from the
    /// address that was asked. Returns how many were taken: sent, or queued because the system was
    /// full. The others were dropped and counted, as is what finds no memory to be queued in, and
    /// what a connected socket is to send to somebody else than its peer.
    std::size_t send(std::span<const datagram> out);
    /// Sends one; true when it was taken.
    bool send(bytes data, const endpoint& peer);
    /// Sends one to the connected peer.
    bool send(bytes data);

    /// Calls `called` with what the network reports of single datagrams (IP_RECVERR); without it
    /// that is only counted. An empty one ends that. Errors: not_supported (other systems than
    /// Linux, Unix sockets). See: ip(7).
    std::error_code on_error(error_handler called);

    /// From now on hears and talks to `peer` only. What waits for others is dropped.
    /// Errors: already_connected until disconnect(), errc::endpoint_..., what connect(2) says.
    std::error_code connect(const endpoint_argument& peer);
    /// From now on hears and talks to everybody, at the same port. Errors: not_connected;
    /// address_in_use where the system had chosen the port and somebody took it meanwhile.
    std::error_code disconnect();

    /// Joins a multicast group, whose port does not matter.
    /// Errors: what setsockopt(2) says: address_in_use where it is joined already, no_such_device.
    std::error_code join(const endpoint_argument& group, const group_options& options = {});
    /// Errors: address_not_available where it is not joined.
    std::error_code leave(const endpoint_argument& group, const group_options& options = {});

    /// The longest packet, with its headers, that is known to pass to the connected peer.
    /// Errors: not_connected, not_supported. See: IP_MTU in ip(7).
    [[nodiscard]] result<int> path_mtu() const;

    void pause();
    void resume();
    void close() noexcept;
    /// Leaves the socket to the loop.
    void detach() noexcept;

    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] result<endpoint> local_endpoint() const;
    [[nodiscard]] std::size_t queued_bytes() const noexcept;
    /// All zero when it is closed.
    [[nodiscard]] datagram_counters counters() const noexcept;
    /// Requires: not made by default, and not moved from.
    [[nodiscard]] sockeye::loop& loop() const noexcept;

private:
    friend class datagram_access;
    datagram_socket(loop_core& core, std::uint32_t index, std::uint32_t generation) noexcept
        : core_(&core), index_(index), generation_(generation) {}

    loop_core* core_ = nullptr;
    std::uint32_t index_ = 0;
    std::uint32_t generation_ = 0;
};

} // namespace sockeye
