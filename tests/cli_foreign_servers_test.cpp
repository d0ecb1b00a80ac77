#include "support/program.hpp"
#include "support/server_program.hpp"
#include "support/support.hpp"

#include <sockeye/endpoint.hpp>

#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

// Our clients against echo servers that others wrote, on every backend.

using sockeye::endpoint;
using support::contains;
using support::is_installed;
using support::process;
using support::words;

namespace {

/// A port that was free a moment ago.
std::string free_port() {
    const auto any = support::parse("tcp://127.0.0.1:0");
    const auto probe = support::make_blocking_socket(AF_INET, SOCK_STREAM);
    REQUIRE(::bind(probe.get(), any.data(), any.size()) == 0);
    endpoint bound;
    socklen_t size = endpoint::room_size();
    REQUIRE(::getsockname(probe.get(), bound.room(), &size) == 0);
    bound.filled(sockeye::transport::tcp, size);
    return std::to_string(bound.port());
}

bool accepts(const endpoint& place) {
    const auto link = support::make_blocking_socket(place.family(), SOCK_STREAM);
    return ::connect(link.get(), place.data(), place.size()) == 0;
}

/// xinetd with its built-in echo on TCP and UDP.
class xinetd {
public:
    xinetd() {
        // Somebody else may take the port before xinetd does.
        for (int attempt = 0; attempt < 5 && !is_up_; ++attempt) {
            start();
        }
    }

    [[nodiscard]] bool is_up() const { return is_up_; }
    [[nodiscard]] words places() const {
        return {"tcp://127.0.0.1:" + port_, "udp://127.0.0.1:" + port_};
    }

private:
    void start() {
        port_ = free_port();
        const auto settings = directory_.file("settings");
        std::ofstream(settings) << service("tcp", "stream", "no") << service("udp", "dgram", "yes");
        process_ = std::make_unique<process>(
            words{"xinetd", "-dontfork", "-filelog", directory_.file("log"), "-f", settings});
        const auto place = support::parse("tcp://127.0.0.1:" + port_);
        is_up_ = support::turn_until([&] { return accepts(place) || has_complained(); },
                                     [] { ::poll(nullptr, 0, 5); }) &&
                 !has_complained();
    }

    bool has_complained() const {
        std::ifstream log(directory_.file("log"));
        const std::string text(std::istreambuf_iterator<char>(log), {});
        return contains(text, "0 available services") || contains(text, "1 available service ") ||
               contains(text, "Exiting");
    }

    std::string service(const std::string& protocol, const std::string& type,
                        const std::string& waits) const {
        return "service echo\n{\n id = echo-" + type + "\n type = INTERNAL UNLISTED\n" +
               " socket_type = " + type + "\n protocol = " + protocol + "\n wait = " + waits +
               "\n port = " + port_ + "\n bind = 127.0.0.1\n user = " + own_name() +
               "\n instances = UNLIMITED\n cps = 10000 1\n}\n";
    }

    static std::string own_name() {
        const auto name = support::run({"id", "-un"}).output;
        return name.substr(0, name.find('\n'));
    }

    support::scratch_directory directory_;
    std::string port_;
    std::unique_ptr<process> process_;
    bool is_up_ = false;
};

/// `send`, `ping` and `connect` get back what they sent.
void check_clients(const std::string& place) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(place);
        CAPTURE(backend);
        const auto sent =
            support::run_program({"send", "-b", backend, place, "Gr\xc3\xbc\xc3\x9f"});
        CHECK(sent.status == 0);
        CHECK(sent.output == "Gr\xc3\xbc\xc3\x9f");
        const auto pinged = support::run_program(
            {"ping", "-b", backend, place, "-n", "5", "-i", "0", "-s", "1400", "--timeout", "60s"});
        CHECK(pinged.status == 0);
        CHECK(contains(pinged.output, "5 sent, 5 answered, 0 wrong, 0 % lost; min "));
        const auto typed =
            support::run_program({"connect", "-b", backend, place}, {.input = "one\ntwo\n"});
        CHECK(typed.status == 0);
        CHECK(typed.output == "one\ntwo\n");
    }
}

/// The same over UDP with a server that drops datagrams: what comes back is right.
void check_lossy(const std::string& place) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(place);
        CAPTURE(backend);
        support::outcome sent;
        for (int attempt = 0; attempt < 20 && sent.status != 0; ++attempt) {
            sent = support::run_program({"send", "-b", backend, place, "--timeout", "1s", "hello"});
        }
        CHECK(sent.output == "hello");
        const auto pinged = support::run_program({"ping", "-b", backend, place, "-n", "20", "-i",
                                                  "20ms", "-s", "1400", "--timeout", "1s"});
        CHECK(pinged.status == 0);
        CHECK(contains(pinged.output, "20 sent, "));
        CHECK(contains(pinged.output, " 0 wrong, "));
        CHECK(contains(pinged.output, " verified\n"));
    }
}

} // namespace

TEST_CASE("foreign servers: xinetd's echo, TCP and UDP" * doctest::skip(!is_installed("xinetd"))) {
    xinetd server;
    if (!server.is_up()) {
        MESSAGE("not tested: xinetd does not start here");
        return;
    }
    check_clients(server.places().at(0));
    // It drops what comes while it answers: more than a third, of any client's.
    check_lossy(server.places().at(1));
}

TEST_CASE("foreign servers: socat's pipe" * doctest::skip(!is_installed("socat"))) {
    const support::scratch_directory directory;
    const auto path = directory.file("socket");
    process server({"socat", "-t", "60", "UNIX-LISTEN:" + path + ",fork", "PIPE"});
    REQUIRE(support::turn_until([&] { return std::filesystem::exists(path); },
                                [] { ::poll(nullptr, 0, 5); }));
    check_clients("unix:" + path);
}

TEST_CASE("foreign servers: ncat with a program behind it" * doctest::skip(!is_installed("ncat"))) {
    const support::scratch_directory directory;
    const auto path = directory.file("socket");
    process server({"ncat", "-l", "-k", "-U", path, "--exec", "/bin/cat"});
    REQUIRE(support::turn_until([&] { return std::filesystem::exists(path); },
                                [] { ::poll(nullptr, 0, 5); }));
    // It gives up the answer when our side ends.
    const auto sent = support::run_program({"send", "--keep-open", "unix:" + path, "hello"});
    CHECK(sent.status == 0);
    CHECK(sent.output == "hello");
}
