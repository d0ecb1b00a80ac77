#pragma once

#include "cli/common.hpp"

namespace sockeye::cli {

/// How long clients wait for what.
struct client_times {
    duration connect = std::chrono::seconds(10);
    /// Silence after which a peer that answers has said all.
    duration linger = std::chrono::seconds(1);
};

/// What becomes of the newlines of messages.
struct line_options {
    bool sends_crlf = false;
    bool sends_none = false;
};

/// Declares ENDPOINT, which is required.
CLI::Option& add_endpoint_argument(CLI::App& command, const std::string& help);

/// Declares an option that is a time, of at least `least` and at most 1000 hours.
void add_time(CLI::App& command, const std::string& names, duration& target,
              const std::string& help, duration least = std::chrono::milliseconds(1));

/// Declares --connect-timeout.
void add_connect_timeout(CLI::App& command, client_times& times);

/// The endpoint of a client. Throws command_error with exit_usage for what clients cannot talk to:
/// raw sockets, echo sockets unless `allows_echo_sockets`, no port.
[[nodiscard]] endpoint_argument parse_peer(const std::string& text, const common_options& common,
                                           bool allows_echo_sockets = false);

} // namespace sockeye::cli
