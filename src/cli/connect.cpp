#include "cli/client.hpp"
#include "cli/client_options.hpp"
#include "cli/commands.hpp"
#include "cli/host.hpp"
#include "cli/input.hpp"
#include "cli/line_sender.hpp"
#include "cli/peer.hpp"

#include <memory>
#include <optional>
#include <string>

namespace sockeye::cli {
namespace {

/// An answer as a rule comes sooner than the prompt, and the prompt stands behind it then.
constexpr duration answer_patience = std::chrono::milliseconds(200);
/// Pieces of one answer come faster.
constexpr duration piece_patience = std::chrono::milliseconds(50);
constexpr duration prompt_patience = std::chrono::milliseconds(200);

/// What was asked for on the command line.
struct connect_request {
    client_times times;
    line_options lines;
    std::optional<std::string> prompt;
    bool quits_on_empty = false;
};

/// Standard input to the peer, and what it says to standard output.
class dialogue {
public:
    dialogue(const common_options& common, const connect_request& asked,
             const endpoint_argument& address);

    int run();

private:
    void opened();
    void typed(bytes in);
    void input_ended(std::error_code error);
    void pump();
    void all_sent();
    void received(bytes in);
    void ended();
    void failed(const std::string& why);

    void wait_for_silence();
    void finish();
    void prompt_after(duration delay);
    void show_prompt();
    void clear_prompt();
    void leave_line();

