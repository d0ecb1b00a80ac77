#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;
using sockeye::datagram;
using sockeye::datagram_socket;

namespace {

/// Says that the system is full, as no loopback ever does.
class moody_kernel final : public support::forwarding_kernel {
public:
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
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            const support::rows covered({164}, entry.name);
            moody_kernel system;
            auto loop = support::make_loop(system, entry);
            int heard = 0;
            auto server = sockeye::serve(loop, "udp://127.0.0.1:0",
                                         [&](datagram_socket&, std::span<const datagram> in) {
                                             heard += static_cast<int>(in.size());
                                         })
                              .value();
            const auto where = server.local_endpoint().value();
            auto client = datagram_socket::open(loop, "udp://127.0.0.1:0", {},
                                                [](datagram_socket&, std::span<const datagram>) {})
                              .value();
            for (int i = 0; i < 200; ++i) {
                CHECK(client.send(sockeye::as_bytes("x"), where));
            }
            CHECK(client.queued_bytes() > 0);
            // Room for all: an edge-triggered backend tells of it once.
            system.is_full = false;
            CHECK(support::turn_until([&] { return heard == 200; },
                                      [&] { static_cast<void>(loop.run_once(1ms).value()); }));
            CHECK(client.queued_bytes() == 0);
        }
    }
}
