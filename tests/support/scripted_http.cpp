#include "support/scripted_http.hpp"

#include "support/program.hpp"
#include "support/support.hpp"

#include <sockeye/endpoint.hpp>

#include <chrono>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace support {

scripted_http::scripted_http(std::vector<script> scripts, const char* address)
    : scripts_(std::move(scripts)), address_(address) {
    auto local = sockeye::endpoint::parse("tcp://" + address_ + ":0").value();
    listener_ = make_blocking_socket(local.family(), SOCK_STREAM);
    int ends[2];
    if (::bind(listener_.get(), local.data(), local.size()) != 0 ||
        ::listen(listener_.get(), 16) != 0 || ::pipe(ends) != 0) {
        throw std::runtime_error("a scripted server cannot listen");
    }
    stop_reader_.reset(ends[0]);
    stop_writer_.reset(ends[1]);
    for (const int fd : {ends[0], ends[1], listener_.get()}) {
        ::fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    socklen_t size = sockeye::endpoint::room_size();
    ::getsockname(listener_.get(), local.room(), &size);
    local.filled(sockeye::transport::tcp, size);
    port_ = local.port();
    thread_ = std::thread([this] { answer_all(); });
}

scripted_http::~scripted_http() {
    stop_writer_.reset();
    thread_.join();
}

std::string scripted_http::url(const std::string& path) const {
    return "http://" + address_ + ":" + std::to_string(port_) + path;
}

std::vector<std::string> scripted_http::requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
}

/// False where the server is to stop first.
bool scripted_http::wait_for(int fd, short events) const {
    pollfd both[] = {{.fd = fd, .events = events, .revents = 0},
                     {.fd = stop_reader_.get(), .events = POLLIN, .revents = 0}};
    return ::poll(both, 2, -1) > 0 && both[1].revents == 0;
}

/// False where the test is over before.
bool scripted_http::wait_apart(std::chrono::milliseconds time) const {
    pollfd stop = {.fd = stop_reader_.get(), .events = POLLIN, .revents = 0};
    return ::poll(&stop, 1, static_cast<int>(time.count())) == 0;
}

void scripted_http::answer_all() {
    for (const auto& one : scripts_) {
        if (!wait_for(listener_.get(), POLLIN)) {
            return;
        }
        const sockeye::unique_fd link(::accept(listener_.get(), nullptr, nullptr));
        ::fcntl(link.get(), F_SETFD, FD_CLOEXEC);
        ::fcntl(link.get(), F_SETFL, O_NONBLOCK);
        answer(link.get(), one);
    }
    listener_.reset();
}

void scripted_http::answer(int link, const script& one) {
    std::string request;
    char room[4096];
    while (request.find("\r\n\r\n") == std::string::npos) {
        const bool is_ready = wait_for(link, POLLIN);
        const auto got = is_ready ? ::recv(link, room, sizeof room, 0) : 0;
        if (got <= 0) {
            return;
        }
        request.append(room, static_cast<std::size_t>(got));
    }
    {
        const std::lock_guard lock(mutex_);
        requests_.push_back(request);
    }
    bool is_first = true;
    for (const auto& part : one.parts) {
        if (!send_part(link, part)) {
            return;
        }
        if (std::exchange(is_first, false) && one.after_first) {
            one.after_first();
        }
        if (one.apart.count() > 0 && !wait_apart(one.apart)) {
            return;
        }
    }
    if (one.end == script::ending::reset) {
        reset_on_close(link);
    } else if (one.end == script::ending::hold) {
        while (wait_for(link, POLLIN) && ::recv(link, room, sizeof room, 0) > 0) {
        }
    }
}

bool scripted_http::send_part(int link, const std::string& part) {
    for (std::size_t done = 0; done < part.size();) {
        if (!wait_for(link, POLLOUT)) {
            return false;
        }
        const auto count = ::send(link, part.data() + done, part.size() - done, MSG_NOSIGNAL);
        if (count < 0 && errno != EAGAIN) {
            return false;
        }
        done += count > 0 ? static_cast<std::size_t>(count) : 0;
        sent_ += count > 0 ? static_cast<std::uint64_t>(count) : 0;
    }
    return true;
}

} // namespace support
