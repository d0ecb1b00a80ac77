#include "cli/commands.hpp"
#include "cli/host.hpp"
#include "cli/serving.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

/// Descriptors that are kept free for everything that is no connection, and for each thread.
constexpr std::uint64_t descriptor_reserve = 64;
constexpr std::uint64_t descriptors_per_thread = 8;
constexpr std::uint64_t default_connections_max = 10'000;

// What holds where others can reach a service.
constexpr duration public_idle_timeout = std::chrono::seconds(60);
constexpr duration public_first_byte_timeout = std::chrono::seconds(10);
constexpr std::uint64_t public_min_rate = 1024;
constexpr std::uint64_t public_connections_per_source = 64;

/// What was asked for on the command line.
struct serve_request {
    std::string services;
    std::vector<std::string> endpoints;

    std::optional<std::uint64_t> connections_max;
    std::optional<std::uint64_t> connections_per_source;
    std::optional<duration> idle_timeout;
    std::optional<duration> first_byte_timeout;
    std::optional<std::uint64_t> min_rate;
    duration lifetime = duration::zero();
    std::uint64_t backlog = 1024;
    std::uint64_t accepts_per_turn = 64;
    std::uint64_t queue_high = std::uint64_t{64} << 10;
    std::uint64_t queue_max = std::uint64_t{1} << 20;
    std::uint64_t queued_bytes_max = std::uint64_t{256} << 20;
    std::uint64_t line_max = std::uint64_t{64} << 10;
    std::uint64_t receive_buffer = 0; ///< 0: as the system chooses
    std::uint64_t send_buffer = 0;
    std::uint64_t udp_rate = 1000;
    std::uint64_t udp_rate_per_source = 10;

    bool allows_public_udp = false;
    bool replaces_stale = false;
    bool by_lines = false;
    std::optional<std::string> text;
    serving_options run;
};

const service& find_service(std::string_view name) {
    std::vector<std::string_view> names;
    for (const auto& entry : services()) {
        if (entry.name == name) {
            return entry;
        }
        names.push_back(entry.name);
    }
    names.push_back("small");
    const auto list = fmt::format("there is {}", fmt::join(names, ", "));
    if (name.empty()) {
        throw command_error(exit_usage, "the name of a service is missing; " + list);
    }
    const auto hint = did_you_mean(name, names);
    throw command_error(exit_usage, fmt::format("no service '{}'{}", escape(name, 40),
                                                hint.empty() ? "; " + list : hint));
}

/// The services of a list such as `echo,discard` or `small,hello`.
std::vector<const service*> parse_services(std::string_view list) {
    std::vector<const service*> found;
    const auto add = [&found](std::string_view name) {
        found.push_back(&find_service(name));
        if (std::ranges::count(found, found.back()) > 1) {
            throw command_error(exit_usage, fmt::format("service '{}' is named twice", name));
        }
    };
    for (bool is_last = false; !is_last;) {
        const auto name = list.substr(0, list.find(','));
        is_last = name.size() == list.size();
        list.remove_prefix(is_last ? list.size() : name.size() + 1);
        if (name == "small") {
            std::ranges::for_each(small_services(), add);
        } else {
            add(name);
        }
    }
    return found;
}

bool is_public(const endpoint& local) {
    return !local.is_local() && !local.is_loopback();
}

void check_place(const service& what, const endpoint& local, const serve_request& asked) {
    const auto refuse = [&](std::string_view why) {
        throw command_error(exit_usage, fmt::format("{}: {}", local.to_string(), why));
    };
    if (local.kind() == transport::icmp || local.kind() == transport::raw) {
        refuse("services are served on tcp://, udp://, unix: and unix-dgram: endpoints");
    }
    if (!local.is_stream() && !what.has_datagrams) {
        refuse(fmt::format("{} speaks first, so that it has nothing to say to datagrams; use "
                           "tcp://HOST:PORT or unix:PATH",
                           what.name));
    }
    if (is_public_udp(local) && !asked.allows_public_udp) {
        refuse("a UDP service that others can reach can be made to flood third parties; add "
               "--allow-public-udp if that is meant");
    }
}

