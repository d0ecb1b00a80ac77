#include "kernel/posix.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>

namespace sockeye {
namespace {

using platform::option_name;

/// Room for all control messages that one datagram can have, in either direction.
struct alignas(cmsghdr) ancillary_room {
    std::array<std::byte, 256> memory;
};
/// What one call may gather from many datagrams.
constexpr std::size_t gathered_max = 1024;

bool is_same(const endpoint* one, const endpoint* other) noexcept {
    return one == other || (one != nullptr && other != nullptr && *one == *other);
}

/// Writes the control messages of one datagram.
class control_writer {
public:
    control_writer(msghdr& header, ancillary_room& room) noexcept : header_(header), room_(room) {}

    template <typename Value>
    void add(option_name name, const Value& value) noexcept {
        cmsghdr head = {};
        head.cmsg_len = CMSG_LEN(sizeof value);
        head.cmsg_level = name.level;
        head.cmsg_type = name.name;
        auto* const at = room_.memory.data() + used_;
        std::memset(at, 0, CMSG_SPACE(sizeof value));
        std::memcpy(at, &head, sizeof head);
        std::memcpy(at + CMSG_LEN(0), &value, sizeof value);
        used_ += CMSG_SPACE(sizeof value);
        header_.msg_control = room_.memory.data();
        header_.msg_controllen = static_cast<decltype(header_.msg_controllen)>(used_);
        is_complete = is_complete && name.exists();
    }
    /// Each stack takes what is its own: where the family is not known, both are told.
    void add_for(int family, option_name ip4, option_name ip6, int value) noexcept {
        if (family != AF_INET6) {
            add(ip4, value);
        }
        if (family != AF_INET) {
            add(ip6, value);
        }
    }

    bool is_complete = true; ///< the system has all that was wanted

private:
    msghdr& header_;
    ancillary_room& room_;
    std::size_t used_ = 0;
};

void add_local(control_writer& to, const endpoint& local) noexcept {
    if (local.family() == AF_INET) {
        sockaddr_in address;
        std::memcpy(&address, local.data(), sizeof address);
        to.add(platform::send_local_ip4, platform::local_from(address.sin_addr));
    } else if (local.family() == AF_INET6) {
        sockaddr_in6 address;
        std::memcpy(&address, local.data(), sizeof address);
        in6_pktinfo wanted = {};
        wanted.ipi6_addr = address.sin6_addr;
        wanted.ipi6_ifindex = address.sin6_scope_id;
        to.add(platform::local_ip6, wanted);
    }
}

/// A family whose options hold for `peer`: none where it is an IPv4 address in an IPv6 one.
int option_family(const endpoint* peer) noexcept {
    if (peer == nullptr || peer->family() == AF_INET) {
        return peer == nullptr ? AF_UNSPEC : AF_INET;
    }
    sockaddr_in6 address = {};
    std::memcpy(&address, peer->data(), std::min<std::size_t>(peer->size(), sizeof address));
    return IN6_IS_ADDR_V4MAPPED(&address.sin6_addr) ? AF_UNSPEC : AF_INET6;
}

/// False where the system cannot send it so.
bool add_control(msghdr& header, ancillary_room& room, const datagram& source,
                 std::uint16_t segment_size) noexcept {
    control_writer writer(header, room);
    if (source.local != nullptr) {
        add_local(writer, *source.local);
    }
    if (source.ttl != 0) {
        writer.add_for(option_family(source.peer), platform::ttl_ip4, platform::ttl_ip6,
                       source.ttl);
    }
    if (source.mark != ecn::not_capable) {
        writer.add_for(option_family(source.peer), platform::mark_ip4, platform::mark_ip6,
                       static_cast<int>(source.mark));
    }
    if (segment_size != 0) {
        writer.add(platform::segment_size, segment_size);
    }
    return writer.is_complete;
}

bool has_control(const datagram& source) noexcept {
    return source.local != nullptr || source.ttl != 0 || source.mark != ecn::not_capable;
}

msghdr header_to(const endpoint* peer, iovec* buffers, std::size_t count) noexcept {
    msghdr header = {};
    header.msg_iov = buffers;
    header.msg_iovlen = static_cast<decltype(header.msg_iovlen)>(count);
    if (peer != nullptr) {
        header.msg_name = const_cast<sockaddr*>(peer->data());
        header.msg_namelen = peer->size();
    }
    return header;
}

/// What one call sends.
struct outgoing {
    std::array<platform::message_header, datagrams_per_call> messages;
    std::array<ancillary_room, datagrams_per_call> controls;
    std::size_t count = 0;

