#pragma once

#include "cli/service.hpp"

namespace sockeye::cli {

/// The echo service: bytes back until the peer closes, each datagram back. A peer that ends its
/// side still gets all it sent. Errors: as sockeye::serve. See: RFC 862.
result<active_service> start_echo(loop& owner, const endpoint& local,
                                  const service_options& options, service_state& state);

} // namespace sockeye::cli
