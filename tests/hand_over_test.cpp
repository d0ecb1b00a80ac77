#include "support/handlers.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/inherited.hpp>
#include <sockeye/serve.hpp>

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using support::network;
using support::raw_peer;
using support::script;

// Listening sockets that come from elsewhere, and go elsewhere.

using support::echo;

namespace {

const support::needs_real_system own_descriptors = {"its descriptors are its own"};

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
        own_descriptors);
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
        own_descriptors);
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
        own_descriptors);
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

namespace {

/// Sends `fd` along a Unix socket, as any program may do it; the library's part begins where the
/// descriptor is there. See: SCM_RIGHTS in unix(7).
bool send_descriptor(int along, int fd) {
    char byte = 'l';
    iovec content = {&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room = {};
    msghdr message = {};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    auto* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    return ::sendmsg(along, &message, 0) == 1;
}

sockeye::unique_fd receive_descriptor(int along) {
    char byte = 0;
    iovec content = {&byte, 1};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> room = {};
    msghdr message = {};
    message.msg_iov = &content;
    message.msg_iovlen = 1;
    message.msg_control = room.data();
    message.msg_controllen = room.size();
    int fd = -1;
    if (::recvmsg(along, &message, 0) == 1) {
        if (const auto* const header = CMSG_FIRSTHDR(&message)) {
            std::memcpy(&fd, CMSG_DATA(header), sizeof fd);
        }
    }
    return sockeye::unique_fd(fd);
}

/// Answers each byte with the name of its process.
auto answer_with(char name) {
    return [name](sockeye::stream& link, sockeye::bytes in) {
        link.write(std::string(in.size(), name));
    };
}

/// Serves until `order` is readable; then the socket goes along `next`, and what is open drains.
int old_process(const sockeye::endpoint& where, int ready, int order, int next) {
    sockeye::loop loop;
    auto server = sockeye::serve(loop, where, {.backlog = 4096}, answer_with('a'));
    bool is_given = false;
    sockeye::result<sockeye::watch> ordered = sockeye::watch();
    ordered = loop.watch(order, sockeye::interest::readable, [&](sockeye::readiness) {
        ordered->cancel();
        const auto given = server->release_listener();
        is_given = given && send_descriptor(next, given->get());
        server->drain(10s, [&] { loop.stop(); });
    });
    if (!server || !ordered) {
        return 1;
    }
    const auto port = server->local_endpoint().value().port();
    if (::write(ready, &port, sizeof port) != sizeof port) {
        return 2;
    }
    return !loop.run() && is_given ? 0 : 3;
}

/// Takes the socket that comes along `previous` and serves until `end` says something.
int new_process(int previous, int end) {
    auto taken = receive_descriptor(previous);
    sockeye::loop loop;
    const auto server = sockeye::serve(loop, std::move(taken), answer_with('b'));
    const auto ended =
        loop.watch(end, sockeye::interest::readable, [&](sockeye::readiness) { loop.stop(); });
    return server && ended && !loop.run() ? 0 : 1;
}

/// Unix sockets whose calls wait.
support::ends make_waiting_pair() {
    auto made = support::make_pair();
    for (const int fd : {made.first.get(), made.second.get()}) {
        REQUIRE(::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) & ~O_NONBLOCK) == 0);
    }
    return made;
}

/// A process that does `body`. Its destructor ends it.
class child {
public:
    explicit child(const std::function<int()>& body) : id_(::fork()) {
        if (id_ == 0) {
            ::_exit(body());
        }
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        if (id_ > 0) {
            ::kill(id_, SIGKILL);
            static_cast<void>(end());
        }
    }

    /// Waits for it: what `body` gave, or -1.
    int end() {
        int status = 0;
        const bool has_ended = id_ > 0 && ::waitpid(std::exchange(id_, -1), &status, 0) > 0;
        return has_ended && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }

private:
    pid_t id_;
};

/// A client whose calls wait. Its answers are the name of the process that gave them, or 0.
class waiting_client {
public:
    explicit waiting_client(const sockeye::endpoint& server)
        : fd_(support::make_blocking_socket(server.family(), SOCK_STREAM)) {
        const timeval patience = {.tv_sec = 20, .tv_usec = 0};
        ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
        is_up_ = ::connect(fd_.get(), server.data(), server.size()) == 0;
    }
    char ask() {
        char answer = 0;
        const bool is_answered = is_up_ && ::send(fd_.get(), "?", 1, MSG_NOSIGNAL) == 1 &&
                                 ::recv(fd_.get(), &answer, 1, 0) == 1;
        return is_answered ? answer : '\0';
    }

private:
    sockeye::unique_fd fd_;
    bool is_up_ = false;
};

} // namespace

TEST_CASE("[107] [241] hand-over: a server changes its process, and no connection fails") {
    const support::scratch_folder folder;
    auto where = sockeye::endpoint::parse("tcp://127.0.0.1:0").value();
    SUBCASE("tcp") {}
    SUBCASE("unix") {
        where = sockeye::endpoint::parse("unix:" + folder.path("server")).value();
    }
    const auto between = make_waiting_pair();
    const auto ready = support::make_pipe();
    const auto order = support::make_pipe();
    const auto end = support::make_pipe();
    child old([&] {
        return old_process(where, ready.second.get(), order.first.get(), between.first.get());
    });
    child next([&] { return new_process(between.second.get(), end.first.get()); });
    std::uint16_t port = 0;
    REQUIRE(support::turn_until(
        [&] { return ::read(ready.first.get(), &port, sizeof port) == sizeof port; },
        [] { ::usleep(100); }));
    if (!where.is_local()) {
        where.set_port(port);
    }
    waiting_client long_lived(where);
    CHECK(long_lived.ask() == 'a');
    std::map<char, int> answers;
    // Who has said so takes the next one: from the first answer of the new process on, as many.
    for (int asked = 0; asked < 20'000 && answers['b'] < 500; ++asked) {
        if (asked == 500) {
            REQUIRE(support::put(order.second.get()) == 1);
        }
        ++answers[waiting_client(where).ask()];
    }
    MESSAGE("answered by the old process: " << answers['a'] << ", by the new one: " << answers['b']
                                            << ", failed: " << answers['\0']);
    CHECK(answers['a'] >= 500);
    CHECK(answers['b'] == 500);
    CHECK(answers['\0'] == 0);
    {
        // What was open stays where it is until it ends.
        CHECK(long_lived.ask() == 'a');
        const waiting_client gone = std::exchange(long_lived, waiting_client(where));
    }
    CHECK(old.end() == 0);
    CHECK(long_lived.ask() == 'b');
    support::put(end.second.get());
    CHECK(next.end() == 0);
}