    /// Adds one, with the buffers from `first` on; false where the system cannot send it so.
    bool add(const datagram& source, iovec* first, std::size_t buffers,
             std::uint16_t segment_size) noexcept {
        auto& header = messages[count].msg_hdr;
        header = header_to(source.peer, first, buffers);
        if ((has_control(source) || segment_size != 0) &&
            !add_control(header, controls[count], source, segment_size)) {
            return false;
        }
        ++count;
        return true;
    }
    result<std::size_t> go(int fd) noexcept {
        if (count == 0) {
            return std::errc::not_supported;
        }
        return count_or_error(
            retry_eintr([&] { return platform::send_messages(fd, messages.data(), count); }));
    }
};

std::chrono::system_clock::time_point wall_time(std::int64_t nanoseconds) noexcept {
    return std::chrono::system_clock::time_point(
        std::chrono::duration_cast<std::chrono::system_clock::duration>(
            std::chrono::nanoseconds(nanoseconds)));
}

/// What control messages say of one datagram.
class details {
public:
    details(datagram_batch& batch, std::size_t index, transport kind) noexcept
        : batch_(batch), told_(batch.at(index)), local_(batch.local_of(index)), kind_(kind) {}

    void read(const cmsghdr& message) noexcept {
        using namespace platform;
        if (is_told_by(message, tell_local_ip4, tell_local_ip4)) {
            const auto found = value_of<local_ip4>(message);
            sockaddr_in address = {};
            address.sin_family = AF_INET;
            address.sin_addr = address_of(found);
            tell_local(address, interface_of(found));
        } else if (is_told_by(message, local_ip6, local_ip6)) {
            tell_local(value_of<in6_pktinfo>(message));
        } else if (is_told_by(message, tell_ttl_ip4, ttl_ip4) ||
                   is_told_by(message, tell_ttl_ip6, ttl_ip6)) {
            told_.seen_ttl = static_cast<std::uint8_t>(small_value(message));
        } else if (is_told_by(message, tell_mark_ip4, mark_ip4) ||
                   is_told_by(message, tell_mark_ip6, mark_ip6)) {
            told_.seen_mark = static_cast<ecn>(small_value(message) & 3);
        } else if (is_told_by(message, merge_received, merge_received)) {
            told_.segment_size = static_cast<std::uint16_t>(small_value(message));
        } else if (is_told_by(message, tell_overflow, tell_overflow)) {
            batch_.set_overflow(value_of<std::uint32_t>(message));
        } else if (const auto time = arrival_time(message); time != 0) {
            told_.received_at = wall_time(time);
        }
    }

private:
    template <typename Value>
    static Value value_of(const cmsghdr& message) noexcept {
        Value value = {};
        std::memcpy(&value, platform::content_of(message), sizeof value);
        return value;
    }
    void tell_local(const in6_pktinfo& found) noexcept {
        if (IN6_IS_ADDR_MULTICAST(&found.ipi6_addr)) {
            told_.interface_index = found.ipi6_ifindex; // nobody answers from there
            return;
        }
        sockaddr_in6 address = {};
        address.sin6_family = AF_INET6;
        address.sin6_addr = found.ipi6_addr;
        address.sin6_scope_id = IN6_IS_ADDR_LINKLOCAL(&found.ipi6_addr) ? found.ipi6_ifindex : 0;
        tell_local(address, found.ipi6_ifindex);
    }
    template <typename Address>
    void tell_local(Address& address, std::uint32_t interface_index) noexcept {
        platform::set_length(address, sizeof address);
        local_ = endpoint::from_system(kind_, reinterpret_cast<const sockaddr*>(&address),
                                       sizeof address);
        local_.set_port(batch_.wishes.port);
        told_.local = &local_;
        told_.interface_index = interface_index;
    }

    datagram_batch& batch_;
    datagram& told_;
    endpoint& local_;
    transport kind_;
};

} // namespace

std::size_t train_length(std::span<const datagram> sources) noexcept {
    const auto& first = sources.front();
    const auto size = first.data.size();
    if (size == 0 || is_to_be_cut(first)) {
        return 1;
    }
    const auto most =
        std::min({sources.size(), segments_max, std::max(merged_bytes_max / size, std::size_t{1})});
    for (std::size_t length = 1; length < most; ++length) {
        const auto& next = sources[length];
        const bool is_alike = next.ttl == first.ttl && next.mark == first.mark &&
                              is_same(next.peer, first.peer) && is_same(next.local, first.local);
        if (!is_alike || next.data.empty() || next.data.size() > size || is_to_be_cut(next)) {
            return length;
        }
        if (next.data.size() < size) {
            return length + 1;
        }
    }
    return most;
}

struct datagram_batch::headers {
    std::array<platform::message_header, datagrams_per_call> messages = {};
    std::array<iovec, datagrams_per_call> buffers = {};
    std::array<ancillary_room, datagrams_per_call> controls;

