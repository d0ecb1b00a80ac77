#include "support/kernels.hpp"
#include "support/network.hpp"

#include <doctest/doctest.h>

using sockeye::datagram;
using sockeye::datagram_socket;
using support::network;

namespace {

/// Says that the system is full, as no loopback ever does.
class moody_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    sockeye::result<std::size_t> send_datagrams(int fd, std::span<const datagram> all) override {
        if (is_full) {
            return std::errc::operation_would_block;
        }
        return forwarding_kernel::send_datagrams(fd, all);
    }
    bool is_full = true;
};

} // namespace

TEST_CASE("[164] datagrams: a queue of several batches drains when the system has room again") {
    support::on_every_altered_network<moody_kernel>(
        {164}, {"udp://127.0.0.1:0"}, [](network& on, moody_kernel& system) {
            std::vector<std::string> heard;
            auto server = sockeye::serve(on.loop(), on.local(),
                                         [&](datagram_socket&, std::span<const datagram> in) {
                                             for (const auto& one : in) {
                                                 heard.emplace_back(sockeye::as_text(one.data));
                                             }
                                         })
                              .value();
            const auto where = server.local_endpoint().value();
            auto client = datagram_socket::open(on.loop(), on.local(), {},
                                                [](datagram_socket&, std::span<const datagram>) {})
                              .value();
            std::vector<std::string> said;
            for (int i = 0; i < 200; ++i) {
                said.push_back(std::to_string(i));
                CHECK(client.send(sockeye::as_bytes(said.back()), where));
            }
            CHECK(client.queued_bytes() > 0);
            // Room for all: an edge-triggered backend tells of it once.
            system.is_full = false;
            CHECK(on.until([&] { return heard.size() == 200; }));
            CHECK((heard == said));
            CHECK(client.queued_bytes() == 0);
        });
}
