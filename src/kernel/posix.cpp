#include "kernel/posix.hpp"

#include "kernel/signal_hub.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <climits>
#include <cstdio>
#include <string_view>

#include <pthread.h>
#include <sys/stat.h>

namespace sockeye {
namespace {

platform::option_name name_of(socket_option option) noexcept {
    switch (option) {
    case socket_option::no_delay:
        return {IPPROTO_TCP, TCP_NODELAY};
    case socket_option::reuse_address:
        return {SOL_SOCKET, SO_REUSEADDR};
    case socket_option::reuse_port:
        return {SOL_SOCKET, SO_REUSEPORT};
    case socket_option::reuse_port_balanced:
        return platform::reuse_port_balanced;
    case socket_option::ipv6_only:
        return {IPPROTO_IPV6, IPV6_V6ONLY};
    case socket_option::send_buffer:
        return {SOL_SOCKET, SO_SNDBUF};
    case socket_option::receive_buffer:
        return {SOL_SOCKET, SO_RCVBUF};
    case socket_option::defer_accept:
        return platform::defer_accept;
    case socket_option::is_listening:
        return {SOL_SOCKET, SO_ACCEPTCONN};
    case socket_option::linger_reset:
    case socket_option::linger:
        return {SOL_SOCKET, SO_LINGER};
    case socket_option::keep_alive:
        return {SOL_SOCKET, SO_KEEPALIVE};
    case socket_option::keep_alive_idle:
        return platform::tcp_keep_idle;
    case socket_option::keep_alive_interval:
        return platform::tcp_keep_interval;
    case socket_option::keep_alive_probes:
        return platform::tcp_keep_probes;
    case socket_option::user_timeout:
        return platform::tcp_user_timeout;
    case socket_option::not_sent_low_at:
        return platform::tcp_not_sent_low_at;
    case socket_option::quick_ack:
        return platform::tcp_quick_ack;
    case socket_option::fast_open_queue:
        return platform::tcp_fast_open_queue;
    case socket_option::fast_open_connect:
        break;
    }
    return platform::tcp_fast_open_connect;
}

int type_of(transport kind) noexcept {
    switch (kind) {
    case transport::tcp:
    case transport::unix_stream:
        return SOCK_STREAM;
    case transport::unix_seqpacket:
        return SOCK_SEQPACKET;
    case transport::raw:
        return SOCK_RAW;
    default:
        return SOCK_DGRAM;
    }
}

/// The path of a socket file with the NUL that the system wants. Needs no memory: it is asked for
/// when things end.
class socket_path {
public:
    explicit socket_path(std::string_view path) noexcept : size_(path.size()) {
        path.copy(text_.data(), text_.size() - 1);
    }
    [[nodiscard]] bool fits() const noexcept { return size_ < text_.size(); }
    [[nodiscard]] const char* get() const noexcept { return text_.data(); }

private:
    std::array<char, sizeof(sockaddr_un::sun_path) + 1> text_ = {};
    std::size_t size_;
};

file_identity identity_of(const struct stat& facts) noexcept {
    return {static_cast<std::uint64_t>(facts.st_dev), static_cast<std::uint64_t>(facts.st_ino),
            S_ISSOCK(facts.st_mode)};
}

/// What getsockname(2) or getpeername(2) says.
template <typename Call>
result<endpoint> name_by(Call call, int fd, transport kind) {
    endpoint name;
    socklen_t size = endpoint::room_size();
    if (call(fd, name.room(), &size) != 0) {
        return last_error();
    }
    name.filled(kind, size);
    return name;
}

/// 0 where close does not wait.
result<int> linger_of(int fd) {
    linger value = {};
    socklen_t size = sizeof value;
    if (::getsockopt(fd, SOL_SOCKET, SO_LINGER, &value, &size) != 0) {
        return last_error();
    }
    return value.l_onoff != 0 ? value.l_linger : 0;
}

std::atomic<unsigned> forks = 0;

} // namespace

void owned_fd::reset() noexcept {
    if (const int old = std::exchange(fd_, -1); old >= 0) {
        maker_->close(old);
    }
}

result<int> integer_option(int fd, int level, int name) {
    int value = 0;
    socklen_t size = sizeof value;
    if (::getsockopt(fd, level, name, &value, &size) != 0) {
        return last_error();
    }
    return value;
}

posix_kernel::posix_kernel() {
    ::pthread_atfork(nullptr, nullptr, [] { forks.fetch_add(1, std::memory_order_relaxed); });
}

result<owned_fd> posix_kernel::socket(transport kind, int family) {
    const int echo = family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    return own(platform::make_socket(family, type_of(kind), kind == transport::icmp ? echo : 0));
}

result<owned_fd> posix_kernel::raw_socket(int family, int protocol) {
    return own(platform::make_socket(family, SOCK_RAW, protocol));
}

std::error_code posix_kernel::bind(int fd, const endpoint& local) {
    return error_if(::bind(fd, local.data(), local.size()) != 0);
}

/// On Linux the file's mode is that of the socket, less the umask, so that it never has more than
/// it shall have. What the umask took is given afterwards: nobody can connect before it listens.
/// Whether the file is still ours is not known then; a link is not followed.
/// See: unix(7), fchmod(2).
std::error_code posix_kernel::bind_with_mode(int fd, const endpoint& local, unsigned mode) {
    const socket_path named(local.path());
    if (local.path().empty() || !named.fits() || mode > 0777) {
        return make_error_code(std::errc::invalid_argument);
    }
    const auto wanted = static_cast<mode_t>(mode);
    static_cast<void>(::fchmod(fd, wanted)); // elsewhere sockets have no mode before they are bound
    if (const auto error = bind(fd, local)) {
        return error;
    }
    struct stat facts = {};
    if (::lstat(named.get(), &facts) == 0 && S_ISSOCK(facts.st_mode)) {
        if ((facts.st_mode & 0777) == wanted ||
            ::fchmodat(AT_FDCWD, named.get(), wanted, AT_SYMLINK_NOFOLLOW) == 0) {
            return {};
        }
        const auto error = last_error();
        ::unlink(named.get());
        return error;
    }
    return make_error_code(std::errc::no_such_file_or_directory);
}

std::error_code posix_kernel::listen(int fd, int backlog) {
    return error_if(::listen(fd, backlog) != 0);
}

result<owned_fd> posix_kernel::accept(int fd, transport kind, endpoint& peer) {
    socklen_t size = endpoint::room_size();
    const int made = retry_eintr([&] { return platform::accept_socket(fd, peer.room(), &size); });
    if (made < 0 && errno == EAGAIN) {
        return make_error_code(std::errc::operation_would_block);
    }
    peer.filled(kind, made < 0 ? 0 : size);
    return own(made);
}

std::error_code posix_kernel::connect(int fd, const endpoint& peer) {
    if (::connect(fd, peer.data(), peer.size()) == 0) {
        return {};
    }
    // An interrupted connect goes on by itself; a second call would say EALREADY.
    if (errno == EINTR) {
        return make_error_code(std::errc::operation_in_progress);
    }
    return errno == EAGAIN ? make_error_code(std::errc::operation_would_block) : last_error();
}

std::error_code posix_kernel::shutdown_write(int fd) {
    return error_if(::shutdown(fd, SHUT_WR) != 0);
}

/// Not retried: on Linux the descriptor is gone even after EINTR. See: close(2).
void posix_kernel::close(int fd) noexcept {
    ::close(fd);
}

result<std::size_t> posix_kernel::receive(int fd, std::span<std::byte> target) {
    return count_or_error(retry_eintr([&] { return ::recv(fd, target.data(), target.size(), 0); }));
}

result<std::size_t> posix_kernel::send(int fd, bytes source) {
    return count_or_error(retry_eintr(
        [&] { return ::send(fd, source.data(), source.size(), platform::send_flags); }));
}

result<std::size_t> posix_kernel::send_gathered(int fd, std::span<const bytes> sources) {
    std::array<iovec, parts_per_call> buffers;
    const auto count = std::min(sources.size(), buffers.size());
    std::transform(sources.begin(), sources.begin() + static_cast<std::ptrdiff_t>(count),
                   buffers.begin(), buffer_of);
    msghdr header = {};
    header.msg_iov = buffers.data();
    header.msg_iovlen = static_cast<decltype(header.msg_iovlen)>(count);
    return count_or_error(
        retry_eintr([&] { return ::sendmsg(fd, &header, platform::send_flags); }));
}

std::error_code posix_kernel::set_option(int fd, socket_option option, int value) {
    const auto named = name_of(option);
    if (!named.exists() || option == socket_option::linger) {
        return make_error_code(std::errc::not_supported);
    }
    if (option == socket_option::linger_reset) {
        const linger at_once = {.l_onoff = value, .l_linger = 0};
        return error_if(::setsockopt(fd, named.level, named.name, &at_once, sizeof at_once) != 0);
    }
    return error_if(::setsockopt(fd, named.level, named.name, &value, sizeof value) != 0);
}

result<int> posix_kernel::get_option(int fd, socket_option option) {
    const auto named = name_of(option);
    if (!named.exists()) {
        return std::errc::not_supported;
    }
    return option == socket_option::linger ? linger_of(fd)
                                           : integer_option(fd, named.level, named.name);
}

std::error_code posix_kernel::pending_error(int fd) {
    const auto pending = integer_option(fd, SOL_SOCKET, SO_ERROR);
    return pending ? std::error_code(*pending, std::system_category()) : pending.error();
}

result<endpoint> posix_kernel::local_endpoint(int fd, transport kind) {
    return name_by(::getsockname, fd, kind);
}

result<endpoint> posix_kernel::peer_endpoint(int fd, transport kind) {
    return name_by(::getpeername, fd, kind);
}

result<transport> posix_kernel::transport_of(int fd) {
    const auto type = integer_option(fd, SOL_SOCKET, SO_TYPE);
    if (!type) {
        return type.error();
    }
    sockaddr_storage name = {};
    socklen_t size = sizeof name;
    if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) {
        return last_error();
    }
    const bool is_local = name.ss_family == AF_UNIX;
    if (*type == SOCK_STREAM) {
        return is_local ? transport::unix_stream : transport::tcp;
    }
    if (*type == SOCK_SEQPACKET && is_local) {
        return transport::unix_seqpacket;
    }
    if (*type == SOCK_RAW) {
        return transport::raw;
    }
    const auto protocol = integer_option(fd, SOL_SOCKET, platform::protocol_option);
    const bool is_echo = protocol && (*protocol == IPPROTO_ICMP || *protocol == IPPROTO_ICMPV6);
    return is_local ? transport::unix_datagram : is_echo ? transport::icmp : transport::udp;
}