    void offer_control(std::size_t index, bool is_wanted) noexcept {
        auto& header = messages[index].msg_hdr;
        auto& room = controls[index].memory;
        header.msg_control = is_wanted ? room.data() : nullptr;
        header.msg_controllen =
            static_cast<decltype(header.msg_controllen)>(is_wanted ? room.size() : 0);
    }
};

datagram_batch::datagram_batch()
    : memory_(std::make_unique_for_overwrite<std::byte[]>(datagrams_per_call * stride)),
      headers_(std::make_unique<headers>()) {
    for (std::size_t i = 0; i < datagrams_per_call; ++i) {
        const auto memory = memory_of(i);
        headers_->buffers[i] = {memory.data(), memory.size()};
        auto& header = headers_->messages[i].msg_hdr;
        header.msg_iov = &headers_->buffers[i];
        header.msg_iovlen = 1;
        header.msg_name = peers_[i].room();
        header.msg_namelen = endpoint::room_size();
        datagrams_[i].peer = &peers_[i];
    }
}

datagram_batch::~datagram_batch() = default;

void datagram_batch::begin() noexcept {
    overflow_ = 0;
    if (wishes.has_details == has_details_) {
        return;
    }
    has_details_ = wishes.has_details;
    for (std::size_t i = 0; i < datagrams_per_call; ++i) {
        datagrams_[i] = {.peer = &peers_[i]};
        headers_->offer_control(i, has_details_);
    }
}

result<std::size_t> posix_kernel::receive_datagrams(int fd, transport kind, datagram_batch& batch) {
    batch.begin();
    auto& messages = batch.headers_->messages;
    const auto got = count_or_error(retry_eintr([&] {
        return platform::receive_messages(fd, messages.data(), batch.wishes.datagrams_max);
    }));
    batch.resize(got ? *got : 0);
    for (std::size_t i = 0; i < batch.filled().size(); ++i) {
        auto& header = messages[i].msg_hdr;
        const auto size =
            std::min(static_cast<std::size_t>(messages[i].msg_len), datagram_bytes_max);
        if (batch.wishes.has_details) {
            batch.at(i) = {.peer = &batch.peer_of(i)};
            details told(batch, i, kind);
            for (auto* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
                told.read(*at);
            }
            batch.headers_->offer_control(i, true);
        }
        batch.fill(i, size, (header.msg_flags & MSG_TRUNC) != 0);
        batch.peer_of(i).filled(kind, header.msg_namelen);
        if (kind == transport::raw) {
            batch.peer_of(i).set_port(batch.wishes.port); // the protocol, which is not told
        }
        header.msg_namelen = endpoint::room_size();
    }
    return got;
}

result<std::size_t> posix_kernel::send_datagrams(int fd, std::span<const datagram> sources) {
    outgoing out;
    std::array<iovec, datagrams_per_call> buffers;
    for (const auto& one : sources.first(std::min(sources.size(), datagrams_per_call))) {
        auto& buffer = buffers[out.count];
        buffer = buffer_of(one.data);
        if (!out.add(one, &buffer, 1, is_to_be_cut(one) ? one.segment_size : std::uint16_t{0})) {
            break;
        }
    }
    return out.go(fd);
}

result<std::size_t> posix_kernel::send_trains(int fd, std::span<const datagram> sources) {
    outgoing out;
    std::array<std::size_t, datagrams_per_call> lengths;
    std::array<iovec, gathered_max> buffers;
    std::size_t gathered = 0;
    while (!sources.empty() && out.count < lengths.size()) {
        const auto length = train_length(sources);
        if (gathered + length > buffers.size()) {
            break;
        }
        auto* const first = buffers.data() + gathered;
        std::ranges::transform(sources.first(length), first,
                               [](const datagram& one) { return buffer_of(one.data); });
        const auto& front = sources.front();
        const auto size = length > 1            ? static_cast<std::uint16_t>(front.data.size())
                          : is_to_be_cut(front) ? front.segment_size
                                                : std::uint16_t{0};
        lengths[out.count] = length;
        if (!out.add(front, first, length, size)) {
            break;
        }
        gathered += length;
        sources = sources.subspan(length);
    }
    const auto sent = out.go(fd);
    return sent ? std::accumulate(lengths.begin(),
                                  lengths.begin() + static_cast<std::ptrdiff_t>(*sent),
                                  std::size_t{0})
                : sent;
}

} // namespace sockeye
