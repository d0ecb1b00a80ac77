#pragma once

#include <cerrno>
#include <system_error>

namespace sockeye {

/// What the system call before this line left. See: errno(3).
inline std::error_code last_error() noexcept {
    return {errno, std::system_category()};
}

} // namespace sockeye
