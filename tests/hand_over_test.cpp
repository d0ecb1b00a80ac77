#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/inherited.hpp>
#include <sockeye/serve.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

using namespace std::chrono_literals;
using support::network;
using support::raw_peer;
using support::script;

// Listening sockets that come from elsewhere, and go elsewhere.

namespace {

const support::needs_real_system real_descriptors = {"its descriptors are its own"};

void echo(sockeye::stream& link, sockeye::bytes in) {
    link.write(in);
}

sockeye::unique_fd make_listening_tcp() {
    auto fd = support::make_bound_tcp_socket();
    REQUIRE(::listen(fd.get(), 16) == 0);
    return fd;
}

/// In a child: the descriptors that the service manager gives begin at 3.
void give(const std::vector<int>& given, const std::string& names) {
    int next = 3;
    for (const int fd : given) {
        // Without close-on-exec, as a service manager does it.
        ::dup2(fd, next++);
    }
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(given.size()).c_str(), 1);
    if (names.empty()) {
        ::unsetenv("LISTEN_FDNAMES");
    } else {
        ::setenv("LISTEN_FDNAMES", names.c_str(), 1);
    }
}

bool is_clean() {
    return std::getenv("LISTEN_PID") == nullptr && std::getenv("LISTEN_FDS") == nullptr &&
           std::getenv("LISTEN_FDNAMES") == nullptr;
}

/// What a server in this process answers through that socket.
std::string ask(sockeye::loop& owner, const sockeye::endpoint& server) {
    raw_peer peer(sockeye::system_kernel(), server);
    peer.say("hello");
    static_cast<void>(support::turn_until([&] { return peer.heard() == "hello"; },
                                          [&] {
                                              peer.pump();
                                              static_cast<void>(owner.run_once(1ms));
                                          }));
    return peer.heard();
}

} // namespace

TEST_CASE("inherited_listeners: gives what the service manager opened, once, and serves on it") {
    const auto first = make_listening_tcp();
    const auto second = make_listening_tcp();
    // High numbers, which giving them does not overwrite.
    const sockeye::unique_fd one(::fcntl(first.get(), F_DUPFD_CLOEXEC, 50));
    const sockeye::unique_fd two(::fcntl(second.get(), F_DUPFD_CLOEXEC, 50));
    const int status = support::run_in_child([&] {
        give({one.get(), two.get()}, "web:admin");
        auto found = sockeye::inherited_listeners();
        if (!found || found->size() != 2 || !is_clean()) {
            return 1;
        }
        if ((*found)[0].name != "web" || (*found)[1].name != "admin") {
            return 2;
        }
        for (const auto& each : *found) {
            if ((::fcntl(each.fd.get(), F_GETFD) & FD_CLOEXEC) == 0) {
                return 3;
            }
        }
        auto again = sockeye::inherited_listeners();
        if (!again || !again->empty()) {
            return 4;
        }
        sockeye::loop loop;
        const auto server = sockeye::serve(loop, std::move((*found)[1].fd), echo);
        if (!server || !server->is_listening()) {
            return 5;
        }
        return ask(loop, server->local_endpoint().value()) == "hello" ? 0 : 6;
    });
    CHECK(status == 0);
}

TEST_CASE("inherited_listeners: what is for others, or makes no sense, is left as it is") {
    const auto fd = make_listening_tcp();
    const sockeye::unique_fd high(::fcntl(fd.get(), F_DUPFD_CLOEXEC, 50));
    const auto in_child = [&](const auto& alter) {
        return support::run_in_child([&] {
            give({high.get()}, "");
            alter();
            const auto found = sockeye::inherited_listeners();
            if (!is_clean() || ::fcntl(3, F_GETFD) < 0) {
                return 100;
            }
            return found ? static_cast<int>(found->size()) : found.error().value();
        });
    };
    CHECK(in_child([] {}) == 1);
    CHECK(in_child([] { ::setenv("LISTEN_PID", "1", 1); }) == 0);
    CHECK(in_child([] { ::unsetenv("LISTEN_PID"); }) == 0);
    CHECK(in_child([] { ::unsetenv("LISTEN_FDS"); }) == 0);
    CHECK(in_child([] { ::setenv("LISTEN_FDS", "0", 1); }) == 0);
    CHECK(in_child([] { ::setenv("LISTEN_PID", "1x", 1); }) == EINVAL);
    for (const char* count : {"", "-1", "1x", " 1", "99999999999999999999", "1000000"}) {
        CAPTURE(count);
        CHECK(in_child([&] { ::setenv("LISTEN_FDS", count, 1); }) == EINVAL);
    }
    CHECK(in_child([] { ::setenv("LISTEN_FDNAMES", "one:two", 1); }) == EINVAL);
    CHECK(in_child([] {
              ::setenv("LISTEN_FDS", "2", 1);
              ::close(4);
          }) == EBADF);
}

