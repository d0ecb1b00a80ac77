#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/datagram.hpp>
#include <sockeye/datagram_options.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/time.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace sockeye::simulated {

class host;

/// Names a socket for ever: a late arrival never finds the next owner of a descriptor.
using socket_id = std::uint64_t;

/// Bytes that arrived and were not read yet.
class byte_queue {
public:
    void append(bytes more) { content_.insert(content_.end(), more.begin(), more.end()); }

    std::size_t take(std::span<std::byte> target) noexcept {
        const auto count = std::min(target.size(), size());
        std::copy_n(content_.begin() + static_cast<std::ptrdiff_t>(first_), count, target.begin());
        first_ += count;
        if (first_ == content_.size()) {
            content_.clear();
            first_ = 0;
        } else if (first_ >= 65536) {
            content_.erase(content_.begin(), content_.begin() + static_cast<std::ptrdiff_t>(
                                                                    std::exchange(first_, 0)));
        }
        return count;
    }

    void drop(std::size_t count) noexcept {
        std::array<std::byte, 256> sink;
        while (count > 0) {
            count -= take(std::span(sink).first(std::min(count, sink.size())));
        }
    }

    [[nodiscard]] std::size_t size() const noexcept { return content_.size() - first_; }
    [[nodiscard]] bool empty() const noexcept { return size() == 0; }

private:
    std::vector<std::byte> content_;
    std::size_t first_ = 0;
};

/// What travels between the two ends of a stream, in order.
struct piece {
    enum class what : std::uint8_t { syn, syn_ack, ack, data, fin };
    what kind = what::data;
    time_point arrival;
    std::vector<std::byte> data;
};

struct packet {
    endpoint from;
    std::vector<std::byte> data;
    socket_id sender = 0;
    endpoint to{};
    std::uint8_t ttl = 0;
    ecn mark = ecn::not_capable;
    time_point arrival{};
    std::uint32_t lost_before = 0; ///< of its receiver
};

/// What a socket for datagrams was told to do.
struct datagram_settings {
    bool tell_local = false;
    bool tell_mark = false;
    bool tell_ttl = false;
    bool tell_time = false;
    bool tell_overflow = false;
    bool report_errors = false;
    std::uint8_t ttl = 64;
};

/// How often a waiter was woken, by what it waits for: an edge-triggered registration tells each
/// time once. `all` is for ends and errors, which wake every waiter.
struct news_count {
    std::uint32_t readable = 0;
    std::uint32_t writable = 0;
    std::uint32_t all = 0;
};

/// What the caller of connect was told so far. It is the socket's own and not the connection's:
/// whoever asks again after the end hears of it, and may then connect anew. See: connect(2).
enum class calling : std::uint8_t { idle, asked, answered, given_up };

/// What TCP has numbers for, as Linux begins; apart from `user_timeout` they change nothing here.
struct tcp_options {
    int keep_alive = 0;
    int keep_alive_idle = 7200;
    int keep_alive_interval = 75;
    int keep_alive_probes = 9;
    int user_timeout = 0; ///< milliseconds; 0 for none
    int not_sent_low_at = 0;
    int quick_ack = 1;
    bool is_reno = false; ///< the algorithms are cubic and reno
};

enum class phase : std::uint8_t { fresh, listening, connecting, connected, over };

/// A socket of a simulated host: what lies behind a descriptor.
struct socket {
    socket_id id = 0;
    host* home = nullptr;
    transport kind = transport::tcp;
    int family = 0;
    phase state = phase::fresh;
    bool is_bound = false;
    bool has_own_address = false; ///< given by bind: connecting again does not change it
    bool has_own_port = false;
    bool is_closed = false; ///< by its owner; what is under way still goes
    endpoint local;
    endpoint peer;
    std::error_code pending; ///< SO_ERROR
    news_count news;

    // Streams.
    socket_id other = 0;
    host* other_host = nullptr;
    calling call = calling::idle;
    byte_queue inbox;
    std::deque<std::size_t> parcels; ///< Unix: what is left of each send in `inbox`
    std::size_t underway = 0;        ///< sent, and not read over there as far as we know
    std::uint64_t received = 0;      ///< bytes, ever
    std::uint64_t acknowledged = 0;  ///< bytes that were read over there
    bool wants_room = false;         ///< a send came short
    bool is_shut = false;            ///< for writing, also before there is a peer to tell
    bool fin_sent = false;
    bool fin_arrived = false;
    std::deque<piece> out;
    time_point last_arrival;
    int tries = 0;          ///< of the first one in `out`
    bool is_moving = false; ///< an event for `out` waits, or `out` is being worked off

    // Listening sockets, and who waits in their queues.
    socket_id listener = 0;
    std::size_t backlog = 0;
    std::size_t handshakes = 0;
    std::deque<socket_id> queue;

    // Datagrams.
    std::deque<packet> packets;
    std::size_t packet_bytes = 0;
    std::uint32_t packets_lost = 0; ///< for want of room
    std::deque<datagram_error> errors;
    datagram_settings settings;

    // Options.
    std::size_t send_buffer = 0;
    std::size_t receive_buffer = 0;
    bool no_delay = false;
    bool reuse_address = false;
    bool reuse_port = false;
    bool ipv6_only = false;
    bool resets_on_close = false;
    tcp_options tcp;

    [[nodiscard]] bool is_stream() const noexcept {
        return kind == transport::tcp || kind == transport::unix_stream || keeps_messages();
    }
    [[nodiscard]] bool is_local() const noexcept {
        return kind != transport::tcp && kind != transport::udp;
    }
    [[nodiscard]] bool keeps_messages() const noexcept { return kind == transport::unix_seqpacket; }
};

} // namespace sockeye::simulated
