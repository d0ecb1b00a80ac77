#include "bench/server.hpp"

#include "bench/client/ring.hpp"
#include "bench/round.hpp"
#include "cli/values.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/serve.hpp>

#include <array>
#include <functional>
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

std::vector<std::string> command_of(const lane& subject, const load& what, std::uint64_t seed) {
    if (subject.program != nullptr) {
        if (auto words = subject.program->command(what.carrier, host::program_path())) {
            return *words;
        }
        throw round_failed(
            fmt::format("the {} server is not beside {}", subject.name, host::program_path()));
    }
    const auto& program = subject.path.empty() ? host::program_path() : subject.path;
    std::vector<std::string> words = {program,       std::string(server_command),
                                      "--backend",   std::string(to_string(subject.backend)),
                                      "--transport", std::string(name_of(what.carrier))};
    if (what.how == mode::upload || what.how == mode::download) {
        words.insert(words.end(),
                     {"--mode", std::string(name_of(what.how)), "--seed", std::to_string(seed)});
    }
    return words;
}

/// Sends the bytes of a ring for as long as they are taken.
class ring_session {
public:
    explicit ring_session(const ring& content) : content_(content) {}

    void on_open(stream& link) { fill(link); }
    void on_writable(stream& link) { fill(link); }
    void on_data(stream&, bytes) {}

private:
    /// A few pieces each turn, so that the others have theirs, too.
    void fill(stream& link) {
        for (int pieces = 0; pieces < 4; ++pieces) {
            const auto said = link.write(content_.view(position_, ring::piece_max));
            position_ += ring::piece_max;
            if (said != write_status::ok) {
                return; // on_writable goes on
            }
        }
        link.when_sent([this, &link](std::error_code error) {
            if (!error) {
                fill(link);
            }
        });
    }

    const ring& content_;
    std::uint64_t position_ = 0;
};

server serve_stream_echo(loop& own, const std::string& address, duration burn) {
    if (burn > duration::zero()) {
        return serve(own, address,
                     [burn](stream& s, bytes in) {
                         burn_cpu(burn);
                         s.write(in);
                     })
            .value();
    }
    return serve(own, address, [](stream& s, bytes in) { s.write(in); }).value();
}

void run_to_end(loop& own) {
    if (const auto error = own.run()) {
        throw std::system_error(error, "the server's loop");
    }
}

} // namespace

void run_server(const server_task& task) {
    loop_options options;
    options.backend = task.backend;
    loop own(std::move(options));
    conversation talk(own);
    const auto address = address_of(task.carrier);
    const auto run = [&](auto server) {
        talk.say("ready " + server.local_endpoint().value().to_string());
        run_to_end(own);
    };
    if (task.how == mode::download) {
        const ring content(task.seed);
        run(serve<ring_session>(own, address, std::cref(content)).value());
    } else if (task.how == mode::upload) {
        run(serve(own, address, [](stream&, bytes) {}).value());
    } else if (task.carrier == transport::udp) {
        run(serve(own, address, [](datagram_socket& s, std::span<const datagram> in) {
                s.send(in);
            }).value());
    } else {
        run(serve_stream_echo(own, address, task.burn));
    }
}

server_process server_process::start(const lane& subject, const load& what, std::uint64_t seed,
                                     const host::placement& where) {
    auto child = child_process::start(command_of(subject, what, seed), where);
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
