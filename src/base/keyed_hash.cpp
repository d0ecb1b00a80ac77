#include "base/keyed_hash.hpp"

#include <bit>
#include <cstring>

namespace sockeye {

std::uint64_t keyed_hash::operator()(std::span<const std::byte> data) const noexcept {
    std::uint64_t v0 = key_[0] ^ 0x736f'6d65'7073'6575;
    std::uint64_t v1 = key_[1] ^ 0x646f'7261'6e64'6f6d;
    std::uint64_t v2 = key_[0] ^ 0x6c79'6765'6e65'7261;
    std::uint64_t v3 = key_[1] ^ 0x7465'6462'7974'6573;
    const auto round = [&] {
        v0 += v1;
        v1 = std::rotl(v1, 13) ^ v0;
        v0 = std::rotl(v0, 32);
        v2 += v3;
        v3 = std::rotl(v3, 16) ^ v2;
        v0 += v3;
        v3 = std::rotl(v3, 21) ^ v0;
        v2 += v1;
        v1 = std::rotl(v1, 17) ^ v2;
        v2 = std::rotl(v2, 32);
    };
    const auto last = std::uint64_t{data.size()} << 56;
    for (; data.size() >= sizeof(std::uint64_t); data = data.subspan(sizeof(std::uint64_t))) {
        std::uint64_t word = 0;
        std::memcpy(&word, data.data(), sizeof word);
        v3 ^= word;
        round();
        v0 ^= word;
    }
    std::uint64_t rest = 0;
    if (!data.empty()) {
        std::memcpy(&rest, data.data(), data.size());
    }
    v3 ^= rest ^ last;
    round();
    v0 ^= rest ^ last;
    v2 ^= 0xff;
    round();
    round();
    round();
    return v0 ^ v1 ^ v2 ^ v3;
}

} // namespace sockeye
