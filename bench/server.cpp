#include "bench/server.hpp"

#include "bench/round.hpp"
#include "cli/values.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>

#include <array>
#include <optional>
#include <system_error>

#include <fmt/format.h>
#include <unistd.h>

namespace sockeye::bench {
namespace {

using namespace std::chrono_literals;

constexpr duration answer_timeout = 10s;

/// Speaks with the bench over the standard input and output of this process.
class conversation {
public:
    explicit conversation(loop& owner) : loop_(owner) {
        watch_ =
            owner.watch(STDIN_FILENO, interest::readable, [this](readiness) { hear(); }).value();
    }

    void say(const std::string& text) {
        const std::string line = text + "\n";
        if (::write(STDOUT_FILENO, line.data(), line.size()) < 0) {
            loop_.stop();
        }
    }

private:
    /// The bench asks one thing at a time, so that a line never comes in pieces.
    void hear() {
        std::array<char, 64> room = {};
        const ssize_t got = ::read(STDIN_FILENO, room.data(), room.size());
        if (got <= 0) {
            loop_.stop();
        } else if (std::string_view(room.data(), static_cast<std::size_t>(got)) == "stats\n") {
            say(format_account(make_account(host::own_times(), loop_.counters())));
        }
    }

    loop& loop_;
    watch watch_;
};

std::string unix_address() {
    const std::string name = fmt::format("sockeye-bench-{}", ::getpid());
    const std::string without_file = "unix:@" + name;
    return endpoint::parse(without_file) ? without_file : "unix:/tmp/" + name;
}

std::string address_of(transport carrier) {
    if (carrier == transport::unix_stream) {
        return unix_address();
    }
    return fmt::format("{}://127.0.0.1:0", name_of(carrier));
}

std::vector<std::string> command_of(const lane& subject, transport carrier) {
    if (subject.program != nullptr) {
        if (auto words = subject.program->command(carrier, host::program_path())) {
            return *words;
        }
        throw round_failed(
            fmt::format("the {} server is not beside {}", subject.name, host::program_path()));
    }
    return {host::program_path(), std::string(server_command),
            "--backend",          std::string(to_string(subject.backend)),
            "--transport",        std::string(name_of(carrier))};
}

void run_to_end(loop& own) {
    if (const auto error = own.run()) {
        throw std::system_error(error, "the server's loop");
    }
}

} // namespace

void run_server(backend_kind backend, transport carrier) {
    loop_options options;
    options.backend = backend;
    loop own(std::move(options));
    conversation talk(own);
    const auto address = address_of(carrier);
    if (carrier == transport::udp) {
        auto socket = serve(own, address, [](datagram_socket& s, std::span<const datagram> in) {
                          s.send(in);
                      }).value();
        talk.say("ready " + socket.local_endpoint().value().to_string());
        run_to_end(own);
    } else {
        auto server = serve(own, address, [](stream& s, bytes in) { s.write(in); }).value();
        talk.say("ready " + server.local_endpoint().value().to_string());
        run_to_end(own);
    }
}

server_process server_process::start(const lane& subject, transport carrier,
                                     const host::placement& where) {
    auto child = child_process::start(command_of(subject, carrier), where);
    if (!child) {
        throw round_failed("cannot start a server: " + child.error().message());
    }
    const auto line = child->read_line(answer_timeout);
    constexpr std::string_view head = "ready ";
    if (!line || !line->starts_with(head)) {
        throw round_failed(fmt::format("the {} server did not come up{}", subject.name,
                                       line ? ": it said " + *line : ""));
    }
    const auto address = endpoint::parse(line->substr(head.size()));
    if (!address) {
        throw round_failed(fmt::format("the {} server says it is at '{}': {}", subject.name,
                                       line->substr(head.size()), address.error().message()));
    }
    return server_process(std::move(*child), *address);
}

account server_process::ask() {
    if (!child_.write_line("stats")) {
        if (const auto line = child_.read_line(answer_timeout)) {
            if (const auto told = parse_account(*line)) {
                return *told;
            }
        }
    }
    throw round_failed("the server died during the round");
}

} // namespace sockeye::bench
