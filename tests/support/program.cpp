#include "support/program.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <stdexcept>
#include <system_error>

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {
extern char** environ; // POSIX leaves its declaration to us, and macOS does so too
}

namespace support {
namespace {

using steady = std::chrono::steady_clock;

[[noreturn]] void give_up(const char* what) {
    throw std::system_error(errno, std::system_category(), what);
}

struct pipe_ends {
    sockeye::unique_fd reader;
    sockeye::unique_fd writer;
};

/// Closes `fd` where a program is started: not every system can say so when it makes one.
sockeye::unique_fd closed_on_exec(int fd, const char* made_by) {
    if (fd < 0 || ::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        give_up(made_by);
    }
    return sockeye::unique_fd(fd);
}

pipe_ends open_pipe() {
    int ends[2] = {-1, -1};
    if (::pipe(ends) != 0) {
        give_up("pipe");
    }
    return {closed_on_exec(ends[0], "pipe"), closed_on_exec(ends[1], "pipe")};
}

/// A file without a name that holds `text`.
sockeye::unique_fd file_of(const std::string& text) {
    char name[] = "/tmp/sockeye-input-XXXXXX";
    auto file = closed_on_exec(::mkstemp(name), "mkstemp");
    ::unlink(name);
    const auto size = static_cast<ssize_t>(text.size());
    if (::write(file.get(), text.data(), text.size()) != size ||
        ::lseek(file.get(), 0, SEEK_SET) != 0) {
        give_up("write");
    }
    return file;
}

/// A pipe that holds `text`; it ends when `writer` is closed.
sockeye::unique_fd begin_input(const std::string& text, sockeye::unique_fd& writer) {
    auto ends = open_pipe();
    const auto size = static_cast<ssize_t>(text.size());
    if (::write(ends.writer.get(), text.data(), text.size()) != size) {
        give_up("write");
    }
    writer = std::move(ends.writer);
    return std::move(ends.reader);
}

std::vector<char*> pointers(const words& list) {
    std::vector<char*> found;
    for (const auto& word : list) {
        found.push_back(const_cast<char*>(word.c_str()));
    }
    found.push_back(nullptr);
    return found;
}

words environment_with(const words& added) {
    words all = added;
    for (char** entry = environ; *entry != nullptr; ++entry) {
        const std::string_view text = *entry;
        const auto name = text.substr(0, text.find('=') + 1);
        const bool is_replaced = std::ranges::any_of(
            added, [&](const std::string& one) { return one.starts_with(name); });
        // What the tests are started with must not choose for the program they test.
        if (!is_replaced && name != "SOCKEYE_BACKEND=") {
            all.emplace_back(text);
        }
    }
    return all;
}

/// Appends what is there to read; false at the end.
bool read_some(int fd, std::string& text) {
    char room[65536];
    const ssize_t got = ::read(fd, room, sizeof room);
    if (got > 0) {
        text.append(room, static_cast<std::size_t>(got));
    }
    return got > 0 || (got < 0 && errno == EINTR);
}

} // namespace

process::process(const words& command, const start_options& options) {
    auto output = open_pipe();
    auto talk = open_pipe();
    const auto input =
        options.has_endless_input ? begin_input(options.input, input_) : file_of(options.input);
    const auto arguments = pointers(command);
    const auto environment = environment_with(options.environment);
    auto variables = pointers(environment);
    id_ = ::fork();
    if (id_ < 0) {
        give_up("fork");
    }
    if (id_ == 0) {
        ::dup2(input.get(), STDIN_FILENO);
        ::dup2(output.writer.get(), STDOUT_FILENO);
        ::dup2(talk.writer.get(), STDERR_FILENO);
        if (options.before_exec) {
            options.before_exec();
        }
        environ = variables.data();
        ::execvp(arguments[0], arguments.data());
        ::_exit(127);
    }
    output_ = std::move(output.reader);
    talk_ = std::move(talk.reader);
}

process::~process() {
    if (id_ > 0) {
        ::kill(id_, SIGKILL);
        ::waitpid(id_, nullptr, 0);
    }
}

void process::send_signal(int signal) const {
    ::kill(id_, signal);
}

/// Reads what either of output and talk brings, at most until `deadline`.
void process::read_more(steady::time_point deadline) {
    pollfd both[] = {{.fd = output_.get(), .events = POLLIN, .revents = 0},
                     {.fd = talk_.get(), .events = POLLIN, .revents = 0}};
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - steady::now()).count();
    ::poll(both, 2, static_cast<int>(std::max<long>(left, 0)));
    if (both[0].revents != 0 && !read_some(output_.get(), output_text_)) {
        output_.reset();
    }
    if (both[1].revents != 0 && !read_some(talk_.get(), talk_text_)) {
        talk_.reset();
    }
}

std::string process::next_line(sockeye::unique_fd& from, std::string& text) {
    const auto deadline = steady::now() + patience;
    while (text.find('\n') == std::string::npos && from && steady::now() < deadline) {
        read_more(deadline);
    }
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.erase(0, end + 1);
    return line;
}

outcome process::wait() {
    const auto deadline = steady::now() + patience;
    while ((output_ || talk_) && steady::now() < deadline) {
        read_more(deadline);
    }
    int status = 0;
    pid_t ended = ::waitpid(id_, &status, WNOHANG);
    while (ended == 0 && steady::now() < deadline) {
        ::poll(nullptr, 0, 1);
        ended = ::waitpid(id_, &status, WNOHANG);
    }
    if (ended != id_) {
        throw std::runtime_error("a process does not end");
    }
    id_ = -1;
    return {WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status), std::move(output_text_),
            std::move(talk_text_)};
}

outcome run(const words& command, const start_options& options) {
    return process(command, options).wait();
}

outcome run_program(const words& arguments, const start_options& options) {
    words command = {program_path()};
    command.insert(command.end(), arguments.begin(), arguments.end());
    return run(command, options);
}

std::string program_path() {
    const char* named = std::getenv("SOCKEYE_PROGRAM");
    return named != nullptr ? named : SOCKEYE_PROGRAM_PATH;
}

bool is_installed(std::string_view program) {
    const char* variable = std::getenv("PATH");
    std::string_view path = variable != nullptr ? variable : "";
    while (!path.empty()) {
        const auto directory = path.substr(0, path.find(':'));
        path.remove_prefix(std::min(directory.size() + 1, path.size()));
        const auto candidate = std::filesystem::path(directory) / program;
        if (::access(candidate.c_str(), X_OK) == 0) {
            return true;
        }
    }
    return false;
}

scratch_directory::scratch_directory() {
    std::string name = "/tmp/sockeye-test-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) {
        give_up("mkdtemp");
    }
    path_ = name;
}

scratch_directory::~scratch_directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string scratch_directory::file(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

} // namespace support
