#include "kernel/posix.hpp"

#include <csignal>

namespace sockeye {
namespace {

/// Keeps SIGPIPE from this thread, where a call has no flag for that; what others sent stays.
class sigpipe_guard {
public:
    sigpipe_guard() noexcept {
        sigemptyset(&only_sigpipe_);
        sigaddset(&only_sigpipe_, SIGPIPE);
        ::pthread_sigmask(SIG_BLOCK, &only_sigpipe_, &before_);
        // Where it was not blocked, none can have waited.
        sigset_t waiting;
        was_waiting_ = sigismember(&before_, SIGPIPE) == 1 && ::sigpending(&waiting) == 0 &&
                       sigismember(&waiting, SIGPIPE) == 1;
    }
    sigpipe_guard(const sigpipe_guard&) = delete;
    sigpipe_guard& operator=(const sigpipe_guard&) = delete;
    ~sigpipe_guard() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    /// Takes the signal that came with EPIPE. Call before it may come through.
    void take_signal() noexcept {
        if (!was_waiting_) {
            platform::take_signal(only_sigpipe_);
        }
    }

private:
    sigset_t only_sigpipe_;
    sigset_t before_;
    bool was_waiting_ = false;
};

} // namespace

result<std::size_t> posix_kernel::send_file(int fd, int file, std::uint64_t offset,
                                            std::size_t length) {
    sigpipe_guard quiet;
    const auto sent =
        count_or_error(retry_eintr([&] { return platform::send_file(fd, file, offset, length); }));
    if (!sent && sent.error() == std::errc::broken_pipe) {
        quiet.take_signal();
    }
    return sent;
}

result<std::size_t> posix_kernel::read_at(int file, std::span<std::byte> target,
                                          std::uint64_t offset) {
    return count_or_error(retry_eintr(
        [&] { return ::pread(file, target.data(), target.size(), static_cast<off_t>(offset)); }));
}

} // namespace sockeye
