#include "support/program.hpp"

#include <sockeye/endpoint.hpp>

#include <doctest/doctest.h>

#include <csignal>
#include <string>

using support::is_installed;
using support::process;
using support::words;

namespace {

/// The echo server on TCP, UDP and both Unix kinds, and what foreign clients are to call it.
class neighbour {
public:
    explicit neighbour(const std::string& backend)
        : child_({support::program_path(), "serve", "echo", "-b", backend, "tcp://127.0.0.1:0",
                  "udp://127.0.0.1:0", "unix:" + path("stream"),
                  "unix-dgram:" + path("datagram")}) {
        const auto ready = child_.output_line();
        tcp_port = port_behind(ready, "tcp://127.0.0.1:");
        udp_port = port_behind(ready, "udp://127.0.0.1:");
    }

    [[nodiscard]] std::string path(std::string_view name) const { return directory_.file(name); }
    int stop() {
        child_.send_signal(SIGTERM);
        return child_.wait().status;
    }

    std::string tcp_port;
    std::string udp_port;

private:
    static std::string port_behind(const std::string& line, const std::string& prefix) {
        const auto start = line.find(prefix) + prefix.size();
        return line.substr(start, line.find_first_not_of("0123456789", start) - start);
    }

    support::scratch_directory directory_;
    process child_;
};

constexpr const char* python_client = R"(
import os, socket, sys, threading
tcp, udp, stream, datagram, own = sys.argv[1:]
def check(what, good):
    if not good: sys.exit(what)
def whole(link, data):
    def send():
        link.sendall(data)
        link.shutdown(socket.SHUT_WR)
    sender = threading.Thread(target=send)
    sender.start()
    got = bytearray()
    while True:
        part = link.recv(65536)
        if not part: break
        got += part
    sender.join()
    link.close()
    return bytes(got)
data = os.urandom(2000000)
check('tcp', whole(socket.create_connection(('127.0.0.1', int(tcp)), 60), data) == data)
link = socket.socket(socket.AF_UNIX); link.settimeout(60); link.connect(stream)
check('unix', whole(link, data) == data)
link = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); link.settimeout(60)
for size in (0, 1, 1400, 60000):
    link.sendto(data[:size], ('127.0.0.1', int(udp)))
    check('udp', link.recvfrom(65536) == (data[:size], ('127.0.0.1', int(udp))))
link = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); link.settimeout(60); link.bind(own)
link.sendto(b'hello', datagram)
check('unix-dgram', link.recvfrom(100) == (b'hello', datagram))
)";

} // namespace

TEST_CASE("interop: python3 sockets" * doctest::skip(!is_installed("python3"))) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        neighbour server(backend);
        const auto ended =
            support::run({"python3", "-c", python_client, server.tcp_port, server.udp_port,
                          server.path("stream"), server.path("datagram"), server.path("client")});
        CHECK(ended.status == 0);
        CHECK(ended.talk.empty());
        CHECK(server.stop() == 0);
    }
}

TEST_CASE("interop: socat" * doctest::skip(!is_installed("socat"))) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        neighbour server(backend);
        const std::string large(300'000, 'x');
        for (const auto& place :
             words{"TCP:127.0.0.1:" + server.tcp_port, "UNIX-CONNECT:" + server.path("stream")}) {
            CAPTURE(place);
            for (const auto& text : words{"", "hello\n", large}) {
                const auto ended = support::run({"socat", "-t", "60", "-", place}, {.input = text});
                CHECK(ended.status == 0);
                CHECK((ended.output == text));
            }
        }
        // It would wait so long for more; the destructor ends it.
        process udp({"socat", "-t", "60", "-", "UDP:127.0.0.1:" + server.udp_port},
                    {.input = "one datagram\n"});
        CHECK(udp.output_line() == "one datagram");
        CHECK(server.stop() == 0);
    }
}

TEST_CASE("interop: ncat" * doctest::skip(!is_installed("ncat"))) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        neighbour server(backend);
        const auto tcp = support::run({"ncat", "127.0.0.1", server.tcp_port}, {.input = "hello\n"});
        CHECK(tcp.output == "hello\n");
        const auto local =
            support::run({"ncat", "-U", server.path("stream")}, {.input = "hello\n"});
        CHECK(local.output == "hello\n");
        // At the end of its input it does not wait for answers, so there is none.
        process udp({"ncat", "-u", "127.0.0.1", server.udp_port},
                    {.input = "hello\n", .has_endless_input = true});
        CHECK(udp.output_line() == "hello");
        CHECK(server.stop() == 0);
    }
}

TEST_CASE("interop: curl, which expects an answer of another kind" *
          doctest::skip(!is_installed("curl"))) {
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        neighbour server(backend);
        process child({"curl", "-sN", "--http0.9", "-m", "60",
                       "http://127.0.0.1:" + server.tcp_port + "/path"});
        CHECK(child.output_line() == "GET /path HTTP/1.1\r");
        CHECK(server.stop() == 0);
    }
}
