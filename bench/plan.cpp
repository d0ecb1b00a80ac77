#include "bench/plan.hpp"

#include "bench/judge/precision.hpp"
#include "bench/machine/placement.hpp"
#include "bench/matrix.hpp"
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
/// Starting and connecting, the pause before the next lane.
constexpr duration round_overhead = 100ms;
/// Loads that a search for the highest rate puts on a server.
constexpr duration::rep search_loads = 8;

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

/// Another build's server, on the one backend that was named or the best one here.
std::vector<lane> binary_lanes(const request& wanted) {
    const auto backend = wanted.backends.empty() ? best_backend() : wanted.backends.front();
    std::vector<lane> lanes;
    for (const auto& path : wanted.binaries) {
        lane made = {lanes.empty() ? "old" : "new", lane::kind::binary, backend, false};
        made.path = path;
        lanes.push_back(std::move(made));
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

/// Peers echo, on the transports they know.
bool serves(const peer& each, const load& what) {
    const bool is_echo = what.how == mode::echo || what.how == mode::churn;
    return is_echo && each.serves(what.carrier);
}

/// Says which tests go without a peer, because it does not serve their transport. Throws where it
/// is to be the baseline of them all.
void note_absences(const request& wanted, const std::vector<const peer*>& peers,
                   const std::vector<test_case>& tests, std::vector<std::string>& notes) {
    for (const auto* each : peers) {
        std::vector<std::string> names;
        std::string_view lacks;
        for (const auto& test : tests) {
            if (!serves(*each, test.what)) {
                names.push_back(test.name);
                lacks = each->serves(test.what.carrier) ? name_of(test.what.how)
                                                        : name_of(test.what.carrier);
            }
        }
        if (names.empty()) {
            continue;
        }
        const auto why =
            fmt::format("takes no part in {}: it does not serve {}", cli::join_and(names), lacks);
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
    auto lanes = wanted.binaries.empty() ? embedded_lanes(wanted) : binary_lanes(wanted);
    for (const auto* each : peers) {
        if (serves(*each, what)) {
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
                                                     cli::escape(wanted.baseline), names));
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
    const auto allowed = host::allowed_cpus();
    const auto known = read_topology();
    auto chosen = choose_cpus(allowed, known, {wanted.server_cpus, wanted.client_cpus});
    if (wanted.client_cpus.empty()) {
        add_client_cpus(allowed, known, wanted.threads.value_or(1), chosen);
    }
    made.server_cpus = chosen.server;
    made.client_cpus = chosen.client;
}

/// The default run measures the rate on two cores, and CPU per message on one.
std::vector<bool> placements_of(const request& wanted, const plan& made, const test_case& test) {
    const bool can_share = !made.server_cpus.empty();
    if (wanted.is_one_core) {
        if (!can_share) {
            throw command_error(cli::exit_unavailable,
                                "--one-core: this system does not let a process choose its CPU");
        }
        return {true};
    }
    const bool has_extra = test.has_one_core && !wanted.is_quick && can_share;
    return has_extra ? std::vector<bool>{false, true} : std::vector<bool>{false};
}

void choose_times(const request& wanted, bool is_extra, pass& made) {
    const bool is_short = wanted.is_quick || wanted.find_rate;
    made.warmup = wanted.warmup.value_or(is_short ? 100ms : 300ms);
    made.window = wanted.window.value_or(is_short ? 300ms : 1000ms);
    if (is_extra) {
        made.warmup /= 2;
        made.window /= 2;
    }
}

/// A client that looks for work all the time needs a CPU of its own.
pace choose_pace(const request& wanted, const plan& made) {
    if (wanted.how_paced) {
        return *wanted.how_paced;
    }
    const bool shares = std::any_of(made.client_cpus.begin(), made.client_cpus.end(), [&](auto c) {
        return std::find(made.server_cpus.begin(), made.server_cpus.end(), c) !=
               made.server_cpus.end();
    });
    const bool has_own = !made.client_cpus.empty() && !shares && !wanted.is_one_core &&
                         made.client_cpus.size() >= wanted.threads.value_or(1);
    return has_own ? pace::spin : pace::sleep;
}

round_count choose_rounds(const request& wanted) {
    const std::size_t usual = wanted.is_quick ? 6 : wanted.is_full ? 20 : 10;
    return wanted.rounds.value_or(round_count{usual, usual});
}

/// Rounds are counted by ratios.
void check_rounds(const round_count& rounds, const std::vector<lane>& lanes) {
    if (rounds.is_auto() && lanes.size() < 2) {
        throw command_error(cli::exit_usage,
                            "--rounds auto: goes on until ratios of servers are known, and here "
                            "is one server alone; give a number");
    }
}

} // namespace

duration plan::estimate(const pass& each) noexcept {
    const auto lanes = static_cast<duration::rep>(each.lanes.size());
    const auto one = each.warmup + each.window + round_overhead;
    return one * lanes * (each.find_rate ? search_loads : 1);
}

duration plan::estimate_most(const pass& each) const noexcept {
    const auto one = estimate(each);
    const auto all = one * static_cast<duration::rep>(rounds.most);
    const auto least = one * static_cast<duration::rep>(rounds.least);
    return rounds.is_auto() ? std::min(all, std::max(least, enough::budget + one)) : all;
}

duration plan::estimate_least() const noexcept {
    duration sum = {};
    for (const auto& each : passes) {
        sum += estimate(each);
    }
    return sum * static_cast<duration::rep>(rounds.least);
}

duration plan::estimate() const noexcept {
    duration sum = {};
    for (const auto& each : passes) {
        sum += estimate_most(each);
    }
    return sum;
}

std::string round_count::to_string() const {
    return is_auto() ? fmt::format("{} to {}", least, most) : std::to_string(most);
}

plan make_plan(const request& wanted) {
    plan made;
    made.rounds = choose_rounds(wanted);
    made.messages = wanted.messages;
    made.target = wanted.target;
    made.control = wanted.control;
    made.timeout = wanted.timeout;
    made.seed = wanted.seed;
    made.repeats_disturbed = !wanted.is_quick;
    choose_places(wanted, made);
    made.how_paced = choose_pace(wanted, made);
    const auto tests = tests_of(wanted);
    const auto peers = choose_peers(wanted, made.notes);
    note_absences(wanted, peers, tests, made.notes);
    for (const auto& test : tests) {
        check_descriptors(test.what);
        if (test.what.is_open_loop() && wanted.pipeline) {
            made.notes.push_back("an open loop ignores --pipeline: messages go out when due");
        }
        auto lanes = lanes_of(wanted, peers, test.what);
        made.baseline = choose_baseline(wanted, lanes);
        if (wanted.has_control) {
            add_control(lanes, made.baseline);
        }
        check_rounds(made.rounds, lanes);
        for (const bool is_one_core : placements_of(wanted, made, test)) {
            pass each = {
                test.name, test.rate_from, wanted.find_rate, test.what, is_one_core, lanes, {}, {}};
            choose_times(wanted, is_one_core && !wanted.is_one_core, each);
            made.passes.push_back(std::move(each));
        }
    }
    return made;
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
