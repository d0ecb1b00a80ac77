#include "bench/plan.hpp"

#include "bench/datagram_client.hpp"
#include "bench/placement.hpp"
#include "cli/common.hpp"
#include "cli/host.hpp"
#include "cli/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;
using cli::command_error;

/// Descriptors of a process beside its connections, as the servers of the program keep them.
constexpr std::uint64_t spare_descriptors = 64;
constexpr std::uint64_t in_flight_max = std::uint64_t{1} << 30;
/// Starting and connecting, the pause before the next lane.
constexpr duration round_overhead = 100ms;

/// Whether the command line describes one test of its own instead of the default ones.
bool is_custom(const request& wanted) noexcept {
    return wanted.connections || wanted.pipeline || wanted.idle || wanted.carrier || wanted.target;
}

load base_load(const request& wanted) {
    load what;
    what.carrier = wanted.target ? wanted.target->kind() : wanted.carrier.value_or(transport::tcp);
    what.idle = wanted.idle.value_or(0);
    what.connections = wanted.connections.value_or(what.idle > 0 ? 8 : 64);
    what.pipeline = wanted.pipeline.value_or(1);
    what.size = wanted.size;
    what.is_verified = wanted.is_verified;
    return what;
}

std::vector<load> loads_of(const request& wanted) {
    const load base = base_load(wanted);
    if (is_custom(wanted)) {
        return {base};
    }
    load datagrams = base;
    datagrams.carrier = transport::udp;
    load idle = base;
    idle.connections = 8;
    idle.idle = 900;
    return {base, datagrams, idle};
}

std::string test_name(const load& what) {
    if (what.idle > 0) {
        return "idle";
    }
    return is_stream(what.carrier) ? "throughput" : "datagrams";
}

void check_load(const load& what) {
    if (!is_stream(what.carrier) && what.size < datagram_header_size) {
        throw command_error(cli::exit_usage,
                            fmt::format("--size '{}': a datagram carries a header of {} bytes; it "
                                        "must be at least {}B",
                                        what.size, datagram_header_size, datagram_header_size));
    }
    if (!is_stream(what.carrier) && what.size > datagram_size_max) {
        throw command_error(cli::exit_usage, fmt::format("--size '{}': a datagram carries at most "
                                                         "{} bytes",
                                                         what.size, datagram_size_max));
    }
    if (what.connections * what.pipeline > in_flight_max / what.size) {
        throw command_error(cli::exit_usage,
                            fmt::format("{} connections x {} messages x {} are more than 1 GiB on "
                                        "their way; make one of them smaller",
                                        what.connections, what.pipeline,
                                        cli::format_size(what.size)));
    }
}

void check_descriptors(const load& what) {
    const std::uint64_t connections = what.connections + what.idle;
    const std::uint64_t needed = connections + spare_descriptors;
    const auto limits = cli::read_descriptor_limits();
    if (needed > limits.hard) {
        throw command_error(
            cli::exit_usage,
            fmt::format("{} connections need {} descriptors in each process but the hard limit is "
                        "{}; try 'ulimit -Hn {}' as root",
                        connections, needed, limits.hard, needed));
    }
    if (needed > limits.soft && cli::raise_descriptor_limit(needed)) {
        throw command_error(cli::exit_failed,
                            fmt::format("cannot raise the limit of descriptors to {}", needed));
    }
}

std::vector<lane> embedded_lanes(const request& wanted) {
    std::vector<lane> lanes;
    for (const auto& each : backends()) {
        const bool is_named = std::find(wanted.backends.begin(), wanted.backends.end(),
                                        each.kind) != wanted.backends.end();
        if (wanted.backends.empty() ? each.is_usable : is_named) {
            lanes.push_back({std::string(each.name), lane::kind::embedded, each.kind, false});
        }
    }
    return lanes;
}

/// Those of the peers asked for that were built here; notes the others. Throws where one was
/// named, or none is there.
std::vector<const peer*> choose_peers(const request& wanted, std::vector<std::string>& notes) {
    const std::string program = host::program_path();
    std::vector<const peer*> built;
    for (const auto* each : wanted.peers) {
        if (each->is_built(program)) {
            built.push_back(each);
            continue;
        }
        const auto remedy = each->package.empty()
                                ? fmt::format("its program is not beside {}", program)
                                : fmt::format("install {} and build again", each->package);
        if (!wanted.has_all_peers) {
            throw command_error(cli::exit_unavailable,
                                fmt::format("--peers '{}': was not built; {}", each->name, remedy));
        }
        notes.push_back(fmt::format("{} takes no part: it was not built; {}", each->name, remedy));
    }
    if (built.empty() && !wanted.peers.empty()) {
        throw command_error(
            cli::exit_unavailable,
            fmt::format("--peers: there is none beside {}; bench/run --peers builds them",
                        program));
    }
    return built;
}

