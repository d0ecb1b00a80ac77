#pragma once

#include "net/shortage.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/result.hpp>

#include <cstddef>
#include <span>
#include <system_error>

namespace sockeye {

/// Above it a write goes to the kernel at once: copying it would cost more than it saves.
inline constexpr std::size_t copied_bytes_max = 16 * 1024;

inline std::size_t size_of(std::span<const bytes> parts) noexcept {
    std::size_t all = 0;
    for (const auto& part : parts) {
        all += part.size();
    }
    return all;
}

/// What the system had no memory for: it says so, or takes nothing at all.
inline std::error_code shortage_of(const result<std::size_t>& sent) noexcept {
    if (sent) {
        return *sent == 0 ? make_error_code(std::errc::no_buffer_space) : std::error_code();
    }
    return is_memory_shortage(sent.error()) ? sent.error() : std::error_code();
}

} // namespace sockeye
