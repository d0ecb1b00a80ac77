#pragma once

// What differs between the systems, behind plain functions: the one header with platform #ifs.

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <optional>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <sys/eventfd.h>
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

/// Descriptors that come with a message are made close-on-exec, where the system does it at once.
#if defined(MSG_CMSG_CLOEXEC)
inline constexpr int receive_flags = MSG_CMSG_CLOEXEC;
inline constexpr bool received_are_close_on_exec = true;
#else
inline constexpr int receive_flags = 0;
inline constexpr bool received_are_close_on_exec = false;
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

/// Who made the other end of the Unix socket `fd`; false with errno set where nobody can say.
inline bool ask_peer_credentials(int fd, std::uint32_t& user, std::uint32_t& group,
                                 std::optional<std::int32_t>& process) noexcept {
#if defined(__linux__) || defined(__OpenBSD__)
#if defined(__OpenBSD__)
    sockpeercred told = {};
#else
    ucred told = {};
#endif
    socklen_t size = sizeof told;
    if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &told, &size) != 0) {
        return false;
    }
    // Linux has an answer for sockets that have no such peer.
    if (told.uid == static_cast<uid_t>(-1)) {
        errno = EOPNOTSUPP;
        return false;
    }
    user = told.uid;
    group = told.gid;
    process = told.pid;
    return true;
#else
    uid_t told_user = 0;
    gid_t told_group = 0;
    if (::getpeereid(fd, &told_user, &told_group) != 0) {
        return false;
    }
    user = told_user;
    group = told_group;
#if defined(LOCAL_PEERPID)
    pid_t told_process = 0;
    socklen_t size = sizeof told_process;
    if (::getsockopt(fd, SOL_LOCAL, LOCAL_PEERPID, &told_process, &size) == 0) {
        process = told_process;
    }
#endif
    return true;
#endif
}

/// Where what `fd` leads to can be opened once more, with an open file description of its own;
/// false where the system has no such name for it. `room` holds 64 bytes.
inline bool name_of_open_file(int fd, char (&room)[64]) noexcept {
#if defined(__linux__)
    return std::snprintf(room, sizeof room, "/proc/self/fd/%d", fd) > 0;
#else
    return ::ttyname_r(fd, room, sizeof room) == 0;
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
