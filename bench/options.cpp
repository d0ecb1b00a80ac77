#include "bench/options.hpp"

#include "bench/export.hpp"
#include "cli/common.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;
using cli::parsed;

/// The parts between the commas.
std::vector<std::string_view> split(std::string_view list) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t comma = list.find(',');
        parts.push_back(list.substr(0, comma));
        if (comma == std::string_view::npos) {
            return parts;
        }
        list.remove_prefix(comma + 1);
    }
}

/// `no backend 'epol'; did you mean 'epoll'?`
std::string unknown_name(const char* what, std::string_view name,
                         const std::vector<std::string_view>& names) {
    const auto hint = cli::did_you_mean(name, names);
    return fmt::format("no {} '{}'{}", what, cli::escape(name, 40),
                       hint.empty() ? fmt::format("; there is {}, and all", fmt::join(names, ", "))
                                    : hint);
}

/// `epoll,poll`, or `all`. Throws cli::command_error for those not usable here.
parsed<std::vector<backend_kind>> parse_backends(std::string_view list) {
    std::vector<backend_kind> found;
    if (list == "all") {
        return found;
    }
    std::vector<std::string_view> names;
    for (const auto& each : backends()) {
        names.push_back(each.name);
    }
    for (const auto part : split(list)) {
        if (std::find(names.begin(), names.end(), part) == names.end()) {
            return parsed<std::vector<backend_kind>>::wrong(unknown_name("backend", part, names));
        }
        const backend_kind kind = parse_backend(part).value();
        cli::require_usable(kind);
        found.push_back(kind);
    }
    return found;
}

/// `libuv,asio`, or `all`; each once, in the order they are listed in.
parsed<std::vector<const peer*>> parse_peers(std::string_view list) {
    using result = parsed<std::vector<const peer*>>;
    std::vector<std::string_view> names;
    for (const auto& each : all_peers()) {
        names.push_back(each.name);
    }
    const auto asked = list == "all" ? names : split(list);
    for (const auto part : asked) {
        if (std::find(names.begin(), names.end(), part) == names.end()) {
            return result::wrong(unknown_name("peer", part, names));
        }
    }
    std::vector<const peer*> found;
    for (const auto& each : all_peers()) {
        if (std::find(asked.begin(), asked.end(), each.name) != asked.end()) {
            found.push_back(&each);
        }
    }
    return found;
}

parsed<transport> parse_carrier(std::string_view text) {
    for (const auto carrier : {transport::tcp, transport::udp, transport::unix_stream}) {
        if (text == name_of(carrier)) {
            return carrier;
        }
    }
    return parsed<transport>::wrong("must be tcp, udp or unix");
}

/// `idle` and `wake` are echo with other numbers of connections.
constexpr std::string_view mode_names[] = {"echo", "upload", "download", "churn", "idle", "wake"};

parsed<std::string> parse_mode_name(std::string_view text) {
    for (const auto name : mode_names) {
        if (text == name) {
            return std::string(name);
        }
    }
    return parsed<std::string>::wrong(
        fmt::format("must be one of {}", fmt::join(mode_names, ", ")));
}

parsed<double> parse_message_rate(std::string_view text) {
    const auto rate = cli::parse_rate(text);
    if (!rate) {
        return parsed<double>::wrong(rate.message());
    }
    constexpr double rate_max = 1e8;
    if ((*rate).what != cli::rate::kind::per_second || (*rate).value > rate_max) {
        return parsed<double>::wrong("must be messages a second, such as 50k/s, at most 100M/s");
    }
    return (*rate).value;
}

parsed<std::vector<double>> parse_steps(std::string_view list) {
    std::vector<double> steps;
    for (const auto part : split(list)) {
        const auto rate = parse_message_rate(part);
        if (!rate) {
            return parsed<std::vector<double>>::wrong(rate.message());
        }
        steps.push_back(*rate);
    }
    return steps;
}

parsed<arrival> parse_arrival(std::string_view text) {
    for (const auto law : {arrival::poisson, arrival::constant}) {
        if (text == name_of(law)) {
            return law;
        }
    }
    return parsed<arrival>::wrong("must be poisson or constant");
}

parsed<std::optional<pace>> parse_pace(std::string_view text) {
    using result = parsed<std::optional<pace>>;
    if (text == "auto") {
        return result(std::nullopt);
    }
    if (text == "spin" || text == "sleep") {
        return result(text == "spin" ? pace::spin : pace::sleep);
    }
    return result::wrong("must be auto, spin or sleep");
}

