#include <sockeye/reply_policy.hpp>

#include "base/keyed_hash.hpp"
#include "base/platform.hpp"
#include "loop/loop_core.hpp"
#include "net/bounded_table.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

namespace sockeye {
namespace {

/// What tells one payload from another, of what loops without end.
constexpr std::size_t compared_bytes_max = 512;

constexpr std::uint64_t mapped_ip4_prefix = 0xffff;

std::uint32_t ip4_of(const endpoint& address) noexcept {
    sockaddr_in system = {};
    std::memcpy(&system, address.data(), sizeof system);
    return ntohl(system.sin_addr.s_addr);
}

sockaddr_in6 ip6_of(const endpoint& address) noexcept {
    sockaddr_in6 system = {};
    std::memcpy(&system, address.data(), sizeof system);
    return system;
}

/// The upper or lower half of an IPv6 address.
std::uint64_t half_of(const in6_addr& address, std::size_t which) noexcept {
    std::uint64_t half = 0;
    for (std::size_t i = 0; i < sizeof half; ++i) {
        half = half << 8 | address.s6_addr[which * sizeof half + i];
    }
    return half;
}

/// The IPv4 address that a mapped one stands for.
std::optional<std::uint32_t> mapped_ip4(const endpoint& address) noexcept {
    if (address.family() != AF_INET6) {
        return std::nullopt;
    }
    const auto system = ip6_of(address);
    const auto low = half_of(system.sin6_addr, 1);
    const bool is_mapped = half_of(system.sin6_addr, 0) == 0 && low >> 32 == mapped_ip4_prefix;
    return is_mapped ? std::optional(static_cast<std::uint32_t>(low)) : std::nullopt;
}

bool is_loopback(const endpoint& address) noexcept {
    const auto ip4 = mapped_ip4(address);
    return address.is_loopback() || (ip4 && *ip4 >> 24 == IN_LOOPBACKNET);
}

bool allows_ip6(const endpoint& sender) noexcept {
    const auto system = ip6_of(sender);
    const in6_addr& address = system.sin6_addr;
    const bool lacks_scope = IN6_IS_ADDR_LINKLOCAL(&address) && system.sin6_scope_id == 0;
    return !IN6_IS_ADDR_UNSPECIFIED(&address) && !IN6_IS_ADDR_MULTICAST(&address) && !lacks_scope;
}

/// What one household has: a /24, or a /64.
std::uint64_t network_of(const endpoint& sender) noexcept {
    const auto ip4 =
        sender.family() == AF_INET ? std::optional(ip4_of(sender)) : mapped_ip4(sender);
    // No /64 that is routed begins so.
    return ip4 ? std::uint64_t{0xffff} << 48 | *ip4 >> 8 : half_of(ip6_of(sender).sin6_addr, 0);
}

std::uint64_t hash_of_payload(const keyed_hash& hash, bytes payload) noexcept {
    const auto size = std::rotl(std::uint64_t{payload.size()}, 32);
    return hash(payload.first(std::min(payload.size(), compared_bytes_max))) ^ size;
}

/// A rate with bursts of a second's worth. See: the generic cell rate algorithm, ITU-T I.371.
struct bucket {
    std::int64_t paid_until = std::numeric_limits<std::int64_t>::min();

    [[nodiscard]] bool has_room(std::int64_t now, std::uint32_t per_second) const noexcept {
        constexpr std::int64_t second = 1'000'000'000;
        return per_second != 0 && paid_until <= now + second - second / per_second;
    }
    void take(std::int64_t now, std::uint32_t per_second) noexcept {
        constexpr std::int64_t second = 1'000'000'000;
        paid_until = std::max(paid_until, now) + second / per_second;
    }
};

/// What we know of one sender.
struct conversation {
    std::uint64_t last_sent = 0; ///< a hash; 0: nothing
    std::int64_t second_began = 0;
    std::int64_t quiet_until = std::numeric_limits<std::int64_t>::min();
    std::uint32_t repeats = 0;
};

/// True where one more of the same within a second is one too many.
bool repeats_too_often(conversation& with, std::int64_t now, std::uint32_t per_second) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    if (with.repeats == 0 || now - with.second_began >= second) {
        with.second_began = now;
        with.repeats = 0;
    }
    return ++with.repeats > per_second;
}

} // namespace

struct reply_policy::tables {
    tables(std::size_t sources_max, std::uint64_t secret)
        : hash(secret), sources(sources_max, secret), peers(sources_max, secret + 1) {}

    keyed_hash hash;
    bucket all;
    bounded_table<bucket> sources;
    bounded_table<conversation> peers;
};

