#pragma once

#include "cli/service_host.hpp"
#include "cli/service_state.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/result.hpp>

#include <cstdint>
#include <span>
#include <string_view>

namespace sockeye::cli {

/// One line of the table of services.
struct service {
    std::string_view name;
    std::string_view summary;
    /// Where it is served if no endpoint is given: on loopback.
    std::uint16_t default_port;
    /// Who speaks first has nothing to answer.
    bool has_datagrams;
    /// The client has to speak before anything happens, and may be asked to do so soon.
    bool waits_for_client;
    /// Begins to serve `local` and says where. Errors: as sockeye::serve.
    result<endpoint> (*start)(service_host& host, const endpoint& local,
                              const service_options& options, service_state& state);
};

/// All services, in the order of the help.
[[nodiscard]] std::span<const service> services();

/// The five of RFC 862 to 868, which `small` stands for.
[[nodiscard]] std::span<const std::string_view> small_services();

// One file each: serve_NAME.cpp.
result<endpoint> start_echo(service_host&, const endpoint&, const service_options&, service_state&);
result<endpoint> start_discard(service_host&, const endpoint&, const service_options&,
                               service_state&);
result<endpoint> start_chargen(service_host&, const endpoint&, const service_options&,
                               service_state&);
result<endpoint> start_daytime(service_host&, const endpoint&, const service_options&,
                               service_state&);
result<endpoint> start_time(service_host&, const endpoint&, const service_options&, service_state&);
result<endpoint> start_timestamp(service_host&, const endpoint&, const service_options&,
                                 service_state&);
result<endpoint> start_greet(service_host&, const endpoint&, const service_options&,
                             service_state&);
result<endpoint> start_hello(service_host&, const endpoint&, const service_options&,
                             service_state&);

} // namespace sockeye::cli
