#pragma once

#include "cli/common.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/datagram_socket.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/resolver.hpp>
#include <sockeye/stream.hpp>
#include <sockeye/timer.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <string>

namespace sockeye::cli {

/// Whom a client talks to, over a stream or by datagrams: hosts are looked up, each failed address
/// is told with -v, and errors are in words.
///
/// Lifetime: dies before its loop.
class peer {
public:
    /// What becomes of it; `opened` is first, then any of the others, and all of them are called
    /// from the loop. Handlers may not destroy the peer.
    struct events {
        unique_function<void()> opened;
        /// What one read brought, or one datagram.
        unique_function<void(bytes)> received;
        /// The peer has said all that it will say.
        unique_function<void()> ended;
        /// What the network reports of a datagram: `connection refused (ICMP port unreachable)`.
        unique_function<void(const std::string&)> reported;
        /// It never came up, or broke off; `why` begins with its name. Nothing comes after it.
        unique_function<void(const std::string& why)> failed;
    };

    peer(loop& owner, const endpoint_argument& address, const common_options& common,
         duration connect_timeout, events told);
    peer(const peer&) = delete;
    peer& operator=(const peer&) = delete;

    /// Whether what is sent keeps its borders: datagrams and unix-seqpacket.
    [[nodiscard]] bool keeps_messages() const noexcept;
    [[nodiscard]] bool is_stream() const noexcept { return is_stream_; }
    /// The most that one message can hold.
    [[nodiscard]] std::size_t message_max() const noexcept;
    /// As it is shown: the address that was reached, or the name that was given.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

    /// Whether it was reached over IPv6. Requires: opened.
    [[nodiscard]] bool is_ip6() const noexcept { return is_ip6_; }
    /// Why it failed, or nothing.
    [[nodiscard]] std::error_code error() const noexcept { return error_; }

    /// Requires: opened.
    void send(bytes data);
    /// Calls `called` from the loop when nothing waits any more of what was sent; the last call
    /// counts. Not called where it failed before.
    void when_sent(unique_function<void()> called);
    [[nodiscard]] std::size_t unsent() const noexcept;
    /// Says that nothing more will be sent. Datagrams have no way to say so.
    void shutdown();

    void pause();
    void resume();

private:
    friend class peer_session;

    void note_reached(const endpoint& reached);
    void open_datagrams(result<std::vector<endpoint>> found);
    void take_datagrams(std::span<const datagram> in);
    void look_at_counters();
    void look_at_queue();
    void closed(const close_info& info);
    void fail(const std::string& why, std::error_code error);

    loop& owner_;
    endpoint_argument address_;
    const common_options& common_;
    duration connect_timeout_;
    events told_;
    std::string name_;
    bool is_stream_;
    bool was_opened_ = false;
    bool has_ended_ = false;
    bool has_failed_ = false;
    bool hears_errors_ = false;
    bool is_ip6_ = false;
    std::error_code error_;
    std::uint64_t errors_seen_ = 0;
    unique_function<void()> when_sent_;
    timer queue_timer_;
    look_up look_up_;
    stream link_;
    datagram_socket socket_;
};

} // namespace sockeye::cli
