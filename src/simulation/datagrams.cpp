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
    what.lost_before = to.packets_lost;
    to.packet_bytes += what.data.size() + packet_overhead;
    to.packets.push_back(std::move(what));
    ++to.news.readable;
}

} // namespace

std::error_code host::connect_datagrams(sock& it, const endpoint& target) {
    if (it.is_local()) {
        sock* there = nullptr;
        if (const auto error = find_local(it, target, there)) {
            return error;
        }
        if (there->other != 0 && there->other != it.id) {
            return failure(EPERM);
        }
        if (it.other != 0) {
            ++it.news.writable; // who waited for room over there need not any more
        }
        if (it.other != 0 && it.other != there->id) {
            leave_peer(it);
        }
        it.peer = target;
        it.other = there->id;
        return {};
    }
    if (is_broadcast(target)) {
        return failure(EACCES);
    }
    if (world_.find_host(target, *this) == nullptr) {
        return failure(ENETUNREACH);
    }
    static_cast<void>(bind_anywhere(it, target));
    it.peer = endpoint::from_system(it.kind, target.data(), target.size());
    if (target.is_unspecified()) {
        it.peer = endpoint::from_system(it.kind, it.local.data(), it.local.size());
        it.peer.set_port(target.port());
    }
    return {};
}

/// What came from the peer so far is lost, and it hears of it. See: unix_dgram_disconnected in the
/// sources of Linux.
void host::leave_peer(sock& it) noexcept {
    auto* const peer = world_.find(it.other);
    if (!it.packets.empty() && peer != nullptr && peer->other == it.id) {
        peer->pending = failure(ECONNRESET);
        ++peer->news.all;
    }
    drop_packets(it);
    it.other = 0;
    it.peer = {};
}

/// Nobody will read them: who sent them has room again.
void host::drop_packets(sock& it) noexcept {
    for (const auto& lost : it.packets) {
        release_packet(it, lost);
    }
    it.packets.clear();
    it.packet_bytes = 0;
}

/// What a packet took from the buffer of its sender is free again. UDP does not count it.
void host::release_packet(const sock& at, const packet& gone) noexcept {
    if (auto* const sender = at.is_local() ? world_.find(gone.sender) : nullptr) {
        sender->underway -= std::min(sender->underway, gone.data.size() + packet_overhead);
        ++sender->news.writable;
    }
}

bool host::has_room_for_packets(const sock& it) noexcept {
    const auto* const peer = it.is_local() ? world_.find(it.other) : nullptr;
    if (it.underway * 4 > it.send_buffer) {
        return false;
    }
    return peer == nullptr || peer->other == it.id || !is_full(*peer, 1);
}

bool host::take_packet(sock& it, std::span<std::byte> target, std::size_t& size, bool& is_truncated,
                       packet& first) {
    if (it.packets.empty()) {
        return false;
    }
    first = std::move(it.packets.front());
    it.packets.pop_front();
    it.packet_bytes -= first.data.size() + packet_overhead;
    size = std::min(target.size(), first.data.size());
    is_truncated = size < first.data.size();
    std::copy_n(first.data.begin(), size, target.begin());
    const auto* const sender = it.is_local() ? world_.find(first.sender) : nullptr;
    if (sender != nullptr && sender->is_bound) {
        first.from = sender->local;
    }
    release_packet(it, first);
    return true;
}

void host::tell_details(const sock& it, const packet& taken, datagram_batch& batch,
                        std::size_t at) {
    auto& told = batch.at(at);
    const auto& wanted = it.settings;
    told = {.peer = &batch.peer_of(at)};
    if (wanted.tell_local && taken.to.is_known()) {
        batch.local_of(at) = taken.to;
        told.local = &batch.local_of(at);
        told.interface_index = taken.to.is_loopback() ? 1 : 2;
    }
    told.seen_ttl = wanted.tell_ttl ? taken.ttl : std::uint8_t{0};
    told.seen_mark = wanted.tell_mark ? taken.mark : ecn::not_capable;
    if (wanted.tell_time) {
        told.received_at += std::chrono::duration_cast<std::chrono::system_clock::duration>(
            taken.arrival.time_since_epoch());
    }
    batch.set_overflow(wanted.tell_overflow ? taken.lost_before : 0);
}

