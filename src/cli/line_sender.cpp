#include "cli/line_sender.hpp"

#include <algorithm>

namespace sockeye::cli {
namespace {

/// As much waits in our memory before no more is cut into datagrams.
constexpr std::size_t messages_unsent_max = std::size_t{64} << 10;

} // namespace

void line_sender::send() {
    if (peer_.keeps_messages()) {
        send_messages();
    } else {
        send_bytes();
    }
}

void line_sender::send_bytes() {
    const bool is_plain =
        !options_.lines.sends_crlf && !options_.lines.sends_none && !options_.quits_on_empty;
    if (!waiting_.empty()) {
        peer_.send(as_bytes(is_plain ? waiting_ : as_sent(waiting_)));
        waiting_.clear();
    }
}

/// The bytes of a stream with the line ends that were asked for, up to the empty line that ends it.
std::string line_sender::as_sent(std::string_view piece) {
    std::string made;
    for (const char one : piece) {
        if (one != '\n') {
            is_line_empty_ = is_line_empty_ && one == '\r';
            made += one;
            last_ = one;
            continue;
        }
        if (options_.quits_on_empty && is_line_empty_) {
            quit();
            break;
        }
        if (options_.lines.sends_crlf && last_ != '\r') {
            made += '\r';
        }
        made += options_.lines.sends_none ? std::string_view() : std::string_view("\n");
        is_line_empty_ = true;
        last_ = one;
    }
    return made;
}

void line_sender::send_messages() {
    while (!waiting_.empty() && !error_ && peer_.unsent() < messages_unsent_max) {
        const auto end = waiting_.find('\n', waiting_at_);
        const auto length = std::min(end, waiting_.size()) - waiting_at_;
        line_.append(waiting_, waiting_at_, length);
        has_line_ = true;
        waiting_at_ += length + (end == std::string::npos ? 0 : 1);
        if (end != std::string::npos) {
            send_message();
        }
        if (waiting_at_ == waiting_.size() || has_quit_) {
            waiting_.clear();
            waiting_at_ = 0;
        }
        check_length();
    }
    if (waiting_.empty() && has_ended_ && has_line_ && !error_) {
        send_message();
    }
}

void line_sender::check_length() {
    if (line_.size() > peer_.message_max()) {
        error_ = fmt::format("standard input: a line is longer than the {} bytes that one message "
                             "holds",
                             peer_.message_max());
    }
}

void line_sender::send_message() {
    if (options_.quits_on_empty && line_.empty()) {
        quit();
    } else {
        line_ += options_.lines.sends_crlf ? "\r\n" : "";
        check_length();
        if (!error_) {
            peer_.send(as_bytes(line_));
        }
    }
    line_.clear();
    has_line_ = false;
}

void line_sender::quit() {
    has_quit_ = true;
    has_ended_ = true;
}

} // namespace sockeye::cli
