#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <algorithm>
#include <cerrno>

#include <netinet/in.h>

// UDP and Unix datagrams. See: udp(7), unix(7).

namespace sockeye::simulated {
namespace {

constexpr std::size_t udp_bytes_max = 65507;
/// What the system charges for each datagram beside its bytes.
constexpr std::size_t packet_overhead = 768;
constexpr std::size_t queue_bytes_max = 212992;

bool is_broadcast(const endpoint& target) noexcept {
    return target.family() == AF_INET &&
           reinterpret_cast<const sockaddr_in*>(target.data())->sin_addr.s_addr == INADDR_BROADCAST;
}

bool is_full(const socket& it, std::size_t size) noexcept {
    return it.packet_bytes + size + packet_overhead > queue_bytes_max;
}

void append(socket& to, packet what) {
    to.packet_bytes += what.data.size() + packet_overhead;
    to.packets.push_back(std::move(what));
    ++to.changes;
}

} // namespace

std::error_code host::connect_datagrams(sock& it, const endpoint& target) {
    if (it.is_local()) {
        const auto* const there = find_named(target);
        if (there == nullptr) {
            return failure(files_.contains(std::string(target.path())) ? ECONNREFUSED : ENOENT);
        }
        if (there->kind != it.kind) {
            return failure(EPROTOTYPE);
        }
        it.peer = target;
        return {};
    }
    if (world_.find_host(target, *this) == nullptr) {
        return failure(ENETUNREACH);
    }
    if (is_broadcast(target)) {
        return failure(EACCES);
    }
    if (const auto error = bind_anywhere(it, target)) {
        return error;
    }
    it.peer = endpoint::from_system(it.kind, target.data(), target.size());
    return {};
}

bool host::take_packet(sock& it, std::span<std::byte> target, std::size_t& size, bool& is_truncated,
                       endpoint& from) {
    if (it.packets.empty()) {
        return false;
    }
    auto first = std::move(it.packets.front());
    it.packets.pop_front();
    it.packet_bytes -= first.data.size() + packet_overhead;
    size = std::min(target.size(), first.data.size());
    is_truncated = size < first.data.size();
    std::copy_n(first.data.begin(), size, target.begin());
    from = first.from;
    return true;
}

result<std::size_t> host::receive_datagrams(int fd, transport kind, datagram_batch& batch) {
    auto* const it = socket_of(fd);
    batch.resize(0);
    if (it == nullptr) {
        return noted<std::size_t>("receive_datagrams", fd, why_not_socket(fd));
    }
    if (it->pending) {
        return noted<std::size_t>("receive_datagrams", fd, std::exchange(it->pending, {}));
    }
    if (!it->packets.empty() &&
        world_.strikes(world_.faults.would_block, world_.injected.would_blocks)) {
        ++it->changes;
        return noted<std::size_t>("receive_datagrams", fd, would_block());
    }
    auto most = std::min(it->packets.size(), datagrams_per_call);
    if (most > 1 && world_.strikes(world_.faults.short_receive, world_.injected.short_receives)) {
        most = 1 + world_.random.below(most - 1);
        ++it->changes;
    }
    for (std::size_t at = 0; at < most; ++at) {
        std::size_t size = 0;
        bool is_truncated = false;
        endpoint from;
        static_cast<void>(take_packet(*it, batch.memory_of(at), size, is_truncated, from));
        batch.peer_of(at) = endpoint::from_system(kind, from.data(), from.size());
        batch.fill(at, size, is_truncated);
    }
    batch.resize(most);
    return noted("receive_datagrams", fd,
                 most == 0 ? result<std::size_t>(would_block()) : result<std::size_t>(most));
}

result<std::size_t> host::send_datagrams(int fd, std::span<const datagram> sources) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<std::size_t>("send_datagrams", fd, why_not_socket(fd));
    }
    const auto all = std::min(sources.size(), datagrams_per_call);
    for (std::size_t sent = 0; sent < all; ++sent) {
        if (const auto error = send_packet(*it, sources[sent])) {
            // The error of a later one is found by the next call, as sendmmsg(2) has it.
            return noted("send_datagrams", fd,
                         sent == 0 ? result<std::size_t>(error) : result<std::size_t>(sent));
        }
    }
    return noted<std::size_t>("send_datagrams", fd, all);
}

