#include "support/kernels.hpp"
#include "support/network.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using sockeye::close_reason;
using support::network;
using support::script;

namespace {

sockeye::stream connect_script(network& on, const sockeye::endpoint_argument& peer, script& told,
                               const sockeye::connect_options& options = {}) {
    return sockeye::connect<support::hooked>(on.loop(), peer, options, std::ref(told));
}

/// Turns until `told` has heard that the connection never came up.
std::error_code failure_of(network& on, const script& told) {
    CHECK(told.closes == 0); // never inside the call
    CHECK(on.until([&] { return told.is_closed(); }));
    on.settle();
    CHECK(told.closes == 1);
    CHECK(told.count("open") == 0);
    CHECK(told.sessions == 0);
    CHECK(told.info.reason == close_reason::connect_failed);
    return told.info.error;
}

const support::exemption
    connects_once({95}, "each connect makes a stream of its own; there is no verb to do it again");

} // namespace

TEST_CASE("[94] [148] connect: what is written before it is up is sent first, in order") {
    support::on_every_stream({79, 94, 148}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        remote.on_open = [](sockeye::stream& link) { link.write("greeting"); };
        script told;
        auto client = connect_script(on, support::local_of(server), told);
        CHECK(client.is_open());
        CHECK(client.is_connecting());
        const auto early = support::pattern(300'000);
        CHECK(client.write(early.substr(0, 1000)) == sockeye::write_status::ok);
        CHECK(client.write(early.substr(1000)) == sockeye::write_status::above_high_mark);
        CHECK(client.queued_bytes() == early.size());
        told.on_open = [](sockeye::stream& link) { link.write("last"); };
        CHECK(on.until(
            [&] { return remote.data.size() >= early.size() + 4 && told.data == "greeting"; }));
        CHECK((remote.data == early + "last"));
        CHECK_FALSE(client.is_connecting());
        CHECK(client.peer_endpoint().value() == support::local_of(server));
        CHECK(told.count("writable") == 1);
    });
}

TEST_CASE("[120] [122] connect: the marks of the queue are met to the byte") {
    support::on_every_stream({120, 122}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        script told;
        // Until it is up nothing is sent, so that the queue holds what was written.
        auto client =
            connect_script(on, support::local_of(server), told,
                           {.limits = {.queue_high = 100, .queue_low = 0, .queue_max = 200}});
        using sockeye::write_status;
        CHECK(client.write(support::pattern(100)) == write_status::ok);
        CHECK(client.write("x") == write_status::above_high_mark);
        CHECK(client.write(support::pattern(99)) == write_status::above_high_mark);
        CHECK(client.queued_bytes() == 200);
        SUBCASE("a full queue takes one more, and an empty one is at its low mark") {
            CHECK(client.write("y") == write_status::above_high_mark);
            CHECK(on.until([&] { return remote.data.size() == 201; }));
            CHECK(on.until([&] { return told.count("writable") == 1; }));
        }
        SUBCASE("past the hard limit it is refused") {
            CHECK(client.write("yy") == write_status::above_high_mark);
            CHECK(client.write("z") == write_status::refused);
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == sockeye::errc::send_queue_full);
            CHECK(told.info.dropped_bytes == 202);
        }
    });
}

TEST_CASE("connect: shutdown and close before it is up") {
    support::on_every_stream({92, 131}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        script told;
        auto client = connect_script(on, support::local_of(server), told);
        client.write("all there is");
        SUBCASE("shutdown waits for the connection") {
            client.shutdown();
            CHECK(on.until([&] { return remote.count("end") == 1; }));
            CHECK(remote.data == "all there is");
        }
        SUBCASE("close cancels it") {
            client.close();
            CHECK_FALSE(client.is_open());
            CHECK(failure_of(on, told) == std::errc::operation_canceled);
            CHECK(told.info.dropped_bytes == 12);
        }
        SUBCASE("abort cancels it") {
            client.abort();
            CHECK(failure_of(on, told) == std::errc::operation_canceled);
        }
        SUBCASE("its owner goes in silence") {
            client = sockeye::stream();
            on.settle();
            CHECK(told.heard.empty());
            CHECK(told.sessions == 0);
        }
    });
}

