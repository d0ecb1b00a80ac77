#include "support/handlers.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using support::echo;
using support::network;
using support::raw_peer;
using support::script;

namespace {

const support::exemption
    always_bound({84},
                 "a server always binds: who does not mind which port asks for port 0, row 80");
const support::exemption listens_once({85}, "a server listens once, where it is made");

/// Shows the listening socket of one server to be broken.
class breaking_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    std::error_code listen(int fd, int backlog) override {
        last_listening = fd;
        return forwarding_kernel::listen(fd, backlog);
    }
    sockeye::result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                              sockeye::endpoint& peer) override {
        if (fd == broken) {
            return std::errc::bad_file_descriptor;
        }
        return forwarding_kernel::accept(fd, kind, peer);
    }

    int last_listening = -1;
    int broken = -1;
};

} // namespace

TEST_CASE("[103] listener: one whose descriptor is broken stops, and no other") {
    support::on_every_altered_network<breaking_kernel>(
        {103}, {"tcp://127.0.0.1:0", "unix:"}, [](network& on, breaking_kernel& system) {
            script told;
            auto server = support::serve_script(on, told);
            system.broken = system.last_listening;
            script calm;
            auto other =
                sockeye::serve<support::hooked>(on.loop(), "tcp://127.0.0.1:0", std::ref(calm))
                    .value();
            raw_peer lost(on.system(), support::local_of(server));
            CHECK(on.until([&] {
                lost.pump();
                return !server.is_listening() && lost.is_over();
            }));
            CHECK(told.made == 0);
            CHECK(on.loop().counters().accept_errors == 1);
            raw_peer peer(on.system(), support::local_of(other));
            CHECK(on.until([&] { return calm.made == 1; }));
            if (on.is_unix()) {
                CHECK_FALSE(on.has_file(on.path()));
            }
        });
}

TEST_CASE("[86] server: once it is closed its verbs are harmless") {
    support::on_every_stream({86}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        server.close();
        server.close();
        server.pause();
        server.resume();
        server.drain(0ms);
        CHECK_FALSE(server.is_listening());
        CHECK(server.local_endpoint().error() == std::errc::not_connected);
        CHECK(server.connection_count() == 0);
        auto listener =
            sockeye::listener::open(on.loop(), "tcp://127.0.0.1:0", {}, [](sockeye::stream) {
            }).value();
        auto moved = std::move(listener);
        listener.pause();
        listener.resume();
        CHECK(listener.local_endpoint().error() == std::errc::not_connected);
        on.settle();
        CHECK(moved.local_endpoint());
    });
}

TEST_CASE("[99] serve, connect: their descriptors are non-blocking and close-on-exec") {
    support::on_every_stream(
        {99},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            script connected;
            auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server),
                                                            {}, std::ref(connected));
            REQUIRE(on.until([&] { return told.link != nullptr && connected.link != nullptr; }));
            for (const auto* link : {told.link, connected.link}) {
                const int fd = on.fd_of(*link);
                CHECK((::fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
                CHECK((::fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
            }
        },
        support::needs_real_system{"flags of descriptors"});
}

TEST_CASE("serve, connect: over TCP small writes leave at once") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        script connected;
        auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server), {},
                                                        std::ref(connected));
        REQUIRE(on.until([&] { return told.link != nullptr && connected.link != nullptr; }));
        for (const auto* link : {told.link, connected.link}) {
            const auto set =
                on.system().get_option(on.fd_of(*link), sockeye::socket_option::no_delay);
            CHECK(set.value() != 0);
        }
    });
}

TEST_CASE("listener: connections_max counts the streams that were given a session, too") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        std::vector<sockeye::stream> kept;
        auto listener = sockeye::listener::open(on.loop(), on.local(), {.connections_max = 2},
                                                [&](sockeye::stream fresh) {
                                                    fresh.attach<support::hooked>(std::ref(told));
                                                    kept.push_back(std::move(fresh));
                                                })
                            .value();
        auto peers = support::many_peers(on, 4, listener.local_endpoint().value());
        REQUIRE(on.until([&] { return told.made == 2; }));
        on.settle();
        CHECK(told.made == 2);
        kept.clear();
        CHECK(on.until([&] { return told.made == 4; }));
        CHECK(told.closes == 0);
    });
}