std::error_code host::send_packet(sock& it, const datagram& one) {
    auto& injected = world_.injected;
    if (it.pending) {
        return std::exchange(it.pending, {});
    }
    const auto* const target = one.peer != nullptr ? one.peer : &it.peer;
    if (!target->is_known()) {
        return failure(it.is_local() ? ENOTCONN : EDESTADDRREQ);
    }
    if (target->family() != it.family) {
        return failure(it.is_local() ? EINVAL : EAFNOSUPPORT);
    }
    if (world_.strikes(world_.faults.would_block, injected.would_blocks)) {
        ++it.changes;
        return would_block();
    }
    if (world_.strikes(world_.faults.no_buffers, injected.no_buffers)) {
        return failure(ENOBUFS);
    }
    if (it.is_local()) {
        return send_local(it, *target, one.data);
    }
    if (one.data.size() > udp_bytes_max) {
        return failure(EMSGSIZE);
    }
    if (target->port() == 0) {
        return failure(EINVAL);
    }
    if (is_broadcast(*target)) {
        return failure(EACCES);
    }
    auto* const there = world_.find_host(*target, *this);
    if (there == nullptr) {
        return failure(ENETUNREACH);
    }
    if (const auto error = it.is_bound ? std::error_code() : bind_anywhere(it, *target)) {
        return error;
    }
    send_away(it, *there, *target, one.data);
    return {};
}

void host::send_away(sock& it, host& there, const endpoint& target, bytes data) {
    struct flight {
        host& there;
        endpoint target;
        endpoint from;
        std::vector<std::byte> data;
        socket_id sender;
    };
    auto from = it.local;
    if (from.is_unspecified()) {
        const bool is_near = target.is_loopback() || target.is_unspecified();
        const auto& own = is_near ? target : address(it.family);
        from = endpoint::from_system(it.kind, own.data(), own.size());
        from.set_port(it.local.port());
    }
    auto& way = world_.between(*this, there);
    const int copies = world_.strikes(way.options.duplicate, world_.injected.duplicated) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
        auto sent = std::make_unique<flight>(
            flight{there, target, from, {data.begin(), data.end()}, it.id});
        world_.carry_datagram(*this, there, data.size(), [sent = std::move(sent)] {
            sent->there.receive_packet(sent->target, {sent->from, std::move(sent->data)},
                                       sent->sender);
        });
    }
}

void host::receive_packet(const endpoint& target, packet what, socket_id sender) {
    if (!is_up_) {
        return;
    }
    if (auto* const it = find_receiver(target, what.from)) {
        if (!is_full(*it, what.data.size())) {
            append(*it, std::move(what));
        }
        return;
    }
    // Port unreachable: the system tells who is connected to it, and nobody else. See: RFC 1122.
    auto* const origin = world_.find(sender);
    if (origin == nullptr || !origin->peer.is_known()) {
        return;
    }
    world_.carry(*this, *origin->home, 0, [&world = world_, sender] {
        if (auto* const told = world.find(sender)) {
            told->pending = failure(ECONNREFUSED);
            ++told->changes;
        }
    });
}

std::error_code host::send_local(sock& it, const endpoint& target, bytes data) {
    auto* const there = find_named(target);
    if (there == nullptr || there->kind != it.kind) {
        const bool is_stale = files_.contains(std::string(target.path()));
        return failure(there != nullptr                    ? EPROTOTYPE
                       : is_stale || target.path().empty() ? ECONNREFUSED
                                                           : ENOENT);
    }
    if (there->peer.is_known() && !(there->peer == it.local)) {
        return failure(EPERM);
    }
    if (data.size() > it.send_buffer) {
        return failure(EMSGSIZE);
    }
    if (is_full(*there, data.size())) {
        return would_block();
    }
    auto from = it.local;
    if (!it.is_bound) {
        from = endpoint();
    }
    append(*there, {from, {data.begin(), data.end()}});
    return {};
}

} // namespace sockeye::simulated
