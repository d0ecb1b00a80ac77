#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <algorithm>
#include <cerrno>

// TCP and Unix streams: how they begin and end, and the way there and back. See: RFC 9293, unix(7).

namespace sockeye::simulated {
namespace {

using namespace std::chrono_literals;

constexpr int syn_tries_max = 7;
constexpr int piece_tries_max = 15;
/// As often as Linux sends a segment again before it gives up; the waits double.
duration patience(const socket& it, bool is_syn) noexcept {
    const duration first = is_syn ? duration(1s) : duration(200ms);
    return std::min<duration>(first * (1 << std::min(it.tries, 10)), 120s);
}

} // namespace

// The way there and back.

std::error_code host::listen(int fd, int backlog) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("listen", fd, why_not_socket(fd));
    }
    if (!it->is_stream() || it->call != calling::idle ||
        (it->state != phase::fresh && it->state != phase::listening)) {
        return noted("listen", fd, failure(it->is_stream() ? EINVAL : EOPNOTSUPP));
    }
    if (!it->is_bound) {
        if (it->is_local()) {
            return noted("listen", fd, failure(EINVAL));
        }
        const auto any =
            *endpoint::parse(it->family == AF_INET ? "tcp://0.0.0.0:0" : "tcp://[::]:0");
        if (const auto error = bind_to_port(*it, any)) {
            return noted("listen", fd, error);
        }
    }
    const auto before = std::exchange(it->state, phase::listening);
    if (it->kind == transport::tcp && before == phase::fresh) {
        // Two may be bound to one port where both reuse addresses, but one alone listens.
        for (const auto id : bound(it->kind, it->local.port())) {
            const auto* const other = world_.find(id);
            if (other != nullptr && id != it->id && other->state == phase::listening &&
                is_taken(*it, it->local)) {
                it->state = phase::fresh;
                return noted("listen", fd, failure(EADDRINUSE));
            }
        }
    }
    it->backlog = static_cast<std::size_t>(std::clamp(backlog, 0, 4096));
    return noted("listen", fd, std::error_code());
}

std::error_code host::connect(int fd, const endpoint& target) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("connect", fd, why_not_socket(fd));
    }
    if (it->kind == transport::tcp && (it->state != phase::fresh || it->call != calling::idle)) {
        return noted("connect", fd, connect_again(fd));
    }
    if (it->kind == transport::udp && !it->is_bound) {
        if (const auto error = bind_to_port(*it, name_for_user({}, it->kind, it->family))) {
            return noted("connect", fd, failure(EAGAIN));
        }
    }
    if (const auto error = why_no_address(*it, target)) {
        return noted("connect", fd, error);
    }
    if (!it->is_stream()) {
        return noted("connect", fd, connect_datagrams(*it, target));
    }
    return noted("connect", fd,
                 it->is_local() ? connect_local(*it, target) : connect_stream(*it, target));
}

/// Who asks again hears once what became of it. See: inet_stream_connect in the sources of Linux.
std::error_code host::connect_again(int fd) {
    auto& it = *socket_of(fd);
    if (it.call == calling::given_up) {
        return failure(EINVAL);
    }
    if (it.call != calling::asked) {
        return failure(EISCONN);
    }
    if (it.state == phase::connecting) {
        return failure(EALREADY);
    }
    if (it.state == phase::over) {
        const auto reason = it.pending ? it.pending : failure(ECONNABORTED);
        renew(fd, {});
        return reason;
    }
    it.call = calling::answered;
    return {};
}

/// Puts a new socket behind `fd`, able to connect once more. What is still under way to the old
/// one does not find it.
void host::renew(int fd, std::error_code reason) {
    auto& old = *socket_of(fd);
    auto& made = world_.make_socket(*this, old.kind, old.family);
    made.local = old.local;
    made.has_own_port = old.has_own_port;
    made.has_own_address = old.has_own_address;
    made.send_buffer = old.send_buffer;
    made.receive_buffer = old.receive_buffer;
    made.no_delay = old.no_delay;
    made.reuse_address = old.reuse_address;
    made.reuse_port = old.reuse_port;
    made.ipv6_only = old.ipv6_only;
    made.resets_on_close = old.resets_on_close;
    made.pending = reason;
    made.news = old.news;
    ++made.news.all;
    if (!made.has_own_address) {
        forget_address(made);
    }
    if (made.has_own_port) {
        made.is_bound = true;
        bound(made.kind, made.local.port()).push_back(made.id);
    }
    entry_of(fd)->id = made.id;
    release(old.id);
}

