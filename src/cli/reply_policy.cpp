#include "cli/reply_policy.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <netinet/in.h>

namespace sockeye::cli {
namespace {

/// Services above 1023 that were used to flood others: NFS, SSDP, WS-Discovery, mDNS, memcached.
constexpr std::array<std::uint16_t, 5> amplifier_ports = {2049, 1900, 3702, 5353, 11211};

std::uint32_t ip4_of(const endpoint& address) noexcept {
    sockaddr_in system = {};
    std::memcpy(&system, address.data(), sizeof system);
    return ntohl(system.sin_addr.s_addr);
}

bool allows_ip6(const endpoint& sender) noexcept {
    sockaddr_in6 system = {};
    std::memcpy(&system, sender.data(), sizeof system);
    const in6_addr& address = system.sin6_addr;
    const bool lacks_scope = IN6_IS_ADDR_LINKLOCAL(&address) && system.sin6_scope_id == 0;
    return !IN6_IS_ADDR_UNSPECIFIED(&address) && !IN6_IS_ADDR_MULTICAST(&address) &&
           !IN6_IS_ADDR_V4MAPPED(&address) && !lacks_scope;
}

} // namespace

bool reply_policy::allows(const endpoint& sender, const endpoint& local) const noexcept {
    if (sender.family() == AF_UNIX) {
        return sender.size() > offsetof(sockaddr, sa_data);
    }
    if (sender.family() != AF_INET && sender.family() != AF_INET6) {
        return false;
    }
    // The machine itself reaches an address of its own from that same address.
    const bool is_forged_loopback =
        sender.is_loopback() && !local.is_loopback() && !local.is_unspecified();
    return !is_forged_loopback && allows_port(sender.port()) &&
           (sender.family() == AF_INET ? allows_ip4(sender) : allows_ip6(sender));
}

bool reply_policy::allows_port(std::uint16_t port) const noexcept {
    constexpr std::uint16_t first_unprivileged = 1024;
    return port >= first_unprivileged &&
           std::ranges::find(amplifier_ports, port) == amplifier_ports.end() &&
           std::ranges::find(own_ports_, port) == own_ports_.end();
}

bool reply_policy::allows_ip4(const endpoint& sender) const noexcept {
    const std::uint32_t address = ip4_of(sender);
    const bool is_nobody = address >> 24 == 0;
    const bool is_multicast = address >> 28 == 0xe;
    const bool is_broadcast =
        address == INADDR_BROADCAST ||
        std::ranges::any_of(broadcasts_, [&](const endpoint& b) { return ip4_of(b) == address; });
    return !is_nobody && !is_multicast && !is_broadcast;
}

} // namespace sockeye::cli