/// Says which tests go without a peer, because it does not serve their transport. Throws where it
/// is to be the baseline of them all.
void note_absences(const request& wanted, const std::vector<const peer*>& peers,
                   const std::vector<load>& loads, std::vector<std::string>& notes) {
    for (const auto* each : peers) {
        std::vector<std::string> tests;
        std::string_view carrier;
        for (const auto& what : loads) {
            if (!each->serves(what.carrier)) {
                tests.push_back(test_name(what));
                carrier = name_of(what.carrier);
            }
        }
        if (tests.empty()) {
            continue;
        }
        const auto why =
            fmt::format("takes no part in {}: it does not serve {}", cli::join_and(tests), carrier);
        if (each->name == wanted.baseline) {
            throw command_error(cli::exit_usage,
                                fmt::format("--baseline '{}': {}", each->name, why));
        }
        notes.push_back(fmt::format("{} {}", each->name, why));
    }
}

std::vector<lane> lanes_of(const request& wanted, const std::vector<const peer*>& peers,
                           const load& what) {
    if (wanted.target) {
        return {{"server", lane::kind::target, backend_kind::automatic, false}};
    }
    auto lanes = embedded_lanes(wanted);
    for (const auto* each : peers) {
        if (each->serves(what.carrier)) {
            lanes.push_back(
                {std::string(each->name), lane::kind::peer, backend_kind::automatic, false, each});
        }
    }
    return lanes;
}

std::string choose_baseline(const request& wanted, const std::vector<lane>& lanes) {
    if (wanted.target) {
        return {};
    }
    if (wanted.baseline.empty()) {
        return lanes.front().name;
    }
    std::string names;
    for (const auto& each : lanes) {
        if (each.name == wanted.baseline) {
            return wanted.baseline;
        }
        names += names.empty() ? each.name : ", " + each.name;
    }
    throw command_error(cli::exit_usage, fmt::format("--baseline '{}': not among those measured: "
                                                     "{}",
                                                     wanted.baseline, names));
}

/// The baseline once more, so that the run shows what differences mean nothing.
void add_control(std::vector<lane>& lanes, const std::string& baseline) {
    for (const auto& each : lanes) {
        if (each.name == baseline) {
            lane control = each;
            control.name = "control";
            control.is_control = true;
            lanes.push_back(control);
            return;
        }
    }
}

void choose_places(const request& wanted, plan& made) {
    if (wanted.is_unpinned) {
        return;
    }
    const auto chosen = choose_cpus(host::allowed_cpus(), read_topology(),
                                    {wanted.server_cpus, wanted.client_cpus});
    made.server_cpus = chosen.server;
    made.client_cpus = chosen.client;
}

/// The default run measures the rate on two cores, and CPU per message on one.
std::vector<bool> placements_of(const request& wanted, const plan& made, const load& what) {
    const bool can_share = !made.server_cpus.empty();
    if (wanted.is_one_core) {
        if (!can_share) {
            throw command_error(cli::exit_unavailable,
                                "--one-core: this system does not let a process choose its CPU");
        }
        return {true};
    }
    const bool has_extra = !is_custom(wanted) && !wanted.is_quick && can_share && what.idle == 0;
    return has_extra ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

void choose_times(const request& wanted, bool is_extra, pass& made) {
    made.warmup = wanted.warmup.value_or(wanted.is_quick ? 100ms : 300ms);
    made.window = wanted.window.value_or(wanted.is_quick ? 300ms : 1000ms);
    if (is_extra) {
        made.warmup /= 2;
        made.window /= 2;
    }
}

} // namespace

duration plan::estimate(const pass& each) noexcept {
    const auto lanes = static_cast<duration::rep>(each.lanes.size());
    return (each.warmup + each.window + round_overhead) * lanes;
}

duration plan::estimate() const noexcept {
    duration sum = {};
    for (const auto& each : passes) {
        sum += estimate(each);
    }
    return sum * static_cast<duration::rep>(rounds);
}

plan make_plan(const request& wanted) {
    plan made;
    made.rounds = wanted.rounds.value_or(wanted.is_quick ? 6 : 10);
    made.messages = wanted.messages;
    made.target = wanted.target;
    made.control = wanted.control;
    made.timeout = wanted.timeout;
    made.seed = wanted.seed;
    choose_places(wanted, made);
    const auto loads = loads_of(wanted);
    const auto peers = choose_peers(wanted, made.notes);
    note_absences(wanted, peers, loads, made.notes);
    for (const auto& what : loads) {
        check_load(what);
        check_descriptors(what);
        auto lanes = lanes_of(wanted, peers, what);
        made.baseline = choose_baseline(wanted, lanes);
        if (wanted.has_control) {
            add_control(lanes, made.baseline);
        }
        for (const bool is_one_core : placements_of(wanted, made, what)) {
            pass each = {test_name(what), what, is_one_core, lanes, {}, {}};
            choose_times(wanted, is_one_core && !wanted.is_one_core, each);
            made.passes.push_back(std::move(each));
        }
    }
    return made;
}

std::string_view name_of(transport carrier) noexcept {
    switch (carrier) {
    case transport::tcp:
        return "tcp";
    case transport::udp:
        return "udp";
    case transport::unix_stream:
        return "unix";
    case transport::unix_datagram:
        return "unix-dgram";
    case transport::unix_seqpacket:
        return "unix-seqpacket";
    case transport::icmp:
    case transport::raw:
        break; // nothing here measures them
    }
    return "";
}

backend_kind best_backend() {
    for (const auto& each : backends()) {
        if (each.is_usable) {
            return each.kind;
        }
    }
    return backend_kind::automatic;
}

} // namespace sockeye::bench
