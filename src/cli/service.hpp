#pragma once

#include "cli/event_log.hpp"

#include <sockeye/datagram_socket.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/reply_policy.hpp>
#include <sockeye/serve.hpp>

#include <cstdint>
#include <span>
#include <string_view>
#include <variant>

namespace sockeye::cli {

/// How a service is to treat its peers.
struct service_options {
    serve_options stream;
    datagram_options datagram;
    /// Hears of connections and messages; null: nobody does, and connections need no session.
    event_log* log = nullptr;
};

/// What the endpoints of one run of services share. Outlives them.
struct service_state {
    reply_policy policy;
    /// Datagrams that got no answer because they were too long to be received whole.
    std::uint64_t truncated = 0;
};

/// One endpoint that is being served.
using active_service = std::variant<server, datagram_socket>;

/// One line of the table of services.
struct service {
    std::string_view name;
    std::string_view summary;
    /// Where it is served if no endpoint is given: TCP and UDP on loopback.
    std::uint16_t default_port;
    /// Begins to serve `local`. Errors: as sockeye::serve.
    result<active_service> (*start)(loop& owner, const endpoint& local,
                                    const service_options& options, service_state& state);
};

/// All services, in the order of the help.
[[nodiscard]] std::span<const service> services();

} // namespace sockeye::cli
