#include "cli/commands.hpp"
#include "cli/host.hpp"
#include "cli/service.hpp"

#include <sockeye/error.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>

#include <algorithm>
#include <csignal>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {
namespace {

/// Descriptors that are kept free for everything that is no connection.
constexpr std::uint64_t descriptor_reserve = 64;
constexpr std::uint64_t default_connections_max = 10'000;
constexpr duration drain_time = std::chrono::seconds(10);
constexpr duration drain_step = std::chrono::milliseconds(5);
constexpr duration talk_patience = std::chrono::milliseconds(200);

/// What was asked for on the command line.
struct serve_request {
    std::optional<std::uint64_t> connections_max;
    bool allows_public_udp = false;
};

/// One service on one endpoint, before it is started.
struct assignment {
    const service* what;
    endpoint local;
};

const service& find_service(std::string_view name) {
    std::vector<std::string_view> names;
    for (const auto& entry : services()) {
        if (entry.name == name) {
            return entry;
        }
        names.push_back(entry.name);
    }
    if (name.empty()) {
        throw command_error(exit_usage, fmt::format("the name of a service is missing; there is {}",
                                                    fmt::join(names, ", ")));
    }
    const auto hint = did_you_mean(name, names);
    throw command_error(
        exit_usage,
        fmt::format("no service '{}'{}", escape(name, 40),
                    hint.empty() ? fmt::format("; there is {}", fmt::join(names, ", ")) : hint));
}

/// The services of a list such as `echo,discard`.
std::vector<const service*> parse_services(std::string_view list) {
    std::vector<const service*> found;
    for (bool is_last = false; !is_last;) {
        const auto name = list.substr(0, list.find(','));
        is_last = name.size() == list.size();
        list.remove_prefix(is_last ? list.size() : name.size() + 1);
        found.push_back(&find_service(name));
        if (std::ranges::count(found, found.back()) > 1) {
            throw command_error(exit_usage, fmt::format("service '{}' is named twice", name));
        }
    }
    return found;
}

endpoint default_endpoint(const char* scheme, std::uint16_t port) {
    return endpoint::parse(fmt::format("{}://127.0.0.1:{}", scheme, port)).value();
}

std::vector<assignment> assign(const common_options& common, const std::string& service_list,
                               const std::vector<std::string>& endpoints) {
    std::vector<assignment> found;
    for (const auto* what : parse_services(service_list)) {
        for (const auto& text : endpoints) {
            found.push_back({what, parse_endpoint(text, common)});
        }
        if (endpoints.empty()) {
            found.push_back({what, default_endpoint("tcp", what->default_port)});
            found.push_back({what, default_endpoint("udp", what->default_port)});
        }
    }
    return found;
}

bool is_public_udp(const endpoint& local) {
    return local.kind() == transport::udp && !local.is_loopback();
}

void check_public_udp(const std::vector<assignment>& work, const serve_request& asked) {
    for (const auto& entry : work) {
        if (is_public_udp(entry.local) && !asked.allows_public_udp) {
            throw command_error(
                exit_usage,
                fmt::format("{}: a UDP service that others can reach can be made to flood third "
                            "parties; add --allow-public-udp if that is meant",
                            entry.local.to_string()));
        }
    }
}

std::uint64_t count_streams(const std::vector<assignment>& work) {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        work, [](const assignment& entry) { return entry.local.is_stream(); }));
}

/// How many connections there may be, with descriptors made available for them.
std::uint64_t provide_connections(const serve_request& asked, std::uint64_t streams) {
    const auto limits = read_descriptor_limits();
    const auto spare = limits.soft > descriptor_reserve ? limits.soft - descriptor_reserve : 1;
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
    const std::uint64_t needed = wanted + descriptor_reserve;
    if (needed > limits.hard || raise_descriptor_limit(needed)) {
        throw command_error(
            exit_usage,
            fmt::format("{} connections need {} descriptors but the hard limit is {}; try "
                        "'ulimit -Hn {}' as root",
                        wanted, needed, limits.hard, needed));
    }
    return wanted;
}

/// The line for an endpoint that cannot be served: what the system says, and how to mend it.
std::string explain(const assignment& entry, std::error_code error) {
    const auto& local = entry.local;
    const auto name = local.to_string();
    if (error == std::errc::address_in_use) {
        return local.is_local()
                   ? fmt::format("{}: address already in use; choose another, or remove the file "
                                 "if no server uses it any more",
                                 name)
                   : fmt::format("{}: address already in use; choose another, or :0 for any free "
                                 "port",
                                 name);
    }
    if (error == std::errc::permission_denied) {
        const bool is_low_port = !local.is_local() && local.port() != 0 && local.port() < 1024;
        return is_low_port
                   ? fmt::format("{}: permission denied: ports below 1024 need privilege; leave "
                                 "the port out for {}",
                                 name, entry.what->default_port)
                   : fmt::format("{}: permission denied", name);
    }
    if (error == std::errc::address_not_available) {
        return fmt::format("{}: this machine has no such address", name);
    }
    if (error == std::errc::no_such_file_or_directory) {
        return fmt::format("{}: there is no such directory", name);
    }
    return fmt::format("{}: {}", name, error.message());
}