stream_limits limits_of(const serve_request& asked, const service& what, const endpoint& local) {
    const bool is_open = is_public(local);
    const auto none = duration::zero();
    stream_limits limits;
    limits.queue_high = static_cast<std::size_t>(asked.queue_high);
    limits.queue_low = limits.queue_high / 4;
    limits.queue_max = static_cast<std::size_t>(asked.queue_max);
    // At the end it is stop_time that cuts a slow peer off, and the totals say so.
    limits.linger = 2 * asked.run.stop_time;
    limits.idle = asked.idle_timeout.value_or(is_open ? public_idle_timeout : none);
    limits.first_byte = asked.first_byte_timeout.value_or(
        is_open && what.waits_for_client ? public_first_byte_timeout : none);
    limits.min_rate =
        static_cast<std::size_t>(asked.min_rate.value_or(is_open ? public_min_rate : 0));
    limits.lifetime = asked.lifetime;
    return limits;
}

serve_options stream_options_of(const serve_request& asked, const service& what,
                                const endpoint& local, std::uint64_t connections_max) {
    serve_options options;
    options.backlog = static_cast<int>(asked.backlog);
    options.connections_max = static_cast<std::size_t>(connections_max);
    options.accepts_per_turn = static_cast<std::size_t>(asked.accepts_per_turn);
    options.reuse_port = asked.run.reuse_port && !local.is_local();
    options.replace_stale = asked.replaces_stale && !local.path().empty();
    options.limits = limits_of(asked, what, local);
    if (!local.is_local()) {
        options.connections_per_source_max =
            static_cast<std::size_t>(asked.connections_per_source.value_or(
                is_public(local) ? public_connections_per_source : 0));
    }
    if (asked.receive_buffer > 0) {
        options.socket.receive_buffer = static_cast<std::size_t>(asked.receive_buffer);
    }
    if (asked.send_buffer > 0) {
        options.socket.send_buffer = static_cast<std::size_t>(asked.send_buffer);
    }
    if (asked.run.is_once) {
        options.connections_max = 1;
        options.accepts_per_turn = 1;
    }
    return options;
}

datagram_options datagram_options_of(const serve_request& asked, const endpoint& local) {
    datagram_options options;
    options.queue_max = static_cast<std::size_t>(asked.queue_max);
    options.reuse_port = asked.run.reuse_port && !local.is_local();
    options.receive_buffer = static_cast<int>(asked.receive_buffer);
    options.send_buffer = static_cast<int>(asked.send_buffer);
    return options;
}

endpoint default_place(std::string_view scheme, const service& what, const common_options& common) {
    const std::string_view host = common.family == ip_family::ipv6 ? "[::1]" : "127.0.0.1";
    return endpoint::parse(fmt::format("{}://{}:{}", scheme, host, what.default_port)).value();
}

std::vector<assignment> assign(const common_options& common, const serve_request& asked) {
    std::vector<assignment> found;
    for (const auto* what : parse_services(asked.services)) {
        for (const auto& text : asked.endpoints) {
            found.push_back({what, parse_endpoint(text, common), {}});
        }
        if (asked.endpoints.empty()) {
            found.push_back({what, default_place("tcp", *what, common), {}});
            if (what->has_datagrams) {
                found.push_back({what, default_place("udp", *what, common), {}});
            }
        }
    }
    for (const auto& entry : found) {
        check_place(*entry.what, entry.local, asked);
    }
    return found;
}

/// Two services cannot have one place; any free port is one of its own for each.
void check_places(const std::vector<assignment>& work) {
    for (auto one = work.begin(); one != work.end(); ++one) {
        const bool is_any = !one->local.is_local() && one->local.port() == 0;
        const auto other = std::find_if(one + 1, work.end(), [&](const assignment& entry) {
            return entry.what != one->what && entry.local == one->local;
        });
        if (!is_any && other != work.end()) {
            throw command_error(
                exit_usage,
                fmt::format("{} is given to {} and to {}; leave it out for their own ports, or "
                            "give :0 for any free ones",
                            one->local.to_string(), one->what->name, other->what->name));
        }
    }
}

/// Options that say something to services which are not there are a mistake.
void check_uses(const serve_request& asked, const std::vector<assignment>& work) {
    const auto check = [&](bool is_given, std::string_view option, std::string_view name) {
        const bool is_served =
            std::ranges::any_of(work, [&](const auto& entry) { return entry.what->name == name; });
        if (is_given && !is_served) {
            throw command_error(exit_usage, fmt::format("{} is for the service {}, which is not "
                                                        "among those to be served",
                                                        option, name));
        }
    };
    check(asked.by_lines, "--lines", "timestamp");
    check(asked.text.has_value(), "--text", "greet");
    const bool has_files =
        std::ranges::any_of(work, [](const auto& entry) { return !entry.local.path().empty(); });
    if (asked.replaces_stale && !has_files) {
        throw command_error(exit_usage,
                            "--unlink is for unix: and unix-dgram: paths, and there is none");
    }
}

