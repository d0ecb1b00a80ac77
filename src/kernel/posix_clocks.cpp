#include "kernel/posix.hpp"

#include <algorithm>

namespace sockeye {

result<duration> posix_kernel::read_clock(clock_kind which) {
    timespec shown = {};
    const bool is_read = which == clock_kind::wall ? ::clock_gettime(CLOCK_REALTIME, &shown) == 0
                                                   : platform::read_boot_clock(shown);
    if (!is_read) {
        return which == clock_kind::wall ? last_error() : make_error_code(std::errc::not_supported);
    }
    return duration(std::chrono::seconds(shown.tv_sec)) + duration(shown.tv_nsec);
}

result<owned_fd> posix_kernel::make_alarm(clock_kind which) {
    if (!platform::has_alarms) {
        return std::errc::not_supported;
    }
    return own(platform::make_alarm(which == clock_kind::wall));
}

std::error_code posix_kernel::set_alarm(int fd, clock_kind which, duration when) {
    timespec at = {};
    if (when != duration::max()) {
        // 0 would mean never.
        const auto due = std::max(when, duration(1));
        at.tv_sec = static_cast<time_t>(due / std::chrono::seconds(1));
        at.tv_nsec = static_cast<long>((due % std::chrono::seconds(1)).count());
    }
    return error_if(!platform::set_alarm(fd, which == clock_kind::wall, at));
}

} // namespace sockeye