    const connect_request& asked_;
    bool is_interactive_ = input_is_terminal();
    std::string prompt_;
    bool prompt_is_shown_ = false;
    bool is_open_ = false;
    bool has_input_ended_ = false;
    bool has_sent_all_ = false;
    bool has_finished_ = false;
    time_point last_activity_;
    client client_;
    timer prompt_timer_;
    timer silence_timer_;
    /// Before the peer: where there is nothing to read, nobody is connected to.
    input input_;
    peer peer_;
    line_sender lines_;
};

dialogue::dialogue(const common_options& common, const connect_request& asked,
                   const endpoint_argument& address)
    : asked_(asked), prompt_(asked.prompt.value_or(is_interactive_ ? "> " : "")), client_(common),
      prompt_timer_(client_.owner()), silence_timer_(client_.owner()),
      input_(client_.owner(), {.received = [this](bytes in) { typed(in); },
                               .ended = [this](std::error_code error) { input_ended(error); }}),
      peer_(client_.owner(), address, common, asked.times.connect,
            {.opened = [this] { opened(); },
             .received = [this](bytes in) { received(in); },
             .ended = [this] { ended(); },
             .reported =
                 [this](const std::string& what) {
                     failed(fmt::format("{}: {}", peer_.name(), what));
                 },
             .failed = [this](const std::string& why) { failed(why); }}),
      lines_(peer_, {.lines = asked.lines, .quits_on_empty = asked.quits_on_empty}) {
    input_.pause();
    client_.on_interrupt([this] { leave_line(); });
    client_.out().on_drained([this] {
        peer_.resume();
        wait_for_silence();
    });
}

int dialogue::run() {
    const int code = client_.run();
    if (is_interactive_ && has_finished_) {
        client_.tell("connection closed");
    }
    return code;
}

void dialogue::opened() {
    if (is_interactive_) {
        client_.tell(fmt::format("connected to {} (Ctrl-D to end)", peer_.name()));
    }
    prompt_after(answer_patience);
    is_open_ = true;
    input_.resume();
    if (has_input_ended_) {
        pump();
    }
}

void dialogue::typed(bytes in) {
    if (has_input_ended_) {
        return;
    }
    prompt_is_shown_ = false;
    if (is_interactive_ && as_text(in).ends_with('\n')) {
        client_.out().line_was_ended();
    }
    last_activity_ = clock::now();
    lines_.take(as_text(in));
    prompt_after(answer_patience);
    pump();
}

void dialogue::input_ended(std::error_code error) {
    if (error) {
        failed("standard input: " + error.message());
        return;
    }
    if (!has_input_ended_) {
        has_input_ended_ = true;
        lines_.end();
        if (is_open_) {
            pump();
        }
    }
}

/// Sends what was typed as fast as the peer takes it, and reads no more until then.
void dialogue::pump() {
    if (client_.has_ended()) {
        return;
    }
    lines_.send();
    if (lines_.error()) {
        failed(*lines_.error());
        return;
    }
    has_input_ended_ = has_input_ended_ || lines_.has_quit();
    if (lines_.is_empty() && peer_.unsent() == 0 && !has_input_ended_) {
        input_.resume();
        return;
    }
    input_.pause();
    if (lines_.is_empty() && has_input_ended_) {
        prompt_timer_.cancel();
        peer_.shutdown();
        peer_.when_sent([this] { all_sent(); });
        return;
    }
    peer_.when_sent([this] { pump(); });
}

/// From here on silence means that the peer has said all. A datagram's answer was due from the
/// moment that it left.
void dialogue::all_sent() {
    if (peer_.is_stream()) {
        last_activity_ = clock::now();
    }
    has_sent_all_ = true;
    wait_for_silence();
}

void dialogue::wait_for_silence() {
    if (has_sent_all_) {
        silence_timer_.start_at(last_activity_ + asked_.times.linger, [this] { finish(); });
    }
}

void dialogue::received(bytes in) {
    auto& out = client_.out();
    last_activity_ = clock::now();
    clear_prompt();
    out.print(in);
    if (peer_.keeps_messages() && !as_text(in).ends_with('\n')) {
        out.write("\n");
    }
    prompt_after(piece_patience);
    if (out.is_full()) {
        silence_timer_.cancel();
        peer_.pause();
    } else {
        wait_for_silence();
    }
}

/// What the peer was still to get, it gets; there is nobody to answer more.
void dialogue::ended() {
    has_input_ended_ = true;
    has_sent_all_ = false;
    silence_timer_.cancel();
    input_.pause();
    peer_.shutdown();
    if (peer_.unsent() == 0) {
        finish();
    } else {
        peer_.when_sent([this] { finish(); });
    }
}

void dialogue::failed(const std::string& why) {
    leave_line();
    client_.fail(why);
}

void dialogue::finish() {
    has_finished_ = true;
    prompt_timer_.cancel();
    silence_timer_.cancel();
    leave_line();
    client_.end();
}

void dialogue::prompt_after(duration delay) {
    if (!prompt_.empty() && !prompt_is_shown_ && !has_input_ended_) {
        prompt_timer_.start(delay, [this] { show_prompt(); });
    }
}

/// On the terminal where somebody types; a standard output that leads elsewhere is left alone.
void dialogue::show_prompt() {
    prompt_is_shown_ = true;
    if (client_.out().is_terminal() || !is_interactive_) {
        client_.out().end_line();
        client_.out().write(prompt_);
    } else {
        write_talk(prompt_, prompt_patience);
    }
}

/// What comes now begins a line, not behind the prompt and what has been typed there.
void dialogue::clear_prompt() {
    if (!std::exchange(prompt_is_shown_, false)) {
        return;
    }
    if (client_.out().is_terminal() || !is_interactive_) {
        client_.out().end_line();
    } else {
        write_talk("\n", prompt_patience);
    }
}

/// What the shell prints next, or our last words, begin a line.
void dialogue::leave_line() {
    clear_prompt();
    if (client_.out().is_terminal()) {
        client_.out().end_line();
    }
}

} // namespace

void add_connect_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("connect", "talk to a server, line by line");
    command->footer("  sockeye connect :7070                  type lines, read the answers\n"
                    "  sockeye connect udp://localhost:7072   each line is a datagram\n"
                    "  echo hello | sockeye connect :7070     send, print the answer, end\n"
                    "  sockeye connect unix:/tmp/echo < file  a file there and back");
    auto& place = add_endpoint_argument(
        *command, "whom to talk to: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                  "unix-seqpacket:PATH, HOST:PORT or :PORT (TCP on this machine)");
    auto asked = std::make_shared<connect_request>();
    auto* crlf = command->add_flag("--crlf", asked->lines.sends_crlf,
                                   "end each line that is sent with CR LF");
    command
        ->add_flag("--no-newline", asked->lines.sends_none,
                   "send lines without their newline, to servers that look for none; datagrams "
                   "have none anyway")
        ->excludes(crlf);
    command->add_flag("--quit-on-empty", asked->quits_on_empty, "an empty line ends the input");
    command
        ->add_option_function<std::string>(
            "--prompt", [asked](const std::string& text) { asked->prompt = text; },
            "show this before each line, also where nobody types (default '> ' on a terminal)")
        ->type_name("TEXT");
    add_time(*command, "--linger", asked->times.linger,
             "at the end of the input, end after so much silence of the peer (default 1s)",
             duration::zero());
    add_connect_timeout(*command, asked->times);
    add_family_options(*command, common);
    add_backend_option(*command, common);
    add_common_options(*command, common);
    command->get_option("--quiet")->description("print nothing but what the peer says, and errors");
    command->get_option("--verbose")->description("tell of each address that fails");
    command->callback([&common, &place, asked, &exit_code] {
        const auto address = parse_peer(place.results().front(), common);
        exit_code = dialogue(common, *asked, address).run();
    });
}

} // namespace sockeye::cli
