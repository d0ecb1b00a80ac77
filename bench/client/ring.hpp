#pragma once

#include <sockeye/bytes.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <vector>

namespace sockeye::bench {

/// The bytes that all messages are cut from: pseudo-random ones, repeated for ever.
///
/// The length has no common divisor with usual message sizes, so that a shifted, doubled, zeroed
/// or swapped byte differs from what belongs there. A position is any number, taken modulo it.
class ring {
public:
    static constexpr std::size_t length = (std::size_t{16} << 10) + 1;
    /// What view() and first_difference() take at most.
    static constexpr std::size_t piece_max = std::size_t{64} << 10;

    explicit ring(std::uint64_t seed);

    /// Where the bytes of a connection begin: a different place for each of the first 16385.
    [[nodiscard]] static std::size_t start_of(std::uint64_t connection) noexcept {
        return static_cast<std::size_t>(connection * 7919 % length);
    }

    /// Requires: size <= piece_max.
    [[nodiscard]] bytes view(std::uint64_t position, std::size_t size) const noexcept {
        assert(size <= piece_max);
        return bytes(memory_).subspan(static_cast<std::size_t>(position % length), size);
    }

    /// The first index at which `got` is not what stands at `position`; nothing where all is.
    [[nodiscard]] std::optional<std::size_t> first_difference(std::uint64_t position,
                                                              bytes got) const noexcept {
        const auto expected = view(position, got.size());
        if (std::memcmp(expected.data(), got.data(), got.size()) == 0) [[likely]] {
            return std::nullopt;
        }
        return search(expected, got);
    }

private:
    static std::size_t search(bytes expected, bytes got) noexcept;

    std::vector<std::byte> memory_;
};

} // namespace sockeye::bench
