#pragma once

#include <system_error>

namespace sockeye::simulated {

/// What the real system would say. The numbers are this machine's own.
[[nodiscard]] inline std::error_code failure(int number) noexcept {
    return {number, std::system_category()};
}

[[nodiscard]] inline std::error_code would_block() noexcept {
    return std::make_error_code(std::errc::operation_would_block);
}

} // namespace sockeye::simulated