TEST_CASE("[100] listener: paused it lets newcomers wait") {
    support::on_every_stream({100}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        server.pause();
        auto peers = support::many_peers(on, 3, support::local_of(server));
        on.settle();
        CHECK(told.made == 0);
        server.resume();
        CHECK(on.until([&] { return told.made == 3; }));
    });
}

TEST_CASE("[102] listener: may be destroyed in its own handler, with more pending") {
    support::on_every_stream({102}, [](network& on) {
        std::optional<sockeye::listener> listener;
        std::optional<sockeye::stream> kept;
        int accepted = 0;
        listener = sockeye::listener::open(on.loop(), on.local(), {}, [&](sockeye::stream fresh) {
                       ++accepted;
                       kept = std::move(fresh);
                       listener.reset();
                   }).value();
        auto peers = support::many_peers(on, 5, listener->local_endpoint().value());
        CHECK(on.until([&] { return support::count_over(peers) == 4; }));
        CHECK(accepted == 1);
        REQUIRE(kept.has_value());
        script told;
        kept->attach<support::hooked>(std::ref(told));
        for (auto& peer : peers) {
            peer.say("hello");
            peer.pump();
        }
        CHECK(on.until([&] { return told.data == "hello"; }));
    });
}

TEST_CASE("[98] [104] listener: ten thousand pending are accepted once each, in budgets") {
    const support::raised_descriptor_limit raised;
    support::on_every_backend_with_tcp({98, 104}, [](network& on) {
        // What one listener lets wait is limited by the system.
        const auto most_pending =
            std::min<std::size_t>(10'000, support::descriptor_room() / 2 - 40);
        const std::size_t each = std::min<std::size_t>(2500, most_pending / 4);
        script told;
        script served;
        auto other = support::serve_script(on, served);
        raw_peer busy(on.system(), support::local_of(other));
        REQUIRE(on.until([&] { return served.made == 1; }));
        served.on_data = echo;
        std::vector<sockeye::server> servers;
        std::vector<raw_peer> peers;
        for (int i = 0; i < 4; ++i) {
            servers.push_back(support::serve_script(on, told, {.backlog = 4096}));
            for (std::size_t made = 0; made < each; ++made) {
                peers.emplace_back(on.system(), support::local_of(servers.back()));
            }
        }
        int most = 0;
        int rounds = 0;
        CHECK(on.until([&] {
            // One that is established is served in between, every turn or two.
            if (busy.heard().size() == static_cast<std::size_t>(rounds)) {
                busy.say("x");
                ++rounds;
            }
            busy.pump();
            const int before = told.made;
            on.turn();
            most = std::max(most, told.made - before);
            busy.pump();
            return static_cast<std::size_t>(told.made) == peers.size();
        }));
        CHECK(most <= 4 * 64);
        CHECK(rounds >= static_cast<int>(peers.size()) / (4 * 64) / 2);
        on.settle();
        CHECK(on.loop().counters().accepted == peers.size() + 1);
        CHECK(told.sessions == static_cast<int>(peers.size()));
    });
}

TEST_CASE("[104] listener: accepts_per_turn bounds what one turn accepts") {
    support::on_every_stream({104}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.accepts_per_turn = 3});
        auto peers = support::many_peers(on, 20, support::local_of(server));
        int most = 0;
        CHECK(on.until([&] {
            const int before = told.made;
            on.turn();
            most = std::max(most, told.made - before);
            return told.made == 20;
        }));
        // Unix peers beyond the backlog and TCP ones on their way come later: fewer, never more.
        CHECK(most <= 3);
        CHECK(most > 0);
    });
}

