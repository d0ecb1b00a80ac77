#include "cli/client.hpp"

#include "cli/host.hpp"

#include <csignal>
#include <utility>

namespace sockeye::cli {
namespace {

/// How long an interrupted client waits for a standard output that nobody reads.
constexpr duration interrupted_patience = std::chrono::seconds(1);
constexpr duration talk_patience = std::chrono::milliseconds(200);

bool is_not_permitted(std::error_code error) {
    return error == std::errc::permission_denied || error == std::errc::operation_not_permitted;
}

/// What there is to say beside the error's own words; empty where those will do.
std::string_view way_out(const endpoint_argument& peer, std::error_code error) {
    const bool is_local = peer.host() == nullptr && peer.get()->is_local();
    if (error == std::errc::connection_refused) {
        return is_local ? "connection refused: no server has this socket open"
                        : "connection refused: nobody listens there";
    }
    if (error == std::errc::no_such_file_or_directory) {
        return "there is no such socket; is its server running?";
    }
    if (is_not_permitted(error) && carrier_of(peer) == transport::icmp) {
        return "ICMP echo sockets are not permitted here; on Linux 'sysctl -w "
               "net.ipv4.ping_group_range=\"0 2147483647\"' as root permits them";
    }
    if (error == std::errc::permission_denied && is_local) {
        return "permission denied: only those who may write to the socket may connect";
    }
    if (error == std::errc::wrong_protocol_type) {
        return "the socket is of another kind; there is unix:, unix-dgram: and unix-seqpacket:";
    }
    if (error == std::errc::connection_reset || error == std::errc::broken_pipe) {
        return "connection reset: the answer may be cut";
    }
    if (error == std::errc::operation_would_block) {
        return "the server is too busy to take connections";
    }
    if (error == std::errc::message_size) {
        return "the message is longer than this transport carries";
    }
    return {};
}

} // namespace

interruption::interruption(loop& owner, unique_function<void()> stop)
    : stop_(std::move(stop)),
      signals_(signal_set::open(owner, {SIGINT, SIGTERM}, [this](int one) { hear(one); }).value()) {
}

void interruption::hear(int signal) {
    if (signal_ == 0) {
        signal_ = signal;
        die_on_next_signal();
        stop_();
    }
}

int interruption::exit_code(int otherwise) const noexcept {
    return signal_ == 0 ? otherwise : 128 + signal_;
}

client::client(const common_options& common)
    : common_(common), loop_(open_loop(common)),
      out_(loop_, [this](std::error_code error) { output_ended(error); }), patience_(loop_),
      interruption_(loop_, [this] { interrupt(); }) {}

void client::end(int code) {
    if (has_ended_) {
        return;
    }
    has_ended_ = true;
    code_ = code;
    out_.finish([this] { loop_.stop(); });
}

void client::fail(std::string message, cli::exit_code code) {
    if (!has_ended_) {
        error_ = std::move(message);
        error_code_ = code;
        end(exit_failed);
    }
}

int client::run() {
    if (const auto error = loop_.run()) {
        throw command_error(exit_failed, "waiting for events: " + error.message());
    }
    if (!error_.empty()) {
        throw command_error(error_code_, error_);
    }
    return interruption_.exit_code(code_);
}

void client::tell(std::string_view line) const {
    if (!common_.is_quiet) {
        write_talk(fmt::format("{}\n", line), talk_patience);
    }
}

void client::interrupt() {
    patience_.start(interrupted_patience, [this] { loop_.stop(); });
    if (on_interrupt_ && !has_ended_) {
        on_interrupt_();
    }
    end();
}

void client::output_ended(std::error_code error) {
    if (error != std::errc::broken_pipe && error_.empty()) {
        error_ = "standard output: " + error.message();
    }
    has_ended_ = true;
    loop_.stop();
}

std::string describe_failure(const endpoint_argument& peer, std::error_code error) {
    const auto said = way_out(peer, error);
    return said.empty() ? error.message() : std::string(said);
}

std::string explain_failure(const endpoint_argument& peer, std::error_code error) {
    return fmt::format("{}: {}", name_of(peer), describe_failure(peer, error));
}

} // namespace sockeye::cli