TEST_CASE("[89] connect: what fails is told once, by on_close") {
    support::on_every_backend_with_tcp({89}, [](network& on) {
        script told;
        const auto closed =
            support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value());
        const auto refused =
            on.system().local_endpoint(closed.get(), sockeye::transport::tcp).value();
        SUBCASE("a closed port") {
            auto client = connect_script(on, refused, told);
            client.write("lost");
            CHECK(failure_of(on, told) == std::errc::connection_refused);
            CHECK(told.info.dropped_bytes == 4);
            CHECK(client.write("x") == sockeye::write_status::refused);
            CHECK_FALSE(client.peer_endpoint());
        }
        SUBCASE("a name that cannot be one") {
            auto client = connect_script(on, "tcp://-example.org:80", told);
            CHECK(failure_of(on, told) == sockeye::errc::endpoint_host_invalid);
        }
        SUBCASE("a host of datagrams") {
            auto client = connect_script(on, "udp://example.org:9", told);
            CHECK(failure_of(on, told) == sockeye::errc::service_mismatch);
        }
        SUBCASE("no address at all") {
            auto client = connect_script(on, "tcp://", told);
            CHECK(failure_of(on, told));
        }
        SUBCASE("an endpoint of datagrams") {
            auto client = connect_script(on, "udp://127.0.0.1:9", told);
            CHECK(failure_of(on, told) == sockeye::errc::service_mismatch);
        }
        SUBCASE("an unknown endpoint") {
            auto client = connect_script(on, sockeye::endpoint(), told);
            CHECK(failure_of(on, told));
        }
    });
}

namespace {

/// Answers of the network that no loopback gives.
class lying_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    std::error_code connect(int fd, const sockeye::endpoint& peer) override {
        return at_once ? at_once : forwarding_kernel::connect(fd, peer);
    }
    std::error_code pending_error(int fd) override {
        const auto error = forwarding_kernel::pending_error(fd);
        return error ? error : later;
    }

    std::error_code at_once;
    std::error_code later;
};

} // namespace

TEST_CASE("[90] [96] [254] connect: what the network says counts, at once or later, once") {
    support::on_every_altered_network<lying_kernel>(
        {90, 96, 254}, {"tcp://127.0.0.1:0", "tcp://[::1]:0"},
        [](network& on, lying_kernel& system) {
            script remote;
            auto server = support::serve_script(on, remote);
            remote.on_end = [](sockeye::stream& link) { link.close(); };
            const auto attempt = [&] {
                script told;
                auto client = connect_script(on, support::local_of(server), told);
                return failure_of(on, told);
            };
            for (const auto error :
                 {std::errc::network_unreachable, std::errc::address_not_available}) {
                system.at_once = std::make_error_code(error);
                CHECK(attempt() == error);
                system.at_once.clear();
                // The socket is writable, which alone means nothing.
                system.later = std::make_error_code(error);
                CHECK(attempt() == error);
                system.later.clear();
            }
            script told;
            auto client = connect_script(on, support::local_of(server), told);
            CHECK(on.until([&] { return told.count("open") == 1; }));
            client.write("works again");
            CHECK(on.until([&] { return remote.data == "works again"; }));
        });
}