result<std::size_t> host::receive_datagrams(int fd, transport kind, datagram_batch& batch) {
    auto* const it = socket_of(fd);
    batch.begin();
    batch.resize(0);
    if (it == nullptr) {
        return noted<std::size_t>("receive_datagrams", fd, why_not_socket(fd));
    }
    if (it->pending) {
        return noted<std::size_t>("receive_datagrams", fd, std::exchange(it->pending, {}));
    }
    if (!it->packets.empty() &&
        world_.strikes(world_.faults.would_block, world_.injected.would_blocks)) {
        ++it->news.all;
        return noted<std::size_t>("receive_datagrams", fd, would_block());
    }
    auto most = std::min(it->packets.size(), batch.wishes.datagrams_max);
    if (most > 1 && world_.strikes(world_.faults.short_receive, world_.injected.short_receives)) {
        most = 1 + world_.random.below(most - 1);
        ++it->news.all;
    }
    for (std::size_t at = 0; at < most; ++at) {
        std::size_t size = 0;
        bool is_truncated = false;
        packet taken;
        static_cast<void>(take_packet(*it, batch.memory_of(at), size, is_truncated, taken));
        batch.peer_of(at) = endpoint::from_system(kind, taken.from.data(), taken.from.size());
        if (batch.wishes.has_details) {
            tell_details(*it, taken, batch, at);
        }
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
        if (const auto error = send_segments(*it, sources[sent])) {
            // The error of a later one is found by the next call, as sendmmsg(2) has it.
            return noted("send_datagrams", fd,
                         sent == 0 ? result<std::size_t>(error) : result<std::size_t>(sent));
        }
    }
    return noted<std::size_t>("send_datagrams", fd, all);
}

/// The error that a send meets after its address was found good, if any.
std::error_code host::why_not_sent_packet(sock& it) {
    auto& injected = world_.injected;
    if (it.pending) {
        return std::exchange(it.pending, {});
    }
    if (it.is_shut) {
        return failure(EPIPE);
    }
    if (world_.strikes(world_.faults.would_block, injected.would_blocks)) {
        ++it.news.all;
        return would_block();
    }
    return world_.strikes(world_.faults.no_buffers, injected.no_buffers) ? failure(ENOBUFS)
                                                                         : std::error_code();
}

/// One that is to be cut leaves as several.
std::error_code host::send_segments(sock& it, const datagram& one) {
    if (one.segment_size == 0 || one.segment_size >= one.data.size()) {
        return send_packet(it, one);
    }
    if (it.is_local()) {
        return failure(EINVAL);
    }
    auto part = one;
    for (auto left = one.data; !left.empty();) {
        part.data = left.first(std::min<std::size_t>(left.size(), one.segment_size));
        if (const auto error = send_packet(it, part)) {
            return left.size() == one.data.size() ? error : std::error_code();
        }
        left = left.subspan(part.data.size());
    }
    return {};
}

/// What is wrong with the address that it is to leave from.
std::error_code host::why_no_source(const sock& it, const datagram& one) const {
    if (one.local == nullptr) {
        return {};
    }
    const bool is_ours = one.local->family() == it.family && is_loopback_or_own(*one.local);
    return is_ours ? std::error_code() : failure(EINVAL);
}

