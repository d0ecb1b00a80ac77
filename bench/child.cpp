#include "bench/child.hpp"

#include <array>
#include <cerrno>
#include <csignal>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

std::error_code last_error() noexcept {
    return {errno, std::generic_category()};
}

struct pipe_ends {
    unique_fd reader;
    unique_fd writer;
};

result<pipe_ends> make_pipe() {
    std::array<int, 2> ends = {};
    if (::pipe(ends.data()) != 0) {
        return last_error();
    }
    pipe_ends made = {unique_fd(ends[0]), unique_fd(ends[1])};
    for (const int fd : ends) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return made;
}

/// What the child does before it becomes the program. Never returns.
[[noreturn]] void become(char* const* words, int input, int output, const host::placement& where,
                         pid_t parent) noexcept {
    host::die_with_parent(parent);
    std::signal(SIGINT, SIG_IGN);
    std::signal(SIGTERM, SIG_DFL);
    host::place(where);
    ::dup2(input, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::execvp(words[0], words);
    ::_exit(127);
}

/// Waits for the end of a process, at most a second.
bool ends_soon(pid_t pid) noexcept {
    for (int tries = 0; tries < 200; ++tries) {
        if (::waitpid(pid, nullptr, WNOHANG) != 0) {
            return true;
        }
        ::poll(nullptr, 0, 5);
    }
    return false;
}

} // namespace

result<child_process> child_process::start(const std::vector<std::string>& command,
                                           const host::placement& where) {
    auto input = make_pipe();
    if (!input) {
        return input.error();
    }
    auto output = make_pipe();
    if (!output) {
        return output.error();
    }
    std::vector<char*> words;
    for (const auto& word : command) {
        words.push_back(const_cast<char*>(word.c_str()));
    }
    words.push_back(nullptr);
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) {
        return last_error();
    }
    if (pid == 0) {
        become(words.data(), input->reader.get(), output->writer.get(), where, parent);
    }
    return child_process(pid, std::move(input->writer), std::move(output->reader));
}

child_process::~child_process() {
    if (pid_ <= 0) {
        return;
    }
    input_.reset(); // it ends by itself at the end of its input
    if (!ends_soon(pid_)) {
        ::kill(pid_, SIGKILL);
        while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
        }
    }
}

std::error_code child_process::write_line(std::string_view line) {
    const std::string whole = std::string(line) + "\n";
    // Far shorter than what a pipe takes at once, so it is never written in part.
    if (::write(input_.get(), whole.data(), whole.size()) < 0) {
        return last_error();
    }
    return {};
}

result<std::string> child_process::read_line(duration timeout) {
    const time_point deadline = clock::now() + timeout;
    std::size_t end = 0;
    while ((end = read_ahead_.find('\n')) == std::string::npos) {
        const auto left = deadline - clock::now();
        pollfd waited = {output_.get(), POLLIN, 0};
        const auto milliseconds = std::chrono::ceil<std::chrono::milliseconds>(left).count();
        const int ready =
            left <= duration::zero() ? 0 : ::poll(&waited, 1, static_cast<int>(milliseconds));
        if (ready == 0) {
            return std::make_error_code(std::errc::timed_out);
        }
        if (ready < 0) {
            if (errno == EINTR) {
                continue;
            }
            return last_error();
        }
        std::array<char, 1024> piece = {};
        const ssize_t got = ::read(output_.get(), piece.data(), piece.size());
        if (got <= 0) {
            return std::make_error_code(std::errc::broken_pipe);
        }
        read_ahead_.append(piece.data(), static_cast<std::size_t>(got));
    }
    std::string line = read_ahead_.substr(0, end);
    read_ahead_.erase(0, end + 1);
    return line;
}

} // namespace sockeye::bench
