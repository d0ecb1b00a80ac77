#include "support/terminal.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

namespace support {
namespace {

using steady_time = std::chrono::steady_clock;

[[noreturn]] void fail(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

sockeye::unique_fd open_terminal() {
    sockeye::unique_fd made(::posix_openpt(O_RDWR | O_NOCTTY));
    if (!made || ::grantpt(made.get()) != 0 || ::unlockpt(made.get()) != 0 ||
        ::fcntl(made.get(), F_SETFD, FD_CLOEXEC) != 0) {
        fail("posix_openpt");
    }
    return made;
}

/// In the child: async-signal-safe calls only.
void become_user_of(const char* name, const char* output_file) {
    ::setsid();
    const int side = ::open(name, O_RDWR);
    ::ioctl(side, TIOCSCTTY, 0);
    const int out =
        output_file == nullptr ? side : ::open(output_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    ::dup2(side, STDIN_FILENO);
    ::dup2(out, STDOUT_FILENO);
    ::dup2(side, STDERR_FILENO);
    ::close(side);
}

void erase_returns(std::string& text) {
    std::erase(text, '\r');
}

} // namespace

terminal::terminal(const words& command, const std::string& output_file) : side_(open_terminal()) {
    const std::string name = ::ptsname(side_.get());
    std::vector<char*> arguments;
    for (const auto& word : command) {
        arguments.push_back(const_cast<char*>(word.c_str()));
    }
    arguments.push_back(nullptr);
    keeper_ = sockeye::unique_fd(::open(name.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC));
    id_ = ::fork();
    if (id_ < 0) {
        fail("fork");
    }
    if (id_ == 0) {
        become_user_of(name.c_str(), output_file.empty() ? nullptr : output_file.c_str());
        ::unsetenv("SOCKEYE_BACKEND");
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
}

terminal::~terminal() {
    if (id_ > 0) {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }
}

void terminal::type(std::string_view keys) {
    while (!keys.empty()) {
        const auto written = ::write(side_.get(), keys.data(), keys.size());
        if (written < 0) {
            fail("write");
        }
        keys.remove_prefix(static_cast<std::size_t>(written));
    }
}

bool terminal::read_more(steady_time::time_point deadline) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady_time::now()).count();
    pollfd subject = {.fd = side_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&subject, 1, static_cast<int>(std::max<long>(left, 0))) != 1) {
        return false;
    }
    char room[4096];
    // At its end Linux says EIO.
    const auto got = ::read(side_.get(), room, sizeof room);
    if (got > 0) {
        shown_.append(room, static_cast<std::size_t>(got));
        erase_returns(shown_);
    }
    return got > 0;
}

std::string terminal::shown_until(std::string_view text) {
    const auto deadline = steady_time::now() + patience;
    while (shown_.find(text) == std::string::npos && read_more(deadline)) {
    }
    const auto found = shown_.find(text);
    const auto end = found == std::string::npos ? shown_.size() : found + text.size();
    const auto piece = shown_.substr(0, end);
    shown_.erase(0, end);
    return piece;
}

void terminal::resize() {
    ++columns_;
    const winsize size = {.ws_row = 24, .ws_col = columns_, .ws_xpixel = 0, .ws_ypixel = 0};
    if (::ioctl(side_.get(), TIOCSWINSZ, &size) != 0) {
        fail("TIOCSWINSZ");
    }
}

outcome terminal::wait() {
    const auto deadline = steady_time::now() + patience;
    int status = 0;
    pid_t ended = 0;
    while (ended == 0 && steady_time::now() < deadline) {
        read_more(steady_time::now() + std::chrono::milliseconds(10));
        ended = ::waitpid(id_, &status, WNOHANG);
    }
    if (ended != id_) {
        throw std::runtime_error("a process on a terminal does not end; it shows " + shown_);
    }
    id_ = -1;
    keeper_.reset();
    while (read_more(deadline)) {
    }
    return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), std::move(shown_), {}};
}

} // namespace support
