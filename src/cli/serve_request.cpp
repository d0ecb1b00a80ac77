#include "cli/serve_request.hpp"

#include "cli/host.hpp"

#include <algorithm>
#include <string_view>

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

std::optional<endpoint> control_place(const common_options& common, const serve_request& asked) {
    if (!asked.control) {
        return std::nullopt;
    }
    const auto local = parse_endpoint(*asked.control, common);
    if (local.kind() != transport::tcp) {
        refuse_value("--control", *asked.control,
                     "must be a TCP port, such as :7001, or *:7001 for other machines");
    }
    return local;
}

std::uint64_t count_streams(const std::vector<assignment>& work) {
    return static_cast<std::uint64_t>(std::ranges::count_if(
        work, [](const assignment& entry) { return entry.local.is_stream(); }));
}

/// Makes so many descriptors available for `what`: `256 threads`, `65 connections`.
void provide_descriptors(const std::string& what, std::uint64_t needed) {
    const auto limits = read_descriptor_limits();
    if (needed > limits.hard || raise_descriptor_limit(needed)) {
        throw command_error(
            exit_usage, fmt::format("{} need {} descriptors but the hard limit is {}; try 'ulimit "
                                    "-Hn {}' as root",
                                    what, needed, limits.hard, needed));
    }
}

/// How many connections there may be, with descriptors made available for them.
std::uint64_t provide_connections(const serve_request& asked, std::uint64_t streams) {
    const std::uint64_t for_threads = (asked.run.threads - 1) * descriptors_per_thread;
    const std::uint64_t reserve = descriptor_reserve + for_threads;
    if (for_threads > 0) {
        const auto before = read_descriptor_limits();
        provide_descriptors(fmt::format("{} threads", asked.run.threads), reserve);
        // Where there is room for it, they take nothing away from the connections.
        (void)raise_descriptor_limit(std::min(before.hard, before.soft + for_threads));
    }
    const auto limits = read_descriptor_limits();
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
    if (wanted > spare) {
        provide_descriptors(fmt::format("{} connections", wanted), wanted + reserve);
    }
    return wanted;
}

/// What the limits are, as the service and its loops know them.
void fill_options(assignment& entry, const serve_request& asked, std::uint64_t connections_max) {
    auto& options = entry.options;
    options.stream = stream_options_of(asked, *entry.what, entry.local, connections_max);
    options.datagram = datagram_options_of(asked, entry.local);
    options.by_lines = asked.by_lines;
    options.line_max = static_cast<std::size_t>(asked.line_max);
    options.text = asked.text.value_or("Hello from sockeye!");
}

} // namespace

serve_plan make_plan(const common_options& common, const serve_request& asked) {
    serve_plan plan = {.work = assign(common, asked), .run = asked.run};
    check_places(plan.work);
    check_uses(asked, plan.work);
    plan.run.control = control_place(common, asked);
    const auto streams = count_streams(plan.work);
    plan.run.connections_max = asked.run.is_once ? 1 : provide_connections(asked, streams);
    plan.run.queued_bytes_max = static_cast<std::size_t>(asked.queued_bytes_max);
    plan.run.replies.replies_per_second = static_cast<std::uint32_t>(asked.udp_rate);
    plan.run.replies.replies_per_source = static_cast<std::uint32_t>(asked.udp_rate_per_source);
    // The limit is the process's; each listener gets its share of it.
    const auto share = plan.run.connections_max / std::max<std::uint64_t>(streams, 1);
    for (auto& entry : plan.work) {
        fill_options(entry, asked, std::max<std::uint64_t>(share, 1));
    }
    return plan;
}

} // namespace sockeye::cli
