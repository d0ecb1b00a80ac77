#include "bench/matrix.hpp"

#include "bench/client/datagram_client.hpp"
#include "cli/common.hpp"
#include "cli/text.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

using cli::command_error;

constexpr std::uint64_t in_flight_bytes_max = std::uint64_t{1} << 30;

load base_load(const request& wanted) {
    load what;
    what.how = wanted.how.value_or(mode::echo);
    what.carrier = wanted.target ? wanted.target->kind() : wanted.carrier.value_or(transport::tcp);
    what.idle = wanted.idle.value_or(0);
    what.connections = wanted.connections.value_or(wanted.is_wake ? 1 : what.idle > 0 ? 8 : 64);
    what.pipeline = wanted.pipeline.value_or(1);
    what.sizes = wanted.sizes.value_or(
        message_sizes(what.how == mode::upload || what.how == mode::download ? 64 << 10 : 64));
    what.threads = wanted.threads.value_or(1);
    what.rate_per_s = wanted.rate_per_s.value_or(0);
    what.law = wanted.law;
    what.in_flight_max = wanted.in_flight_max.value_or(in_flight_default);
    what.is_verified = wanted.is_verified;
    what.burn = wanted.burn;
    return what;
}

/// `10k`, `2.5M`: for the name of a test.
std::string short_rate(double rate) {
    auto text = cli::format_count(rate);
    text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
    return text;
}

std::string name_of_custom(const request& wanted, const load& what) {
    if (what.how != mode::echo) {
        return std::string(name_of(what.how));
    }
    if (wanted.find_rate) {
        return "find-rate";
    }
    if (what.is_open_loop()) {
        return "latency";
    }
    if (what.idle > 0 || wanted.is_wake) {
        return what.idle > 0 ? "idle" : "wake";
    }
    return is_stream(what.carrier) ? "throughput" : "datagrams";
}

std::vector<test_case> custom_tests(const request& wanted) {
    const load base = base_load(wanted);
    std::vector<test_case> made;
    for (const double rate : wanted.steps) {
        load step = base;
        step.rate_per_s = rate;
        made.push_back({"latency-" + short_rate(rate), step, ""});
    }
    if (made.empty()) {
        made.push_back({name_of_custom(wanted, base), base, ""});
    }
    return made;
}

/// The four of every run, and what --full adds.
std::vector<test_case> default_tests(const request& wanted) {
    const load base = base_load(wanted);
    load datagrams = base;
    datagrams.carrier = transport::udp;
    load idle = base;
    idle.connections = 8;
    idle.idle = 900;
    std::vector<test_case> made = {{"throughput", base, "", true},
                                   {"datagrams", datagrams, "", true},
                                   {"latency", base, "throughput"},
                                   {"idle", idle, ""}};
    if (!wanted.is_full) {
        return made;
    }
    load churn = base;
    churn.how = mode::churn;
    load wake = base;
    wake.connections = 1;
    load local = base;
    local.carrier = transport::unix_stream;
    load many = idle;
    many.idle = 10'000;
    made.push_back({"churn", churn, ""});
    made.push_back({"wake", wake, ""});
    made.push_back({"unix", local, ""});
    for (const std::size_t kibibytes : {std::size_t{1}, std::size_t{16}}) {
        load larger = base;
        larger.sizes = message_sizes(kibibytes << 10);
        made.push_back({fmt::format("throughput-{}KiB", kibibytes), larger, ""});
    }
    made.push_back({"idle-10k", many, ""});
    return made;
}

[[noreturn]] void refuse_load(const std::string& message) {
    throw command_error(cli::exit_usage, message);
}

void add_sources(const request& wanted, load& what) {
    if (what.carrier != transport::tcp && what.carrier != transport::udp) {
        return;
    }
    for (const auto& each : wanted.sources) {
        what.sources.push_back(endpoint::parse(fmt::format("{}{}", name_of(what.carrier), each)) //
                                   .value());
    }
}

void check_datagrams(const load& what) {
    if (what.how != mode::echo) {
        refuse_load(fmt::format("--mode {}: goes over connections; use --transport tcp or unix",
                                name_of(what.how)));
    }
    if (what.sizes.least() < datagram_header_size) {
        refuse_load(fmt::format("--size '{}': a datagram carries a header of {} bytes; it must be "
                                "at least {}B",
                                what.sizes.least(), datagram_header_size, datagram_header_size));
    }
    if (what.sizes.most() > datagram_size_max) {
        refuse_load(fmt::format("--size '{}': a datagram carries at most {} bytes",
                                what.sizes.most(), datagram_size_max));
    }
}

void check_mode(const load& what) {
    const bool is_bulk = what.how == mode::upload || what.how == mode::download;
    if (is_bulk && !what.sizes.is_fixed()) {
        refuse_load(fmt::format("--mode {}: takes one --size", name_of(what.how)));
    }
    if (what.how == mode::churn && what.sizes.most() > ring::piece_max) {
        refuse_load(fmt::format("--mode churn: takes messages of at most {}",
                                cli::format_size(ring::piece_max)));
    }
    if (what.is_open_loop() && what.how != mode::echo) {
        refuse_load(fmt::format("--mode {}: has no rate; --rate, --steps and --find-rate are of "
                                "echo",
                                name_of(what.how)));
    }
}

void check_load(const load& what) {
    if (!is_stream(what.carrier)) {
        check_datagrams(what);
    }
    check_mode(what);
    if (what.connections < what.threads) {
        refuse_load(fmt::format("--threads {}: more than the {} connections they share",
                                what.threads, what.connections));
    }
    if (what.in_flight_max < what.threads) {
        refuse_load(fmt::format("--max-in-flight {}: less than one for each of {} threads",
                                what.in_flight_max, what.threads));
    }
    if (what.connections * what.pipeline > in_flight_bytes_max / what.sizes.most()) {
        refuse_load(fmt::format("{} connections x {} messages x {} are more than 1 GiB on their "
                                "way; make one of them smaller",
                                what.connections, what.pipeline,
                                cli::format_size(what.sizes.most())));
    }
}

/// Of the default tests one is an open loop; of one's own, those at a rate.
void check_in_flight(const request& wanted) {
    const bool has_rate = wanted.rate_per_s || !wanted.steps.empty() || wanted.find_rate;
    if (wanted.in_flight_max && is_custom(wanted) && !has_rate) {
        refuse_load("--max-in-flight: a closed loop has --pipeline messages on their way; "
                    "--rate, --steps or --find-rate make an open loop");
    }
}

} // namespace

bool is_custom(const request& wanted) noexcept {
    return wanted.connections || wanted.pipeline || wanted.idle || wanted.carrier ||
           wanted.target || wanted.how || wanted.is_wake || wanted.rate_per_s ||
           !wanted.steps.empty() || wanted.find_rate;
}

std::vector<test_case> tests_of(const request& wanted) {
    check_in_flight(wanted);
    auto made = is_custom(wanted) ? custom_tests(wanted) : default_tests(wanted);
    for (auto& each : made) {
        if (wanted.has_auto_threads) { // chosen for another test, which may have more connections
            each.what.threads = std::min(each.what.threads, each.what.connections);
        }
        check_load(each.what);
        add_sources(wanted, each.what);
    }
    return made;
}

} // namespace sockeye::bench
