#include "support/support.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>

#include <arpa/inet.h>
#include <csignal>
#include <dirent.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace support {
namespace {

[[noreturn]] void refuse(const char* call) {
    throw std::system_error(errno, std::system_category(), call);
}

sockeye::unique_fd owned(int fd, const char* call) {
    if (fd < 0) {
        refuse(call);
    }
    sockeye::unique_fd owner(fd);
    if (!sockeye::platform::prepare_descriptor(fd)) {
        refuse("fcntl");
    }
    return owner;
}

ends owned(const int (&both)[2], const char* call) {
    auto first = owned(both[0], call);
    return {std::move(first), owned(both[1], call)};
}

sockaddr* as_address(sockaddr_in& address) noexcept {
    return reinterpret_cast<sockaddr*>(&address);
}

sockaddr_in local_address(int fd) {
    sockaddr_in address = {};
    socklen_t size = sizeof address;
    if (::getsockname(fd, as_address(address), &size) != 0) {
        refuse("getsockname");
    }
    return address;
}

void bind_to_loopback(int fd) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockeye::platform::set_length(address, sizeof address);
    if (::bind(fd, as_address(address), sizeof address) != 0) {
        refuse("bind");
    }
}

bool is_open(int fd) noexcept {
    return ::fcntl(fd, F_GETFD) >= 0;
}

} // namespace

sockeye::endpoint with_port(std::string_view address, std::uint16_t port) {
    auto made = sockeye::endpoint::parse(address).value();
    made.set_port(port);
    return made;
}

ends make_pipe() {
    int both[2] = {-1, -1};
    if (::pipe(both) != 0) {
        refuse("pipe");
    }
    return owned(both, "pipe");
}

ends make_pair() {
    int both[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM, 0, both) != 0) {
        refuse("socketpair");
    }
    auto made = owned(both, "socketpair");
    sockeye::platform::suppress_sigpipe(made.first.get());
    sockeye::platform::suppress_sigpipe(made.second.get());
    return made;
}

sockeye::unique_fd make_tcp_socket() {
    return owned(sockeye::platform::make_socket(AF_INET, SOCK_STREAM), "socket");
}

sockeye::unique_fd make_blocking_socket(int family, int type) {
    sockeye::unique_fd made(sockeye::platform::make_socket(family, type));
    const int status = made ? ::fcntl(made.get(), F_GETFL) : -1;
    if (status < 0 || ::fcntl(made.get(), F_SETFL, status & ~O_NONBLOCK) != 0) {
        refuse("socket");
    }
    return made;
}

sockeye::unique_fd make_duplicate(int fd) {
    return owned(::dup(fd), "dup");
}

sockeye::unique_fd make_bound_tcp_socket() {
    auto bound = make_tcp_socket();
    bind_to_loopback(bound.get());
    return bound;
}

ends make_refused_udp() {
    ends made = {owned(sockeye::platform::make_socket(AF_INET, SOCK_DGRAM), "socket"),
                 owned(sockeye::platform::make_socket(AF_INET, SOCK_DGRAM), "socket")};
    bind_to_loopback(made.second.get());
    // Connected to itself it keeps the port and hears nobody else.
    for (const int fd : {made.second.get(), made.first.get()}) {
        if (connect_to(fd, made.second.get()) != 0) {
            refuse("connect");
        }
    }
    return made;
}

int connect_to(int fd, int bound) {
    auto address = local_address(bound);
    return ::connect(fd, as_address(address), sizeof address) == 0 ? 0 : errno;
}

ends make_tcp_pair() {
    const auto listener = make_bound_tcp_socket();
    if (::listen(listener.get(), 1) != 0) {
        refuse("listen");
    }
    auto client = make_tcp_socket();
    if (const int error = connect_to(client.get(), listener.get());
        error != 0 && error != EINPROGRESS) {
        refuse("connect");
    }
    int accepted = -1;
    const bool is_accepted =
        turn_until([&] { return accepted >= 0; },
                   [&] { accepted = ::accept(listener.get(), nullptr, nullptr); });
    if (!is_accepted) {
        refuse("accept");
    }
    auto server = owned(accepted, "accept");
    sockeye::platform::suppress_sigpipe(server.get());
    return {std::move(server), std::move(client)};
}

std::size_t put(int fd, std::size_t count) {
    constexpr std::array<char, 4096> bytes = {};
    std::size_t written = 0;
    while (written < count) {
        const auto sent = ::write(fd, bytes.data(), std::min(bytes.size(), count - written));
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            break;
        }
        written += static_cast<std::size_t>(sent);
    }
    return written;
}