std::error_code host::connect_stream(sock& it, const endpoint& target) {
    auto* const there = world_.find_host(unmapped(target), *this);
    if (there == nullptr) {
        return failure(ENETUNREACH);
    }
    if (const auto error = bind_anywhere(it, target)) {
        return error;
    }
    it.peer = target;
    if (target.is_unspecified()) {
        it.peer = endpoint::from_system(transport::tcp, it.local.data(), it.local.size());
        it.peer.set_port(target.port());
    }
    it.state = phase::connecting;
    it.call = calling::asked;
    it.pending = {};
    it.other_host = there;
    transmit(it, piece::what::syn);
    return failure(EINPROGRESS);
}

std::error_code host::connect_local(sock& it, const endpoint& target) {
    sock* listener = nullptr;
    if (const auto error = find_local(it, target, listener)) {
        return error;
    }
    if (listener->state != phase::listening) {
        return failure(ECONNREFUSED);
    }
    if (listener->queue.size() > listener->backlog) {
        return would_block();
    }
    if (it.state != phase::fresh) {
        return failure(it.state == phase::listening ? EINVAL : EISCONN);
    }
    it.state = phase::connected;
    it.peer = listener->local;
    it.other_host = this;
    auto& made = welcome(*listener, it);
    made.state = phase::connected;
    it.other = made.id;
    listener->queue.push_back(made.id);
    ++listener->news.readable;
    return {};
}

/// The other end of a new connection, on the side of `listener`.
simulated::socket& host::welcome(sock& listener, sock& client) {
    auto& made = world_.make_socket(*listener.home, listener.kind, listener.family);
    made.state = phase::connecting;
    made.call = calling::answered;
    made.listener = listener.id;
    made.other = client.id;
    made.other_host = client.home;
    made.local = unmapped(client.peer);
    made.peer = unmapped(client.local);
    made.no_delay = listener.no_delay;
    made.tcp = listener.tcp;
    made.send_buffer = listener.send_buffer;
    made.receive_buffer = listener.receive_buffer;
    if (!made.is_local()) {
        // It holds the port, also when the listener is gone.
        made.reuse_address = listener.reuse_address;
        made.reuse_port = listener.reuse_port;
        made.is_bound = true;
        listener.home->bound(made.kind, made.local.port()).push_back(made.id);
    }
    return made;
}

void host::transmit(sock& it, piece::what kind, std::vector<std::byte> data) {
    auto& way = world_.between(*this, *it.other_host);
    auto arrival = world_.arrival(way, data.size());
    if (world_.strikes(way.options.loss, world_.injected.lost)) {
        arrival += 200ms;
    }
    it.last_arrival = std::max(it.last_arrival, arrival);
    it.out.push_back({kind, it.last_arrival, std::move(data)});
    if (!std::exchange(it.is_moving, true)) {
        pump(it.id);
    }
}

/// Lets arrive what is due; an event for the rest is planned. Requires: is_moving.
void host::pump(socket_id id) {
    for (;;) {
        auto* const it = world_.find(id);
        if (it == nullptr) {
            return;
        }
        if (it->out.empty()) {
            it->is_moving = false;
            if (it->is_closed) {
                release(id);
            }
            return;
        }
        const auto& first = it->out.front();
        auto wait = first.arrival - world_.now();
        if (wait <= duration::zero()) {
            if (can_arrive(*it)) {
                auto what = std::move(it->out.front());
                it->out.pop_front();
                it->tries = 0;
                arrive(*it, std::move(what));
                continue;
            }
            auto& way = world_.between(*this, *it->other_host);
            if (way.state == passage::held) {
                way.held.push_back([this, id] { pump(id); });
                return;
            }
            wait = patience(*it, first.kind == piece::what::syn);
            if (const auto left = time_left(*it)) {
                wait = std::min(wait, *left);
            }
            if (!try_again(*it)) {
                return;
            }
        }
        world_.after(wait, [this, id] { pump(id); });
        return;
    }
}

