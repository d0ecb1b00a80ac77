#include "cli/client.hpp"
#include "cli/client_options.hpp"
#include "cli/commands.hpp"
#include "cli/peer.hpp"
#include "cli/ping_check.hpp"
#include "cli/ping_tally.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

/// A peer that does not read gets no more than that, and one message.
constexpr std::size_t ping_unsent_max = std::size_t{64} << 10;

/// What was asked for on the command line.
struct ping_request {
    client_times times;
    std::optional<std::uint64_t> count;
    duration interval = std::chrono::seconds(1);
    duration timeout = std::chrono::seconds(1);
    std::uint64_t size = 64;
};

/// Messages of ICMP: eight bytes, and the data behind them. See: RFC 792, RFC 4443 section 4.
struct icmp_framing {
    static constexpr std::size_t header_size = 8;

    /// Identifier and checksum are the system's to fill in.
    [[nodiscard]] static std::vector<std::byte> request(bytes content, std::uint64_t sequence,
                                                        bool is_ip6) {
        std::vector<std::byte> made(header_size);
        made[0] = static_cast<std::byte>(is_ip6 ? 128 : 8);
        made[6] = static_cast<std::byte>(sequence >> 8);
        made[7] = static_cast<std::byte>(sequence);
        made.insert(made.end(), content.begin(), content.end());
        return made;
    }
    /// The data of an answer; nothing where it is none.
    [[nodiscard]] static std::optional<bytes> answer(bytes message, bool is_ip6) {
        const auto type = static_cast<std::byte>(is_ip6 ? 129 : 0);
        if (message.size() < header_size || message[0] != type) {
            return std::nullopt;
        }
        return message.subspan(header_size);
    }
};

/// Sends messages, and judges what comes back.
class pinging {
public:
    pinging(const common_options& common, const ping_request& asked,
            const endpoint_argument& address);

    int run() { return client_.run(); }

private:
    void opened();
    void send_next();
    void send_one();
    void received(bytes in);
    void judge(const ping_verdict& one);
    void expire();
    void watch_oldest();
    void look_for_end();
    void interrupted();
    void failed(const std::string& why);
    void print_summary();
    void say(const std::string& line);
    [[nodiscard]] bool has_sent_all() const noexcept;
    [[nodiscard]] bool may_send() noexcept;

    const common_options& common_;
    const ping_request& asked_;
    bool is_icmp_;
    bool is_open_ = false;
    std::string name_;
    std::string report_;
    ping_tally tally_;
    client client_;
    timer send_timer_;
    timer expiry_timer_;
    peer peer_;
    ping_check check_;
    ping_check::on_verdict on_verdict_;
};

pinging::pinging(const common_options& common, const ping_request& asked,
                 const endpoint_argument& address)
    : common_(common), asked_(asked), is_icmp_(carrier_of(address) == transport::icmp),
      client_(common), send_timer_(client_.owner()), expiry_timer_(client_.owner()),
      peer_(client_.owner(), address, common, asked.times.connect,
            {.opened = [this] { opened(); },
             .received = [this](bytes in) { received(in); },
             .ended = [this] { failed(fmt::format("{}: the peer closed the connection", name_)); },
             .reported =
                 [this](const std::string& what) {
                     report_ = what;
                     say(fmt::format("from {}: {}\n", name_, what));
                 },
             .failed = [this](const std::string& why) { failed(why); }}),
      check_(static_cast<std::size_t>(asked.size),
             peer_.keeps_messages() ? ping_check::framing::messages : ping_check::framing::bytes,
             std::random_device()()),
      on_verdict_([this](const ping_verdict& one) { judge(one); }) {
    client_.on_interrupt([this] { interrupted(); });
    client_.out().on_drained([this] {
        peer_.resume();
        if (asked_.interval == duration::zero()) {
            send_next();
        }
    });
}

void pinging::opened() {
    is_open_ = true;
    name_ = peer_.name();
    send_next();
    if (asked_.interval > duration::zero()) {
        send_timer_.start_every(asked_.interval, [this] { send_next(); });
    }
}

/// Where nothing may be sent now, this turn of the interval is left out.
void pinging::send_next() {
    if (client_.has_ended() || has_sent_all()) {
        return;
    }
    if (may_send()) {
        send_one();
    } else if (check_.waiting() == 0 && !check_.has_room()) {
        failed(fmt::format("{}: {} messages without an answer", name_, check_.requests_max));
    }
}

void pinging::send_one() {
    const auto content = check_.next(clock::now());
    if (is_icmp_) {
        peer_.send(icmp_framing::request(content, check_.sent() - 1, peer_.is_ip6()));
    } else {
        peer_.send(content);
    }
    watch_oldest();
}

void pinging::received(bytes in) {
    if (client_.has_ended()) {
        return;
    }
    const auto now = clock::now();
    if (!is_icmp_) {
        check_.take(in, now, on_verdict_);
    } else if (const auto content = icmp_framing::answer(in, peer_.is_ip6())) {
        check_.take(*content, now, on_verdict_);
    }
    if (client_.out().is_full()) {
        peer_.pause();
    }
    look_for_end();
    if (asked_.interval == duration::zero() && check_.waiting() == 0) {
        send_next();
    }
}