std::error_code host::send_packet(sock& it, const datagram& one) {
    const auto* const named = one.peer != nullptr && one.peer->is_known() ? one.peer : nullptr;
    if (it.is_local()) {
        return send_local(it, named, one.data);
    }
    if (!it.is_bound) {
        if (const auto error = bind_to_port(it, name_for_user({}, it.kind, it.family))) {
            return failure(EAGAIN);
        }
    }
    if (one.data.size() > 0xffff) {
        return failure(EMSGSIZE);
    }
    const auto* const target = named != nullptr ? named : &it.peer;
    if (!target->is_known()) {
        return failure(EDESTADDRREQ);
    }
    if (const auto error = why_no_address(it, *target)) {
        return error;
    }
    if (named != nullptr && target->port() == 0) {
        return failure(EINVAL);
    }
    if (is_broadcast(*target)) {
        return failure(EACCES);
    }
    auto* const there = world_.find_host(*target, *this);
    if (there == nullptr) {
        return failure(ENETUNREACH);
    }
    if (one.data.size() > udp_bytes_max) {
        return failure(EMSGSIZE);
    }
    if (const auto error = why_no_source(it, one)) {
        return error;
    }
    if (const auto error = why_not_sent_packet(it)) {
        return error;
    }
    ++it.news.writable; // gone from this end at once
    if (target->is_unspecified()) {
        auto own = it.local.is_unspecified() ? source_towards(*target, it) : it.local;
        own.set_port(target->port());
        send_away(it, *there, own, one);
    } else {
        send_away(it, *there, *target, one);
    }
    return {};
}

void host::send_away(sock& it, host& there, const endpoint& target, const datagram& one) {
    struct flight {
        host& there;
        packet what;
    };
    packet what = {.from = it.local,
                   .data = {one.data.begin(), one.data.end()},
                   .sender = it.id,
                   .to = target,
                   .ttl = one.ttl != 0 ? one.ttl : it.settings.ttl,
                   .mark = one.mark};
    if (one.local != nullptr) {
        what.from = *one.local;
        what.from.set_port(it.local.port());
    } else if (what.from.is_unspecified()) {
        what.from = source_towards(target, it);
    }
    auto& way = world_.between(*this, there);
    const int copies = world_.strikes(way.options.duplicate, world_.injected.duplicated) ? 2 : 1;
    for (int copy = 0; copy < copies; ++copy) {
        auto sent = std::make_unique<flight>(flight{there, what});
        world_.carry_datagram(*this, there, one.data.size(), [sent = std::move(sent)] {
            const auto sender = sent->what.sender;
            const auto to = sent->what.to;
            sent->there.receive_packet(to, std::move(sent->what), sender);
        });
    }
}

void host::receive_packet(const endpoint& target, packet what, socket_id sender) {
    if (!is_up_) {
        return;
    }
    if (auto* const it = find_receiver(target, what.from)) {
        if (is_full(*it, what.data.size())) {
            ++it->packets_lost;
        } else {
            what.arrival = world_.now();
            append(*it, std::move(what));
        }
        return;
    }
    answer_unreachable(target, sender);
}

/// Port unreachable: the system tells who is connected to it, and who asked to be told of all.
/// See: RFC 1122, IP_RECVERR in ip(7).
void host::answer_unreachable(const endpoint& target, socket_id sender) {
    auto* const origin = world_.find(sender);
    if (origin == nullptr || (!origin->settings.report_errors && !is_heard(origin->peer, target))) {
        return;
    }
    world_.carry(*this, *origin->home, 0, [&world = world_, sender, target] {
        auto* const told = world.find(sender);
        if (told == nullptr) {
            return;
        }
        told->pending = failure(ECONNREFUSED);
        ++told->news.all;
        if (told->settings.report_errors) {
            const bool is_ip4 = target.family() == AF_INET;
            told->errors.push_back(
                {.error = failure(ECONNREFUSED),
                 .peer = endpoint::from_system(told->kind, target.data(), target.size()),
                 .origin = is_ip4 ? datagram_error::source::icmp : datagram_error::source::icmp6,
                 .icmp_type = is_ip4 ? std::uint8_t{3} : std::uint8_t{1},
                 .icmp_code = is_ip4 ? std::uint8_t{3} : std::uint8_t{4}});
        }
    });
}