TEST_CASE("[93] [149] connect: unspecified, wildcard and mapped addresses lead to this machine") {
    struct way {
        const char* name;
        const char* served;
        const char* wanted;
        bool leads_there;
    };
    static constexpr way ways[] = {
        {"to the unspecified address", "tcp://127.0.0.1:0", "tcp://*:0", true},
        {"to the unspecified address of IPv6", "tcp://[::1]:0", "tcp://[::]:0", true},
        {"by the wildcard", "tcp://*:0", "tcp://127.0.0.1:0", true},
        {"by the wildcard, another loopback", "tcp://*:0", "tcp://127.0.0.2:0", true},
        {"by the wildcard of IPv6", "tcp://[::]:0", "tcp://[::1]:0", true},
        {"not another loopback", "tcp://127.0.0.1:0", "tcp://127.0.0.2:0", false},
        {"mapped", "tcp://127.0.0.1:0", "tcp://[::ffff:127.0.0.1]:0", true},
        {"never mapped to the wildcard of IPv6", "tcp://[::]:0", "tcp://127.0.0.1:0", false},
    };
    for (const auto& each : ways) {
        SUBCASE(each.name) {
            support::on_every_network({93, 149}, {each.served}, [&](network& on) {
                script remote;
                auto server = support::serve_script(on, remote);
                remote.on_open = [](sockeye::stream& link) { link.write("welcome"); };
                auto where = sockeye::endpoint::parse(each.wanted).value();
                where.set_port(support::local_of(server).port());
                script told;
                auto client = connect_script(on, where, told);
                if (each.leads_there) {
                    CHECK(on.until([&] { return told.data == "welcome"; }));
                } else {
                    CHECK(failure_of(on, told) == std::errc::connection_refused);
                }
            });
        }
    }
}

namespace {

/// Connects every socket from the very address that it connects to.
class self_connecting_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    std::error_code connect(int fd, const sockeye::endpoint& peer) override {
        const auto error = bind(fd, peer);
        return error ? error : forwarding_kernel::connect(fd, peer);
    }
};

} // namespace

TEST_CASE("[97] connect: a connection to itself is refused") {
    support::on_every_altered_network<self_connecting_kernel>(
        {97}, {"tcp://127.0.0.1:0"}, [](network& on, self_connecting_kernel&) {
            script told;
            auto target = sockeye::endpoint::parse(on.local()).value();
            {
                const auto free_port = support::make_bound(on.system(), target);
                target =
                    on.system().local_endpoint(free_port.get(), sockeye::transport::tcp).value();
            }
            auto client = connect_script(on, target, told);
            CHECK(failure_of(on, told) == std::errc::connection_refused);
            CHECK(told.heard == std::vector<std::string>{"close"});
        });
}

TEST_CASE("[91] connect: the deadline ends it, and not before") {
    support::on_every_network(
        {91, 188, 189}, {"unix:", "tcp://127.0.0.1:0", "tcp://[::1]:0"}, [](network& on) {
            const support::full_backlog server(on);
            const auto before = on.on().descriptors();
            script told;
            const auto start = on.now();
            auto client = connect_script(on, server.listener.local(), told, {.deadline = 60ms});
            // Unix sockets do not wait in a queue: they ask again and again, in vain.
            CHECK(failure_of(on, told) ==
                  (on.is_unix() ? std::errc::operation_would_block : std::errc::timed_out));
            CHECK(on.now() - start >= 60ms);
            CHECK(on.on().descriptors() == before);
        });
}

TEST_CASE("[92] connect: close and abort while nobody answers cancel it, once") {
    support::on_every_network({92, 189}, {"unix:", "tcp://127.0.0.1:0", "tcp://[::1]:0"},
                              [](network& on) {
                                  const support::full_backlog server(on);
                                  const auto before = on.on().descriptors();
                                  script told;
                                  auto client = connect_script(on, server.listener.local(), told);
                                  client.write("lost");
                                  on.settle();
                                  CHECK(client.is_connecting());
                                  CHECK(told.heard.empty());
                                  SUBCASE("close") {
                                      client.close();
                                  }
                                  SUBCASE("abort") {
                                      client.abort();
                                  }
                                  CHECK(failure_of(on, told) == std::errc::operation_canceled);
                                  CHECK(told.info.dropped_bytes == 4);
                                  CHECK(on.on().descriptors() == before);
                              });
}

