#include "kernel/posix.hpp"

#include <sys/wait.h>

namespace sockeye {
namespace {

/// Of that child alone: how other children end is not for us to take. 0 in si_pid: it runs.
std::error_code look_at(int pid, int options, siginfo_t& found) noexcept {
    found.si_pid = 0;
    if (pid <= 0) {
        return make_error_code(std::errc::no_child_process);
    }
    return error_if(retry_eintr([&] {
                        return ::waitid(P_PID, static_cast<id_t>(pid), &found,
                                        WEXITED | WNOHANG | options);
                    }) != 0);
}

} // namespace

result<owned_fd> posix_kernel::watch_process(int pid) {
    siginfo_t found = {};
    if (const auto error = look_at(pid, WNOWAIT, found)) {
        return error;
    }
    const int fd = platform::open_process(pid);
    // A filter of system calls may forbid it.
    const bool is_missing = fd < 0 && (errno == ENOSYS || errno == EPERM);
    return is_missing ? result<owned_fd>(std::errc::function_not_supported) : own(fd);
}

result<process_status> posix_kernel::reap_process(int pid) {
    siginfo_t found = {};
    if (const auto error = look_at(pid, 0, found)) {
        return error;
    }
    if (found.si_pid == 0) {
        return std::errc::operation_would_block;
    }
    return found.si_code == CLD_EXITED ? process_status{.code = found.si_status, .signal = 0}
                                       : process_status{.code = 0, .signal = found.si_status};
}

} // namespace sockeye
