#pragma once

#include "bench/judge/statistics.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sockeye::bench {

/// What a lane of a saved run brought, a value for each round.
struct saved_lane {
    std::string name;
    std::vector<double> rate;   ///< messages a second
    std::vector<double> cpu_ns; ///< of the server, per message; empty where it did not tell
    /// Response times, in a closed loop service times; empty where a round had too few messages.
    std::vector<double> p50_ns;
    std::vector<double> p99_ns;
};

/// One test of a saved run in one placement.
struct saved_pass {
    std::string test;
    std::string placement;
    /// What has to be equal for two to be compared: `64 connections`, `64 B`, ...
    std::vector<std::string> load;
    /// Of an open loop with a rate of its own: messages a second. There the rate says nothing.
    std::optional<double> offered_per_s;
    std::vector<saved_lane> lanes;
    /// The control against the baseline, by the names of metrics.
    std::map<std::string, ratio, std::less<>> controls;

    [[nodiscard]] const saved_lane* find(std::string_view lane) const noexcept;
};

/// A run as its file has it.
struct saved_run {
    std::string path;
    std::string id;
    std::string started; ///< `2026-11-21T03:40:11Z`
    /// What may explain a difference: `kernel`, and what it was.
    std::vector<std::pair<std::string, std::string>> facts;
    std::vector<saved_pass> passes;
};

/// Reads a file that `bench` saved. Throws cli::command_error with exit_failed where it cannot be
/// read, and with exit_usage where it is no such file: with what its schema refuses.
[[nodiscard]] saved_run read_run(const std::string& path);

/// The JSON Schema of saved runs, sockeye.bench/1.
[[nodiscard]] std::string_view run_schema() noexcept;

} // namespace sockeye::bench