bool host::can_arrive(sock& it) {
    if (!world_.is_open(*this, *it.other_host)) {
        return false;
    }
    if (it.out.front().kind == piece::what::syn) {
        // A full queue lets newcomers knock again.
        const auto* const listener = it.other_host->find_listener(unmapped(it.peer));
        return listener == nullptr ||
               listener->queue.size() + listener->handshakes <= listener->backlog;
    }
    return true;
}

/// Of the user's time-out, for what waits to arrive. See: TCP_USER_TIMEOUT in tcp(7).
std::optional<duration> host::time_left(const sock& it) const noexcept {
    if (it.tcp.user_timeout == 0 || it.out.empty()) {
        return {};
    }
    return it.out.front().arrival + std::chrono::milliseconds(it.tcp.user_timeout) - world_.now();
}

bool host::try_again(sock& it) {
    const bool is_syn = it.out.front().kind == piece::what::syn;
    const auto left = time_left(it);
    const bool may_try =
        left ? *left > duration::zero() : it.tries + 1 < (is_syn ? syn_tries_max : piece_tries_max);
    ++it.tries;
    if (may_try) {
        return true;
    }
    it.is_moving = false;
    end(it, failure(ETIMEDOUT));
    return false;
}

void host::arrive(sock& it, piece&& what) {
    if (what.kind == piece::what::syn) {
        arrive_syn(it);
        return;
    }
    auto* const other = world_.find(it.other);
    if (what.kind == piece::what::syn_ack) {
        if (other == nullptr || other->state != phase::connecting) {
            refuse(it, failure(ECONNRESET));
            return;
        }
        other->state = phase::connected;
        other->other = it.id;
        ++other->news.all;
        other->home->transmit(*other, piece::what::ack);
        return;
    }
    if (other == nullptr || (other->is_closed && what.kind == piece::what::data)) {
        if (what.kind != piece::what::fin) {
            refuse(it, failure(ECONNRESET));
        } else if (it.fin_arrived) {
            finish(it); // both have said all, and the other one has gone before
        }
        return;
    }
    if (what.kind == piece::what::ack) {
        auto* const listener = world_.find(other->listener);
        other->state = phase::connected;
        if (listener == nullptr || listener->is_closed) {
            other->home->reset_other(*other);
            other->home->release(other->id);
            return;
        }
        --listener->handshakes;
        listener->queue.push_back(other->id);
        ++listener->news.readable;
    } else if (what.kind == piece::what::data) {
        other->inbox.append(what.data);
        ++other->news.readable;
    } else {
        arrive_fin(it, *other);
    }
}

/// The end of what `it` says. Where both have said all, TCP has no connection any more.
void host::arrive_fin(sock& it, sock& other) {
    other.fin_arrived = true;
    ++other.news.all;
    if (!it.is_local() && it.fin_arrived) {
        finish(it);
        finish(other);
    }
}

void host::arrive_syn(sock& it) {
    auto& there = *it.other_host;
    if (auto* const listener = there.find_listener(unmapped(it.peer))) {
        ++listener->handshakes;
        auto& made = there.welcome(*listener, it);
        there.transmit(made, piece::what::syn_ack);
    } else if (&there == this && it.local == it.peer) {
        // A socket that called its own port: TCP lets both ends be one.
        it.other = it.id;
        it.state = phase::connected;
        ++it.news.all;
        if (it.is_shut && !std::exchange(it.fin_sent, true)) {
            transmit(it, piece::what::fin); // asked for before there was anybody to tell
        }
    } else {
        refuse(it, failure(ECONNREFUSED));
    }
}

/// The other side answers with a reset, which travels back.
void host::refuse(sock& it, std::error_code reason) {
    if (it.other_host == this) {
        receive_reset(it.id, reason);
        return;
    }
    struct answer {
        socket_id id;
        std::error_code reason;
    };
    auto told = std::make_unique<answer>(answer{it.id, reason});
    world_.carry(*it.other_host, *this, 0,
                 [this, told = std::move(told)] { receive_reset(told->id, told->reason); });
}

void host::receive_reset(socket_id id, std::error_code reason) {
    auto* const it = world_.find(id);
    if (it == nullptr || it->state == phase::over) {
        return;
    }
    // After the end arrived, Linux calls it a broken pipe. See: tcp_reset in its sources.
    end(*it, it->fin_arrived && it->kind == transport::tcp ? failure(EPIPE) : reason);
}

