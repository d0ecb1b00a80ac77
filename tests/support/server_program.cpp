#include "support/server_program.hpp"

#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <sstream>
#include <thread>

#include <poll.h>
#include <sys/socket.h>

namespace support {

using sockeye::endpoint;
using sockeye::unique_fd;

words serve_command(const words& arguments) {
    words all = {program_path(), "serve"};
    all.insert(all.end(), arguments.begin(), arguments.end());
    return all;
}

server_program::server_program(const words& arguments, const start_options& options,
                               std::size_t services)
    : process_(serve_command(arguments), options) {
    for (std::size_t i = 0; i < services; ++i) {
        ready_.push_back(process_.output_line());
    }
}

std::vector<endpoint> server_program::places(std::size_t service) const {
    std::vector<endpoint> found;
    std::istringstream text(ready_.at(service));
    for (std::string word; text >> word;) {
        word.erase(std::find(word.begin(), word.end(), ','), word.end());
        if (const auto place = endpoint::parse(word); place && contains(word, ":")) {
            found.push_back(*place);
        }
    }
    return found;
}

endpoint server_program::place(std::size_t service) const {
    return places(service).at(0);
}

outcome server_program::stop(int signal) {
    process_.send_signal(signal);
    return process_.wait();
}

namespace {

void set_deadline(int fd) {
    const timeval limit = {.tv_sec = patience.count(), .tv_usec = 0};
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

} // namespace

unique_fd connect_to(const endpoint& place, const std::optional<endpoint>& from) {
    const bool is_seqpacket = place.kind() == sockeye::transport::unix_seqpacket;
    const int type = is_seqpacket ? SOCK_SEQPACKET : place.is_stream() ? SOCK_STREAM : SOCK_DGRAM;
    auto link = make_blocking_socket(place.family(), type);
    set_deadline(link.get());
    if (from) {
        REQUIRE(::bind(link.get(), from->data(), from->size()) == 0);
    }
    REQUIRE(::connect(link.get(), place.data(), place.size()) == 0);
    return link;
}

std::string receive_all(const unique_fd& link) {
    std::string answer;
    char room[65536];
    ssize_t got = 0;
    while ((got = ::recv(link.get(), room, sizeof room, 0)) > 0) {
        answer.append(room, static_cast<std::size_t>(got));
    }
    return got == 0 ? answer : answer + "RESET";
}

std::string exchange_whole(const endpoint& place, const std::string& data) {
    const auto link = connect_to(place);
    std::thread sender([&] {
        std::string_view left = data;
        while (!left.empty()) {
            const auto sent = ::send(link.get(), left.data(), left.size(), MSG_NOSIGNAL);
            if (sent <= 0) {
                break;
            }
            left.remove_prefix(static_cast<std::size_t>(sent));
        }
        ::shutdown(link.get(), SHUT_WR);
    });
    const auto answer = receive_all(link);
    sender.join();
    return answer;
}

std::optional<std::string> ask(const unique_fd& link, const std::string& data) {
    if (::send(link.get(), data.data(), data.size(), MSG_NOSIGNAL) < 0) {
        return std::nullopt;
    }
    std::string room(65536, '\0');
    const auto got = ::recv(link.get(), room.data(), room.size(), 0);
    if (got < 0) {
        return std::nullopt;
    }
    room.resize(static_cast<std::size_t>(got));
    return room;
}

bool is_readable_now(const unique_fd& link) {
    pollfd subject = {.fd = link.get(), .events = POLLIN, .revents = 0};
    return ::poll(&subject, 1, 0) == 1;
}

std::string random_bytes(std::size_t count) {
    std::mt19937 random(static_cast<unsigned>(count));
    std::string data(count, '\0');
    std::ranges::generate(data, [&] { return static_cast<char>(random()); });
    return data;
}

bool contains(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

endpoint parse(const std::string& text) {
    return endpoint::parse(text).value();
}

} // namespace support