reply_policy::reply_policy(reply_options options) : options_(std::move(options)) {}

reply_policy::reply_policy(loop& owner, reply_options options) : options_(std::move(options)) {
    if (!options_.secret) {
        options_.secret = core_of(owner).system().random_bits().value();
    }
}

reply_policy::reply_policy(reply_policy&&) noexcept = default;
reply_policy& reply_policy::operator=(reply_policy&&) noexcept = default;
reply_policy::~reply_policy() = default;

reply_verdict reply_policy::judge(const datagram& in, const endpoint& bound, bytes reply,
                                  time_point now) {
    auto said = reply_verdict::refused_address;
    if (in.peer != nullptr && in.peer->family() == AF_UNIX) {
        const bool has_name = in.peer->size() > offsetof(sockaddr, sa_data);
        said = has_name ? reply_verdict::allowed : reply_verdict::refused_address;
    } else if (in.peer != nullptr && in.peer->is_known()) {
        said = judge_address(*in.peer, in.local != nullptr ? *in.local : bound);
        if (said == reply_verdict::allowed && !is_loopback(bound)) {
            said = judge_public(in, reply, now);
        }
    }
    ++counts_[static_cast<std::size_t>(said)];
    return said;
}

std::uint64_t reply_policy::refused() const noexcept {
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
        all += i == static_cast<std::size_t>(reply_verdict::allowed) ? 0 : counts_[i];
    }
    return all;
}

reply_verdict reply_policy::judge_address(const endpoint& sender, const endpoint& local) const {
    if (!allows_port(sender.port())) {
        return reply_verdict::refused_port;
    }
    // The machine itself reaches an address of its own from that same address.
    const bool is_forged_loopback =
        is_loopback(sender) && !is_loopback(local) && !local.is_unspecified();
    const auto mapped = mapped_ip4(sender);
    const bool is_allowed = sender.family() == AF_INET ? allows_ip4(ip4_of(sender))
                            : mapped                   ? options_.dual_stack && allows_ip4(*mapped)
                                                       : allows_ip6(sender);
    return is_forged_loopback || !is_allowed ? reply_verdict::refused_address
                                             : reply_verdict::allowed;
}

/// The limits. What is refused for its rate counts as heard all the same: a loop is a loop.
reply_verdict reply_policy::judge_public(const datagram& in, bytes reply, time_point now) {
    if (reply.size() > in.data.size()) {
        return reply_verdict::too_long;
    }
    if (!tables_) {
        const auto secret =
            options_.secret ? *options_.secret : system_kernel().random_bits().value();
        tables_ = std::make_unique<tables>(options_.sources_max, secret);
    }
    const auto time = now.time_since_epoch().count();
    const auto& hash = tables_->hash;
    const auto* const name = reinterpret_cast<const std::byte*>(in.peer->data());
    auto& with = tables_->peers[hash({name, in.peer->size()})];
    if (time < with.quiet_until) {
        return reply_verdict::looping;
    }
    if (with.last_sent != 0 && hash_of_payload(hash, in.data) == with.last_sent &&
        repeats_too_often(with, time, options_.repeats_per_second)) {
        with.quiet_until = time + options_.quiet_time.count();
        return reply_verdict::looping;
    }
    const auto network = network_of(*in.peer);
    auto& source = tables_->sources[hash(std::as_bytes(std::span(&network, 1)))];
    if (!source.has_room(time, options_.replies_per_source) ||
        !tables_->all.has_room(time, options_.replies_per_second)) {
        return reply_verdict::rate_limited;
    }
    source.take(time, options_.replies_per_source);
    tables_->all.take(time, options_.replies_per_second);
    with.last_sent = hash_of_payload(hash, reply);
    return reply_verdict::allowed;
}

bool reply_policy::allows_port(std::uint16_t port) const noexcept {
    constexpr std::uint16_t first_unprivileged = 1024;
    const auto& refused = options_.refused_ports;
    return port >= first_unprivileged && std::ranges::find(refused, port) == refused.end() &&
           std::ranges::find(own_ports_, port) == own_ports_.end();
}

bool reply_policy::allows_ip4(std::uint32_t address) const noexcept {
    const bool is_nobody = address >> 24 == 0;
    const bool is_multicast = address >> 28 == 0xe;
    const bool is_broadcast =
        address == INADDR_BROADCAST || std::ranges::any_of(broadcasts_, [&](const endpoint& one) {
            return one.family() == AF_INET && ip4_of(one) == address;
        });
    return !is_nobody && !is_multicast && !is_broadcast;
}

} // namespace sockeye
