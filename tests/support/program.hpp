#pragma once

#include <sockeye/unique_fd.hpp>

#include <chrono>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include <sys/types.h>

namespace support {

/// How long anything here waits for another process before it gives up: far longer than needed.
inline constexpr std::chrono::seconds patience{60};

using words = std::vector<std::string>;

/// What is different about a process that is to be started.
struct start_options {
    words environment;                 ///< `NAME=VALUE`, on top of ours
    std::string input;                 ///< what its standard input holds
    bool has_endless_input = false;    ///< behind `input`, a short one, no end comes
    std::function<void()> before_exec; ///< runs in the child; async-signal-safe calls only
};

/// How a process ended and what it said.
struct outcome {
    int status = -1; ///< the exit status, or minus the number of the signal that killed it
    std::string output;
    std::string talk; ///< standard error
};

/// A started process. Its destructor kills what has not ended.
class process {
public:
    /// Starts `command`, found by PATH where it holds no slash.
    explicit process(const words& command, const start_options& options = {});
    process(const process&) = delete;
    process& operator=(const process&) = delete;
    ~process();

    /// The next line of standard output or error, without its end; what is there when it closes
    /// or `patience` ends.
    std::string output_line() { return next_line(output_, output_text_); }
    std::string talk_line() { return next_line(talk_, talk_text_); }
    /// From now on nobody reads standard output or error.
    void close_output() { output_.reset(); }
    void close_talk() { talk_.reset(); }

    void send_signal(int signal) const;
    [[nodiscard]] pid_t id() const { return id_; }

    /// Waits for the end; what no line took is in the outcome.
    outcome wait();

private:
    std::string next_line(sockeye::unique_fd& from, std::string& text);
    void read_more(std::chrono::steady_clock::time_point deadline);

    pid_t id_ = -1;
    sockeye::unique_fd input_;
    sockeye::unique_fd output_;
    sockeye::unique_fd talk_;
    std::string output_text_;
    std::string talk_text_;
};

/// Runs `command` to its end.
outcome run(const words& command, const start_options& options = {});

/// Runs the sockeye program of this build to its end.
outcome run_program(const words& arguments, const start_options& options = {});

/// Where the sockeye program of this build is; SOCKEYE_PROGRAM in the environment overrides it.
[[nodiscard]] std::string program_path();

[[nodiscard]] bool is_installed(std::string_view program);

/// A directory of its own for sockets and the like, removed with all that is in it.
class scratch_directory {
public:
    scratch_directory();
    scratch_directory(const scratch_directory&) = delete;
    scratch_directory& operator=(const scratch_directory&) = delete;
    ~scratch_directory();

    [[nodiscard]] std::string file(std::string_view name) const;

private:
    std::string path_;
};

} // namespace support