result<owned_fd> posix_kernel::duplicate(int fd) {
    return own(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

std::error_code posix_kernel::steer_by_cpu(int fd, std::span<const unsigned> cpus) {
    return error_if(!platform::steer_by_cpu(fd, cpus.data(), cpus.size()));
}

std::error_code posix_kernel::prepare(int fd) {
    if (!platform::prepare_descriptor(fd)) {
        return last_error();
    }
    platform::suppress_sigpipe(fd);
    return {};
}

result<file_identity> posix_kernel::identify(std::string_view path) {
    struct stat facts = {};
    const socket_path named(path);
    if (!named.fits()) {
        return std::errc::filename_too_long;
    }
    if (::lstat(named.get(), &facts) != 0) {
        return last_error();
    }
    return identity_of(facts);
}

result<file_identity> posix_kernel::identify_descriptor(int fd) {
    struct stat facts = {};
    if (::fstat(fd, &facts) != 0) {
        return last_error();
    }
    return identity_of(facts);
}

std::error_code posix_kernel::remove_file(std::string_view path) {
    const socket_path named(path);
    return named.fits() ? error_if(::unlink(named.get()) != 0)
                        : make_error_code(std::errc::filename_too_long);
}

result<std::uint64_t> posix_kernel::random_bits() {
    std::uint64_t bits = 0;
    if (::getentropy(&bits, sizeof bits) != 0) {
        return last_error();
    }
    return bits;
}

/// Between a look and an unlink another server may bind to the path. So what looks like the file is
/// moved aside first, which nobody can come between, and looked at there; one that should stay goes
/// back.
std::error_code posix_kernel::remove_same_file(std::string_view path, const file_identity& file) {
    std::array<char, sizeof(sockaddr_un::sun_path) + 32> aside = {};
    const socket_path named(path);
    if (!named.fits()) {
        return make_error_code(std::errc::filename_too_long);
    }
    const auto folder = static_cast<int>(path.rfind('/') + 1); // 0 where there is none
    std::snprintf(aside.data(), aside.size(), "%.*s.stale-%016llx", folder, named.get(),
                  static_cast<unsigned long long>(file.number));
    struct stat facts = {};
    if (::lstat(named.get(), &facts) != 0) {
        return last_error();
    }
    if (identity_of(facts) != file) {
        return make_error_code(std::errc::address_in_use);
    }
    if (::lstat(aside.data(), &facts) == 0) {
        return make_error_code(std::errc::file_exists);
    }
    if (::rename(named.get(), aside.data()) != 0) {
        return last_error();
    }
    const bool is_same = ::lstat(aside.data(), &facts) == 0 && identity_of(facts) == file;
    if (!is_same) {
        static_cast<void>(::link(aside.data(), named.get()));
    }
    const auto error = error_if(::unlink(aside.data()) != 0);
    return is_same ? error : make_error_code(std::errc::address_in_use);
}

result<owned_fd> posix_kernel::reserve() {
    return own(::open("/dev/null", O_RDONLY | O_CLOEXEC));
}

time_point posix_kernel::now() {
    return std::chrono::time_point_cast<duration>(clock::now());
}

result<wake_channel> posix_kernel::make_wake_channel() {
    int ends[2] = {-1, -1};
    if (!platform::make_wake_channel(ends)) {
        return last_error();
    }
    wake_channel channel;
    channel.reader = owned_fd(*this, ends[0]);
    if (ends[1] >= 0) {
        channel.writer = owned_fd(*this, ends[1]);
    }
    return channel;
}

void posix_kernel::wake(int write_end) noexcept {
    // A full channel is readable already: nothing is lost where this fails with EAGAIN.
    const std::uint64_t one = 1;
    retry_eintr([&] { return ::write(write_end, &one, sizeof one); });
}

void posix_kernel::drain(int reader) noexcept {
    std::array<std::byte, 1024> sink;
    while (retry_eintr([&] { return ::read(reader, sink.data(), sink.size()); }) ==
           static_cast<ssize_t>(sink.size())) {
    }
}

unsigned posix_kernel::fork_count() {
    return forks.load(std::memory_order_relaxed);
}

std::error_code posix_kernel::add_signal(int signal, std::atomic<std::uint64_t>& pending,
                                         int write_end) {
    return add_signal_listener(signal, pending, write_end);
}

void posix_kernel::remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept {
    remove_signal_listener(signal, pending);
}

result<owned_fd> posix_kernel::own(int fd) {
    if (fd < 0) {
        return last_error();
    }
    return owned_fd(*this, fd);
}

kernel& system_kernel() noexcept {
    static posix_kernel instance;
    return instance;
}

} // namespace sockeye