/// `127.0.0.2,127.0.0.3`: addresses without a port.
parsed<std::vector<std::string>> parse_sources(std::string_view list) {
    std::vector<std::string> found;
    for (const auto part : split(list)) {
        const bool is_ipv6 = part.find(':') != std::string_view::npos;
        const auto text = fmt::format(fmt::runtime(is_ipv6 ? "tcp://[{}]:0" : "tcp://{}:0"), part);
        if (part.empty() || !endpoint::parse(text)) {
            return parsed<std::vector<std::string>>::wrong(
                "must be addresses, such as 127.0.0.2,127.0.0.3");
        }
        found.push_back(text.substr(std::string_view("tcp").size()));
    }
    return found;
}

parsed<std::optional<progress::form>> parse_progress(std::string_view text) {
    using form = progress::form;
    using result = parsed<std::optional<form>>;
    if (text == "auto") {
        return result(std::nullopt);
    }
    constexpr std::pair<std::string_view, form> forms[] = {{"line", form::terminal},
                                                           {"plain", form::lines},
                                                           {"ndjson", form::objects},
                                                           {"none", form::none}};
    for (const auto& [name, meant] : forms) {
        if (text == name) {
            return result(meant);
        }
    }
    return result::wrong("must be auto, line, plain, ndjson or none");
}

parsed<std::string> parse_label(std::string_view text) {
    constexpr std::size_t label_max = 200;
    if (text.size() > label_max || !cli::is_utf8(text)) {
        return parsed<std::string>::wrong("must be at most 200 bytes of UTF-8");
    }
    return std::string(text);
}

parsed<std::string> parse_lane_name(std::string_view text) {
    constexpr std::size_t name_max = 40;
    if (text.empty() || text.size() > name_max) {
        return parsed<std::string>::wrong("must be the name of a backend or peer");
    }
    return std::string(text);
}

struct pinning {
    host::cpu_list server;
    host::cpu_list client;
    bool is_off = false;
};

/// Adds `3` or `4-7` to the list; false where it is neither.
bool add_cpus(std::string_view text, host::cpu_list& list) {
    constexpr unsigned cpu_max = 1023;
    unsigned first = 0;
    const char* const end = text.data() + text.size();
    auto [next, error] = std::from_chars(text.data(), end, first);
    unsigned last = first;
    if (error == std::errc() && next != end && *next == '-') {
        const auto tail = std::from_chars(next + 1, end, last);
        next = tail.ptr;
        error = tail.ec;
    }
    if (error != std::errc() || next != end || last < first || last > cpu_max) {
        return false;
    }
    for (unsigned cpu = first; cpu <= last; ++cpu) {
        list.push_back(cpu);
    }
    return true;
}

/// `auto`, `none`, or `server=LIST,client=LIST` where a list is like `2,4-7`.
parsed<pinning> parse_pinning(std::string_view text) {
    pinning found;
    found.is_off = text == "none";
    if (found.is_off || text == "auto") {
        return found;
    }
    host::cpu_list* list = nullptr;
    for (auto part : split(text)) {
        if (part.starts_with("server=")) {
            list = &found.server;
        } else if (part.starts_with("client=")) {
            list = &found.client;
        }
        if (const std::size_t equals = part.find('='); equals != std::string_view::npos) {
            part.remove_prefix(equals + 1);
        }
        if (list == nullptr || !add_cpus(part, *list)) {
            return parsed<pinning>::wrong("must be auto, none or, for example, server=1,client=0");
        }
    }
    const auto allowed = host::allowed_cpus();
    for (const auto* each : {&found.server, &found.client}) {
        for (const unsigned cpu : *each) {
            if (std::find(allowed.begin(), allowed.end(), cpu) == allowed.end()) {
                return parsed<pinning>::wrong(
                    fmt::format("CPU {} is not among those this process may use: {}", cpu,
                                fmt::join(allowed, ",")));
            }
        }
    }
    return found;
}

parsed<std::string> parse_output(std::string_view text) {
    if (!is_export_name(text)) {
        return parsed<std::string>::wrong("must end in " + export_endings());
    }
    return std::string(text);
}

auto count_from(std::uint64_t least, std::uint64_t most) {
    return [=](std::string_view text) { return cli::parse_count(text, {least, most}); };
}

