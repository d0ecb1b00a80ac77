#include "bench/machine/host.hpp"
#include "cli/commands.hpp"
#include "cli/serve_request.hpp"
#include "cli/service.hpp"
#include "cli/serving.hpp"

#include <memory>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

std::string service_help() {
    std::string text = "which services, joined by commas:";
    for (const auto& entry : services()) {
        text += fmt::format(" {} ({});", entry.name, entry.summary);
    }
    return text + fmt::format(" small ({})", fmt::join(small_services(), ", "));
}

auto count_in(std::uint64_t least, std::uint64_t most) {
    return [=](std::string_view text) { return parse_count(text, {.least = least, .most = most}); };
}

auto size_in(std::uint64_t least, std::uint64_t most) {
    return [=](std::string_view text) { return parse_size(text, {.least = least, .most = most}); };
}

parsed<duration> time_or_none(std::string_view text) {
    return parse_time(text, {duration::zero(), std::chrono::hours(24 * 49)});
}

parsed<duration> positive_time(std::string_view text) {
    return parse_time(text, {std::chrono::milliseconds(1), std::chrono::hours(24 * 49)});
}

parsed<std::string> parse_greeting(std::string_view text) {
    if (!is_utf8(text)) {
        return parsed<std::string>::wrong("is not UTF-8");
    }
    if (text.find_first_of("\r\n") != std::string_view::npos) {
        return parsed<std::string>::wrong("must be one line; its end is added");
    }
    if (text.size() > 65536) {
        return parsed<std::string>::wrong("must be at most 65536 bytes");
    }
    return std::string(text);
}

void add_behaviour_options(CLI::App& command, serve_request& asked) {
    command.add_flag("--allow-public-udp", asked.allows_public_udp,
                     "serve UDP where other machines can reach it");
    command.add_flag("--unlink", asked.replaces_stale,
                     "remove the file of a Unix socket that nobody answers on");
    command.add_flag("--once", asked.run.is_once,
                     "end after the first connection, or the first answer to a datagram");
    command.add_flag("--lines", asked.by_lines, "timestamp: answer each line, not each piece");
    add_value(command, "--text", asked.text, "TEXT",
              "greet: what it says, in UTF-8 (default 'Hello from sockeye!')", parse_greeting);
    add_value(command, "--delay", asked.run.delay, "TIME",
              "hold each answer back for so long; those still held back at the end are not sent",
              time_or_none);
    add_value(command, "--stats", asked.run.stats_period, "TIME",
              "print what was served every 10s, or as often as that", positive_time)
        ->expected(0, 1)
        ->default_str("10s");
    add_value(command, "--control", asked.control, "HOST:PORT",
              "tell 'sockeye bench --control' there what was used and done: TCP, this machine only "
              "unless it is *:PORT (default: nowhere)",
              [](std::string_view text) { return parsed<std::string>(std::string(text)); });
    add_value(command, "--threads", asked.run.threads, "N",
              "so many threads, each with a loop of its own (default 1)", count_in(1, 256));
    command.add_flag("--reuse-port", asked.run.reuse_port,
                     "share the ports with other processes of this user, and let each thread "
                     "listen for itself");
}