TEST_CASE("[257] listener: each source has its share, and those over it are closed at once") {
    support::on_every_network({257}, {"tcp://127.0.0.1:0", "tcp://[::1]:0"}, [](network& on) {
        script told;
        told.on_end = [](sockeye::stream& link) { link.close(); };
        auto server = support::serve_script(on, told, {.connections_per_source_max = 3});
        auto peers = support::many_peers(on, 5, support::local_of(server));
        CHECK(on.until([&] { return support::count_over(peers) == 2; }));
        on.settle();
        CHECK(told.made == 3);
        CHECK(server.connection_count() == 3);
        CHECK(on.loop().counters().refused == 2);
        // One that leaves makes room for one.
        const auto open = std::ranges::find_if_not(peers, &raw_peer::is_over);
        REQUIRE(open != peers.end());
        open->finish();
        open->pump();
        REQUIRE(on.until([&] { return told.closes == 1; }));
        auto later = support::many_peers(on, 2, support::local_of(server));
        CHECK(on.until([&] { return support::count_over(later) == 1; }));
        CHECK(told.made == 4);
        CHECK(on.loop().counters().refused == 3);
        // Elsewhere 127.0.0.1 alone is an address of this machine.
        if (sockeye::platform::has_abstract_names &&
            support::local_of(server).family() == AF_INET) {
            const auto other = support::make_bound(
                on.system(), sockeye::endpoint::parse("tcp://127.0.0.2:0").value());
            const auto begun = on.system().connect(other.get(), support::local_of(server));
            CHECK((!begun || begun == std::errc::operation_in_progress));
            CHECK(on.until([&] { return told.made == 5; }));
        }
    });
}

TEST_CASE("listener: the streams it gave count for their sources until they end") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        std::vector<sockeye::stream> kept;
        auto listener = sockeye::listener::open(
                            on.loop(), on.local(), {.connections_per_source_max = 2},
                            [&](sockeye::stream fresh) { kept.push_back(std::move(fresh)); })
                            .value();
        auto peers = support::many_peers(on, 3, listener.local_endpoint().value());
        CHECK(on.until([&] { return support::count_over(peers) == 1; }));
        CHECK(kept.size() == 2);
        kept.clear();
        on.settle();
        auto more = support::many_peers(on, 3, listener.local_endpoint().value());
        CHECK(on.until([&] { return support::count_over(more) == 1; }));
        CHECK(kept.size() == 2);
    });
}

TEST_CASE("[199] serve: what a Unix socket cannot do is refused") {
    support::on_every_network({199}, {"unix:"}, [](network& on) {
        for (const auto& asked : {sockeye::serve_options{.connections_per_source_max = 1},
                                  sockeye::serve_options{.reuse_port = true},
                                  sockeye::serve_options{.defer_accept = 1s}}) {
            CHECK(sockeye::serve(on.loop(), on.local(), asked, echo).error() ==
                  std::errc::not_supported);
            CHECK_FALSE(on.has_file(on.path()));
        }
    });
}

TEST_CASE("serve: defer_accept leaves those who say nothing in the kernel") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        auto made = sockeye::serve<support::hooked>(on.loop(), on.local(), {.defer_accept = 30s},
                                                    std::ref(told));
        if (!made) {
            CHECK(made.error() == std::errc::not_supported);
            return;
        }
        raw_peer silent(on.system(), support::local_of(*made));
        raw_peer talker(on.system(), support::local_of(*made));
        talker.say("hello");
        CHECK(on.until([&] {
            silent.pump();
            talker.pump();
            return told.data == "hello";
        }));
        on.settle();
        CHECK(told.made == 1);
        silent.say("well");
        CHECK(on.until([&] {
            silent.pump();
            return told.made == 2;
        }));
    });
}

TEST_CASE("listener: once closed it stops accepting, and its streams live on") {
    support::on_every_stream({}, [](network& on) {
        std::optional<sockeye::stream> kept;
        auto listener =
            sockeye::listener::open(on.loop(), on.local(), {}, [&](sockeye::stream fresh) {
                kept = std::move(fresh);
            }).value();
        CHECK(listener.is_listening());
        const auto where = listener.local_endpoint().value();
        raw_peer peer(on.system(), where);
        REQUIRE(on.until([&] { return kept.has_value(); }));
        listener.close();
        CHECK_FALSE(listener.is_listening());
        script late;
        auto newcomer = sockeye::connect<support::hooked>(on.loop(), where, {}, std::ref(late));
        CHECK(on.until([&] { return late.is_closed(); }));
        script told;
        kept->attach<support::hooked>(std::ref(told));
        peer.say("still here");
        peer.pump();
        CHECK(on.until([&] { return told.data == "still here"; }));
    });
}