result<datagram_error> host::receive_error(int fd, transport) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<datagram_error>("receive_error", fd, why_not_socket(fd));
    }
    if (it->errors.empty()) {
        return noted<datagram_error>("receive_error", fd, would_block());
    }
    auto first = std::move(it->errors.front());
    it->errors.pop_front();
    it->pending = it->errors.empty() ? std::error_code() : it->errors.front().error;
    return noted<datagram_error>("receive_error", fd, std::move(first));
}

std::error_code host::disconnect(int fd) {
    auto* const it = socket_of(fd);
    if (it == nullptr || it->is_stream()) {
        return noted("disconnect", fd, it == nullptr ? why_not_socket(fd) : failure(EOPNOTSUPP));
    }
    if (it->is_local()) {
        leave_peer(*it);
        return noted("disconnect", fd, std::error_code());
    }
    it->peer = {};
    if (!it->has_own_address && it->local.is_known()) {
        forget_address(*it);
    }
    if (!it->has_own_port && it->local.is_known()) {
        unbind(*it);
        it->local.set_port(0);
    }
    return noted("disconnect", fd, std::error_code());
}

std::error_code host::set_datagram_option(int fd, int, datagram_option option, int value) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("set_datagram_option", fd, why_not_socket(fd));
    }
    auto& settings = it->settings;
    auto* const flag = [&]() -> bool* {
        switch (option) {
        case datagram_option::tell_local:
            return &settings.tell_local;
        case datagram_option::tell_mark:
            return &settings.tell_mark;
        case datagram_option::tell_ttl:
            return &settings.tell_ttl;
        case datagram_option::tell_time:
            return &settings.tell_time;
        case datagram_option::tell_overflow:
            return &settings.tell_overflow;
        case datagram_option::report_errors:
            return &settings.report_errors;
        default:
            return nullptr;
        }
    }();
    const bool is_ttl = option == datagram_option::ttl;
    if (it->is_local() || (flag == nullptr && !is_ttl)) {
        return noted("set_datagram_option", fd, failure(EOPNOTSUPP));
    }
    if (is_ttl) {
        settings.ttl = static_cast<std::uint8_t>(value);
    } else {
        *flag = value != 0;
    }
    return noted("set_datagram_option", fd, std::error_code());
}

std::error_code host::send_local(sock& it, const endpoint* target, bytes data) {
    constexpr std::size_t overhead = 32;
    if (const auto error = target != nullptr ? why_no_address(it, *target) : std::error_code()) {
        return error;
    }
    if (data.size() > it.send_buffer - overhead) {
        return failure(EMSGSIZE);
    }
    if (const auto error = why_not_sent_packet(it)) {
        return error;
    }
    if (it.underway >= it.send_buffer) {
        return would_block();
    }
    sock* there = nullptr;
    if (const auto error = find_local_receiver(it, target, data.size(), there)) {
        ++it.news.writable; // the memory for it is free again
        return error;
    }
    it.underway += data.size() + packet_overhead;
    append(*there, {it.is_bound ? it.local : endpoint(), {data.begin(), data.end()}, it.id});
    return {};
}

std::error_code host::find_local_receiver(sock& it, const endpoint* target, std::size_t size,
                                          sock*& there) {
    if (target != nullptr) {
        if (const auto error = find_local(it, *target, there)) {
            return error;
        }
    } else if (it.other == 0) {
        return failure(ENOTCONN);
    } else if (there = world_.find(it.other); there == nullptr) {
        leave_peer(it);
        return failure(ECONNREFUSED);
    }
    if (there->other != 0 && there->other != it.id) {
        return failure(EPERM);
    }
    // Between two that are connected to each other only the buffer of the sender counts.
    const bool is_pair = there->other == it.id || there == &it;
    return !is_pair && is_full(*there, size) ? would_block() : std::error_code();
}

} // namespace sockeye::simulated
