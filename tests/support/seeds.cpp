#include "support/seeds.hpp"

#include "support/support.hpp"

#include <chrono>
#include <cstdlib>
#include <numeric>
#include <utility>

namespace support {
namespace {

using sockeye::fault_counters;

constexpr std::pair<const char*, std::uint64_t fault_counters::*> kinds[] = {
    {"short receives", &fault_counters::short_receives},
    {"short sends", &fault_counters::short_sends},
    {"would-blocks", &fault_counters::would_blocks},
    {"spurious events", &fault_counters::spurious_events},
    {"withheld events", &fault_counters::withheld_events},
    {"interrupted waits", &fault_counters::interrupted_waits},
    {"no descriptors", &fault_counters::no_descriptors},
    {"aborted accepts", &fault_counters::aborted_accepts},
    {"no buffers", &fault_counters::no_buffers},
    {"resets", &fault_counters::resets},
    {"lost", &fault_counters::lost},
    {"duplicated", &fault_counters::duplicated},
    {"reordered", &fault_counters::reordered},
    {"name failures", &fault_counters::name_failures},
    {"name silences", &fault_counters::name_silences},
};

using sockeye::fault_options;

constexpr std::pair<const char*, double fault_options::*> options[] = {
    {"short receives", &fault_options::short_receive},
    {"short sends", &fault_options::short_send},
    {"would-blocks", &fault_options::would_block},
    {"spurious events", &fault_options::spurious_event},
    {"withheld events", &fault_options::withheld_event},
    {"interrupted waits", &fault_options::interrupted_wait},
    {"no descriptors", &fault_options::no_descriptors},
    {"aborted accepts", &fault_options::aborted_accept},
    {"no buffers", &fault_options::no_buffers},
    {"resets", &fault_options::reset},
    {"name failures", &fault_options::name_failure},
    {"name silences", &fault_options::name_silence},
};

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* const text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

} // namespace

std::vector<std::uint64_t> seeds(int usual) {
    if (const auto one = number_from("SOCKEYE_SEED", 0)) {
        return {one};
    }
    std::vector<std::uint64_t> all(
        number_from("SOCKEYE_SEEDS", static_cast<std::uint64_t>(repetitions(usual))));
    std::iota(all.begin(), all.end(), 1);
    return all;
}

bool is_tracing() {
    return std::getenv("SOCKEYE_TRACE") != nullptr;
}

std::string how_to_repeat(std::uint64_t seed) {
    return "\n  again, with every call: SOCKEYE_TRACE=1 SOCKEYE_SEED=" + std::to_string(seed);
}

std::string needed_faults(fault_options drawn, const std::function<bool(fault_options)>& fails) {
    std::string needed;
    for (const auto& [name, member] : options) {
        auto fewer = drawn;
        fewer.*member = 0;
        if (drawn.*member == 0 || fails(fewer)) {
            drawn = fewer;
        } else {
            needed += (needed.empty() ? "" : ", ") + std::string(name);
        }
    }
    return needed.empty() ? "none" : needed;
}

void tally::add(const sockeye::simulation_report& one) {
    ++runs_;
    calls_ += one.calls;
    elapsed_ += one.elapsed;
    for (const auto& [name, member] : kinds) {
        faults_.*member += one.faults.*member;
    }
}

std::string tally::to_string() const {
    auto text = std::to_string(runs_) + " seeds, " + std::to_string(calls_) + " calls, " +
                std::to_string(elapsed_ / std::chrono::minutes(1)) + " virtual minutes";
    for (const auto& [name, member] : kinds) {
        text += ", " + std::to_string(faults_.*member) + ' ' + name;
    }
    return text;
}

} // namespace support
