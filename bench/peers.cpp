#include "bench/peers.hpp"

#include "bench/child.hpp"
#include "bench/plan.hpp"
#include "cli/text.hpp"

#include <unistd.h>

namespace sockeye::bench {
namespace {

constexpr peer peers[] = {
    {"libuv", "libuv1-dev", "peer-libuv", "peer-libuv", ""},
    {"libevent", "libevent-dev", "peer-libevent", "", ""},
    {"libevent-raw", "libevent-dev", "peer-libevent-raw", "peer-libevent-raw", ""},
    {"libev", "libev-dev", "peer-libev", "peer-libev", ""},
    {"asio", "libasio-dev", "peer-asio", "peer-asio", ""},
    {"hand-written", "", "peer-epoll-loop", "peer-udp-loop", ""},
    {"hand-written-gso", "", "", "peer-udp-loop", "gso"},
};

/// Beside the program, or where the build leaves it.
std::optional<std::string> path_of(std::string_view name, const std::string& program) {
    const std::string folder = program.substr(0, program.rfind('/') + 1);
    for (const char* place : {"", "../../bench/"}) {
        std::string path = folder + place;
        path += name;
        if (::access(path.c_str(), X_OK) == 0) {
            return path;
        }
    }
    return std::nullopt;
}

} // namespace

std::string_view peer::program_for(transport carrier) const noexcept {
    return is_stream(carrier) ? stream_program : datagram_program;
}

bool peer::is_built(const std::string& program) const {
    for (const auto file : {stream_program, datagram_program}) {
        if (!file.empty() && !path_of(file, program)) {
            return false;
        }
    }
    return true;
}

std::optional<std::vector<std::string>> peer::command(transport carrier,
                                                      const std::string& program) const {
    const auto path = serves(carrier) ? path_of(program_for(carrier), program) : std::nullopt;
    if (!path) {
        return std::nullopt;
    }
    std::vector<std::string> words = {*path, std::string(name_of(carrier))};
    if (!extra_word.empty()) {
        words.emplace_back(extra_word);
    }
    return words;
}

std::optional<std::string> version_of(const peer& what, const std::string& program) {
    constexpr duration patience = std::chrono::seconds(5);
    const auto path = what.package.empty() ? std::nullopt : path_of(what.stream_program, program);
    if (!path) {
        return std::nullopt;
    }
    auto asked = child_process::start({*path, "version"}, {});
    auto line = asked ? asked->read_line(patience) : result<std::string>(asked.error());
    return line ? std::optional(cli::escape(*line, 40)) : std::nullopt;
}

std::span<const peer> all_peers() noexcept {
    return peers;
}

} // namespace sockeye::bench