result<endpoint> local_endpoint(const active_service& active) {
    return std::visit([](const auto& one) { return one.local_endpoint(); }, active);
}

/// A number and what it counts: `1 connection`, `12 datagrams`.
std::string counted(std::uint64_t count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

/// Services at work, from their start to the line of totals.
class serving {
public:
    serving(const common_options& common, std::uint64_t connections_max)
        : common_(common), connections_max_(connections_max), loop_(open_loop(common)),
          drain_timer_(loop_) {}

    /// Throws command_error; whatever was started until then is closed.
    void start(const std::vector<assignment>& work);
    void run();

private:
    void watch_signals();
    void announce(const std::vector<assignment>& work) const;
    void stop();
    void look_at_drain();
    [[nodiscard]] std::size_t connection_count() const;
    [[nodiscard]] bool is_drained() const;
    [[nodiscard]] std::string totals() const;

    const common_options& common_;
    std::uint64_t connections_max_;
    event_log log_;
    service_state state_;
    loop loop_;
    std::vector<active_service> active_;
    std::optional<signal_set> stop_signals_;
    std::optional<signal_set> report_signal_;
    timer drain_timer_;
    time_point started_ = clock::now();
    time_point drain_deadline_;
};

void serving::start(const std::vector<assignment>& work) {
    service_options options;
    options.log = common_.is_verbose ? &log_ : nullptr;
    // The limit is the process's; each listener gets its share of it.
    const auto shares = std::max<std::uint64_t>(count_streams(work), 1);
    options.stream.connections_max =
        std::max<std::size_t>(static_cast<std::size_t>(connections_max_ / shares), 1);
    // At the end it is drain_time that cuts a slow peer off, and the totals say so.
    options.stream.limits.linger = 2 * drain_time;
    if (std::ranges::any_of(work, [](const auto& entry) { return is_public_udp(entry.local); })) {
        for (const auto& address : broadcast_addresses()) {
            state_.policy.add_broadcast(address);
        }
    }
    // Before anything is bound, so that no signal leaves a socket file behind.
    watch_signals();
    for (const auto& entry : work) {
        auto started = entry.what->start(loop_, entry.local, options, state_);
        if (!started) {
            throw command_error(exit_failed, explain(entry, started.error()));
        }
        active_.push_back(std::move(started).value());
    }
    announce(work);
}

void serving::watch_signals() {
    stop_signals_ = signal_set::open(loop_, {SIGINT, SIGTERM}, [this](int) { stop(); }).value();
    report_signal_ =
        signal_set::open(loop_, {SIGUSR1, SIGHUP}, [this](int) {
            write_talk(fmt::format("sockeye: running for {}\n", totals()), talk_patience);
        }).value();
}

/// `sockeye: echo ready on tcp://127.0.0.1:7007 and udp://127.0.0.1:7007 (epoll)`
void serving::announce(const std::vector<assignment>& work) const {
    std::string line = "sockeye: ";
    for (std::size_t i = 0; i < work.size();) {
        const auto* what = work[i].what;
        std::vector<std::string> places;
        for (; i < work.size() && work[i].what == what; ++i) {
            places.push_back(local_endpoint(active_[i]).value().to_string());
        }
        line += fmt::format("{}{} ready on {}", line.size() > 9 ? "; " : "", what->name,
                            join_and(places));
    }
    print(fmt::format("{} ({})\n", line, to_string(loop_.backend())));
    if (!common_.is_quiet) {
        write_talk(fmt::format("sockeye: at most {} (all limits: --help); press Ctrl-C "
                               "to stop\n",
                               counted(connections_max_, "connection")),
                   talk_patience);
    }
}

void serving::run() {
    if (const auto error = loop_.run()) {
        throw command_error(exit_failed, "waiting for events: " + error.message());
    }
    log_.flush();
    if (!common_.is_quiet) {
        const auto unfinished = connection_count();
        write_talk(fmt::format("sockeye: stopped after {}{}\n", totals(),
                               unfinished == 0 ? ""
                                               : fmt::format(", {} cut off with bytes unsent",
                                                             counted(unfinished, "connection"))),
                   talk_patience);
    }
}

/// No new peers and no new datagrams; what is to be sent is sent. A second signal kills.
void serving::stop() {
    stop_signals_.reset();
    die_on_next_signal();
    for (auto& one : active_) {
        if (auto* streams = std::get_if<server>(&one)) {
            streams->close();
        } else {
            std::get<datagram_socket>(one).pause();
        }
    }
    drain_deadline_ = clock::now() + drain_time;
    drain_timer_.start_every(drain_step, [this] { look_at_drain(); });
    look_at_drain();
}

void serving::look_at_drain() {
    if (is_drained() || loop_.now() >= drain_deadline_) {
        loop_.stop();
    }
}

std::size_t serving::connection_count() const {
    std::size_t count = 0;
    for (const auto& one : active_) {
        const auto* streams = std::get_if<server>(&one);
        count += streams != nullptr ? streams->connection_count() : 0;
    }
    return count;
}

bool serving::is_drained() const {
    return connection_count() == 0 && std::ranges::all_of(active_, [](const active_service& one) {
               const auto* socket = std::get_if<datagram_socket>(&one);
               return socket == nullptr || socket->queued_bytes() == 0;
           });
}

/// `2m14s: 3 connections, 12 datagrams, 1.9 MiB in, 1.9 MiB out, 0 errors`
std::string serving::totals() const {
    const auto& did = loop_.counters();
    const std::uint64_t errors =
        did.accept_errors + did.shed + did.datagrams_dropped + state_.truncated;
    auto line = fmt::format("{}: {}, {}, {} in, {} out, {}", format_time(clock::now() - started_),
                            counted(did.accepted, "connection"),
                            counted(did.datagrams_read, "datagram"), format_size(did.bytes_read),
                            format_size(did.bytes_written), counted(errors, "error"));
    const auto& policy = state_.policy;
    const auto forbidden =
        policy.count(reply_verdict::refused_port) + policy.count(reply_verdict::refused_address);
    if (forbidden > 0) {
        line +=
            fmt::format(", {} from forbidden senders not answered", counted(forbidden, "datagram"));
    }
    if (const auto limited = policy.refused() - forbidden; limited > 0) {
        line += fmt::format(", {} beyond the limits of public addresses not answered",
                            counted(limited, "datagram"));
    }
    return line;
}

int run_serve(const common_options& common, const serve_request& asked,
              const std::string& service_list, const std::vector<std::string>& endpoints) {
    const auto work = assign(common, service_list, endpoints);
    check_public_udp(work, asked);
    const auto connections_max = provide_connections(asked, count_streams(work));
    serving services_at_work(common, connections_max);
    services_at_work.start(work);
    services_at_work.run();
    return exit_done;
}

std::string service_help() {
    std::string text = "which services, joined by commas:";
    for (const auto& entry : services()) {
        text += fmt::format(" {} ({});", entry.name, entry.summary);
    }
    text.back() = '.';
    return text;
}

} // namespace

