#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <algorithm>
#include <cerrno>

// TCP and Unix streams: handshake, windows, FIN and RST. See: RFC 9293, tcp(7), unix(7).

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

// Bytes.

/// What fits on the way: this end's buffer and, but for Unix sockets, the other one's.
std::size_t host::capacity_of(const sock& it) noexcept {
    if (it.is_local()) {
        return it.send_buffer;
    }
    const auto* const other = world_.find(it.other);
    return it.send_buffer + (other == nullptr ? 0 : other->receive_buffer);
}

std::size_t host::room_of(const sock& it) noexcept {
    const auto all = capacity_of(it);
    return all > it.underway ? all - it.underway : 0;
}

result<std::size_t> host::receive(int fd, std::span<std::byte> target) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<std::size_t>("receive", fd, why_not_socket(fd));
    }
    if (it->is_stream()) {
        return noted("receive", fd, receive_stream(*it, target));
    }
    std::size_t size = 0;
    bool is_truncated = false;
    packet taken;
    if (it->pending) {
        return noted<std::size_t>("receive", fd, std::exchange(it->pending, {}));
    }
    if (!take_packet(*it, target, size, is_truncated, taken)) {
        return noted<std::size_t>("receive", fd, would_block());
    }
    return noted<std::size_t>("receive", fd, size);
}

result<std::size_t> host::receive_message(int fd, std::span<std::byte> target) {
    const auto* const it = socket_of(fd);
    const bool is_cut =
        it != nullptr && !it->parcels.empty() && it->parcels.front() > target.size();
    const auto got = receive(fd, target);
    return got && is_cut ? failure(EMSGSIZE) : got;
}

bool host::is_hung_up(int fd) {
    const auto seen = look_at(fd);
    return seen.hangup || seen.error;
}

result<std::size_t> host::receive_stream(sock& it, std::span<std::byte> target) {
    if (it.state == phase::listening || (it.state == phase::fresh && it.is_local())) {
        return failure(it.is_local() ? EINVAL : ENOTCONN);
    }
    auto& injected = world_.injected;
    if (it.state == phase::connected && world_.random.chance(world_.faults.reset)) {
        reset_by_network(it);
    }
    const bool is_told_of_more = !it.inbox.empty() || it.fin_arrived;
    if (is_told_of_more && world_.strikes(world_.faults.would_block, injected.would_blocks)) {
        ++it.news.all;
        return would_block();
    }
    if (!it.inbox.empty()) {
        const auto limit = it.keeps_messages() ? it.parcels.front() : it.inbox.size();
        auto most = std::min(target.size(), limit);
        if (most > 1 && !it.keeps_messages() &&
            world_.strikes(world_.faults.short_receive, injected.short_receives)) {
            most = 1 + world_.random.below(most - 1);
            ++it.news.all;
        }
        const auto got = it.inbox.take(target.first(most));
        if (it.keeps_messages()) {
            it.inbox.drop(limit - got); // what does not fit of a message is lost
        }
        it.received += got;
        acknowledge(it, it.keeps_messages() ? limit : got);
        return got;
    }
    const bool is_error_first = it.kind != transport::tcp || !it.fin_arrived;
    if (it.pending && is_error_first) {
        return std::exchange(it.pending, {});
    }
    if (it.fin_arrived || it.state == phase::over) {
        return std::size_t{0};
    }
    return it.state == phase::fresh ? failure(ENOTCONN) : would_block();
}

/// True where that was the rest of one.
bool host::take_parcels(sock& it, std::size_t count) noexcept {
    bool is_one_done = false;
    while (count > 0 && !it.parcels.empty()) {
        const auto part = std::min(count, it.parcels.front());
        count -= part;
        it.parcels.front() -= part;
        if (it.parcels.front() == 0) {
            it.parcels.pop_front();
            is_one_done = true;
        }
    }
    return is_one_done;
}

/// Tells the sender that there is room again; travels as everything does, but is never lost.
void host::acknowledge(sock& it, std::size_t count) {
    const bool frees_parcel = take_parcels(it, count);
    const auto tell = [&world = world_, id = it.other, count, frees_parcel] {
        if (auto* const sender = world.find(id)) {
            sender->underway -= std::min(sender->underway, count);
            sender->acknowledged += count;
            // A Unix socket says so each time that a whole parcel was taken.
            const bool is_awaited = sender->is_local() ? frees_parcel : sender->wants_room;
            if (is_awaited && sender->home->has_room(*sender)) {
                sender->wants_room = false;
                ++sender->news.writable;
            }
        }
    };
    if (it.other_host == this || it.other_host == nullptr) {
        tell();
    } else {
        world_.after(world_.between(*this, *it.other_host).options.latency, tell);
    }
}

