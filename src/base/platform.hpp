#pragma once

// What differs between the systems, behind plain functions: the one header with platform #ifs.

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <ctime>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#endif

namespace sockeye::platform {

#if defined(__linux__)
inline constexpr bool has_abstract_names = true;
/// select(2) takes sets of any size here; elsewhere the kernel refuses more than FD_SETSIZE.
inline constexpr bool select_is_unbounded = true;
#else
inline constexpr bool has_abstract_names = false;
inline constexpr bool select_is_unbounded = false;
#endif

/// What poll(2) says of a peer that sent FIN; nothing where it has no word for it.
#if defined(POLLRDHUP)
inline constexpr short poll_read_closed = POLLRDHUP;
#else
inline constexpr short poll_read_closed = 0;
#endif

/// Options of TCP, as tcp(7) calls them; `no_option` where the system does not have one.
inline constexpr int no_option = -1;
#if defined(TCP_KEEPIDLE)
inline constexpr int tcp_keep_idle = TCP_KEEPIDLE;
#elif defined(TCP_KEEPALIVE)
inline constexpr int tcp_keep_idle = TCP_KEEPALIVE;
#else
inline constexpr int tcp_keep_idle = no_option;
#endif
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
inline constexpr int tcp_keep_interval = TCP_KEEPINTVL;
inline constexpr int tcp_keep_probes = TCP_KEEPCNT;
#else
inline constexpr int tcp_keep_interval = no_option;
inline constexpr int tcp_keep_probes = no_option;
#endif
#if defined(TCP_USER_TIMEOUT)
inline constexpr int tcp_user_timeout = TCP_USER_TIMEOUT;
#else
inline constexpr int tcp_user_timeout = no_option;
#endif
#if defined(TCP_NOTSENT_LOWAT)
inline constexpr int tcp_not_sent_low_at = TCP_NOTSENT_LOWAT;
#else
inline constexpr int tcp_not_sent_low_at = no_option;
#endif
#if defined(TCP_QUICKACK)
inline constexpr int tcp_quick_ack = TCP_QUICKACK;
#else
inline constexpr int tcp_quick_ack = no_option;
#endif
#if defined(TCP_FASTOPEN)
inline constexpr int tcp_fast_open_queue = TCP_FASTOPEN;
#else
inline constexpr int tcp_fast_open_queue = no_option;
#endif
#if defined(TCP_FASTOPEN_CONNECT)
inline constexpr int tcp_fast_open_connect = TCP_FASTOPEN_CONNECT;
#else
inline constexpr int tcp_fast_open_connect = no_option;
#endif
#if defined(TCP_CONGESTION)
inline constexpr int tcp_congestion = TCP_CONGESTION;
#else
inline constexpr int tcp_congestion = no_option;
#endif

/// What TCP_INFO says on Linux, whose C library knows only the front part; a kernel that knows
/// less fills less. See: tcp_info in linux/tcp.h, kernel 5.10.
struct tcp_facts {
    std::uint8_t state, ca_state, retransmits, probes, backoff, options, scales, limits;
    std::uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
    std::uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
    std::uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
    std::uint32_t rcv_rtt, rcv_space, total_retrans;
    std::uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
    std::uint32_t segs_out, segs_in, notsent_bytes, min_rtt;
};

/// Bits of tcp_facts::options.
inline constexpr unsigned tcp_fact_syn_data = 32;

/// Fills `facts`, and `unacknowledged` with the bytes that the kernel holds; false with errno set
/// where that fails, or where the system tells in another way.
inline bool read_tcp_facts(int fd, tcp_facts& facts, int& unacknowledged) noexcept {
#if defined(__linux__)
    socklen_t size = sizeof facts;
    return ::getsockopt(fd, IPPROTO_TCP, TCP_INFO, &facts, &size) == 0 &&
           ::ioctl(fd, TIOCOUTQ, &unacknowledged) == 0;
#else
    static_cast<void>(fd);
    static_cast<void>(facts);
    static_cast<void>(unacknowledged);
    errno = EOPNOTSUPP;
    return false;
#endif
}

/// sendfile(2) from a place, which leaves the file's own place alone: how many bytes went, or -1
/// with errno set. Where it has another form the file is read and sent instead.
inline ssize_t send_file(int fd, int file, std::uint64_t offset, std::size_t length) noexcept {
#if defined(__linux__)
    auto from = static_cast<off_t>(offset);
    return ::sendfile(fd, file, &from, length);
#else
    static_cast<void>(fd);
    static_cast<void>(file);
    static_cast<void>(offset);
    static_cast<void>(length);
    errno = ENOTSUP;
    return -1;
#endif
}

/// Takes one of `signals` that waits for this thread, if any does. Where sendfile(2) raises none,
/// there is none to take.
inline void take_signal(const sigset_t& signals) noexcept {
#if defined(__linux__)
    const timespec at_once = {};
    ::sigtimedwait(&signals, nullptr, &at_once);
#else
    static_cast<void>(signals);
#endif
}

/// BSD socket addresses begin with their own length; the others have no such field.
template <typename Address>
void set_length(Address& address, std::size_t size) noexcept {
#if defined(__APPLE__) || defined(__FreeBSD__) || defined(__NetBSD__) || defined(__OpenBSD__)
    reinterpret_cast<sockaddr&>(address).sa_len = static_cast<std::uint8_t>(size);
#else
    static_cast<void>(address);
    static_cast<void>(size);
#endif
}

/// Makes `fd` non-blocking and close-on-exec; false with errno set where that fails.
inline bool prepare_descriptor(int fd) noexcept {
    const int status = ::fcntl(fd, F_GETFL);
    return status >= 0 && ::fcntl(fd, F_SETFL, status | O_NONBLOCK) == 0 &&
           ::fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

/// For systems that cannot set the flags at creation: sets them, or closes `fd`.
inline int prepared_or_closed(int fd) noexcept {
    if (fd >= 0 && !prepare_descriptor(fd)) {
        ::close(fd);
        return -1;
    }
    return fd;
}

/// Tells the system not to raise SIGPIPE for this socket, where send has no flag for it.
inline void suppress_sigpipe(int fd) noexcept {
#if defined(SO_NOSIGPIPE)
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_NOSIGPIPE, &on, sizeof on);
#else
    static_cast<void>(fd);
#endif
}

#if defined(MSG_NOSIGNAL)
inline constexpr int send_flags = MSG_NOSIGNAL;
#else
inline constexpr int send_flags = 0;
#endif

/// A non-blocking, close-on-exec socket, or -1 with errno set.
inline int make_socket(int family, int type) noexcept {
#if defined(__APPLE__)
    const int fd = prepared_or_closed(::socket(family, type, 0));
#else
    const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
#endif
    if (fd >= 0) {
        suppress_sigpipe(fd);
    }
    return fd;
}

/// accept(2) with the same flags.
inline int accept_socket(int listener, sockaddr* peer, socklen_t* size) noexcept {
#if defined(__APPLE__)
    const int fd = prepared_or_closed(::accept(listener, peer, size));
    if (fd >= 0) {
        suppress_sigpipe(fd);
    }
    return fd;
#else
    return ::accept4(listener, peer, size, SOCK_NONBLOCK | SOCK_CLOEXEC);
#endif
}

/// Makes a wake-up channel in ends[0] (read) and ends[1] (write; -1 where ends[0] serves both).
inline bool make_wake_channel(int (&ends)[2]) noexcept {
#if defined(__linux__)
    ends[0] = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ends[1] = -1;
    if (ends[0] >= 0) {
        return true;
    }
#endif
#if defined(__APPLE__)
    if (::pipe(ends) != 0) {
        return false;
    }
    if (prepare_descriptor(ends[0]) && prepare_descriptor(ends[1])) {
        return true;
    }
    ::close(ends[0]);
    ::close(ends[1]);
    return false;
#else
    return ::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0;
#endif
}

#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
using message_header = mmsghdr;
#else
struct message_header {
    msghdr msg_hdr;
    unsigned msg_len;
};
#endif

/// Receives datagrams into the front of `messages` as recvmmsg(2) does, one call at a time where
/// the system does not have it: how many came, or -1 with errno set.
inline ssize_t receive_messages(int fd, message_header* messages, std::size_t count) noexcept {
#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
    return ::recvmmsg(fd, messages, static_cast<unsigned>(count), MSG_DONTWAIT, nullptr);
#else
    for (std::size_t i = 0; i < count; ++i) {
        const ssize_t got = ::recvmsg(fd, &messages[i].msg_hdr, MSG_DONTWAIT);
        if (got < 0) {
            return i > 0 ? static_cast<ssize_t>(i) : -1;
        }
        messages[i].msg_len = static_cast<unsigned>(got);
    }
    return static_cast<ssize_t>(count);
#endif
}

/// Sends the front of `messages` as sendmmsg(2) does: how many went, or -1 with errno set.
inline ssize_t send_messages(int fd, message_header* messages, std::size_t count) noexcept {
#if defined(__linux__) || defined(__FreeBSD__) || defined(__NetBSD__)
    return ::sendmmsg(fd, messages, static_cast<unsigned>(count), send_flags);
#else
    for (std::size_t i = 0; i < count; ++i) {
        if (::sendmsg(fd, &messages[i].msg_hdr, send_flags) < 0) {
            return i > 0 ? static_cast<ssize_t>(i) : -1;
        }
    }
    return static_cast<ssize_t>(count);
#endif
}

} // namespace sockeye::platform
