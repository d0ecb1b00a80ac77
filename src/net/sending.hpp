#pragma once

#include <sockeye/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>

namespace sockeye {

/// Above it a write goes to the kernel at once: copying it would cost more than it saves.
inline constexpr std::size_t copied_bytes_max = 16 * 1024;

/// What may wait for the end of the turn.
inline constexpr std::size_t pending_bytes_max = std::numeric_limits<std::uint16_t>::max();

inline std::size_t size_of(std::span<const bytes> parts) noexcept {
    std::size_t all = 0;
    for (const auto& part : parts) {
        all += part.size();
    }
    return all;
}

} // namespace sockeye
