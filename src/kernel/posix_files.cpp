#include "kernel/posix.hpp"

#include <sockeye/error.hpp>

#include <csignal>

#include <poll.h>
#include <pthread.h>
#include <sys/stat.h>

namespace sockeye {
namespace {

constexpr int standard_descriptors = 3;

/// Keeps the signals of a failing write from this thread, and takes away the one that came
/// meanwhile. Who may not write hears of it by an error: of pipes there is no flag for it, as
/// sockets have. Neither the process nor other threads notice. See: signal(7), write(2).
class muted_signals {
public:
    muted_signals() noexcept {
        sigemptyset(&muted_);
        sigaddset(&muted_, SIGPIPE);
        sigaddset(&muted_, SIGXFSZ);
        ::pthread_sigmask(SIG_BLOCK, &muted_, &before_);
        sigemptyset(&pending_before_);
        if (sigismember(&before_, SIGPIPE) == 1 || sigismember(&before_, SIGXFSZ) == 1) {
            ::sigpending(&pending_before_); // else it would have been delivered
        }
    }
    muted_signals(const muted_signals&) = delete;
    muted_signals& operator=(const muted_signals&) = delete;
    ~muted_signals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

    /// A write raised `signal`. One that was pending before stays so.
    void take(int signal) noexcept {
        sigset_t pending;
        ::sigpending(&pending);
        if (sigismember(&pending_before_, signal) == 0 && sigismember(&pending, signal) == 1) {
            sigset_t one;
            sigemptyset(&one);
            sigaddset(&one, signal);
            int taken = 0;
            ::sigwait(&one, &taken);
        }
    }

private:
    sigset_t muted_;
    sigset_t pending_before_;
    sigset_t before_;
};

/// As accept does with the lowest numbers: they are not ours.
int above_standard(int fd) noexcept {
    if (fd < 0 || fd >= standard_descriptors) {
        return fd;
    }
    const int higher = ::fcntl(fd, F_DUPFD_CLOEXEC, standard_descriptors);
    ::close(fd);
    return higher;
}

int open_again(int fd, int status) noexcept {
    char name[64] = {};
    if (!platform::name_of_open_file(fd, name)) {
        return -1;
    }
    const int flags = (status & (O_ACCMODE | O_APPEND)) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    return above_standard(retry_eintr([&] { return ::open(name, flags); }));
}

} // namespace

bool posix_kernel::is_hung_up(int fd) {
    pollfd asked = {.fd = fd, .events = 0, .revents = 0};
    return retry_eintr([&] { return ::poll(&asked, 1, 0); }) == 1 &&
           (asked.revents & (POLLHUP | POLLERR)) != 0;
}

result<file_facts> posix_kernel::describe(int fd) {
    struct stat facts = {};
    const int status = ::fcntl(fd, F_GETFL);
    if (status < 0 || ::fstat(fd, &facts) != 0) {
        return last_error();
    }
    if (S_ISDIR(facts.st_mode)) {
        return errc::not_pollable;
    }
    if (S_ISSOCK(facts.st_mode)) {
        return file_facts{.is_socket = true};
    }
    const int access = status & O_ACCMODE;
    return file_facts{.is_socket = false,
                      .can_read = access != O_WRONLY,
                      .can_write = access != O_RDONLY,
                      .is_regular = S_ISREG(facts.st_mode) || S_ISBLK(facts.st_mode)};
}

result<std::size_t> posix_kernel::read(int fd, std::span<std::byte> target) {
    const auto got =
        count_or_error(retry_eintr([&] { return ::read(fd, target.data(), target.size()); }));
    struct stat facts = {};
    if (!got && got.error() == std::errc::io_error && ::fstat(fd, &facts) == 0 &&
        S_ISCHR(facts.st_mode)) {
        return 0; // nobody has the other side of this terminal any more
    }
    return got;
}

result<std::size_t> posix_kernel::write(int fd, bytes source) {
    muted_signals muted;
    const auto sent =
        count_or_error(retry_eintr([&] { return ::write(fd, source.data(), source.size()); }));
    if (!sent && sent.error() == std::errc::broken_pipe) {
        muted.take(SIGPIPE);
    } else if (!sent && sent.error() == std::errc::file_too_large) {
        muted.take(SIGXFSZ);
    }
    return sent;
}

result<reopened_file> posix_kernel::reopen(int fd) {
    struct stat facts = {};
    const int status = ::fcntl(fd, F_GETFL);
    if (status < 0 || ::fstat(fd, &facts) != 0) {
        return last_error();
    }
    reopened_file made;
    if (S_ISCHR(facts.st_mode) || S_ISFIFO(facts.st_mode)) {
        if (const int again = open_again(fd, status); again >= 0) {
            made.fd = owned_fd(*this, again);
            return made;
        }
    }
    const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, standard_descriptors);
    if (copy < 0) {
        return last_error();
    }
    made.fd = owned_fd(*this, copy);
    if (!S_ISREG(facts.st_mode) && (status & O_NONBLOCK) == 0) {
        if (::fcntl(copy, F_SETFL, status | O_NONBLOCK) != 0) {
            return last_error();
        }
        made.is_shared = true;
    }
    return made;
}

void posix_kernel::make_blocking(int fd) noexcept {
    const int status = ::fcntl(fd, F_GETFL);
    if (status >= 0) {
        static_cast<void>(::fcntl(fd, F_SETFL, status & ~O_NONBLOCK));
    }
}

/// A lower number is taken first, so that each opened one is the one that was missing.
std::error_code posix_kernel::fill_standard_descriptors() {
    for (int fd = 0; fd < standard_descriptors; ++fd) {
        if (::fcntl(fd, F_GETFD) >= 0) {
            continue;
        }
        const int opened = ::open("/dev/null", O_RDWR);
        if (opened < 0) {
            return last_error();
        }
        if (opened != fd) {
            ::close(opened); // somebody else was faster, which is as good
        }
    }
    return {};
}

result<std::size_t> posix_kernel::send_file(int fd, int file, std::uint64_t offset,
                                            std::size_t length) {
    muted_signals muted;
    const auto sent =
        count_or_error(retry_eintr([&] { return platform::send_file(fd, file, offset, length); }));
    if (!sent && sent.error() == std::errc::broken_pipe) {
        muted.take(SIGPIPE);
    }
    return sent;
}

result<std::size_t> posix_kernel::read_at(int file, std::span<std::byte> target,
                                          std::uint64_t offset) {
    return count_or_error(retry_eintr(
        [&] { return ::pread(file, target.data(), target.size(), static_cast<off_t>(offset)); }));
}

} // namespace sockeye