auto time_from(duration least, duration most) {
    return [=](std::string_view text) { return cli::parse_time(text, {least, most}); };
}

/// `10`, or `auto`.
parsed<round_count> parse_rounds(std::string_view text) {
    if (text == "auto") {
        return automatic_rounds;
    }
    const auto count = cli::parse_count(text, {1, 200});
    if (!count) {
        return parsed<round_count>::wrong("must be a number from 1 to 200, or auto");
    }
    const auto rounds = static_cast<std::size_t>(*count);
    return round_count{rounds, rounds};
}

void add_load_options(CLI::App& command, request& wanted) {
    cli::add_value(command, "-c,--connections", wanted.connections, "N=64",
                   "busy connections; over UDP: peers", count_from(1, 1'000'000));
    cli::add_value(command, "-p,--pipeline", wanted.pipeline, "N=1",
                   "messages on their way over each", count_from(1, 100'000));
    cli::add_value(command, "-s,--size", wanted.sizes, "SIZE=64B",
                   "of a message; also 64B..4KiB, or 64B:90,4KiB:10 with weights",
                   message_sizes::parse);
    const auto set_threads = [&wanted](const std::string& text) {
        wanted.has_auto_threads = text == "auto";
        wanted.threads.reset();
        if (wanted.has_auto_threads) {
            return;
        }
        const auto count = cli::parse_count(text, {1, 256});
        if (!count) {
            cli::refuse_value("--threads", text, "must be a number from 1 to 256, or auto");
        }
        wanted.threads = *count;
    };
    command
        .add_option_function<std::string>("-t,--threads", set_threads,
                                          "of the client, which share the connections; auto: as "
                                          "many as bring more")
        ->type_name("N=1|auto");
    cli::add_value(command, "--idle", wanted.idle, "N=0", "further connections that say nothing",
                   count_from(0, 1'000'000));
    cli::add_value(command, "--transport", wanted.carrier, "tcp|udp|unix",
                   "what the embedded server serves on", parse_carrier);
}

/// The load as a rate: open loops.
void add_rate_options(CLI::App& command, request& wanted) {
    cli::add_value(command, "-r,--rate", wanted.rate_per_s, "RATE",
                   "open loop: messages are due whatever the server does, such as 50k/s",
                   parse_message_rate);
    cli::add_value(command, "--arrival", wanted.law, "poisson|constant",
                   "when the messages of an open loop are due", parse_arrival);
    cli::add_value(command, "--steps", wanted.steps, "LIST",
                   "an open loop at each of these rates, such as 10k,50k,100k/s", parse_steps);
    cli::add_value(command, "--find-rate", wanted.find_rate, "EXPR",
                   "the highest rate that keeps within it, such as 'p99<1ms'", limit::parse);
    cli::add_value(command, "--max-in-flight", wanted.in_flight_max, "N=1048576",
                   "messages on their way at which an open loop ends as overload",
                   count_from(1, 100'000'000));
    cli::add_value(command, "--pace", wanted.how_paced, "auto|spin|sleep",
                   "how the client waits for the next message of an open loop", parse_pace);
}

void add_time_options(CLI::App& command, request& wanted) {
    cli::add_value(command, "-d,--duration", wanted.window, "TIME=1s", "measured in each round",
                   time_from(1ms, 24h));
    cli::add_value(command, "-n,--messages", wanted.messages, "N",
                   "a round ends when that many are answered", count_from(1, 1'000'000'000'000));
    cli::add_value(command, "--warmup", wanted.warmup, "TIME=300ms", "not measured in each round",
                   time_from(0ms, 1h));
    cli::add_value(command, "--rounds", wanted.rounds, "N=10|auto",
                   "of all servers in turn; 6 give an interval; auto: 6 to 40, until it is narrow",
                   parse_rounds);
    cli::add_value(command, "--timeout", wanted.timeout, "TIME=1s",
                   "after it a datagram counts as lost, and a round ends", time_from(1ms, 1h));
    command.add_flag("--quick", wanted.is_quick, "a coarse result in less than a minute");
    command.add_flag("--full", wanted.is_full, "more tests and rounds, about half an hour");
}

void add_server_options(CLI::App& command, request& wanted) {
    cli::add_value(command, "-b,--backend", wanted.backends, "LIST=all",
                   "backends of the embedded server", parse_backends);
    cli::add_value(command, "--baseline", wanted.baseline, "NAME",
                   "what the others are compared with", parse_lane_name);
    const auto add_peers = [&wanted](const std::string& text) {
        const auto found = parse_peers(text);
        if (!found) {
            cli::refuse_value("--peers", text, found.message());
        }
        wanted.peers = *found;
        wanted.has_all_peers = text == "all";
    };
    command
        .add_option_function<std::string>("--peers", add_peers,
                                          "measure the same server on other libraries as well, and "
                                          "written by hand: all, or such as libuv,asio")
        ->type_name("LIST")
        ->expected(0, 1)
        ->default_str("all");
    command.add_flag_callback(
        "--no-control", [&wanted] { wanted.has_control = false; },
        "do not measure the baseline twice");
}

void add_place_options(CLI::App& command, request& wanted) {
    cli::add_value(command, "--source", wanted.sources, "ADDR,...",
                   "addresses to connect from, in turn", parse_sources);
    command.add_flag("--one-core", wanted.is_one_core,
                     "server and client take turns on one CPU: the sharpest CPU per message");
    const auto pin = [&wanted](const std::string& text) {
        const auto found = parse_pinning(text);
        if (!found) {
            cli::refuse_value("--pin", text, found.message());
        }
        wanted.server_cpus = (*found).server;
        wanted.client_cpus = (*found).client;
        wanted.is_unpinned = (*found).is_off;
    };
    command.add_option_function<std::string>("--pin", pin, "CPUs, such as server=1,client=0")
        ->type_name("auto|none|LISTS");
}

void add_output_options(CLI::App& command, options& asked) {
    command.add_flag_callback(
        "--no-verify", [&asked] { asked.wanted.is_verified = false; },
        "do not compare the bytes of the answers");
    cli::add_value(command, "--seed", asked.wanted.seed, "N=1",
                   "of the bytes that are sent, and of their times",
                   count_from(0, std::numeric_limits<std::uint64_t>::max()));
    const auto add_outputs = [&asked](const std::vector<std::string>& texts) {
        for (const auto& text : texts) {
            const auto path = parse_output(text);
            if (!path) {
                cli::refuse_value("--output", text, path.message());
            }
            asked.outputs.push_back(*path);
        }
    };
    command
        .add_option_function<std::vector<std::string>>(
            "-o,--output", add_outputs,
            "save the run there and not in sockeye-ID.json, in the form that the name ends in: "
            ".json .html .svg .csv .md .hgrm; may be repeated")
        ->type_name("FILE")
        ->expected(1, CLI::detail::expected_max_vector_size);
    cli::add_value(command, "--progress", asked.shown, "auto|line|plain|ndjson|none",
                   "how to tell on the standard error how far it is", parse_progress);
    cli::add_value(command, "--label", asked.label, "TEXT", "kept with the run", parse_label);
    command.add_flag("--json", asked.is_json, "print the run as JSON and nothing else");
    command.add_flag("--with-hostname", asked.has_host_name,
                     "put the name of this machine into the saved run");
    command.add_flag("--no-save", asked.is_unsaved, "save no file");
}

void add_gate_options(CLI::App& command, options& asked) {
    const auto add_gates = [&asked](const std::vector<std::string>& texts) {
        for (const auto& text : texts) {
            const auto gate = limit::parse(text);
            if (!gate) {
                cli::refuse_value("--fail-if", text, gate.message());
            }
            asked.gates.push_back(*gate);
        }
    };
    command
        .add_option_function<std::vector<std::string>>(
            "--fail-if", add_gates,
            "exit 3 where that is so, such as 'p99>2ms', 'errors>0' or 'latency.rate<100k/s'; "
            "repeatable")
        ->type_name("EXPR")
        ->expected(1, CLI::detail::expected_max_vector_size);
    cli::add_value(command, "--burn", asked.wanted.burn, "TIME",
                   "CPU time wasted for each answer: a slow client, for tests", time_from(0ns, 1s))
        ->group("");
    command.add_flag("--strict", asked.is_strict, "exit 4 where the result is not to be trusted");
    command
        .add_option("--ab", asked.wanted.binaries,
                    "compare the servers of two builds of this program")
        ->type_name("OLD NEW")
        ->expected(2);
}

void refuse(const std::string& message) {
    throw cli::command_error(cli::exit_usage, message);
}

endpoint parse_control(const std::string& text, bool has_target) {
    if (!has_target) {
        refuse("--control asks a server that runs already: give its ENDPOINT too");
    }
    const auto place = endpoint::parse(text);
    if (!place || place->kind() != transport::tcp) {
        cli::refuse_value("--control", text,
                          place ? "must be a TCP port, such as 10.0.0.2:7001"
                                : place.error().message());
    }
    return *place;
}

void take_mode(options& asked) {
    request& wanted = asked.wanted;
    if (asked.how == "wake") {
        wanted.is_wake = true;
    } else if (asked.how == "idle") {
        wanted.idle = wanted.idle.value_or(900);
    } else if (!asked.how.empty()) {
        wanted.how = parse_mode(asked.how);
    }
}

void check_target(const request& wanted) {
    if (wanted.carrier || !wanted.peers.empty() || !wanted.backends.empty() ||
        !wanted.baseline.empty()) {
        refuse("with an endpoint there is one server, and it runs already: leave --transport, "
               "--backend, --baseline and --peers out");
    }
    if (wanted.is_one_core) {
        refuse("--one-core moves the server too, which runs already: use taskset(1) and --pin");
    }
    if (!is_stream(wanted.target->kind()) && wanted.idle) {
        refuse("--idle: datagrams have no idle connections");
    }
}

} // namespace

void add_options(CLI::App& command, options& asked) {
    command.add_option("ENDPOINT", asked.target,
                       "an echo server to measure, such as tcp://10.0.0.2:7");
    cli::add_value(command, "--control", asked.control, "HOST:PORT",
                   "ask that server there what it used and did: the port of its own --control",
                   [](std::string_view text) {
                       return parsed<std::optional<std::string>>(std::string(text));
                   });
    cli::add_value(command, "-m,--mode", asked.how, "MODE=echo",
                   "echo, upload, download, churn, idle or wake", parse_mode_name);
    add_load_options(command, asked.wanted);
    add_rate_options(command, asked.wanted);
    add_time_options(command, asked.wanted);
    add_server_options(command, asked.wanted);
    add_place_options(command, asked.wanted);
    add_output_options(command, asked);
    add_gate_options(command, asked);
}

void finish_options(options& asked) {
    request& wanted = asked.wanted;
    take_mode(asked);
    if (wanted.find_rate && (wanted.find_rate->is_above || !wanted.find_rate->test.empty())) {
        cli::refuse_value("--find-rate", wanted.find_rate->text,
                          "must say what is to be kept, such as p99<1ms");
    }
    if (!wanted.sources.empty() && wanted.carrier == transport::unix_stream) {
        refuse("--source: Unix sockets come from no address");
    }
    if (wanted.pipeline && wanted.how && *wanted.how != mode::echo) {
        refuse(fmt::format("--pipeline: {} has nothing in flight", name_of(*wanted.how)));
    }
    if (wanted.rate_per_s.has_value() + !wanted.steps.empty() + wanted.find_rate.has_value() > 1) {
        refuse("--rate, --steps and --find-rate exclude each other");
    }
    if (!wanted.binaries.empty() &&
        (asked.target || !wanted.peers.empty() || wanted.backends.size() > 1)) {
        refuse("--ab compares two servers on one backend: leave ENDPOINT and --peers out");
    }
    if (wanted.is_quick && wanted.is_full) {
        refuse("--quick and --full contradict each other");
    }
    if (asked.target) {
        const auto target = endpoint::parse(*asked.target);
        if (!target) {
            cli::refuse_value("endpoint", *asked.target, target.error().message());
        }
        wanted.target = *target;
        check_target(wanted);
    }
    if (asked.control) {
        wanted.control = parse_control(*asked.control, asked.target.has_value());
    }
    if (wanted.idle && wanted.carrier == transport::udp) {
        refuse("--idle: datagrams have no idle connections");
    }
    if (wanted.is_one_core && wanted.is_unpinned) {
        refuse("--one-core and --pin none contradict each other");
    }
}

mode parse_mode(std::string_view text) {
    for (const auto how : {mode::echo, mode::upload, mode::download, mode::churn}) {
        if (text == name_of(how)) {
            return how;
        }
    }
    cli::refuse_value("--mode", text, "is none that a server has");
}

transport parse_transport(std::string_view text) {
    const auto carrier = parse_carrier(text);
    if (!carrier) {
        cli::refuse_value("--transport", text, carrier.message());
    }
    return *carrier;
}

} // namespace sockeye::bench
