#pragma once

#include "cli/part_file.hpp"
#include "cli/terminal_text.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>
#include <sockeye/unique_function.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// Where a body goes: a file, or the standard output at the speed at which somebody reads it; on a
/// terminal, as terminal_text.
///
/// Lifetime: dies before the loop.
class fetch_output {
public:
    /// What is told while it is at work, always from the loop.
    struct listener {
        unique_function<void()> on_room;        ///< after write() said to wait
        unique_function<void()> on_reader_left; ///< nobody reads the standard output any more
        unique_function<void()> on_finished;
    };

    /// `path` is `-` for the standard output. Throws command_error, as do all that follow.
    fetch_output(loop& owner, std::string path, part_file::existing policy, listener told);

    void open();
    /// False where no more is to come until on_room.
    bool write(std::string_view data);
    /// No more comes. on_finished is called, perhaps inside the call, when all is where it belongs.
    void finish();

    [[nodiscard]] bool is_file() const { return file_.has_value(); }
    /// Requires: is_file().
    [[nodiscard]] const part_file& file() const { return *file_; }

private:
    class session;
    void hear_close(const close_info& info);

    loop& loop_;
    listener told_;
    std::optional<part_file> file_;
    std::optional<terminal_text> text_; ///< where the standard output is a terminal
    stream standard_;
};

} // namespace sockeye::cli
