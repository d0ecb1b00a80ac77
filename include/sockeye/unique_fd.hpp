#pragma once

#include <utility>

namespace sockeye {

/// Owns one file descriptor of the operating system and closes it when destroyed.
///
/// Holds -1 when empty. A plain `int fd` anywhere in the library is borrowed, never owned.
class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        reset(std::exchange(other.fd_, -1));
        return *this;
    }
    ~unique_fd() { reset(); }

    /// Closes what it holds and takes `fd` instead. A failing close is final: see close(2).
    void reset(int fd = -1) noexcept;
    /// Gives the descriptor away; the caller closes it.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

} // namespace sockeye
