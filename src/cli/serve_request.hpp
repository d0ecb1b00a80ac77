#pragma once

#include "cli/common.hpp"
#include "cli/serving.hpp"

#include <sockeye/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {

/// What `serve` was asked for on the command line.
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
    std::optional<std::string> control; ///< an endpoint
    serving_options run;
};

/// Services on their endpoints, and how to run them.
struct serve_plan {
    std::vector<assignment> work;
    serving_options run;
};

/// What is asked for, with the limits that hold for each endpoint and descriptors made available
/// for its connections. Throws command_error with exit_usage where it makes no sense.
[[nodiscard]] serve_plan make_plan(const common_options& common, const serve_request& asked);

} // namespace sockeye::cli
