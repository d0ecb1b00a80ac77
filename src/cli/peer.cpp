#include "cli/peer.hpp"

#include "cli/client.hpp"
#include "cli/host.hpp"

#include <functional>
#include <utility>

namespace sockeye::cli {
namespace {

constexpr duration attempt_talk_patience = std::chrono::milliseconds(200);
constexpr duration queue_look_period = std::chrono::milliseconds(1);
/// So much is read ahead of who takes it, and the stream goes on reading meanwhile: a peer that
/// answers while it listens must not wait for us while we wait for it.
constexpr std::size_t peer_unsent_max = std::size_t{4} << 20;
/// What UDP over IPv4 has room for, and what unix-seqpacket promises.
constexpr std::size_t peer_datagram_max = 65507;
constexpr std::size_t peer_packet_max = 65536;

void tell_attempt(const endpoint& tried, std::error_code error) {
    write_talk(fmt::format("tried {}: {}\n", tried.to_string(), error.message()),
               attempt_talk_patience);
}

std::string describe_report(const datagram_error& told) {
    if (told.error == std::errc::connection_refused) {
        return told.origin == datagram_error::source::icmp6
                   ? "connection refused (ICMPv6 port unreachable)"
                   : "connection refused (ICMP port unreachable)";
    }
    return told.error.message();
}

} // namespace

/// The stream's side of a peer.
class peer_session {
public:
    explicit peer_session(peer& owner) : owner_(owner) {}

    void on_open(stream& link) {
        if (const auto reached = link.peer_endpoint()) {
            owner_.note_reached(*reached);
        }
        owner_.was_opened_ = true;
        owner_.told_.opened();
    }
    void on_data(stream&, bytes in) { owner_.told_.received(in); }
    void on_end(stream&) {
        owner_.has_ended_ = true;
        owner_.told_.ended();
    }
    void on_close(stream&, const close_info& info) { owner_.closed(info); }

private:
    peer& owner_;
};

peer::peer(loop& owner, const endpoint_argument& address, const common_options& common,
           duration connect_timeout, events told)
    : owner_(owner), address_(address), common_(common), connect_timeout_(connect_timeout),
      told_(std::move(told)), name_(name_of(address)),
      is_stream_(carrier_of(address) == transport::tcp ||
                 carrier_of(address) == transport::unix_stream ||
                 carrier_of(address) == transport::unix_seqpacket),
      queue_timer_(owner) {
    if (is_stream_) {
        connect_options options;
        options.deadline = connect_timeout;
        options.family = common.family;
        options.limits.queue_high = peer_unsent_max;
        options.limits.queue_max = 2 * peer_unsent_max;
        link_ = connect<peer_session>(owner, address, options, std::ref(*this));
        return;
    }
    look_up_ =
        resolve(owner, address, {.deadline = connect_timeout, .family = common.family},
                [this](result<std::vector<endpoint>> found) { open_datagrams(std::move(found)); });
}

bool peer::keeps_messages() const noexcept {
    return !is_stream_ || carrier_of(address_) == transport::unix_seqpacket;
}

std::size_t peer::message_max() const noexcept {
    return is_stream_ ? peer_packet_max : peer_datagram_max;
}

/// Of a host it says which address it is.
void peer::note_reached(const endpoint& reached) {
    is_ip6_ = reached.family() == AF_INET6;
    if (address_.host() != nullptr) {
        name_ = fmt::format("{} ({})", name_of(address_), reached.to_string());
    }
}

void peer::send(bytes data) {
    if (is_stream_) {
        link_.write(data);
        return;
    }
    socket_.send(data);
    look_at_counters();
}

void peer::when_sent(unique_function<void()> called) {
    when_sent_ = std::move(called);
    if (!is_stream_) {
        queue_timer_.start(duration::zero(), [this] { look_at_queue(); });
        return;
    }
    link_.when_sent([this](std::error_code error) {
        if (!error && when_sent_ && link_.queued_bytes() == 0) {
            std::exchange(when_sent_, nullptr)();
        }
    });
}

std::size_t peer::unsent() const noexcept {
    return is_stream_ ? link_.queued_bytes() : socket_.queued_bytes();
}

void peer::shutdown() {
    if (is_stream_) {
        link_.shutdown();
    }
}

void peer::pause() {
    is_stream_ ? link_.pause() : socket_.pause();
}

void peer::resume() {
    is_stream_ ? link_.resume() : socket_.resume();
}

/// The first address that the system takes is the peer: datagrams tell no more than that.
void peer::open_datagrams(result<std::vector<endpoint>> found) {
    std::error_code error = found.error();
    for (const auto& one : found ? *found : std::vector<endpoint>()) {
        auto made = datagram_socket::connect(
            owner_, one, {},
            [this](datagram_socket&, std::span<const datagram> in) { take_datagrams(in); });
        if (made) {
            socket_ = std::move(made).value();
            note_reached(one);
            break;
        }
        error = made.error();
        if (common_.is_verbose) {
            tell_attempt(one, error);
        }
    }
    if (!socket_.is_open()) {
        fail(explain_failure(address_, error), error);
        return;
    }
    hears_errors_ = !socket_.on_error([this](datagram_socket&, const datagram_error& told) {
        told_.reported(describe_report(told));
    });
    was_opened_ = true;
    told_.opened();
}

void peer::take_datagrams(std::span<const datagram> in) {
    for (const auto& one : in) {
        told_.received(one.data);
    }
}

/// Where the system does not report errors one by one, it counts them.
void peer::look_at_counters() {
    const auto seen = socket_.counters();
    const auto refused = hears_errors_ ? 0 : seen.errors;
    const auto all = seen.rejected + seen.lost + refused;
    if (all > std::exchange(errors_seen_, all)) {
        told_.reported(seen.rejected > 0 ? "the system refuses to send the datagram"
                       : refused > 0     ? "connection refused"
                                         : "it takes no datagrams from its queue");
    }
}

void peer::look_at_queue() {
    look_at_counters();
    if (socket_.queued_bytes() != 0) {
        queue_timer_.restart(queue_look_period);
    } else if (when_sent_) {
        std::exchange(when_sent_, nullptr)();
    }
}

void peer::closed(const close_info& info) {
    if (common_.is_verbose) {
        for (const auto& one : info.attempts) {
            tell_attempt(one.peer, one.error);
        }
    }
    if (!info.error && info.dropped_bytes == 0) {
        if (!std::exchange(has_ended_, true)) {
            told_.ended();
        }
        return;
    }
    if (has_ended_ && info.dropped_bytes == 0) {
        return; // it had said all, and has had all
    }
    if (has_ended_) {
        fail(fmt::format("{}: closed by the peer before all was sent", name_of(address_)),
             info.error);
    } else if (info.deadline == deadline_kind::connect) {
        fail(fmt::format("{}: no connection within {}", name_of(address_),
                         format_time(connect_timeout_)),
             info.error);
    } else {
        fail(explain_failure(address_, info.error), info.error);
    }
}

void peer::fail(const std::string& why, std::error_code error) {
    if (!std::exchange(has_failed_, true)) {
        error_ = error;
        told_.failed(why);
    }
}

} // namespace sockeye::cli