std::uint64_t count_streams(const std::vector<assignment>& work) {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        work, [](const assignment& entry) { return entry.local.is_stream(); }));
}

/// How many connections there may be, with descriptors made available for them.
std::uint64_t provide_connections(const serve_request& asked, std::uint64_t streams) {
    const auto limits = read_descriptor_limits();
    const std::uint64_t reserve =
        descriptor_reserve + (asked.run.threads - 1) * descriptors_per_thread;
    const auto spare = limits.soft > reserve ? limits.soft - reserve : 1;
    if (!asked.connections_max) {
        return std::min(default_connections_max, spare);
    }
    const std::uint64_t wanted = *asked.connections_max;
    if (wanted < streams) {
        throw command_error(exit_usage,
                            fmt::format("{} endpoints share --max-connections {}: give at least {}",
                                        streams, wanted, streams));
    }
    if (wanted <= spare) {
        return wanted;
    }
    const std::uint64_t needed = wanted + reserve;
    if (needed > limits.hard || raise_descriptor_limit(needed)) {
        throw command_error(
            exit_usage,
            fmt::format("{} connections need {} descriptors but the hard limit is {}; try "
                        "'ulimit -Hn {}' as root",
                        wanted, needed, limits.hard, needed));
    }
    return wanted;
}

/// What the limits are, as the services and their loops know them.
void fill_options(std::vector<assignment>& work, const serve_request& asked) {
    // The limit is the process's; each listener gets its share of it.
    const auto shares = std::max<std::uint64_t>(count_streams(work), 1);
    const auto share = std::max<std::uint64_t>(asked.run.connections_max / shares, 1);
    for (auto& entry : work) {
        auto& options = entry.options;
        options.stream = stream_options_of(asked, *entry.what, entry.local, share);
        options.datagram = datagram_options_of(asked, entry.local);
        options.by_lines = asked.by_lines;
        options.line_max = static_cast<std::size_t>(asked.line_max);
        options.text = asked.text.value_or("Hello from sockeye!");
    }
}

int run_serve(const common_options& common, serve_request asked) {
    auto work = assign(common, asked);
    check_places(work);
    check_uses(asked, work);
    asked.run.connections_max =
        asked.run.is_once ? 1 : provide_connections(asked, count_streams(work));
    asked.run.queued_bytes_max = static_cast<std::size_t>(asked.queued_bytes_max);
    asked.run.replies.replies_per_second = static_cast<std::uint32_t>(asked.udp_rate);
    asked.run.replies.replies_per_source = static_cast<std::uint32_t>(asked.udp_rate_per_source);
    fill_options(work, asked);
    serving services_at_work(common, asked.run);
    services_at_work.start(work);
    services_at_work.run();
    return exit_done;
}

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
    add_value(command, "--delay", asked.run.delay, "T",
              "hold each answer back for so long; those still held back at the end are not sent",
              time_or_none);
    add_value(command, "--stats", asked.run.stats_period, "T",
              "print what was served every 10s, or as often as that", positive_time)
        ->expected(0, 1)
        ->default_str("10s");
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
        add_value(command, "--idle-timeout", asked.idle_timeout, "T",
                  "close who says and hears nothing for so long (default 60s on public "
                  "addresses, else 0: never)",
                  time_or_none),
        add_value(command, "--first-byte-timeout", asked.first_byte_timeout, "T",
                  "close who connects and says nothing (default 10s on public addresses, where "
                  "the service waits for the client, else 0: never)",
                  time_or_none),
        add_value(command, "--min-rate", asked.min_rate, "SIZE",
                  "bytes a second that a peer has to read while something waits for it, over 30s "
                  "(default 1KiB on public addresses, else 0: any)",
                  size_in(0, std::uint64_t{1} << 40)),
        add_value(command, "--max-lifetime", asked.lifetime, "T",
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
        add_value(command, "--stop-timeout", asked.run.stop_time, "T",
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
        "  sockeye serve greet --text 'Grüße!'    one line to whoever connects");
    auto* list = command->add_option("SERVICE")->required()->description(service_help());
    auto* places =
        command
            ->add_option("ENDPOINT",
                         "where: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH, "
                         "HOST:PORT or :PORT (loopback), *:PORT (all interfaces); port 0 is any "
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
        exit_code = run_serve(common, *asked);
    });
}

} // namespace sockeye::cli
