#pragma once

#include <sockeye/endpoint.hpp>

#include <cstdint>
#include <vector>

namespace sockeye::cli {

/// Which senders of datagrams get an answer.
///
/// A sender's address is whatever the sender wrote: an answer can be made to go to somebody who
/// never asked, or to a second service that answers it in turn, for ever. Refused are the ports
/// of other small services and of known amplifiers, our own ports, and addresses that are nobody's
/// or everybody's. Unix senders without a name cannot be answered.
class reply_policy {
public:
    /// Never answer what comes from this port: we listen on it ourselves.
    void add_own_port(std::uint16_t port) { own_ports_.push_back(port); }
    /// Never answer this address: it is an interface's broadcast address.
    void add_broadcast(const endpoint& address) { broadcasts_.push_back(address); }

    /// Whether what `sender` sent to the socket bound to `local` may be answered.
    [[nodiscard]] bool allows(const endpoint& sender, const endpoint& local) const noexcept;

private:
    [[nodiscard]] bool allows_port(std::uint16_t port) const noexcept;
    [[nodiscard]] bool allows_ip4(const endpoint& sender) const noexcept;

    std::vector<std::uint16_t> own_ports_;
    std::vector<endpoint> broadcasts_;
};

} // namespace sockeye::cli
