#pragma once

#include <sockeye/time.hpp>

#include <chrono>
#include <system_error>

namespace sockeye {

/// The system has no memory for a call: nobody's fault, and it passes. See: ENOBUFS in send(2).
inline bool is_memory_shortage(std::error_code error) noexcept {
    return error == std::errc::no_buffer_space || error == std::errc::not_enough_memory;
}

/// How long to leave alone what the system had no memory for.
inline constexpr duration shortage_pause = std::chrono::milliseconds(10);

} // namespace sockeye
