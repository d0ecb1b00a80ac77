#pragma once

#include <sockeye/result.hpp>
#include <sockeye/time.hpp>

#include <chrono>
#include <cstddef>
#include <system_error>

namespace sockeye {

/// The system has no memory for a call: nobody's fault, and it passes. See: ENOBUFS in send(2).
inline bool is_memory_shortage(std::error_code error) noexcept {
    return error == std::errc::no_buffer_space || error == std::errc::not_enough_memory;
}

/// What the system had no room for: it says so, or takes nothing at all. Of descriptors that are
/// sent there may be too many on their way, until somebody has received some.
inline std::error_code shortage_of(const result<std::size_t>& sent) noexcept {
    if (sent) {
        return *sent == 0 ? make_error_code(std::errc::no_buffer_space) : std::error_code();
    }
    const bool is_passing =
        is_memory_shortage(sent.error()) || sent.error() == std::errc::too_many_files_open;
    return is_passing ? sent.error() : std::error_code();
}

/// How long to leave alone what the system had no memory for.
inline constexpr duration shortage_pause = std::chrono::milliseconds(10);

} // namespace sockeye
