#pragma once

#include "cli/terminal_text.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <string_view>
#include <system_error>

namespace sockeye::cli {

/// Standard output on a loop: what a peer says goes out as it came, or, on a terminal, as
/// terminal_text.
///
/// Lifetime: dies before its loop.
class output {
public:
    /// `ended` is called where it takes no more: broken_pipe where its reader went away.
    /// Throws command_error where there is no standard output to be had.
    output(loop& owner, unique_function<void(std::error_code)> ended);
    output(const output&) = delete;
    output& operator=(const output&) = delete;

    [[nodiscard]] bool is_terminal() const noexcept { return is_terminal_; }

    /// Prints what a peer said.
    void print(bytes said);
    /// Prints words of our own.
    void write(std::string_view text);
    /// Ends the line where one has begun.
    void end_line();
    /// Somebody has typed a newline at the terminal, which shows it.
    void line_was_ended() noexcept { is_at_line_start_ = true; }
    /// Prints the beginning of a character that waits for the rest of it.
    void flush();

    /// Whether so much waits for its reader that no more should come. Then `drained` is called
    /// once, when that is over.
    [[nodiscard]] bool is_full() const noexcept { return is_full_; }
    void on_drained(unique_function<void()> drained) { on_drained_ = std::move(drained); }

    /// Calls `done` when all that was printed is out. Not called where that cannot be.
    void finish(unique_function<void()> done);

private:
    friend class output_session;

    void put(std::string_view text);
    void drained();
    void closed(std::error_code error);

    bool is_terminal_;
    bool is_full_ = false;
    bool is_at_line_start_ = true;
    terminal_text text_;
    unique_function<void(std::error_code)> on_ended_;
    unique_function<void()> on_drained_;
    stream link_;
};

} // namespace sockeye::cli
