#include "base/platform.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>
#include <sys/un.h>

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

/// A listening Unix socket of system calls alone, whose backlog is full of `waiting` clients.
struct full_backlog {
    explicit full_backlog(const std::string& path) : listener(make_socket()) {
        const auto address = address_of(path);
        REQUIRE(::bind(listener.get(), as_address(address), sizeof address) == 0);
        REQUIRE(::listen(listener.get(), 0) == 0);
        for (;;) {
            sockeye::unique_fd client(make_socket());
            if (::connect(client.get(), as_address(address), sizeof address) != 0) {
                REQUIRE(errno == EAGAIN);
                break;
            }
            waiting.push_back(std::move(client));
        }
    }

    static sockeye::unique_fd make_socket() {
        return sockeye::unique_fd(sockeye::platform::make_socket(AF_UNIX, SOCK_STREAM));
    }
    static sockaddr_un address_of(const std::string& path) {
        sockaddr_un address = {};
        address.sun_family = AF_UNIX;
        std::memcpy(address.sun_path, path.c_str(), path.size());
        return address;
    }
    static const sockaddr* as_address(const sockaddr_un& address) {
        return reinterpret_cast<const sockaddr*>(&address);
    }
    sockeye::unique_fd accept_one() {
        return sockeye::unique_fd(
            sockeye::platform::accept_socket(listener.get(), nullptr, nullptr));
    }

    sockeye::unique_fd listener;
    std::vector<sockeye::unique_fd> waiting;
};

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

TEST_CASE("[89] [90] [93] connect: what fails is told once, by on_close") {
    support::on_every_backend_with_tcp({89, 90}, [](network& on) {
        script told;
        const auto closed = support::make_bound_tcp_socket();
        sockeye::endpoint refused;
        socklen_t size = sockeye::endpoint::room_size();
        REQUIRE(::getsockname(closed.get(), refused.room(), &size) == 0);
        refused.filled(sockeye::transport::tcp, size);
        SUBCASE("a closed port") {
            auto client = connect_script(on, refused, told);
            client.write("lost");
            CHECK(failure_of(on, told) == std::errc::connection_refused);
            CHECK(told.info.dropped_bytes == 4);
            CHECK(client.write("x") == sockeye::write_status::refused);
            CHECK_FALSE(client.peer_endpoint());
        }
        SUBCASE("a name") {
            auto client = connect_script(on, "tcp://example.org:80", told);
            CHECK(failure_of(on, told) == sockeye::errc::endpoint_host_is_name);
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

/// Connects every socket from the very address that it connects to.
class self_connecting_kernel final : public support::forwarding_kernel {
public:
    std::error_code connect(int fd, const sockeye::endpoint& peer) override {
        const auto error = sockeye::system_kernel().bind(fd, peer);
        return error ? error : sockeye::system_kernel().connect(fd, peer);
    }
};

} // namespace

TEST_CASE("[97] connect: a connection to itself is refused") {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            const support::rows covered({97}, entry.name);
            self_connecting_kernel system;
            auto loop = support::make_loop(system, entry);
            script told;
            auto target = sockeye::endpoint::parse("tcp://127.0.0.1:0").value();
            {
                const auto free_port = support::make_bound_tcp_socket();
                socklen_t size = sockeye::endpoint::room_size();
                REQUIRE(::getsockname(free_port.get(), target.room(), &size) == 0);
            }
            auto client = sockeye::connect<support::hooked>(loop, target, {}, std::ref(told));
            CHECK(support::turn_until([&] { return told.is_closed(); },
                                      [&] { static_cast<void>(loop.run_once(1ms).value()); }));
            CHECK(told.heard == std::vector<std::string>{"close"});
            CHECK(told.info.error == std::errc::connection_refused);
        }
    }
}

TEST_CASE("[91] connect: the deadline ends it") {
    support::on_every_network({91, 188, 189}, {"unix:"}, [](network& on) {
        const full_backlog server(on.local().substr(5));
        script told;
        const auto start = std::chrono::steady_clock::now();
        auto client = connect_script(on, on.local(), told, {.deadline = 60ms});
        CHECK(failure_of(on, told) == std::errc::operation_would_block);
        CHECK(std::chrono::steady_clock::now() - start >= 60ms);
    });
}

TEST_CASE("[188] connect: a full backlog of a Unix socket is tried again, without spinning") {
    support::on_every_network({188, 189}, {"unix:"}, [](network& on) {
        full_backlog server(on.local().substr(5));
        script told;
        auto client = connect_script(on, on.local(), told);
        client.write("patience");
        const auto events = on.loop().counters().events;
        const auto until = std::chrono::steady_clock::now() + 50ms;
        while (std::chrono::steady_clock::now() < until) {
            on.turn();
        }
        CHECK(on.loop().counters().events == events);
        CHECK(client.is_connecting());
        std::vector<sockeye::unique_fd> accepted;
        CHECK(on.until([&] {
            for (auto fd = server.accept_one(); fd; fd = server.accept_one()) {
                accepted.push_back(std::move(fd));
            }
            return told.count("open") == 1;
        }));
        std::string heard(8, '\0');
        CHECK(on.until([&] {
            auto fd = server.accept_one();
            if (fd) {
                accepted.push_back(std::move(fd));
            }
            return ::recv(accepted.back().get(), heard.data(), 8, MSG_DONTWAIT) == 8;
        }));
        CHECK(heard == "patience");
    });
}

TEST_CASE("[189] connect: many that wait for a full backlog are cancelled at once") {
    support::on_every_network({189}, {"unix:"}, [](network& on) {
        const full_backlog server(on.local().substr(5));
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

TEST_CASE("[187] connect: to a missing path, a plain file and a dead socket") {
    support::on_every_network({187}, {"unix:"}, [](network& on) {
        const auto path = on.local().substr(5);
        script told;
        auto expected = std::errc::connection_refused;
        SUBCASE("a missing path") {
            expected = std::errc::no_such_file_or_directory;
        }
        SUBCASE("a plain file") {
            std::ofstream(path) << "no socket";
        }
        SUBCASE("a dead socket") {
            const auto dead = full_backlog::make_socket();
            const auto address = full_backlog::address_of(path);
            REQUIRE(::bind(dead.get(), full_backlog::as_address(address), sizeof address) == 0);
        }
        auto client = connect_script(on, on.local(), told);
        CHECK(failure_of(on, told) == expected);
    });
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
