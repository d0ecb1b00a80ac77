#include "net/source_table.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <bit>
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

struct sip_state {
    std::uint64_t a, b, c, d;

    void round() noexcept {
        a += b;
        b = std::rotl(b, 13) ^ a;
        a = std::rotl(a, 32);
        c += d;
        d = std::rotl(d, 16) ^ c;
        a += d;
        d = std::rotl(d, 21) ^ a;
        c += b;
        b = std::rotl(b, 17) ^ c;
        c = std::rotl(c, 32);
    }
    void take(std::uint64_t word) noexcept {
        d ^= word;
        round();
        a ^= word;
    }
};

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

std::uint64_t keyed_hash(const hash_key& key, std::span<const std::byte> data) noexcept {
    sip_state state = {key[0] ^ 0x736f'6d65'7073'6575, key[1] ^ 0x646f'7261'6e64'6f6d,
                       key[0] ^ 0x6c79'6765'6e65'7261, key[1] ^ 0x7465'6462'7974'6573};
    const auto little_endian = [](std::span<const std::byte> word) {
        std::uint64_t value = 0;
        for (std::size_t at = word.size(); at > 0; --at) {
            value = value << 8 | std::to_integer<std::uint64_t>(word[at - 1]);
        }
        return value;
    };
    const auto length = std::uint64_t{data.size()} << 56;
    for (; data.size() >= sizeof(std::uint64_t); data = data.subspan(sizeof(std::uint64_t))) {
        state.take(little_endian(data.first(sizeof(std::uint64_t))));
    }
    state.take(little_endian(data) | length);
    state.c ^= 0xff;
    for (int left = 3; left > 0; --left) {
        state.round();
    }
    return state.a ^ state.b ^ state.c ^ state.d;
}

std::uint64_t keyed_hash(const hash_key& key, std::uint64_t value) noexcept {
    std::array<std::byte, sizeof value> bytes;
    for (std::size_t at = 0; at < bytes.size(); ++at) {
        bytes[at] = static_cast<std::byte>(value >> (8 * at) & 0xff);
    }
    return keyed_hash(key, bytes);
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
