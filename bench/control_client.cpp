#include "bench/control_client.hpp"

#include "bench/plan.hpp"
#include "bench/round.hpp"
#include "cli/common.hpp"

#include <sockeye/session.hpp>

#include <algorithm>
#include <functional>

#include <fmt/format.h>

namespace sockeye::bench {
namespace {

constexpr duration control_patience = std::chrono::seconds(5);
/// Longer than any line of account.hpp.
constexpr std::size_t answer_max = 4096;

} // namespace

class control_client_session {
public:
    explicit control_client_session(control_client& client) : client_(client) {}

    void on_data(stream& link, bytes in) {
        client_.heard_.append(reinterpret_cast<const char*>(in.data()), in.size());
        if (client_.heard_.size() > answer_max) {
            link.abort();
        }
    }
    void on_close(stream&, const close_info& info) {
        client_.is_closed_ = true;
        client_.error_ = info.error;
    }

private:
    control_client& client_;
};

control_client::control_client(const endpoint& place)
    : place_(place), loop_(loop_options{.backend = best_backend()}) {
    connect_options options;
    options.deadline = control_patience;
    link_ = connect<control_client_session>(loop_, place_, options, std::ref(*this));
}

void control_client::fail(const std::string& why) const {
    throw round_failed(fmt::format("--control {}: {}", place_.to_string(), why));
}

std::string control_client::first_line() {
    const time_point deadline = clock::now() + control_patience;
    std::size_t end = std::string::npos;
    while ((end = heard_.find('\n')) == std::string::npos && !is_closed_) {
        const auto left = deadline - clock::now();
        if (left <= duration::zero()) {
            fail(fmt::format("no answer in {} s; is it the port of 'sockeye serve --control'?",
                             control_patience / std::chrono::seconds(1)));
        }
        if (const auto turned = loop_.run_once(left); !turned) {
            fail(turned.error().message());
        }
    }
    if (end == std::string::npos) {
        const auto why = error_ ? error_.message() : "the server closed the connection";
        fail(has_answered_ ? why + " during the run"
                           : why + "; start it with 'sockeye serve echo --control HOST:PORT'");
    }
    auto line = heard_.substr(0, end);
    heard_.erase(0, end + 1);
    if (line.ends_with('\r')) {
        line.pop_back();
    }
    return line;
}

account control_client::ask() {
    link_.write("stats\n");
    const auto line = first_line();
    // An echo server says `stats` too.
    const bool is_account = line.find(" cpu_ns=") != std::string::npos;
    const auto told = is_account ? parse_account(line) : std::nullopt;
    if (!told) {
        fail(fmt::format("this is no port of 'sockeye serve --control': it said '{}'",
                         cli::escape(line, 60)));
    }
    has_answered_ = true;
    return *told;
}

void try_control_port(const endpoint& place) {
    try {
        static_cast<void>(control_client(place).ask());
    } catch (const round_failed& failed) {
        throw cli::command_error(cli::exit_failed, failed.what());
    }
}

} // namespace sockeye::bench