TEST_CASE("[101] listener: peers that connect and reset at once come and go") {
    support::on_every_backend_with_tcp({101}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        for (auto& peer : support::many_peers(on, 50, support::local_of(server))) {
            peer.reset();
        }
        raw_peer last(on.system(), support::local_of(server));
        CHECK(on.until([&] { return server.connection_count() == 1 && told.made > 1; }));
        on.settle();
        CHECK(told.count("open") == told.made);
        CHECK(told.closes == told.made - 1);
        CHECK(told.sessions == 1);
    });
}

TEST_CASE("[198] listener: shut down by somebody else it stops, and does not spin") {
    support::on_every_network(
        {198}, {"tcp://127.0.0.1:0", "unix:"},
        [](network& on) {
            if (on.entry().kind == sockeye::backend_kind::kqueue) {
                on.does_not_apply("the emulation does not tell of a listener that was shut down");
                return;
            }
            script bystander;
            auto other =
                sockeye::serve<support::hooked>(on.loop(), "tcp://127.0.0.1:0", std::ref(bystander))
                    .value();
            const auto before = support::open_descriptors();
            script told;
            auto server = support::serve_script(on, told);
            for (const int fd : support::open_descriptors()) {
                if (std::ranges::find(before, fd) == before.end()) {
                    ::shutdown(fd, SHUT_RDWR);
                }
            }
            // Where nobody tells of it, it is asked now and then.
            const bool is_told = on.entry().features.early_close || !on.is_unix();
            if (is_told) {
                CHECK(on.until([&] { return !server.is_listening(); }));
            } else {
                on.pass(20ms);
            }
            const auto events = on.loop().counters().events;
            on.pass(50ms);
            CHECK(on.loop().counters().events - events <= (is_told ? 0 : 10));
            raw_peer peer(on.system(), support::local_of(other));
            CHECK(on.until([&] { return bystander.made == 1; }));
        },
        support::needs_real_system{"a listener that is shut down"});
}

TEST_CASE("[80] [81] [82] [83] serve: endpoints that cannot be bound") {
    support::on_every_backend_with_tcp({80, 81, 82, 83}, [](network& on) {
        auto first = sockeye::serve(on.loop(), on.local(), echo).value();
        auto second = sockeye::serve(on.loop(), on.local(), echo).value();
        CHECK(support::local_of(first).port() != 0);
        CHECK(support::local_of(first).port() != support::local_of(second).port());
        CHECK(sockeye::serve(on.loop(), support::local_of(first), echo).error() ==
              std::errc::address_in_use);
        CHECK(sockeye::serve(on.loop(), "tcp://192.0.2.1:0", echo).error() ==
              std::errc::address_not_available);
        CHECK(sockeye::serve(on.loop(), "udp://127.0.0.1:0", echo).error() ==
              sockeye::errc::service_mismatch);
        CHECK(sockeye::serve(on.loop(), "nonsense", echo).error());
        CHECK(sockeye::serve(on.loop(), sockeye::endpoint(), echo).error());
    });
}

TEST_CASE("[88] serve: on IPv6 alone, so that the same port of IPv4 stays free") {
    support::on_every_network({88}, {"tcp://[::]:0"}, [](network& on) {
        // Somebody else may have the one of IPv4: a few are tried.
        bool is_free = false;
        for (int tries = 0; tries < 10 && !is_free; ++tries) {
            auto six = sockeye::serve(on.loop(), on.local(), echo).value();
            auto name = sockeye::endpoint::parse("tcp://127.0.0.1:0").value();
            name.set_port(support::local_of(six).port());
            is_free = sockeye::serve(on.loop(), name, echo).has_value();
        }
        CHECK(is_free);
    });
}

