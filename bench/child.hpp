#pragma once

#include "bench/machine/host.hpp"

#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <sys/types.h>

namespace sockeye::bench {

/// A process that was started here and speaks lines over its standard input and output.
///
/// It ignores SIGINT, which a terminal sends to all at once, and ends with its parent. The
/// destructor ends it.
class child_process {
public:
    /// Starts `command`, a program and its arguments. A program that cannot be executed shows as
    /// the end of its lines.
    static result<child_process> start(const std::vector<std::string>& command,
                                       const host::placement& where);

    child_process(child_process&& other) noexcept
        : pid_(std::exchange(other.pid_, -1)), input_(std::move(other.input_)),
          output_(std::move(other.output_)), read_ahead_(std::move(other.read_ahead_)) {}
    child_process& operator=(child_process&& other) = delete;
    ~child_process();

    [[nodiscard]] pid_t pid() const noexcept { return pid_; }

    /// Sends one line. Errors: broken_pipe when the child is gone.
    [[nodiscard]] std::error_code write_line(std::string_view line);
    /// Waits for the next line. Errors: timed_out; broken_pipe when the child is gone.
    result<std::string> read_line(duration timeout);

private:
    child_process(pid_t pid, unique_fd input, unique_fd output) noexcept
        : pid_(pid), input_(std::move(input)), output_(std::move(output)) {}

    pid_t pid_;
    unique_fd input_;
    unique_fd output_;
    std::string read_ahead_;
};

} // namespace sockeye::bench
