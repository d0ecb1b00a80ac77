#include "cli/client.hpp"
#include "cli/client_options.hpp"
#include "cli/commands.hpp"
#include "cli/input.hpp"
#include "cli/peer.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

/// The longest message: it is held in memory.
constexpr std::size_t message_bytes_max = std::size_t{16} << 20;

/// What was asked for on the command line.
struct send_request {
    client_times times;
    duration timeout = std::chrono::seconds(5);
    /// What a message is to end in; empty: as it does.
    std::string line_end;
    bool waits = true;
    bool keeps_open = false;
};

/// One message, and the answer to it.
class delivery {
public:
    delivery(const common_options& common, const send_request& asked,
             const endpoint_argument& address);

    /// Sends `text`, or without one what standard input holds.
    int run(std::optional<std::string> text);

private:
    void read_input();
    void read(bytes in);
    void start();
    void opened();
    void received(bytes in);
    void wait_for_more();
    void look_for_answer();
    void finish();

    const common_options& common_;
    const send_request& asked_;
    const endpoint_argument& address_;
    std::string message_;
    std::size_t unsent_ = 0;
    bool has_answer_ = false;
    client client_;
    timer patience_;
    std::optional<input> input_;
    std::optional<peer> peer_;
};

delivery::delivery(const common_options& common, const send_request& asked,
                   const endpoint_argument& address)
    : common_(common), asked_(asked), address_(address), client_(common),
      patience_(client_.owner()) {
    client_.out().on_drained([this] {
        peer_->resume();
        wait_for_more();
    });
}

int delivery::run(std::optional<std::string> text) {
    if (text) {
        message_ = std::move(*text);
        start();
    } else {
        read_input();
    }
    return client_.run();
}

void delivery::read_input() {
    if (input_is_terminal()) {
        client_.tell("type the message; Ctrl-D sends it");
    }
    input_.emplace(client_.owner(),
                   input::events{.received = [this](bytes in) { read(in); },
                                 .ended =
                                     [this](std::error_code error) {
                                         if (error) {
                                             client_.fail("standard input: " + error.message());
                                         } else {
                                             start();
                                         }
                                     }});
}

void delivery::read(bytes in) {
    if (message_.size() + in.size() > message_bytes_max) {
        input_->pause();
        client_.fail(fmt::format("standard input: a message has at most {}; 'sockeye connect "
                                 "ENDPOINT < FILE' sends files of any size",
                                 format_size(message_bytes_max)));
        return;
    }
    message_ += as_text(in);
}

void delivery::start() {
    if (!message_.ends_with(asked_.line_end)) {
        message_ += asked_.line_end;
    }
    peer_.emplace(client_.owner(), address_, common_, asked_.times.connect,
                  peer::events{.opened = [this] { opened(); },
                               .received = [this](bytes in) { received(in); },
                               .ended = [this] { finish(); },
                               .reported =
                                   [this](const std::string& what) {
                                       client_.fail(
                                           fmt::format("{}: no answer: {}", peer_->name(), what));
                                   },
                               .failed = [this](const std::string& why) { client_.fail(why); }});
    if (peer_->keeps_messages() && message_.size() > peer_->message_max()) {
        client_.fail(fmt::format("{}: the message has {} bytes, and one here holds at most {}",
                                 peer_->name(), message_.size(), peer_->message_max()));
    }
}

void delivery::opened() {
    if (client_.has_ended()) {
        return;
    }
    if (!message_.empty() || !peer_->is_stream()) {
        peer_->send(as_bytes(message_));
    }
    if (!asked_.keeps_open) {
        peer_->shutdown();
    }
    if (!asked_.waits) {
        peer_->when_sent([this] { finish(); });
        return;
    }
    unsent_ = peer_->unsent();
    patience_.start(asked_.timeout, [this] { look_for_answer(); });
}

void delivery::received(bytes in) {
    if (client_.has_ended() || !asked_.waits) {
        return;
    }
    has_answer_ = true;
    client_.out().print(in);
    if (!peer_->is_stream()) {
        finish();
        return;
    }
    if (client_.out().is_full()) {
        patience_.cancel();
        peer_->pause();
    } else {
        wait_for_more();
    }
}

void delivery::wait_for_more() {
    if (has_answer_) {
        patience_.start(asked_.times.linger, [this] { finish(); });
    }
}

/// A peer that still takes a long message has not been asked all yet.
void delivery::look_for_answer() {
    if (peer_->unsent() < unsent_) {
        unsent_ = peer_->unsent();
        patience_.restart(asked_.timeout);
    } else {
        client_.fail(
            fmt::format("{}: no answer within {}", peer_->name(), format_time(asked_.timeout)));
    }
}

void delivery::finish() {
    patience_.cancel();
    if (client_.out().is_terminal()) {
        client_.out().end_line();
    }
    client_.end();
}

std::optional<std::string> message_of(const std::vector<std::string>& texts) {
    if (texts.empty()) {
        return std::nullopt;
    }
    return fmt::format("{}", fmt::join(texts, " "));
}

void add_send_options(CLI::App& command, send_request& asked) {
    auto* line = command.add_flag_callback(
        "--line", [&asked] { asked.line_end = "\n"; },
        "end the message with a newline, where it has none");
    command
        .add_flag_callback(
            "--crlf", [&asked] { asked.line_end = "\r\n"; },
            "end the message with CR LF, where it does not")
        ->excludes(line);
    auto* impatient = command.add_flag_callback(
        "--no-wait", [&asked] { asked.waits = false; }, "wait for no answer");
    command.add_flag("--keep-open", asked.keeps_open,
                     "do not end our side behind the message, for servers that give no answer "
                     "then");
    add_time(command, "--timeout", asked.timeout,
             "how long the beginning of an answer may take (default 5s)");
    add_time(command, "--linger", asked.times.linger,
             "end after so much silence behind an answer, where the peer does not close "
             "(default 1s)",
             duration::zero());
    command.get_option("--timeout")->excludes(impatient);
    add_connect_timeout(command, asked.times);
}

} // namespace

void add_send_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("send", "send one message, print the answer, end");
    command->footer("  sockeye send udp://:7072 Ada        one datagram there, one back\n"
                    "  sockeye send :7070 hello world      one message, all of the answer\n"
                    "  date | sockeye send unix:/tmp/log   standard input as the message");
    auto& place = add_endpoint_argument(
        *command, "whom to send to: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                  "unix-seqpacket:PATH, HOST:PORT or :PORT (TCP on this machine)");
    auto* texts =
        command
            ->add_option("TEXT", "the message, joined by blanks; without it standard input, 16 MiB "
                                 "at most")
            ->expected(0, CLI::detail::expected_max_vector_size);
    auto asked = std::make_shared<send_request>();
    add_send_options(*command, *asked);
    add_family_options(*command, common);
    add_backend_option(*command, common);
    add_common_options(*command, common);
    command->get_option("--quiet")->description("print nothing but the answer, and errors");
    command->get_option("--verbose")->description("tell of each address that fails");
    command->callback([&common, &place, texts, asked, &exit_code] {
        const auto address = parse_peer(place.results().front(), common);
        exit_code = delivery(common, *asked, address).run(message_of(texts->results()));
    });
}

} // namespace sockeye::cli