void add_peer_limits(CLI::App& command, serve_request& asked) {
    const std::vector<CLI::Option*> limits = {
        add_value(command, "--max-connections", asked.connections_max, "N",
                  "open connections; more wait (default 10000, or what the limit of "
                  "descriptors leaves); several endpoints get equal shares",
                  count_in(1, 10'000'000)),
        add_value(command, "--max-per-source", asked.connections_per_source, "N",
                  "open connections of one address (IPv6: of one /64); more are closed at once "
                  "(default 64 on public addresses, else 0: no limit)",
                  count_in(0, 10'000'000)),
        add_value(command, "--idle-timeout", asked.idle_timeout, "TIME",
                  "close who says and hears nothing for so long (default 60s on public "
                  "addresses, else 0: never)",
                  time_or_none),
        add_value(command, "--first-byte-timeout", asked.first_byte_timeout, "TIME",
                  "close who connects and says nothing (default 10s on public addresses, where "
                  "the service waits for the client, else 0: never)",
                  time_or_none),
        add_value(command, "--min-rate", asked.min_rate, "SIZE",
                  "bytes a second that a peer has to read while something waits for it, over 30s "
                  "(default 1KiB on public addresses, else 0: any)",
                  size_in(0, std::uint64_t{1} << 40)),
        add_value(command, "--max-lifetime", asked.lifetime, "TIME",
                  "close every connection after so long (default: never)", time_or_none),
        add_value(command, "--udp-rate", asked.udp_rate, "N",
                  "answers to datagrams a second on public addresses (default 1000)",
                  count_in(1, 1'000'000'000)),
        add_value(command, "--udp-rate-per-source", asked.udp_rate_per_source, "N",
                  "the same to one /24, or /64 of IPv6 (default 10)", count_in(1, 1'000'000'000)),
    };
    for (auto* option : limits) {
        option->group("Limits of peers");
    }
}

void add_resource_limits(CLI::App& command, serve_request& asked) {
    constexpr std::uint64_t gibi = std::uint64_t{1} << 30;
    const std::vector<CLI::Option*> limits = {
        add_value(command, "--stop-timeout", asked.run.stop_time, "TIME",
                  "how long what is unsent may take at the end (default 10s)", positive_time),
        add_value(command, "--queue-high", asked.queue_high, "SIZE",
                  "unsent bytes of a connection above which it is not read, until a quarter is "
                  "left (default 64KiB)",
                  size_in(1, gibi)),
        add_value(command, "--queue-max", asked.queue_max, "SIZE",
                  "unsent bytes of a connection, or of a socket of datagrams, that take no more "
                  "(default 1MiB)",
                  size_in(1, gibi)),
        add_value(command, "--max-queued", asked.queued_bytes_max, "SIZE",
                  "unsent bytes of all connections of a thread, above which nothing is read or "
                  "accepted (default 256MiB)",
                  size_in(1, 1024 * gibi)),
        add_value(command, "--max-line", asked.line_max, "SIZE",
                  "bytes of a line that hello or timestamp --lines takes (default 64KiB)",
                  size_in(1, gibi)),
        add_value(command, "--backlog", asked.backlog, "N",
                  "connections that wait in the kernel (default 1024)", count_in(1, 1'000'000)),
        add_value(command, "--accepts-per-turn", asked.accepts_per_turn, "N",
                  "connections taken before the others are served (default 64)",
                  count_in(1, 1'000'000)),
        add_value(command, "--receive-buffer", asked.receive_buffer, "SIZE",
                  "the kernel's buffer of each socket (default: as the system chooses)",
                  size_in(1, gibi)),
        add_value(command, "--send-buffer", asked.send_buffer, "SIZE", "the same for what is sent",
                  size_in(1, gibi)),
        add_value(command, "--log-lines", asked.run.log_lines_per_second, "N",
                  "lines a second of each kind that -v prints; the others are counted "
                  "(default 10)",
                  count_in(1, 1'000'000)),
    };
    for (auto* option : limits) {
        option->group("Limits of resources");
    }
}

} // namespace

void add_serve_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("serve", "run one or more small servers");
    command->footer(
        "  sockeye serve echo                     TCP and UDP port 7007 of this machine\n"
        "  sockeye serve echo :0 unix:/tmp/echo   any free TCP port, and a Unix path\n"
        "  sockeye serve echo '*:7007' -v         TCP, reachable from outside\n"
        "  sockeye serve small,hello              six services, each on its own port\n"
        "  sockeye serve echo --control :7001     tell 'bench --control' what it costs\n"
        "  sockeye serve greet --text 'Grüße!'    one line to whoever connects");
    auto* list = command->add_option("SERVICE")->required()->description(service_help());
    auto* places =
        command
            ->add_option("ENDPOINT",
                         "where: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                         "unix-seqpacket:PATH, HOST:PORT or :PORT (loopback), *:PORT (all "
                         "interfaces); port 0 is any "
                         "free one; without it the service's own port, TCP and UDP, on loopback")
            ->expected(0, CLI::detail::expected_max_vector_size);
    auto asked = std::make_shared<serve_request>();
    add_behaviour_options(*command, *asked);
    add_backend_option(*command, common);
    add_family_options(*command, common);
    add_common_options(*command, common);
    command->get_option("--quiet")->description("print nothing but the lines that say where");
    command->get_option("--verbose")->description("a line for each connection and message");
    add_peer_limits(*command, *asked);
    add_resource_limits(*command, *asked);
    command->callback([&common, list, places, asked, &exit_code] {
        asked->services = list->results().front();
        asked->endpoints = places->results();
        const auto plan = make_plan(common, *asked);
        if (plan.run.delay > duration::zero()) {
            bench::host::be_punctual();
        }
        serving services_at_work(common, plan.run);
        services_at_work.start(plan.work);
        services_at_work.run();
        exit_code = exit_done;
    });
}

} // namespace sockeye::cli
