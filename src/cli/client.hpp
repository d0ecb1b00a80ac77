#pragma once

#include "cli/common.hpp"
#include "cli/output.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>
#include <sockeye/unique_function.hpp>

#include <string>
#include <string_view>

namespace sockeye::cli {

/// Hears SIGINT and SIGTERM while a client is at work.
class interruption {
public:
    /// `stop` is called at the first signal, once; the next one ends the process at once.
    interruption(loop& owner, unique_function<void()> stop);

    /// `otherwise`, or 128 and the number of the signal that came. See: Exit Status in sh(1).
    [[nodiscard]] int exit_code(int otherwise) const noexcept;

private:
    void hear(int signal);

    unique_function<void()> stop_;
    int signal_ = 0;
    signal_set signals_;
};

/// What every client has: a loop, standard output, and a way to end.
///
/// Nobody who reads standard output any more ends it in silence, as SIGPIPE ends other programs.
class client {
public:
    /// Throws command_error.
    explicit client(const common_options& common);

    [[nodiscard]] loop& owner() noexcept { return loop_; }
    [[nodiscard]] output& out() noexcept { return out_; }

    /// Called at the first SIGINT or SIGTERM, before the end; what it prints is still written.
    void on_interrupt(unique_function<void()> called) { on_interrupt_ = std::move(called); }

    /// Ends run() once standard output has taken all; the first call counts. After it nothing
    /// that a peer says is of interest.
    void end(int code = exit_done);
    /// The same, with an error.
    void fail(std::string message, cli::exit_code code = exit_failed);
    [[nodiscard]] bool has_ended() const noexcept { return has_ended_; }

    /// Turns the loop until end(). Gives the exit code, that of the signal where one came; throws
    /// the command_error of fail().
    int run();

    /// A line for people on standard error, unless -q was given.
    void tell(std::string_view line) const;

private:
    void interrupt();
    void output_ended(std::error_code error);

    const common_options& common_;
    loop loop_;
    output out_;
    timer patience_;
    unique_function<void()> on_interrupt_;
    interruption interruption_;
    bool has_ended_ = false;
    int code_ = exit_done;
    cli::exit_code error_code_ = exit_failed;
    std::string error_;
};

/// Why nobody can be reached at `peer`, and what to do about it: `connection refused: nobody
/// listens there`.
[[nodiscard]] std::string describe_failure(const endpoint_argument& peer, std::error_code error);

/// The same behind the name of the peer: `NAME: connection refused: ...`.
[[nodiscard]] std::string explain_failure(const endpoint_argument& peer, std::error_code error);

} // namespace sockeye::cli