TEST_CASE("[106] [107] server: a listening socket goes to another loop, and nobody notices") {
    support::on_every_stream(
        {106, 107},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            told.on_data = echo;
            const auto where = support::local_of(server);
            raw_peer early(on.system(), where);
            REQUIRE(on.until([&] { return told.made == 1; }));
            auto given = server.release_listener();
            REQUIRE(given);
            CHECK_FALSE(server.is_listening());
            CHECK(server.release_listener().error() == std::errc::not_connected);
            CHECK(server.connection_count() == 1);
            // Who comes in between waits in the backlog.
            auto between = support::many_peers(on, 5, where);
            on.settle();
            CHECK(told.made == 1);

            auto loop = on.on().make_loop();
            auto next = sockeye::serve(loop, std::move(given.value()), echo);
            REQUIRE(next);
            CHECK(support::local_of(*next) == where);
            between.emplace_back(on.system(), where);
            early.say("early");
            for (auto& peer : between) {
                peer.say("late");
            }
            CHECK(on.until([&] {
                static_cast<void>(loop.run_once(0ms).value());
                early.pump();
                bool all = early.heard() == "early";
                for (auto& peer : between) {
                    peer.pump();
                    all = all && peer.heard() == "late";
                }
                return all;
            }));
            CHECK(next->connection_count() == 6);
            CHECK(server.connection_count() == 1);
            if (on.is_unix()) {
                // Not its own: neither the one who gave it nor who took it removes the file.
                server.close();
                next->close();
                CHECK(on.has_file(on.path()));
                REQUIRE_FALSE(on.system().remove_file(on.path()));
            }
        },
        real_descriptors);
}

TEST_CASE("[106] listener: gives its socket away, and takes none that does not listen") {
    support::on_every_backend_with_tcp(
        {106, 107},
        [](network& on) {
            std::vector<sockeye::stream> kept;
            const auto keep = [&](sockeye::stream fresh) { kept.push_back(std::move(fresh)); };
            auto listener =
                sockeye::listener::open(on.loop(), make_listening_tcp(), {}, keep).value();
            const auto where = listener.local_endpoint().value();
            auto given = listener.release().value();
            CHECK_FALSE(listener.is_listening());
            auto next = sockeye::listener::open(on.loop(), std::move(given), {}, keep).value();
            raw_peer peer(on.system(), where);
            CHECK(on.until([&] { return kept.size() == 1; }));

            const auto refused = [&](sockeye::unique_fd fd, const sockeye::listen_options& how) {
                const int number = fd.get();
                const auto error =
                    sockeye::listener::open(on.loop(), std::move(fd), how, keep).error();
                // Who takes it over closes it, whatever comes of it.
                CHECK((number < 0 || ::fcntl(number, F_GETFD) < 0));
                return error;
            };
            CHECK(refused(support::make_bound_tcp_socket(), {}) == std::errc::invalid_argument);
            CHECK(refused(support::make_pair().first, {}) == std::errc::invalid_argument);
            CHECK(refused(support::make_refused_udp().first, {}) ==
                  sockeye::errc::service_mismatch);
            CHECK(refused(support::make_pipe().first, {}) == std::errc::not_a_socket);
            CHECK(refused({}, {}) == std::errc::bad_file_descriptor);
            CHECK(refused(make_listening_tcp(), {.reuse_port = true}) ==
                  std::errc::invalid_argument);
        },
        real_descriptors);
}

TEST_CASE("serve: small writes leave at once through a socket that was adopted, too") {
    support::on_every_backend_with_tcp(
        {},
        [](network& on) {
            script told;
            auto server =
                sockeye::serve<support::hooked>(on.loop(), make_listening_tcp(), std::ref(told))
                    .value();
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            CHECK(on.system()
                      .get_option(on.fd_of(*told.link), sockeye::socket_option::no_delay)
                      .value() != 0);
        },
        real_descriptors);
}

TEST_CASE("serve: a simulation has no descriptors to give or to take") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        if (on.on().is_simulated()) {
            auto server = sockeye::serve(on.loop(), on.local(), echo).value();
            CHECK(server.release_listener().error() == std::errc::not_supported);
            CHECK(server.is_listening());
            CHECK(sockeye::serve(on.loop(), make_listening_tcp(), echo).error() ==
                  std::errc::not_supported);
        }
    });
}