TEST_CASE("[105] [199] serve: reuse_port shares a TCP port; Unix paths refuse it") {
    support::on_every_backend_with_tcp({105, 199}, [](network& on) {
        const sockeye::serve_options shared = {.reuse_port = true};
        auto loop = on.on().make_loop();
        auto first = sockeye::serve(on.loop(), on.local(), shared, echo).value();
        auto second = sockeye::serve(loop, support::local_of(first), shared, echo).value();
        auto peers = support::many_peers(on, 64, support::local_of(first));
        CHECK(on.until([&] {
            static_cast<void>(loop.run_once(0s).value());
            return first.connection_count() + second.connection_count() == peers.size();
        }));
        CHECK(first.connection_count() > 0);
        CHECK(second.connection_count() > 0);
        const auto path = on.on().path("shared");
        CHECK(sockeye::serve(on.loop(), "unix:" + path, shared, echo).error() ==
              std::errc::not_supported);
        CHECK_FALSE(on.has_file(path));
    });
}

TEST_CASE("[184] [186] serve: a Unix path in use is kept, also by a dead socket; its own goes") {
    support::on_every_network({184, 186}, {"unix:"}, [](network& on) {
        SUBCASE("in use") {
            auto first = sockeye::serve(on.loop(), on.local(), echo).value();
            CHECK(sockeye::serve(on.loop(), on.local(), echo).error() == std::errc::address_in_use);
            CHECK(on.has_file(on.path()));
            raw_peer peer(on.system(), support::local_of(first));
            peer.say("hi");
            CHECK(on.until([&] {
                peer.pump();
                return peer.heard() == "hi";
            }));
        }
        SUBCASE("stale") {
            support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value()).reset();
            CHECK(sockeye::serve(on.loop(), on.local(), echo).error() == std::errc::address_in_use);
            CHECK(on.has_file(on.path()));
        }
        SUBCASE("its own") {
            auto server = sockeye::serve(on.loop(), on.local(), echo).value();
            CHECK(on.has_file(on.path()));
            server.close();
            CHECK_FALSE(on.has_file(on.path()));
            CHECK(sockeye::serve(on.loop(), on.local(), echo));
        }
        SUBCASE("replaced by another socket") {
            std::optional<sockeye::server> server(
                sockeye::serve(on.loop(), on.local(), echo).value());
            REQUIRE_FALSE(on.system().remove_file(on.path()));
            const auto other =
                support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value());
            server.reset();
            CHECK(on.has_file(on.path()));
        }
        SUBCASE("gone already") {
            auto server = sockeye::serve(on.loop(), on.local(), echo).value();
            REQUIRE_FALSE(on.system().remove_file(on.path()));
        }
    });
}

TEST_CASE("[185] [186] serve: files that are no sockets, and folders") {
    support::on_every_network(
        {185, 186}, {"unix:"},
        [](network& on) {
            const auto path = on.path();
            SUBCASE("a plain file") {
                std::ofstream(path) << "precious";
                CHECK(sockeye::serve(on.loop(), on.local(), echo).error() ==
                      std::errc::address_in_use);
                CHECK(std::filesystem::file_size(path) == 8);
            }
            SUBCASE("replaced by a plain file") {
                std::optional<sockeye::server> server(
                    sockeye::serve(on.loop(), on.local(), echo).value());
                std::filesystem::rename(path, path + ".old");
                std::ofstream(path) << "another";
                server.reset();
                CHECK(std::filesystem::exists(path));
            }
            SUBCASE("a folder that is missing, and one that may not be written") {
                CHECK(sockeye::serve(on.loop(), on.local() + "/below", echo).error() ==
                      std::errc::no_such_file_or_directory);
                if (::geteuid() != 0) {
                    CHECK(sockeye::serve(on.loop(), "unix:/sockeye-test", echo).error() ==
                          std::errc::permission_denied);
                }
            }
        },
        support::needs_real_system{"real files"});
}
