#include "cli/host.hpp"

#include <sockeye/datagram_socket.hpp>
#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <memory>

#include <arpa/inet.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sockeye::cli {
namespace {

/// A pipe that is ready takes at least PIPE_BUF bytes, 512 by POSIX, without blocking.
/// See: pipe(7).
constexpr std::size_t unblocked_piece_max = 512;

std::error_code last_error() noexcept {
    return {errno, std::system_category()};
}

/// Writes once, without the calls that a signal cut short; -1 and errno on failure.
ssize_t write_some(int fd, std::string_view text) noexcept {
    ssize_t written = -1;
    do {
        written = ::write(fd, text.data(), text.size());
    } while (written < 0 && errno == EINTR);
    return written;
}

/// While it lives, SIGINT and SIGTERM end the process, unless they are ignored.
class deadly_signals {
public:
    deadly_signals() noexcept {
        for (auto& one : kept_) {
            struct sigaction deadly = {};
            deadly.sa_handler = SIG_DFL;
            one.is_changed = ::sigaction(one.number, nullptr, &one.before) == 0 &&
                             one.before.sa_handler != SIG_IGN &&
                             ::sigaction(one.number, &deadly, nullptr) == 0;
        }
    }
    deadly_signals(const deadly_signals&) = delete;
    deadly_signals& operator=(const deadly_signals&) = delete;
    ~deadly_signals() {
        for (const auto& one : kept_) {
            if (one.is_changed) {
                ::sigaction(one.number, &one.before, nullptr);
            }
        }
    }

private:
    struct disposition {
        int number;
        bool is_changed = false;
        struct sigaction before = {};
    };
    std::array<disposition, 2> kept_ = {{{.number = SIGINT}, {.number = SIGTERM}}};
};

bool waits_for_room(int fd, duration patience) noexcept {
    const auto ms = std::chrono::ceil<std::chrono::milliseconds>(patience).count();
    pollfd subject = {.fd = fd, .events = POLLOUT, .revents = 0};
    return ::poll(&subject, 1, static_cast<int>(ms)) == 1 && (subject.revents & POLLOUT) != 0;
}

/// Null where it is of another family.
const sockaddr_in* as_ip4(const sockaddr* address) noexcept {
    const bool is_ip4 = address != nullptr && address->sa_family == AF_INET;
    return is_ip4 ? reinterpret_cast<const sockaddr_in*>(address) : nullptr;
}

void add_ip4(std::vector<endpoint>& to, const sockaddr_in& address) {
    to.push_back(endpoint::from_system(transport::udp, reinterpret_cast<const sockaddr*>(&address),
                                       sizeof address));
}

template <typename Visit>
void for_each_interface(Visit visit) {
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) {
        return;
    }
    const std::unique_ptr<ifaddrs, void (*)(ifaddrs*)> owner(list, ::freeifaddrs);
    for (const ifaddrs* entry = list; entry != nullptr; entry = entry->ifa_next) {
        visit(*entry);
    }
}

/// 169.254.0.0/16 and fe80::/10: good on one wire alone.
bool is_link_local(const sockaddr* address) noexcept {
    if (address->sa_family == AF_INET) {
        sockaddr_in ip4 = {};
        std::memcpy(&ip4, address, sizeof ip4);
        return ntohl(ip4.sin_addr.s_addr) >> 16 == 0xa9fe;
    }
    sockaddr_in6 ip6 = {};
    std::memcpy(&ip6, address, sizeof ip6);
    return IN6_IS_ADDR_LINKLOCAL(&ip6.sin6_addr);
}

result<unique_fd> open_file(const std::string& path, int flags) noexcept {
    int fd = -1;
    do {
        fd = ::open(path.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | flags, 0666);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return last_error();
    }
    return unique_fd(fd);
}

} // namespace

void open_standard_descriptors() noexcept {
    for (int fd = 0; fd <= 2; ++fd) {
        // open(2) gives the lowest free number, which is `fd`: those below it are open by now.
        if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
            (void)::open("/dev/null", O_RDWR);
        }
    }
}

void ignore_broken_pipes() noexcept {
    std::signal(SIGPIPE, SIG_IGN);
}

void die_on_next_signal() noexcept {
    std::signal(SIGINT, SIG_DFL);
    std::signal(SIGTERM, SIG_DFL);
}

bool is_terminal(int fd) noexcept {
    return ::isatty(fd) == 1;
}

descriptor_limits read_descriptor_limits() noexcept {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return {};
    }
    // rlim_t is signed on FreeBSD.
    return {static_cast<std::uint64_t>(limit.rlim_cur), static_cast<std::uint64_t>(limit.rlim_max)};
}

std::error_code raise_descriptor_limit(std::uint64_t wanted) noexcept {
    rlimit limit = {};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return last_error();
    }
    limit.rlim_cur = std::max(limit.rlim_cur, static_cast<rlim_t>(wanted));
    return ::setrlimit(RLIMIT_NOFILE, &limit) == 0 ? std::error_code() : last_error();
}

std::error_code write_output(std::string_view text) noexcept {
    while (!text.empty()) {
        if (!waits_for_room(STDOUT_FILENO, duration::zero())) {
            // No loop hears of signals as long as nobody reads what is written.
            const deadly_signals meanwhile;
            (void)waits_for_room(STDOUT_FILENO, std::chrono::hours(1));
        }
        const ssize_t written = write_some(STDOUT_FILENO, text.substr(0, unblocked_piece_max));
        if (written < 0 && errno != EAGAIN) {
            return errno == EPIPE ? std::error_code() : last_error();
        }
        text.remove_prefix(written < 0 ? 0 : static_cast<std::size_t>(written));
    }
    return {};
}

