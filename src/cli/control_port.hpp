#pragma once

#include "cli/service_host.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/result.hpp>
#include <sockeye/serve.hpp>

namespace sockeye::cli {

/// Tells `bench`, over a port of its own, what the services have used and done.
///
/// A client sends lines. To `stats` it is answered with one line of bench/account.hpp, which is the
/// one place that writes and reads them; to anything else with `error: ...`, and the end. Few
/// clients are taken at a time, and short lines only.
///
/// Lifetime: dies before the host; the loop is that of the host.
class control_port {
public:
    /// Errors: as serve().
    static result<control_port> open(loop& owner, service_host& host, const endpoint& local);

    [[nodiscard]] const endpoint& place() const noexcept { return place_; }

private:
    control_port(server listening, endpoint place)
        : server_(std::move(listening)), place_(std::move(place)) {}

    server server_;
    endpoint place_;
};

} // namespace sockeye::cli
