#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <algorithm>
#include <cerrno>

// What TCP and Unix streams carry: buffers, windows, short reads and writes. See: tcp(7), unix(7).

namespace sockeye::simulated {

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

} // namespace sockeye::simulated
