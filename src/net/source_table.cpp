#include "net/source_table.hpp"

#include "base/platform.hpp"

#include <cstring>

namespace sockeye {
namespace {

constexpr std::uint64_t mapped_prefix = 0x0000'ffff'0000'0000; // of no IPv6 address: RFC 4291

std::uint64_t big_endian(const unsigned char* first, std::size_t count) noexcept {
    std::uint64_t value = 0;
    for (std::size_t at = 0; at < count; ++at) {
        value = value << 8 | first[at];
    }
    return value;
}

} // namespace

source_id source_of(const endpoint& peer) noexcept {
    if (peer.family() == AF_INET) {
        sockaddr_in name = {};
        std::memcpy(&name, peer.data(), sizeof name);
        return mapped_prefix | ntohl(name.sin_addr.s_addr);
    }
    if (peer.family() == AF_INET6) {
        sockaddr_in6 name = {};
        std::memcpy(&name, peer.data(), sizeof name);
        const auto* const bytes = name.sin6_addr.s6_addr;
        const bool is_mapped = big_endian(bytes, 8) == 0 && big_endian(bytes + 8, 4) == 0xffff;
        return is_mapped ? mapped_prefix | big_endian(bytes + 12, 4) : big_endian(bytes, 8);
    }
    return no_source;
}

bool source_table::enter(source_id source) {
    const std::lock_guard lock(guard_);
    auto& count = open_[source];
    if (count >= each_max_) {
        return false;
    }
    ++count;
    return true;
}

void source_table::leave(source_id source) noexcept {
    const std::lock_guard lock(guard_);
    const auto found = open_.find(source);
    if (found != open_.end() && --found->second == 0) {
        open_.erase(found);
    }
}

std::size_t source_table::sources() const {
    const std::lock_guard lock(guard_);
    return open_.size();
}

} // namespace sockeye
