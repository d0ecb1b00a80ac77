#include "cli/client_options.hpp"

namespace sockeye::cli {
namespace {

constexpr duration time_most = std::chrono::hours(1000);

std::uint16_t port_of(const endpoint_argument& address) {
    return address.host() != nullptr ? address.host()->port : address.get()->port();
}

} // namespace

CLI::Option& add_endpoint_argument(CLI::App& command, const std::string& help) {
    return *command.add_option("ENDPOINT")->required()->description(help);
}

void add_time(CLI::App& command, const std::string& names, duration& target,
              const std::string& help, duration least) {
    add_value(command, names, target, "TIME", help, [least](std::string_view text) {
        return parse_time(text, {.least = least, .most = time_most});
    });
}

void add_connect_timeout(CLI::App& command, client_times& times) {
    add_time(command, "--connect-timeout", times.connect,
             "how long a look-up and all attempts to connect may take (default 10s)");
}

endpoint_argument parse_peer(const std::string& text, const common_options& common,
                             bool allows_echo_sockets) {
    auto address = parse_address(text, common);
    const auto carrier = carrier_of(address);
    if (carrier == transport::raw) {
        refuse_value("endpoint", text, "clients use tcp://, udp:// and Unix sockets");
    }
    if (carrier == transport::icmp && !allows_echo_sockets) {
        refuse_value("endpoint", text, "only 'sockeye ping' speaks ICMP");
    }
    const bool has_port = carrier == transport::tcp || carrier == transport::udp;
    if (has_port && port_of(address) == 0) {
        refuse_value("endpoint", text, "port 0 is nobody's; which one is meant?");
    }
    return address;
}

} // namespace sockeye::cli