/// There is no connection any more, and no need of a port that nobody asked for.
void host::finish(sock& it) noexcept {
    it.state = phase::over;
    ++it.news.all;
    if (!it.is_local() && !it.has_own_port) {
        unbind(it);
    }
}

/// Over, as who owns it will find out.
void host::end(sock& it, std::error_code reason) noexcept {
    auto* const listener = world_.find(it.listener);
    const bool is_embryo = it.listener != 0 && it.state == phase::connecting;
    if (is_embryo && listener != nullptr) {
        --listener->handshakes;
    }
    it.out.clear();
    it.other = 0;
    it.pending = reason;
    finish(it);
    if (it.is_closed || is_embryo) {
        release(it.id);
    }
}

/// Tells the other end that this one is gone.
void host::reset_other(sock& it) noexcept {
    if (auto* const other = world_.find(it.other); other != nullptr && other != &it) {
        it.out.clear();
        const auto id = other->id;
        auto* const there = it.other_host;
        if (there == this) {
            there->receive_reset(id, failure(ECONNRESET));
        } else {
            world_.carry(*this, *there, 0,
                         [there, id] { there->receive_reset(id, failure(ECONNRESET)); });
        }
    }
}

/// What a middle box does: both ends hear of a reset that neither sent.
void host::reset_by_network(sock& it) {
    ++world_.injected.resets;
    reset_other(it);
    receive_reset(it.id, failure(ECONNRESET));
}

result<owned_fd> host::accept(int fd, transport kind, endpoint& peer) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<owned_fd>("accept", fd, why_not_socket(fd));
    }
    if (it->state != phase::listening) {
        return noted<owned_fd>("accept", fd, failure(it->is_stream() ? EINVAL : EOPNOTSUPP));
    }
    auto& faults = world_.faults;
    auto& injected = world_.injected;
    if (it->queue.empty()) {
        return noted<owned_fd>("accept", fd, would_block());
    }
    if (world_.strikes(faults.would_block, injected.would_blocks)) {
        ++it->news.all;
        return noted<owned_fd>("accept", fd, would_block());
    }
    if (world_.strikes(faults.no_descriptors, injected.no_descriptors)) {
        ++it->news.all;
        return noted<owned_fd>("accept", fd, failure(EMFILE));
    }
    auto* const made = world_.find(it->queue.front());
    if (world_.strikes(faults.aborted_accept, injected.aborted_accepts)) {
        it->queue.pop_front();
        made->home->reset_other(*made);
        release(made->id);
        return noted<owned_fd>("accept", fd, failure(ECONNABORTED));
    }
    auto owner = open({.what = holds::socket, .id = made->id});
    if (owner) {
        it->queue.pop_front();
        made->listener = 0;
        peer = name_for_user(made->peer, kind, made->family);
    }
    return noted("accept", fd, std::move(owner));
}

// The end.

void host::release(socket_id id) noexcept {
    if (auto* const it = world_.find(id)) {
        unbind(*it);
        world_.destroy(id);
    }
}

/// Its descriptor is gone. What is under way still goes there.
void host::close_socket(sock& it) noexcept {
    it.is_closed = true;
    if (it.state == phase::listening) {
        unbind(it);
        for (const auto id : it.queue) {
            if (auto* const waiting = world_.find(id)) {
                reset_other(*waiting);
                release(id);
            }
        }
        release(it.id);
        return;
    }
    drop_packets(it);
    if (!it.is_stream() || it.state == phase::fresh || it.state == phase::over) {
        release(it.id);
        return;
    }
    if (it.state == phase::connecting) {
        it.out.clear();
        release(it.id);
        return;
    }
    const bool is_unread = !it.inbox.empty();
    if (it.is_local()) {
        if (auto* const other = world_.find(it.other)) {
            other->other = 0;
            other->underway = 0;
            other->fin_arrived = true;
            end(*other, is_unread ? failure(ECONNRESET) : other->pending);
        }
        release(it.id);
        return;
    }
    if (is_unread || it.resets_on_close) {
        reset_other(it);
        release(it.id);
        return;
    }
    if (it.fin_sent) {
        if (it.out.empty() && !it.is_moving) {
            release(it.id);
        }
        return;
    }
    it.fin_sent = true;
    transmit(it, piece::what::fin);
}

} // namespace sockeye::simulated
