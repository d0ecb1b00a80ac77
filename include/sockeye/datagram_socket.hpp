#pragma once

#include <sockeye/datagram.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <span>

namespace sockeye {

/// How a datagram socket is to be made.
struct datagram_options {
    /// Bytes that wait because the system took no more; above it datagrams are dropped and counted.
    std::size_t queue_max = std::size_t{1} << 20;
    /// 0 leaves the system's default. See: SO_RCVBUF, SO_SNDBUF in socket(7).
    int receive_buffer = 0;
    int send_buffer = 0;
};

/// A socket of datagrams: UDP or Unix. They arrive and leave in batches.
///
/// There is no end and nothing connected: an error that the network reports of one peer never
/// ends the socket. A move-only handle; its destructor closes in silence. The one that a handler is
/// given names the socket without owning it: moving from it gives an empty one.
/// Unix: a peer that does not read for a second loses what waits for it here. What waits in the
/// queue of a connected peer fills the send buffer, and holds up all others. See: unix(7).
/// Threads: loop thread only. Lifetime: dies before its loop.
class datagram_socket {
public:
    using handler = unique_function<void(datagram_socket&, std::span<const datagram>)>;

    /// Binds to `local` and calls `on_datagrams` with each batch, at most 64 a turn.
    /// Errors: errc::service_mismatch for a stream endpoint, errc::endpoint_...,
    /// not_enough_memory, and what socket(2) and bind(2) say.
    static result<datagram_socket> open(loop& owner, const endpoint_argument& local,
                                        const datagram_options& options, handler on_datagrams);
    /// Connects to `peer` from a free local address; hears and talks to that peer only.
    /// Unix: the local name is chosen by the system (Linux), so that the peer can answer.
    static result<datagram_socket> connect(loop& owner, const endpoint_argument& peer,
                                           const datagram_options& options, handler on_datagrams);

    datagram_socket() = default;
    datagram_socket(datagram_socket&& other) noexcept;
    datagram_socket& operator=(datagram_socket&& other) noexcept;
    ~datagram_socket();

    /// Sends each datagram to its peer, in order; `send(in)` is an echo. Returns how many were
    /// taken: sent, or queued because the system was full. The others were dropped and counted,
    /// as is what finds no memory to be queued in, and what a connected socket is to send to
    /// somebody else than its peer.
    std::size_t send(std::span<const datagram> out);
    /// Sends one; true when it was taken.
    bool send(bytes data, const endpoint& peer);
    /// Sends one to the connected peer.
    bool send(bytes data);

    void pause();
    void resume();
    void close() noexcept;
    /// Leaves the socket to the loop.
    void detach() noexcept;

    [[nodiscard]] bool is_open() const noexcept;
    [[nodiscard]] result<endpoint> local_endpoint() const;
    [[nodiscard]] std::size_t queued_bytes() const noexcept;

private:
    friend class datagram_access;
    datagram_socket(loop_core& core, std::uint32_t index, std::uint32_t generation) noexcept
        : core_(&core), index_(index), generation_(generation) {}

    loop_core* core_ = nullptr;
    std::uint32_t index_ = 0;
    std::uint32_t generation_ = 0;
};

} // namespace sockeye
