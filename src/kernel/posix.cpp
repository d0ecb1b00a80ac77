#include "kernel/posix.hpp"

#include "kernel/signal_hub.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <climits>
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
        break;
    }
    return {SOL_SOCKET, SO_LINGER};
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
    const bool is_stream = kind == transport::tcp || kind == transport::unix_stream;
    const int echo = family == AF_INET ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6};
    return own(platform::make_socket(family, is_stream ? SOCK_STREAM : SOCK_DGRAM,
                                     kind == transport::icmp ? echo : 0));
}

result<owned_fd> posix_kernel::raw_socket(int family, int protocol) {
    return own(platform::make_socket(family, SOCK_RAW, protocol));
}

std::error_code posix_kernel::bind(int fd, const endpoint& local) {
    return error_if(::bind(fd, local.data(), local.size()) != 0);
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
    std::array<iovec, 64> buffers;
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
    if (!named.exists()) {
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
    return integer_option(fd, named.level, named.name);
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
    if (*type == SOCK_RAW) {
        return transport::raw;
    }
    const auto protocol = integer_option(fd, SOL_SOCKET, platform::protocol_option);
    const bool is_echo = protocol && (*protocol == IPPROTO_ICMP || *protocol == IPPROTO_ICMPV6);
    return is_local ? transport::unix_datagram : is_echo ? transport::icmp : transport::udp;
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
    return file_identity{static_cast<std::uint64_t>(facts.st_dev),
                         static_cast<std::uint64_t>(facts.st_ino)};
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
