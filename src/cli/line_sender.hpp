#pragma once

#include "cli/client_options.hpp"
#include "cli/peer.hpp"

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace sockeye::cli {

/// Sends a text that comes in pieces: to a stream as it comes, elsewhere each line as a message.
///
/// Holds one piece, and one line where lines are messages, of at most what a message carries.
class line_sender {
public:
    struct options {
        line_options lines;
        bool quits_on_empty = false;
    };

    line_sender(peer& target, const options& wanted) : peer_(target), options_(wanted) {}

    /// The next piece. Requires: is_empty().
    void take(std::string_view piece) { waiting_ = piece; }
    /// There are no more pieces; a last line without an end is one too.
    void end() { has_ended_ = true; }

    /// Sends as much of the pieces as the peer has room for.
    void send();

    /// Whether all pieces were sent.
    [[nodiscard]] bool is_empty() const noexcept { return waiting_.empty(); }
    /// Whether an empty line came that ends it all.
    [[nodiscard]] bool has_quit() const noexcept { return has_quit_; }
    /// What is wrong with the text.
    [[nodiscard]] const std::optional<std::string>& error() const noexcept { return error_; }

private:
    void send_bytes();
    void send_messages();
    void send_message();
    void check_length();
    [[nodiscard]] std::string as_sent(std::string_view piece);
    void quit();

    peer& peer_;
    options options_;
    std::string waiting_;
    std::size_t waiting_at_ = 0;
    std::string line_;
    bool has_line_ = false;
    bool has_ended_ = false;
    bool has_quit_ = false;
    bool is_line_empty_ = true;
    char last_ = '\0';
    std::optional<std::string> error_;
};

} // namespace sockeye::cli
