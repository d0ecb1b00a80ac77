#include "support/program.hpp"
#include "support/scripted_server.hpp"
#include "support/server_program.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <csignal>
#include <string>

#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

using sockeye::unique_fd;
using support::outcome;
using support::process;
using support::run_program;
using support::scripted_server;
using support::start_options;
using support::words;

namespace {

/// Far more than sockets and queues hold, and far less than what is offered.
constexpr std::size_t held_back_max = std::size_t{24} << 20;

/// Greets, then takes what comes until the end, and says how much that was.
constexpr const char* greeting_counter = R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.sendall(b'welcome\n')
    count = 0
    while True:
        data = link.recv(65536)
        if not data: break
        count += len(data)
    link.sendall(b'%d bytes\n' % count)
    link.close()
)";

constexpr const char* deaf = "server = tcp()\nwhile True: time.sleep(60)";

/// Speaks without end; says how much was taken once nothing is for half a second.
constexpr const char* talker = R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.settimeout(0.5)
    count = 0
    try:
        while True: count += link.send(b'0123456789abcde\n' * 4096)
    except socket.timeout:
        print(count, flush=True)
    except OSError:
        pass
    link.settimeout(None)
    try:
        while link.recv(65536): pass
    except OSError: pass
    link.close()
)";

/// Sends a line each time it gets something.
constexpr const char* echo_once_more = R"(
server = tcp()
while True:
    link, _ = server.accept()
    link.sendall(b'first\n')
    try:
        while True:
            link.sendall(b'more\n')
            time.sleep(0.01)
    except OSError: pass
)";

start_options with_input_closed() {
    return {.before_exec = [] { ::close(STDIN_FILENO); }};
}

void lead_to(int fd, const char* path, int flags) {
    const int opened = ::open(path, flags);
    ::dup2(opened, fd);
    ::close(opened);
}

/// Writes to a pipe until nobody has taken anything for a while, and says how much it was.
std::size_t offer(int fd, std::size_t most) {
    const std::string piece(65536, 'x');
    std::size_t taken = 0;
    pollfd subject = {.fd = fd, .events = POLLOUT, .revents = 0};
    while (taken < most && ::poll(&subject, 1, 1000) == 1) {
        const auto count = ::write(fd, piece.data(), piece.size());
        taken += count > 0 ? static_cast<std::size_t>(count) : 0;
    }
    return taken;
}

bool is_without_python() {
    return !support::is_installed("python3");
}

} // namespace

TEST_CASE("connect: a standard input that is closed, empty or a directory" *
          doctest::skip(is_without_python())) {
    const scripted_server server(greeting_counter);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        const words arguments = {"connect", server.place(), "-b", backend};
        for (const auto& options :
             {with_input_closed(), start_options(),
              start_options{.before_exec = [] { lead_to(STDIN_FILENO, "/dev/null", O_RDONLY); }}}) {
            const auto ended = run_program(arguments, options);
            CHECK(ended.status == 0);
            CHECK(ended.output == "welcome\n0 bytes\n");
            CHECK(ended.talk.empty());
        }
        const auto refused =
            run_program(arguments, {.before_exec = [] { lead_to(STDIN_FILENO, "/", O_RDONLY); }});
        CHECK(refused.status == 1);
        CHECK(refused.talk == "sockeye connect: standard input is a directory\n");
    }
}

TEST_CASE("connect: a pipe is sent as it comes, and its end ends our side" *
          doctest::skip(is_without_python())) {
    const scripted_server server(greeting_counter);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        auto ends = support::make_pipe();
        const int reader = ends.first.get();
        process client({support::program_path(), "connect", server.place(), "-b", backend},
                       {.before_exec = [reader] { ::dup2(reader, STDIN_FILENO); }});
        ends.first.reset();
        CHECK(client.output_line() == "welcome");
        support::put(ends.second.get(), 1000);
        ends.second.reset();
        CHECK(client.output_line() == "1000 bytes");
        CHECK(client.wait().status == 0);
    }
}

TEST_CASE("connect: a standard output that is closed, full or gone" *
          doctest::skip(is_without_python())) {
    const scripted_server server(greeting_counter);
    const scripted_server endless(echo_once_more);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        const auto closed = run_program({"connect", server.place(), "-b", backend},
                                        {.before_exec = [] { ::close(STDOUT_FILENO); }});
        CHECK(closed.status == 0);
        CHECK(closed.talk.empty());
        const auto full =
            run_program({"connect", server.place(), "-b", backend},
                        {.before_exec = [] { lead_to(STDOUT_FILENO, "/dev/full", O_WRONLY); }});
        CHECK(full.status == 1);
        CHECK(full.talk == "sockeye connect: standard output: No space left on device\n");
        // As `| head -1`.
        process gone({support::program_path(), "connect", endless.place(), "-b", backend},
                     {.has_endless_input = true});
        CHECK(gone.output_line() == "first");
        gone.close_output();
        const auto ended = gone.wait();
        CHECK(ended.status == 0);
        CHECK(ended.talk.empty());
    }
}

TEST_CASE("connect: what a slow server does not take is not read" *
          doctest::skip(is_without_python())) {
    const scripted_server server(deaf);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        auto ends = support::make_pipe();
        const int reader = ends.first.get();
        process client({support::program_path(), "connect", server.place(), "-b", backend},
                       {.before_exec = [reader] {
                           // The pipe is non-blocking for both ends; a shell's is not.
                           ::fcntl(reader, F_SETFL, 0);
                           ::dup2(reader, STDIN_FILENO);
                       }});
        ends.first.reset();
        CHECK(offer(ends.second.get(), 2 * held_back_max) < held_back_max);
        client.send_signal(SIGINT);
        CHECK(client.wait().status == 130);
    }
}

TEST_CASE("connect: what nobody reads from standard output is not taken from the server" *
          doctest::skip(is_without_python())) {
    scripted_server server(talker);
    for (const auto& backend : support::usable_backends()) {
        CAPTURE(backend);
        process client({support::program_path(), "connect", server.place(), "-b", backend},
                       {.has_endless_input = true});
        CHECK(std::stoul(server.line()) < held_back_max);
        // It does not wait for a reader who does not come.
        client.send_signal(SIGINT);
        CHECK(client.wait().status == 130);
    }
}

TEST_CASE("ping: who reads its lines no more ends it, in silence") {
    process server({support::program_path(), "serve", "echo", "udp://127.0.0.1:0"});
    const auto ready = server.output_line();
    const auto start = ready.find("udp://");
    const auto place = ready.substr(start, ready.find(' ', start) - start);
    process pinging({support::program_path(), "ping", place, "-i", "0"});
    for (int i = 0; i < 100; ++i) {
        CHECK(pinging.output_line().ends_with(" verified"));
    }
    pinging.close_output();
    const auto ended = pinging.wait();
    CHECK(ended.status == 0);
    CHECK(ended.talk.empty());
}
