#include "support/handlers.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

using sockeye::datagram;
using sockeye::datagram_socket;
using sockeye::queue_policy;
using support::network;

using namespace std::chrono_literals;

namespace {

constexpr auto* ignore = support::ignore_datagrams;

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

TEST_CASE(
    "[165] datagrams: a full queue refuses, or loses the newest or the oldest, as it is told") {
    support::on_every_altered_network<moody_kernel>(
        {165}, {"udp://127.0.0.1:0"}, [](network& on, moody_kernel& system) {
            std::vector<std::string> heard;
            auto server = sockeye::serve(on.loop(), on.local(),
                                         [&](datagram_socket&, std::span<const datagram> in) {
                                             for (const auto& one : in) {
                                                 heard.emplace_back(sockeye::as_text(one.data));
                                             }
                                         })
                              .value();
            const auto where = server.local_endpoint().value();
            const auto cost = [&] {
                auto probe = datagram_socket::open(on.loop(), on.local(), {}, ignore).value();
                CHECK(probe.send(sockeye::as_bytes("0"), where));
                return probe.queued_bytes();
            }();
            const auto lost = on.loop().counters().datagrams_dropped; // with the probe
            const auto say = [&](queue_policy policy) {
                auto client =
                    datagram_socket::open(on.loop(), on.local(),
                                          {.queue_max = 3 * cost, .when_full = policy}, ignore)
                        .value();
                std::size_t taken = 0;
                for (const auto* text : {"0", "1", "2", "3", "4"}) {
                    taken += client.send(sockeye::as_bytes(text), where) ? 1 : 0;
                    CHECK(client.queued_bytes() <= 3 * cost);
                }
                // What is longer than all the room there is never fits.
                const auto huge = std::string(4 * cost, 'x');
                CHECK_FALSE(client.send(sockeye::as_bytes(huge), where));
                CHECK(client.queued_bytes() == 3 * cost);
                CHECK(on.loop().counters().queued_bytes == 3 * cost);
                CHECK(taken == (policy == queue_policy::refuse ? 3U : 5U));
                const auto& counters = client.counters();
                CHECK(counters.refused == (policy == queue_policy::refuse ? 3U : 1U));
                CHECK(counters.dropped_newest == (policy == queue_policy::drop_newest ? 2U : 0U));
                CHECK(counters.dropped_oldest == (policy == queue_policy::drop_oldest ? 2U : 0U));
                CHECK(on.loop().counters().datagrams_dropped - lost == 3);
                system.is_full = false;
                CHECK(on.until([&] { return heard.size() == 3; }));
                on.settle();
                CHECK(client.counters().sent == 3);
            };
            using words = std::vector<std::string>;
            SUBCASE("refuse") {
                say(queue_policy::refuse);
                CHECK(heard == words{"0", "1", "2"});
            }
            SUBCASE("drop_newest") {
                say(queue_policy::drop_newest);
                CHECK(heard == words{"0", "1", "2"});
            }
            SUBCASE("drop_oldest") {
                say(queue_policy::drop_oldest);
                CHECK(heard == words{"2", "3", "4"});
            }
        });
}

TEST_CASE("[165] [152] datagrams: empty ones cost their entry, so that none are without bound") {
    support::on_every_altered_network<moody_kernel>(
        {165, 152}, {"udp://127.0.0.1:0"}, [](network& on, moody_kernel& system) {
            std::size_t heard = 0;
            auto server = sockeye::serve(on.loop(), on.local(),
                                         [&](datagram_socket&, std::span<const datagram> in) {
                                             heard += in.size();
                                         })
                              .value();
            auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(),
                                                   {.queue_max = 10'000}, ignore)
                              .value();
            std::size_t taken = 0;
            for (int i = 0; i < 1000; ++i) {
                taken += client.send(sockeye::bytes()) ? 1 : 0;
            }
            CHECK(taken > 0);
            CHECK(taken <= 10'000 / sizeof(datagram));
            CHECK(client.counters().refused == 1000 - taken);
            system.is_full = false;
            CHECK(on.until([&] { return heard == taken; }));
        });
}

TEST_CASE("[165] datagrams: nothing more is read while too much of the loop's output waits") {
    support::on_every_altered_network<moody_kernel>(
        {165}, {"udp://127.0.0.1:0"}, [](network& on, moody_kernel& system) {
            sockeye::loop_options options;
            options.queued_bytes_max = 1000;
            auto loop = on.on().make_loop(system, std::move(options));
            std::size_t heard = 0;
            auto server = datagram_socket::open(
                              loop, on.local(), {},
                              [&](auto&, std::span<const datagram> in) { heard += in.size(); })
                              .value();
            auto stuck = datagram_socket::open(loop, on.local(), {}, ignore).value();
            const auto turn = [&] { static_cast<void>(loop.run_once(0s)); };
            auto client =
                datagram_socket::connect(on.loop(), server.local_endpoint().value(), {}, ignore)
                    .value();
            const auto say = [&] {
                system.is_full = false;
                CHECK(client.send(sockeye::as_bytes("x")));
                system.is_full = true;
            };
            say();
            CHECK(on.until([&] {
                turn();
                return heard == 1;
            }));
            while (loop.counters().queued_bytes <= 1000) {
                CHECK(stuck.send(sockeye::as_bytes("waits"), server.local_endpoint().value()));
            }
            say();
            for (int i = 0; i < 20; ++i) {
                on.settle();
                turn();
            }
            CHECK(heard == 1);
            const auto reads = loop.counters().reads;
            for (int i = 0; i < 20; ++i) {
                turn();
            }
            CHECK(loop.counters().reads == reads);
            system.is_full = false;
            stuck.close();
            CHECK(on.until([&] {
                turn();
                return heard == 2;
            }));
        });
}