std::size_t take(int fd) {
    std::array<char, 65536> bytes;
    std::size_t got = 0;
    for (;;) {
        const auto count = ::read(fd, bytes.data(), bytes.size());
        if (count > 0) {
            got += static_cast<std::size_t>(count);
        } else if (count == 0 || errno != EINTR) {
            return got;
        }
    }
}

void fill(int fd) {
    while (put(fd, 4096) > 0) {
    }
    while (put(fd, 1) > 0) {
    }
}

void reset_on_close(int fd) {
    const linger now = {.l_onoff = 1, .l_linger = 0};
    if (::setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now) != 0) {
        refuse("setsockopt");
    }
}

std::vector<int> open_descriptors() {
    std::vector<int> found;
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir("/proc/self/fd"), ::closedir);
    if (!folder) {
        const auto table_size = static_cast<int>(std::min(::sysconf(_SC_OPEN_MAX), 65536L));
        for (int fd = 0; fd < table_size; ++fd) {
            if (is_open(fd)) {
                found.push_back(fd);
            }
        }
        return found;
    }
    while (const auto* entry = ::readdir(folder.get())) {
        const int fd = std::atoi(entry->d_name);
        if (entry->d_name[0] != '.' && fd != ::dirfd(folder.get())) {
            found.push_back(fd);
        }
    }
    std::ranges::sort(found);
    return found;
}

std::size_t descriptor_room() {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        refuse("getrlimit");
    }
    constexpr std::size_t spare = 8;
    const auto all = std::min<std::size_t>(static_cast<std::size_t>(limit.rlim_cur), 1'000'000);
    const auto used = open_descriptors().size() + spare;
    return all > used ? all - used : 0;
}

raised_descriptor_limit::raised_descriptor_limit() {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) {
        refuse("getrlimit");
    }
    rlimit raised = before_;
    raised.rlim_cur = std::min<rlim_t>(before_.rlim_max, 65536);
    raised.rlim_cur = std::max(raised.rlim_cur, before_.rlim_cur);
    if (::setrlimit(RLIMIT_NOFILE, &raised) != 0) {
        refuse("setrlimit");
    }
}

raised_descriptor_limit::~raised_descriptor_limit() {
    ::setrlimit(RLIMIT_NOFILE, &before_);
}

lowered_descriptor_limit::lowered_descriptor_limit(int spare) {
    if (::getrlimit(RLIMIT_NOFILE, &before_) != 0) {
        refuse("getrlimit");
    }
    // UBSan opens a pipe when it first meets a type behind a virtual call; it shall be now.
    const auto& errors = std::system_category();
    static_cast<void>(std::error_code(EMFILE, errors) == std::errc::too_many_files_open);
    const auto used = static_cast<rlim_t>(open_descriptors().back() + 1);
    // Numbers below the highest one may be free: they are filled.
    do {
        fill_.push_back(make_duplicate(0));
    } while (static_cast<rlim_t>(fill_.back().get()) < used);
    fill_.pop_back();
    rlimit lowered = before_;
    lowered.rlim_cur = used + static_cast<rlim_t>(spare);
    if (::setrlimit(RLIMIT_NOFILE, &lowered) != 0) {
        refuse("setrlimit");
    }
}

lowered_descriptor_limit::~lowered_descriptor_limit() {
    ::setrlimit(RLIMIT_NOFILE, &before_);
}

bool turn_until(const std::function<bool()>& fact, const std::function<void()>& turn) {
    const auto deadline = std::chrono::steady_clock::now() + generous_deadline;
    while (!fact()) {
        if (std::chrono::steady_clock::now() > deadline) {
            return false;
        }
        turn();
    }
    return true;
}

int run_in_child(const std::function<int()>& body) {
    std::cout.flush();
    const pid_t child = ::fork();
    if (child < 0) {
        refuse("fork");
    }
    if (child == 0) {
        ::_exit(body());
    }
    int status = 0;
    while (::waitpid(child, &status, 0) < 0) {
        if (errno != EINTR) {
            refuse("waitpid");
        }
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void silence_errors() {
    const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (nowhere < 0 || ::dup2(nowhere, STDERR_FILENO) < 0) {
        refuse("dup2");
    }
    ::close(nowhere);
    ::signal(SIGABRT, SIG_DFL); // the test program has a handler of its own, which would report
}

scratch_folder::scratch_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "sockeye-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) {
        refuse("mkdtemp");
    }
    path_ = name;
}

scratch_folder::~scratch_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
}

std::string scratch_folder::path(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

} // namespace support