void pinging::judge(const ping_verdict& one) {
    tally_.count(one);
    const auto from = fmt::format("{} from {}", counted(one.size, "byte"), name_);
    const auto timed =
        fmt::format("{}: seq={} time={} ms", from, one.sequence, format_milliseconds(one.took));
    switch (one.what) {
    case ping_verdict::kind::verified:
        say(fmt::format("{} verified\n", timed));
        break;
    case ping_verdict::kind::late:
        say(fmt::format("{} late\n", timed));
        break;
    case ping_verdict::kind::duplicate:
        say(fmt::format("{} duplicate\n", timed));
        break;
    case ping_verdict::kind::wrong:
        say(fmt::format("{} wrong: {}\n", timed, one.mistake));
        break;
    case ping_verdict::kind::unexpected:
        say(fmt::format("{}: nothing was asked\n", from));
        break;
    }
}

void pinging::expire() {
    check_.expire(clock::now() - asked_.timeout, [this](std::uint64_t sequence) {
        say(fmt::format("no answer from {}: seq={} within {}\n", name_, sequence,
                        format_time(asked_.timeout)));
    });
    watch_oldest();
    look_for_end();
    if (asked_.interval == duration::zero()) {
        send_next();
    }
}

void pinging::watch_oldest() {
    if (const auto sent = check_.oldest(); sent && !expiry_timer_.is_armed()) {
        expiry_timer_.start_at(*sent + asked_.timeout, [this] { expire(); });
    }
}

void pinging::look_for_end() {
    if (!has_sent_all() || check_.waiting() != 0 || client_.has_ended()) {
        return;
    }
    print_summary();
    if (tally_.wrong() > 0) {
        client_.fail(
            fmt::format("{}: wrong answers: {} of {}", name_, tally_.wrong(), check_.sent()));
    } else if (tally_.answered() == 0) {
        client_.fail(fmt::format("{}: no answer{}{}", name_, report_.empty() ? "" : ": ", report_));
    } else {
        client_.end();
    }
}

/// Wrong bytes are a failure however it ends.
void pinging::interrupted() {
    if (!is_open_) {
        return;
    }
    print_summary();
    if (tally_.wrong() > 0) {
        client_.fail(
            fmt::format("{}: wrong answers: {} of {}", name_, tally_.wrong(), check_.sent()));
    }
}

void pinging::failed(const std::string& why) {
    if (client_.has_ended()) {
        return;
    }
    if (is_open_) {
        print_summary();
    }
    const bool is_forbidden = peer_.error() == std::errc::permission_denied ||
                              peer_.error() == std::errc::operation_not_permitted;
    client_.fail(why, is_icmp_ && is_forbidden ? exit_unavailable : exit_failed);
}

void pinging::print_summary() {
    client_.out().write(tally_.summary(check_.sent(), check_.waiting()));
}

void pinging::say(const std::string& line) {
    if (!common_.is_quiet && !client_.has_ended()) {
        client_.out().write(line);
    }
}

bool pinging::has_sent_all() const noexcept {
    return asked_.count && check_.sent() >= *asked_.count;
}

bool pinging::may_send() noexcept {
    return check_.has_room() && !client_.out().is_full() && peer_.unsent() <= ping_unsent_max;
}

/// The most that one message may hold.
std::uint64_t size_most(const endpoint_argument& address) {
    constexpr std::uint64_t ip4_payload_max = 65507;
    switch (carrier_of(address)) {
    case transport::tcp:
    case transport::unix_stream:
        return std::uint64_t{1} << 20;
    case transport::unix_seqpacket:
        return std::uint64_t{64} << 10;
    case transport::udp:
    case transport::unix_datagram:
    case transport::icmp:
    case transport::raw:
        break;
    }
    return ip4_payload_max;
}

void add_ping_options(CLI::App& command, ping_request& asked) {
    add_value(command, "-n,--count", asked.count, "N",
              "how many messages are sent (default: until Ctrl-C)",
              [](std::string_view text) { return parse_count(text, {.least = 1}); });
    add_time(command, "-i,--interval", asked.interval,
             "from one message to the next (default 1s; 0: as fast as answers come)",
             duration::zero());
    add_value(command, "-s,--size", asked.size, "SIZE", "bytes of a message (default 64B)",
              [](std::string_view text) {
                  return parse_size(text, {.least = 1, .most = std::uint64_t{1} << 20});
              });
    add_time(command, "--timeout", asked.timeout,
             "how long an answer may take before it is late (default 1s)");
    add_connect_timeout(command, asked.times);
}

} // namespace

void add_ping_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command =
        root.add_subcommand("ping", "verified echo round trips, until Ctrl-C or --count of them");
    command->footer("  sockeye ping :7007                      an echo service on TCP\n"
                    "  sockeye ping udp://:7007 -n 100 -i 0    a hundred, as fast as they come\n"
                    "  sockeye ping icmp://example.org -n 4    the host itself");
    auto& place = add_endpoint_argument(
        *command, "the echo service: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, "
                  "unix-dgram:PATH, unix-seqpacket:PATH, icmp://HOST, HOST:PORT or :PORT (TCP "
                  "on this machine)");
    auto asked = std::make_shared<ping_request>();
    add_ping_options(*command, *asked);
    add_family_options(*command, common);
    add_backend_option(*command, common);
    add_common_options(*command, common);
    command->get_option("--quiet")->description("print nothing but the summary, and errors");
    command->get_option("--verbose")->description("tell of each address that fails");
    command->callback([&common, &place, asked, &exit_code] {
        const auto address = parse_peer(place.results().front(), common, true);
        if (asked->size > size_most(address)) {
            refuse_value(
                "--size", std::to_string(asked->size),
                fmt::format("one message here holds at most {} bytes", size_most(address)));
        }
        exit_code = pinging(common, *asked, address).run();
    });
}

} // namespace sockeye::cli