void add_serve_command(CLI::App& root, common_options& common, int& exit_code) {
    auto* command = root.add_subcommand("serve", "run one or more small servers");
    command->footer(
        "  sockeye serve echo                     TCP and UDP port 7007 of this machine\n"
        "  sockeye serve echo :0 unix:/tmp/echo   any free TCP port, and a Unix path\n"
        "  sockeye serve echo '*:7007' -v         TCP, reachable from outside");
    auto* list = command->add_option("SERVICE")->required()->description(service_help());
    auto* places =
        command
            ->add_option("ENDPOINT", "where: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, "
                                     "unix-dgram:PATH, HOST:PORT or :PORT (loopback), "
                                     "*:PORT (all interfaces); port 0 is any free one")
            ->expected(0, CLI::detail::expected_max_vector_size);
    add_backend_option(*command, common);
    auto asked = std::make_shared<serve_request>();
    add_value(
        *command, "--max-connections", asked->connections_max, "N",
        "limit of open connections; more wait. Without it 10000, or what the limit of "
        "descriptors leaves; several endpoints get equal shares",
        [](std::string_view text) { return parse_count(text, {.least = 1, .most = 10'000'000}); });
    command->add_flag("--allow-public-udp", asked->allows_public_udp,
                      "serve UDP where other machines can reach it");
    add_common_options(*command, common);
    command->get_option("--quiet")->description("print nothing but the line that says where");
    command->get_option("--verbose")->description("a line for each connection and message");
    command->callback([&common, list, places, asked, &exit_code] {
        exit_code = run_serve(common, *asked, list->results().front(), places->results());
    });
}

} // namespace sockeye::cli
