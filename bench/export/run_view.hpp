#pragma once

#include "bench/judge/statistics.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

/// A saved run in other forms: documents, charts, tables.
namespace sockeye::bench::exporting {

using nlohmann::json;

/// The number at `path`, such as `/summary/rate_per_s/median`; nothing where there is none.
[[nodiscard]] std::optional<double> number_at(const json& from, const std::string& path);

/// One backend in one test.
struct lane_view {
    std::string name;
    const json* result = nullptr;
    std::size_t style = 0; ///< the same for a name throughout the run
    bool is_control = false;

    [[nodiscard]] const json& rounds() const { return (*result)["rounds"]; }
};

/// A ratio, "times the baseline": above 1 is better, whatever the number is.
struct comparison_view {
    std::string backend;
    std::string baseline;
    ratio found;
    std::string verdict; ///< `faster` and so on; empty for the control
    bool is_control = false;
};

/// All ratios of one number of one test.
struct comparison_group {
    std::string metric; ///< `rate_per_s`, `response_p99_ns`, ...
    std::vector<comparison_view> lanes;

    [[nodiscard]] const comparison_view* control() const;
    [[nodiscard]] const comparison_view* find(std::string_view backend) const;
};

/// One test in one placement.
struct pass_view {
    std::string test;
    std::string placement;
    bool is_open = false;
    std::vector<lane_view> lanes;
    std::vector<comparison_group> comparisons;

    [[nodiscard]] bool is_one_core() const { return placement == "one-core"; }
    /// `throughput`, `throughput on one core`.
    [[nodiscard]] std::string title() const;
    /// `64 connections x 1 in flight, 64 B, tcp, closed loop`.
    [[nodiscard]] std::string load() const;
    /// What its times are: `response` or, in a closed loop, `service`.
    [[nodiscard]] std::string times_name() const { return is_open ? "response" : "service"; }
    /// The numbers that this test is for, of those that were compared.
    [[nodiscard]] std::vector<const comparison_group*> key_comparisons() const;
};

/// A saved run, put in order. Lifetime: `document` outlives it.
struct run_view {
    explicit run_view(const json& document);

    [[nodiscard]] const pass_view* find(std::string_view test, std::string_view placement) const;
    /// Whether the same test ran on two cores: from the one on one core comes the CPU time alone.
    [[nodiscard]] bool is_side_pass(const pass_view& pass) const;
    [[nodiscard]] std::uint64_t seed() const;
    [[nodiscard]] std::string text(const char* name) const;

    const json& document;
    std::vector<pass_view> passes;
};

/// Whether a round was run again in its place, and does not count.
[[nodiscard]] bool is_replaced(const json& round);

/// `messages/s`, `server CPU per message`, `response p99`.
[[nodiscard]] std::string_view metric_title(std::string_view metric);

/// What the run says in words, and whether it is whole.
[[nodiscard]] std::vector<std::string> sentences(const run_view& run);

} // namespace sockeye::bench::exporting