void write_talk(std::string_view line, duration patience) noexcept {
    while (!line.empty() && waits_for_room(STDERR_FILENO, patience)) {
        const ssize_t written = write_some(STDERR_FILENO, line.substr(0, unblocked_piece_max));
        if (written <= 0) {
            return;
        }
        line.remove_prefix(static_cast<std::size_t>(written));
    }
}

result<std::string> host_name() {
    std::array<char, 1024> room = {};
    if (::gethostname(room.data(), room.size() - 1) != 0) {
        return last_error();
    }
    return std::string(room.data());
}

result<std::string> full_host_name() {
    const auto name = host_name();
    if (!name) {
        return name.error();
    }
    addrinfo wanted = {};
    wanted.ai_flags = AI_CANONNAME;
    wanted.ai_socktype = SOCK_STREAM;
    addrinfo* list = nullptr;
    const int failure = ::getaddrinfo(name->c_str(), nullptr, &wanted, &list);
    if (failure == EAI_SYSTEM) {
        return last_error();
    }
    if (failure != 0) {
        return failure == EAI_AGAIN ? errc::temporary_failure : errc::host_not_found;
    }
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> owner(list, ::freeaddrinfo);
    return std::string(list->ai_canonname != nullptr ? list->ai_canonname : name->c_str());
}

std::vector<endpoint> interface_addresses() {
    std::vector<endpoint> found;
    for_each_interface([&found](const ifaddrs& entry) {
        const bool is_wanted = (entry.ifa_flags & IFF_UP) != 0 && entry.ifa_addr != nullptr;
        const int family = is_wanted ? entry.ifa_addr->sa_family : AF_UNSPEC;
        if (family != AF_INET && family != AF_INET6) {
            return;
        }
        const auto one = endpoint::from_system(transport::tcp, entry.ifa_addr,
                                               family == AF_INET ? socklen_t{sizeof(sockaddr_in)}
                                                                 : socklen_t{sizeof(sockaddr_in6)});
        if (!one.is_loopback() && !is_link_local(entry.ifa_addr) &&
            std::ranges::find(found, one) == found.end()) {
            found.push_back(one);
        }
    });
    return found;
}

std::string calendar_time() {
    const std::time_t now = std::time(nullptr);
    std::tm parts = {};
    ::localtime_r(&now, &parts);
    // The program keeps to the locale "C", whose names these are.
    char text[64];
    return {text, std::strftime(text, sizeof text, "%a %b %e %H:%M:%S %Y", &parts)};
}

std::uint64_t seconds_since_1900() noexcept {
    constexpr std::uint64_t before_1970 = 2'208'988'800; // RFC 868
    return before_1970 + static_cast<std::uint64_t>(std::time(nullptr));
}

bool remove_stale_socket(loop& owner, const endpoint& local) {
    const std::string path(local.path());
    struct stat before = {};
    if (::lstat(path.c_str(), &before) != 0 || !S_ISSOCK(before.st_mode)) {
        return false;
    }
    const auto probe = datagram_socket::connect(owner, local, {}, [](auto&, auto) {});
    struct stat after = {};
    const bool is_same = ::lstat(path.c_str(), &after) == 0 && before.st_ino == after.st_ino &&
                         before.st_dev == after.st_dev;
    return !probe && probe.error() == std::errc::connection_refused && is_same &&
           ::unlink(path.c_str()) == 0;
}

result<unique_fd> make_file(const std::string& path) noexcept {
    return open_file(path, O_CREAT | O_EXCL);
}

result<unique_fd> open_device(const std::string& path) noexcept {
    return open_file(path, 0);
}

result<std::size_t> write_file(int fd, std::string_view data) noexcept {
    const ssize_t written = write_some(fd, data);
    if (written < 0) {
        return last_error();
    }
    return static_cast<std::size_t>(written);
}

std::error_code close_file(unique_fd file) noexcept {
    // An interrupted close has closed. See: close(2).
    return ::close(file.release()) == 0 || errno == EINTR ? std::error_code() : last_error();
}

std::error_code rename_file(const std::string& from, const std::string& to) noexcept {
    return ::rename(from.c_str(), to.c_str()) == 0 ? std::error_code() : last_error();
}

std::error_code name_new_file(const std::string& from, const std::string& to) noexcept {
    // rename(2) would replace what is there; link(2) does not.
    if (::link(from.c_str(), to.c_str()) == 0) {
        return ::unlink(from.c_str()) == 0 ? std::error_code() : last_error();
    }
    const int error = errno;
    const bool has_no_links = error == EPERM || error == ENOTSUP || error == ENOSYS;
    if (!has_no_links) {
        return last_error();
    }
    return ::access(to.c_str(), F_OK) == 0 ? std::make_error_code(std::errc::file_exists)
                                           : rename_file(from, to);
}

std::vector<endpoint> broadcast_addresses() {
    std::vector<endpoint> found;
    for_each_interface([&found](const ifaddrs& entry) {
        const auto* own = as_ip4(entry.ifa_addr);
        const auto* mask = as_ip4(entry.ifa_netmask);
        // Not every interface says so, but this is what the system takes for it; the nets of one
        // and of two addresses have none (RFC 3021).
        if (own != nullptr && mask != nullptr && ntohl(~mask->sin_addr.s_addr) > 1) {
            sockaddr_in everybody = *own;
            everybody.sin_addr.s_addr |= ~mask->sin_addr.s_addr;
            add_ip4(found, everybody);
        }
        const bool is_told = (entry.ifa_flags & IFF_BROADCAST) != 0;
        if (const auto* told = as_ip4(entry.ifa_broadaddr); is_told && told != nullptr) {
            add_ip4(found, *told);
        }
    });
    return found;
}

} // namespace sockeye::cli
