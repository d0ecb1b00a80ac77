#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sockeye {

/// A hash that nobody can steer who does not know its key. See: SipHash-1-3 (Aumasson, Bernstein).
class keyed_hash {
public:
    keyed_hash(std::uint64_t first, std::uint64_t second) noexcept : key_{first, second} {}
    explicit keyed_hash(std::uint64_t secret) noexcept
        : keyed_hash(secret, secret * 0x9e37'79b9'7f4a'7c15 ^ 0x6a09'e667'f3bc'c908) {}

    [[nodiscard]] std::uint64_t operator()(std::span<const std::byte> data) const noexcept;

private:
    std::uint64_t key_[2];
};

} // namespace sockeye