result<std::size_t> host::send(int fd, bytes source) {
    return send_gathered(fd, {&source, 1});
}

result<std::size_t> host::send_gathered(int fd, std::span<const bytes> sources) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<std::size_t>("send", fd, why_not_socket(fd));
    }
    if (it->is_stream()) {
        return noted("send", fd, send_stream(*it, sources));
    }
    if (const auto error = send_packet(*it, {.data = sources.front()})) {
        return noted<std::size_t>("send", fd, error);
    }
    return noted<std::size_t>("send", fd, sources.front().size());
}

/// Files are those of this process: a simulation has none of its own.
result<std::size_t> host::read_at(int source, std::span<std::byte> target, std::uint64_t offset) {
    return noted("read_at", source, system_kernel().read_at(source, target, offset));
}

/// The error that a send meets, if any.
std::error_code host::why_not_sent(sock& it, std::size_t room) {
    auto& injected = world_.injected;
    if (it.is_local() && (it.state == phase::fresh || it.state == phase::listening)) {
        return failure(ENOTCONN);
    }
    if (it.is_local() && (it.state == phase::over || it.is_shut)) {
        return failure(EPIPE); // what is pending stays so
    }
    if (it.state == phase::connecting) {
        it.wants_room = true;
        return would_block();
    }
    if (it.pending) {
        return std::exchange(it.pending, {});
    }
    if (it.state != phase::connected || it.is_shut) {
        return failure(EPIPE);
    }
    if (room == 0) {
        it.wants_room = true;
        return would_block();
    }
    if (world_.strikes(world_.faults.would_block, injected.would_blocks)) {
        ++it.news.all;
        return would_block();
    }
    return world_.strikes(world_.faults.no_buffers, injected.no_buffers) ? failure(ENOBUFS)
                                                                         : std::error_code();
}

result<std::size_t> host::send_stream(sock& it, std::span<const bytes> sources) {
    if (it.state == phase::connected && world_.random.chance(world_.faults.reset)) {
        reset_by_network(it);
    }
    std::size_t all = 0;
    for (const auto& part : sources.first(std::min<std::size_t>(sources.size(), 64))) {
        all += part.size();
    }
    auto room = room_of(it);
    if (const auto error = why_not_sent(it, all == 0 ? 1 : room)) {
        return error;
    }
    if (it.keeps_messages() && all > it.send_buffer) {
        return failure(EMSGSIZE);
    }
    if (it.keeps_messages() && all > room) {
        it.wants_room = true;
        return would_block();
    }
    if (all > room) {
        it.wants_room = true;
    } else if (all > 1 && !it.keeps_messages() &&
               world_.strikes(world_.faults.short_send, world_.injected.short_sends)) {
        room = 1 + world_.random.below(all - 1);
        ++it.news.all;
    }
    const auto taken = std::min(all, room);
    std::vector<std::byte> data;
    data.reserve(taken);
    for (const auto& part : sources) {
        const auto size = std::min(part.size(), taken - data.size());
        data.insert(data.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size));
    }
    it.underway += taken;
    if (it.is_local()) {
        if (auto* const other = world_.find(it.other); other != nullptr && taken != 0) {
            other->parcels.push_back(taken);
            arrive(it, {piece::what::data, world_.now(), std::move(data)});
        }
        return taken;
    }
    const auto mtu = std::max<std::size_t>(world_.between(*this, *it.other_host).options.mtu, 64);
    for (std::size_t at = 0; at < taken && it.state == phase::connected; at += mtu) {
        const auto size = std::min(mtu, taken - at);
        const auto* const from = data.data() + at;
        transmit(it, piece::what::data, {from, from + size});
    }
    return taken;
}

std::error_code host::shutdown_write(int fd) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("shutdown", fd, why_not_socket(fd));
    }
    ++it->news.all;
    if (it->call == calling::asked) {
        it->call = it->state == phase::over ? calling::given_up : calling::answered;
    }
    if (it->kind == transport::tcp && it->state == phase::connecting) {
        renew(fd, failure(ECONNRESET));
        return noted("shutdown", fd, std::error_code());
    }
    if (it->kind == transport::tcp && it->state == phase::listening) {
        return noted("shutdown", fd, std::error_code());
    }
    it->is_shut = true;
    const bool has_peer = it->is_stream() ? it->state == phase::connected : it->peer.is_known();
    if (!has_peer) {
        return noted("shutdown", fd, it->is_local() ? std::error_code() : failure(ENOTCONN));
    }
    if (it->is_stream() && it->is_local()) {
        arrive(*it, {piece::what::fin, world_.now(), {}});
    } else if (it->is_stream() && !std::exchange(it->fin_sent, true)) {
        transmit(*it, piece::what::fin);
    }
    return noted("shutdown", fd, std::error_code());
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