TEST_CASE("[188] connect: a full backlog of a Unix socket is tried again, without spinning") {
    support::on_every_network({188, 189}, {"unix:"}, [](network& on) {
        support::full_backlog server(on);
        script told;
        auto client = connect_script(on, on.local(), told);
        client.write("patience");
        const auto events = on.loop().counters().events;
        on.pass(50ms);
        CHECK(on.loop().counters().events == events);
        CHECK(client.is_connecting());
        std::vector<support::raw_peer> accepted;
        const auto accept_all = [&] {
            while (auto one = server.listener.accept()) {
                accepted.push_back(std::move(*one));
            }
        };
        CHECK(on.until([&] {
            accept_all();
            return told.count("open") == 1;
        }));
        CHECK(on.until([&] {
            accept_all();
            accepted.back().pump();
            return accepted.back().heard() == "patience";
        }));
    });
}

TEST_CASE("[189] connect: many that wait for a full backlog are cancelled at once") {
    support::on_every_network({189}, {"unix:"}, [](network& on) {
        const support::full_backlog server(on);
        script told;
        std::vector<sockeye::stream> clients;
        for (int i = 0; i < 20; ++i) {
            clients.push_back(connect_script(on, on.local(), told));
        }
        on.settle();
        for (auto& client : clients) {
            client.close();
        }
        CHECK(on.until([&] { return told.closes == 20; }));
        CHECK(told.info.error == std::errc::operation_canceled);
        CHECK(told.sessions == 0);
    });
}

TEST_CASE("[187] connect: to a missing path and to a dead socket") {
    support::on_every_network({187}, {"unix:"}, [](network& on) {
        script told;
        auto expected = std::errc::connection_refused;
        SUBCASE("a missing path") {
            expected = std::errc::no_such_file_or_directory;
        }
        SUBCASE("a dead socket") {
            support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value()).reset();
        }
        auto client = connect_script(on, on.local(), told);
        CHECK(failure_of(on, told) == expected);
    });
}

TEST_CASE("[187] connect: to a plain file") {
    support::on_every_network(
        {187}, {"unix:"},
        [](network& on) {
            std::ofstream(on.path()) << "no socket";
            script told;
            auto client = connect_script(on, on.local(), told);
            CHECK(failure_of(on, told) == std::errc::connection_refused);
        },
        support::needs_real_system{"real files"});
}

TEST_CASE("[190] connect: the server goes in on_open of the client") {
    support::on_every_stream({190}, [](network& on) {
        script remote;
        std::optional<sockeye::server> server(support::serve_script(on, remote));
        script told;
        told.on_open = [&](sockeye::stream&) { server.reset(); };
        auto client = connect_script(on, support::local_of(*server), told);
        CHECK(on.until([&] { return told.is_closed() || told.count("end") == 1; }));
        on.settle();
        CHECK(remote.sessions == 0);
        CHECK(remote.closes == 0);
    });
}

TEST_CASE("[178] connect: clients and server of one loop, many at once") {
    support::on_every_stream({178}, [](network& on) {
        auto server =
            sockeye::serve(on.loop(), on.local(), [](sockeye::stream& s, sockeye::bytes in) {
                s.write(in);
            }).value();
        constexpr int count = 200;
        std::vector<script> told(count);
        std::vector<sockeye::stream> clients;
        for (int i = 0; i < count; ++i) {
            clients.push_back(
                connect_script(on, support::local_of(server), told[static_cast<std::size_t>(i)]));
            clients.back().write("I am " + std::to_string(i));
            clients.back().shutdown();
        }
        CHECK(on.until([&] {
            return std::ranges::all_of(told, [](const script& one) { return one.is_closed(); });
        }));
        for (int i = 0; i < count; ++i) {
            CHECK(told[static_cast<std::size_t>(i)].data == "I am " + std::to_string(i));
            CHECK(told[static_cast<std::size_t>(i)].info.reason == close_reason::ended);
        }
    });
}
