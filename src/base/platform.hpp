#pragma once

// What differs between the systems, behind plain functions: the one header with platform #ifs.

#if defined(__APPLE__)
#define __APPLE_USE_RFC_3542 // names the options of IPv6
#endif

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <optional>

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#if defined(__linux__)
#include <linux/errqueue.h>
#include <linux/filter.h>
#include <linux/time_types.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#endif
#if defined(__APPLE__)
#include <sys/random.h>
#endif

// The probes of base/probes.hpp. The build says whether there is what they are made of.
#if defined(SOCKEYE_HAVE_PROBES)
#include <sys/sdt.h>
#define SOCKEYE_PROBE1(name, a) STAP_PROBE1(sockeye, name, a)
#define SOCKEYE_PROBE2(name, a, b) STAP_PROBE2(sockeye, name, a, b)
#define SOCKEYE_PROBE3(name, a, b, c) STAP_PROBE3(sockeye, name, a, b, c)
#define SOCKEYE_PROBE4(name, a, b, c, d) STAP_PROBE4(sockeye, name, a, b, c, d)
#else
#define SOCKEYE_PROBE1(name, a) static_cast<void>(a)
#define SOCKEYE_PROBE2(name, a, b) static_cast<void>(a), static_cast<void>(b)
#define SOCKEYE_PROBE3(name, a, b, c) SOCKEYE_PROBE2(name, a, b), static_cast<void>(c)
#define SOCKEYE_PROBE4(name, a, b, c, d) SOCKEYE_PROBE3(name, a, b, c), static_cast<void>(d)
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

#if defined(__linux__)
/// epoll_wait(2) with a limit in nanoseconds. By the number of the call, as the C library may be
/// older than the kernel. Fails with ENOSYS where the kernel is older. See: epoll_pwait2(2).
inline int epoll_wait_exactly(int queue, epoll_event* ready, int room, timespec limit) noexcept {
#if defined(SYS_epoll_pwait2)
    const __kernel_timespec span = {limit.tv_sec, limit.tv_nsec};
    return static_cast<int>(
        ::syscall(SYS_epoll_pwait2, queue, ready, room, &span, /*sigmask=*/nullptr, 0));
#else
    static_cast<void>(queue), static_cast<void>(ready), static_cast<void>(room);
    static_cast<void>(limit);
    errno = ENOSYS;
    return -1;
#endif
}
#endif

/// Asks the processor to have `*place` at hand soon; any address will do.
inline void prefetch(const void* place) noexcept {
#if defined(__GNUC__)
    __builtin_prefetch(place);
#else
    static_cast<void>(place);
#endif
}

/// A socket option, or a control message, by its level and name. What a system does not have is
/// `no_option`.
struct option_name {
    int level;
    int name;

    [[nodiscard]] constexpr bool exists() const noexcept { return name >= 0; }
};
inline constexpr option_name no_option = {0, -1};

/// As many as one program of steer_by_cpu has room for.
inline constexpr std::size_t steered_cpus_max = 1024;

/// See: tcp(7).
#if defined(TCP_KEEPIDLE)
inline constexpr option_name tcp_keep_idle = {IPPROTO_TCP, TCP_KEEPIDLE};
#elif defined(TCP_KEEPALIVE)
inline constexpr option_name tcp_keep_idle = {IPPROTO_TCP, TCP_KEEPALIVE};
#else
inline constexpr option_name tcp_keep_idle = no_option;
#endif
#if defined(TCP_KEEPINTVL)
inline constexpr option_name tcp_keep_interval = {IPPROTO_TCP, TCP_KEEPINTVL};
#else
inline constexpr option_name tcp_keep_interval = no_option;
#endif
#if defined(TCP_KEEPCNT)
inline constexpr option_name tcp_keep_probes = {IPPROTO_TCP, TCP_KEEPCNT};
#else
inline constexpr option_name tcp_keep_probes = no_option;
#endif
#if defined(TCP_USER_TIMEOUT)
inline constexpr option_name tcp_user_timeout = {IPPROTO_TCP, TCP_USER_TIMEOUT};
#else
inline constexpr option_name tcp_user_timeout = no_option;
#endif
#if defined(TCP_NOTSENT_LOWAT)
inline constexpr option_name tcp_not_sent_low_at = {IPPROTO_TCP, TCP_NOTSENT_LOWAT};
#else
inline constexpr option_name tcp_not_sent_low_at = no_option;
#endif
#if defined(TCP_QUICKACK)
inline constexpr option_name tcp_quick_ack = {IPPROTO_TCP, TCP_QUICKACK};
#else
inline constexpr option_name tcp_quick_ack = no_option;
#endif
#if defined(TCP_FASTOPEN)
inline constexpr option_name tcp_fast_open_queue = {IPPROTO_TCP, TCP_FASTOPEN};
#else
inline constexpr option_name tcp_fast_open_queue = no_option;
#endif
#if defined(TCP_FASTOPEN_CONNECT)
inline constexpr option_name tcp_fast_open_connect = {IPPROTO_TCP, TCP_FASTOPEN_CONNECT};
#else
inline constexpr option_name tcp_fast_open_connect = no_option;
#endif
#if defined(TCP_CONGESTION)
inline constexpr option_name tcp_congestion = {IPPROTO_TCP, TCP_CONGESTION};
#else
inline constexpr option_name tcp_congestion = no_option;
#endif
/// Its value is in seconds. See: tcp(7).
#if defined(TCP_DEFER_ACCEPT)
inline constexpr option_name defer_accept = {IPPROTO_TCP, TCP_DEFER_ACCEPT};
#else
inline constexpr option_name defer_accept = no_option;
#endif

/// Whether an error of getaddrinfo(3) means that the host has no address of the wanted kind; the
/// numbers for that are not everywhere.
inline bool means_no_address(int said) noexcept {
#if defined(EAI_NODATA)
    if (said == EAI_NODATA) {
        return true;
    }
#endif
#if defined(EAI_ADDRFAMILY)
    return said == EAI_ADDRFAMILY;
#else
    static_cast<void>(said);
    return false;
#endif
}

/// Sharing a port where the system spreads the connections over those who share it; elsewhere the
/// last one gets them all. See: SO_REUSEPORT in socket(7), SO_REUSEPORT_LB in FreeBSD's
/// setsockopt(2).
#if defined(SO_REUSEPORT_LB)
inline constexpr option_name reuse_port_balanced = {SOL_SOCKET, SO_REUSEPORT_LB};
#elif defined(__linux__)
inline constexpr option_name reuse_port_balanced = {SOL_SOCKET, SO_REUSEPORT};
#else
inline constexpr option_name reuse_port_balanced = no_option;
#endif

#if defined(__linux__)
/// Lets the CPU on which a connection arrives decide who of those that share a port gets it: the
/// one that listens as the nth what arrives on the nth of `cpus`; other CPUs take turns. False with
/// errno set where that fails. See: bpf(4) of BSD, which the kernel's filter.rst describes as well.
inline bool steer_by_cpu(int fd, const unsigned* cpus, std::size_t count) noexcept {
    std::array<sock_filter, 4 + 2 * steered_cpus_max> program = {};
    if (count == 0 || count > steered_cpus_max) {
        errno = EINVAL;
        return false;
    }
    std::size_t size = 0;
    const auto add = [&](unsigned code, std::uint8_t otherwise, std::uint32_t value) {
        program[size++] = {static_cast<std::uint16_t>(code), 0, otherwise, value};
    };
    add(BPF_LD | BPF_W | BPF_ABS, 0, static_cast<std::uint32_t>(SKF_AD_OFF + SKF_AD_CPU));
    for (std::size_t at = 0; at < count; ++at) {
        add(BPF_JMP | BPF_JEQ | BPF_K, 1, cpus[at]);
        add(BPF_RET | BPF_K, 0, static_cast<std::uint32_t>(at));
    }
    add(BPF_ALU | BPF_MOD | BPF_K, 0, static_cast<std::uint32_t>(count));
    add(BPF_RET | BPF_A, 0, 0);
    const sock_fprog whole = {static_cast<unsigned short>(size), program.data()};
    return ::setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof whole) == 0;
}
#else
inline bool steer_by_cpu(int, const unsigned*, std::size_t) noexcept {
    errno = ENOTSUP;
    return false;
}
#endif

#if defined(__linux__)
/// The CPUs that this thread may run on: fills the front of `cpus` and says how many.
inline std::size_t usable_cpus(unsigned* cpus, std::size_t room) noexcept {
    cpu_set_t allowed;
    std::size_t count = 0;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) == 0) {
        for (unsigned cpu = 0; cpu < CPU_SETSIZE && count < room; ++cpu) {
            if (CPU_ISSET(cpu, &allowed)) {
                cpus[count++] = cpu;
            }
        }
    }
    return count;
}

/// Lets this thread run on that CPU alone: 0, or an errno.
inline int pin_thread(unsigned cpu) noexcept {
    if (cpu >= CPU_SETSIZE) {
        return EINVAL;
    }
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    return ::pthread_setaffinity_np(::pthread_self(), sizeof one, &one);
}

/// What tools show of this thread; a name that is too long is cut. See: pthread_setname_np(3).
inline void name_thread(const char* name) noexcept {
    std::array<char, 16> cut = {};
    std::strncpy(cut.data(), name, cut.size() - 1);
    ::pthread_setname_np(::pthread_self(), cut.data());
}
#else
inline std::size_t usable_cpus(unsigned*, std::size_t) noexcept {
    return 0;
}
inline int pin_thread(unsigned) noexcept {
    return ENOTSUP;
}
inline void name_thread(const char*) noexcept {}
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
inline int make_socket(int family, int type, int protocol = 0) noexcept {
#if defined(__APPLE__)
    const int fd = prepared_or_closed(::socket(family, type, protocol));
#else
    const int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
#endif
    if (fd >= 0) {
        suppress_sigpipe(fd);
    }
    return fd;
}

#if defined(SO_PROTOCOL)
inline constexpr int protocol_option = SO_PROTOCOL;
#else
inline constexpr int protocol_option = -1;
#endif

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

/// Reads a clock that counts from the start of the machine and while that sleeps; false where there
/// is none.
inline bool read_boot_clock(timespec& shown) noexcept {
#if defined(__linux__) || defined(__OpenBSD__)
    return ::clock_gettime(CLOCK_BOOTTIME, &shown) == 0;
#elif defined(__APPLE__)
    return ::clock_gettime(CLOCK_MONOTONIC, &shown) == 0;
#else
    static_cast<void>(shown);
    return false;
#endif
}

/// Descriptors that become readable at a time of another clock. Where there are none, the two
/// functions fail.
#if defined(__linux__)
inline constexpr bool has_alarms = true;

inline int make_alarm(bool is_wall) noexcept {
    return ::timerfd_create(is_wall ? CLOCK_REALTIME : CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
}

/// 0 is never. The one of the wall clock is readable, too, when somebody sets that.
inline bool set_alarm(int fd, bool is_wall, const timespec& when) noexcept {
    const itimerspec once = {.it_interval = {}, .it_value = when};
    const int flags = TFD_TIMER_ABSTIME | (is_wall ? TFD_TIMER_CANCEL_ON_SET : 0);
    return ::timerfd_settime(fd, flags, &once, nullptr) == 0;
}
#else
inline constexpr bool has_alarms = false;

inline int make_alarm(bool) noexcept {
    errno = ENOSYS;
    return -1;
}

inline bool set_alarm(int, bool, const timespec&) noexcept {
    errno = ENOSYS;
    return false;
}
#endif

/// A close-on-exec descriptor that is readable when that process has ended; -1 with errno set,
/// ENOSYS where the system has none.
inline int open_process(int pid) noexcept {
#if defined(SYS_pidfd_open)
    return static_cast<int>(::syscall(SYS_pidfd_open, pid, 0U));
#else
    static_cast<void>(pid);
    errno = ENOSYS;
    return -1;
#endif
}

/// Who made the other end of the Unix socket `fd`; false with errno set where nobody can say.
inline bool ask_peer_credentials(int fd, std::uint32_t& user, std::uint32_t& group,
                                 std::optional<std::int32_t>& process) noexcept {
    process.reset();
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

// Options of sockets for datagrams.

#if defined(__linux__)
inline constexpr option_name merge_received = {IPPROTO_UDP, UDP_GRO};
inline constexpr option_name segment_size = {IPPROTO_UDP, UDP_SEGMENT};
inline constexpr option_name report_errors_ip4 = {IPPROTO_IP, IP_RECVERR};
inline constexpr option_name report_errors_ip6 = {IPPROTO_IPV6, IPV6_RECVERR};
inline constexpr option_name tell_overflow = {SOL_SOCKET, SO_RXQ_OVFL};
inline constexpr option_name tell_time = {SOL_SOCKET, SO_TIMESTAMPNS};
inline constexpr option_name discovery_ip4 = {IPPROTO_IP, IP_MTU_DISCOVER};
inline constexpr option_name discovery_ip6 = {IPPROTO_IPV6, IPV6_MTU_DISCOVER};
/// Off, on and probe, in this order.
inline constexpr int discovery_values[] = {IP_PMTUDISC_DONT, IP_PMTUDISC_DO, IP_PMTUDISC_PROBE};
inline constexpr option_name path_mtu_ip4 = {IPPROTO_IP, IP_MTU};
inline constexpr option_name path_mtu_ip6 = {IPPROTO_IPV6, IPV6_MTU};
#else
inline constexpr option_name merge_received = no_option;
inline constexpr option_name segment_size = no_option;
inline constexpr option_name report_errors_ip4 = no_option;
inline constexpr option_name report_errors_ip6 = no_option;
inline constexpr option_name tell_overflow = no_option;
inline constexpr option_name tell_time = {SOL_SOCKET, SO_TIMESTAMP};
inline constexpr option_name discovery_ip4 = no_option;
inline constexpr option_name discovery_ip6 = no_option;
inline constexpr int discovery_values[] = {0, 1, 2};
inline constexpr option_name path_mtu_ip4 = no_option;
inline constexpr option_name path_mtu_ip6 = no_option;
#endif

#if defined(__linux__) || defined(__APPLE__)
inline constexpr option_name tell_local_ip4 = {IPPROTO_IP, IP_PKTINFO};
inline constexpr option_name send_local_ip4 = {IPPROTO_IP, IP_PKTINFO};
using local_ip4 = in_pktinfo;
inline const in_addr& address_of(const local_ip4& told) noexcept {
    return told.ipi_spec_dst;
}
inline std::uint32_t interface_of(const local_ip4& told) noexcept {
    return static_cast<std::uint32_t>(told.ipi_ifindex);
}
inline local_ip4 local_from(const in_addr& address) noexcept {
    local_ip4 made = {};
    made.ipi_spec_dst = address;
    return made;
}
#else
inline constexpr option_name tell_local_ip4 = {IPPROTO_IP, IP_RECVDSTADDR};
#if defined(IP_SENDSRCADDR)
inline constexpr option_name send_local_ip4 = {IPPROTO_IP, IP_SENDSRCADDR};
#else
inline constexpr option_name send_local_ip4 = no_option;
#endif
using local_ip4 = in_addr;
inline const in_addr& address_of(const local_ip4& told) noexcept {
    return told;
}
inline std::uint32_t interface_of(const local_ip4&) noexcept {
    return 0;
}
inline local_ip4 local_from(const in_addr& address) noexcept {
    return address;
}
#endif

#if defined(IPV6_RECVPKTINFO)
inline constexpr option_name tell_local_ip6 = {IPPROTO_IPV6, IPV6_RECVPKTINFO};
inline constexpr option_name local_ip6 = {IPPROTO_IPV6, IPV6_PKTINFO};
inline constexpr option_name tell_ttl_ip6 = {IPPROTO_IPV6, IPV6_RECVHOPLIMIT};
inline constexpr option_name ttl_ip6 = {IPPROTO_IPV6, IPV6_HOPLIMIT};
inline constexpr option_name tell_mark_ip6 = {IPPROTO_IPV6, IPV6_RECVTCLASS};
inline constexpr option_name mark_ip6 = {IPPROTO_IPV6, IPV6_TCLASS};
#else
inline constexpr option_name tell_local_ip6 = no_option;
inline constexpr option_name local_ip6 = no_option;
inline constexpr option_name tell_ttl_ip6 = no_option;
inline constexpr option_name ttl_ip6 = no_option;
inline constexpr option_name tell_mark_ip6 = no_option;
inline constexpr option_name mark_ip6 = no_option;
#endif

#if defined(IP_RECVTOS)
inline constexpr option_name tell_mark_ip4 = {IPPROTO_IP, IP_RECVTOS};
#else
inline constexpr option_name tell_mark_ip4 = no_option;
#endif
inline constexpr option_name tell_ttl_ip4 = {IPPROTO_IP, IP_RECVTTL};
inline constexpr option_name mark_ip4 = {IPPROTO_IP, IP_TOS};
inline constexpr option_name ttl_ip4 = {IPPROTO_IP, IP_TTL};

/// Whether `message` is what the option `told` brings: some systems give it the option's own name.
inline bool is_told_by(const cmsghdr& message, option_name told, option_name sent) noexcept {
    return message.cmsg_level == told.level && told.exists() &&
           (message.cmsg_type == told.name || message.cmsg_type == sent.name);
}

/// The bytes of a control message; not every system's macro takes one that is const.
inline const void* content_of(const cmsghdr& message) noexcept {
    return CMSG_DATA(const_cast<cmsghdr*>(&message));
}

/// The value of a control message that is an int here and a byte there.
inline int small_value(const cmsghdr& message) noexcept {
    if (message.cmsg_len < CMSG_LEN(sizeof(int))) {
        std::uint8_t value = 0;
        std::memcpy(&value, content_of(message), sizeof value);
        return value;
    }
    int value = 0;
    std::memcpy(&value, content_of(message), sizeof value);
    return value;
}

/// Nanoseconds since the epoch, where `message` is the time of arrival; else 0.
inline std::int64_t arrival_time(const cmsghdr& message) noexcept {
    constexpr std::int64_t second = 1'000'000'000;
    if (message.cmsg_level != SOL_SOCKET) {
        return 0;
    }
#if defined(__linux__)
    if (message.cmsg_type == SCM_TIMESTAMPNS) {
        timespec told = {};
        std::memcpy(&told, content_of(message), sizeof told);
        return told.tv_sec * second + told.tv_nsec;
    }
#else
    if (message.cmsg_type == SCM_TIMESTAMP) {
        timeval told = {};
        std::memcpy(&told, content_of(message), sizeof told);
        return static_cast<std::int64_t>(told.tv_sec) * second + told.tv_usec * 1000;
    }
#endif
    return 0;
}

/// Joins or leaves a group, from one source where there is one: 0, or -1 with errno set.
inline int change_membership(int fd, bool joins, std::uint32_t interface, const sockaddr& group,
                             const sockaddr* source, socklen_t size) noexcept {
#if defined(MCAST_JOIN_GROUP)
    const int level = group.sa_family == AF_INET ? IPPROTO_IP : IPPROTO_IPV6;
    if (source != nullptr) {
        group_source_req wanted = {};
        wanted.gsr_interface = interface;
        std::memcpy(&wanted.gsr_group, &group, size);
        std::memcpy(&wanted.gsr_source, source, size);
        return ::setsockopt(fd, level, joins ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
                            &wanted, sizeof wanted);
    }
    group_req wanted = {};
    wanted.gr_interface = interface;
    std::memcpy(&wanted.gr_group, &group, size);
    return ::setsockopt(fd, level, joins ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &wanted,
                        sizeof wanted);
#else
    static_cast<void>(fd);
    static_cast<void>(joins);
    static_cast<void>(interface);
    static_cast<void>(group);
    static_cast<void>(source);
    static_cast<void>(size);
    errno = EOPNOTSUPP;
    return -1;
#endif
}

/// The interface that what is sent to groups of IPv4 leaves through: 0, or -1 with errno set.
inline int set_multicast_interface_ip4(int fd, std::uint32_t interface) noexcept {
#if defined(__OpenBSD__) || defined(__NetBSD__)
    static_cast<void>(fd);
    static_cast<void>(interface);
    errno = EOPNOTSUPP;
    return -1;
#else
    ip_mreqn wanted = {};
    wanted.imr_ifindex = static_cast<int>(interface);
    return ::setsockopt(fd, IPPROTO_IP, IP_MULTICAST_IF, &wanted, sizeof wanted);
#endif
}

/// What stands in the queue of errors of a socket.
struct reported_error {
    int number = 0;
    bool is_icmp = false;
    bool is_icmp6 = false;
    std::uint8_t type = 0;
    std::uint8_t code = 0;
    std::uint32_t info = 0;
};

#if defined(__linux__)
inline constexpr int error_queue_flags = MSG_ERRQUEUE | MSG_DONTWAIT;
/// False where `message` is none of these.
inline bool read_error(const cmsghdr& message, reported_error& told) noexcept {
    const bool is_ip4 = message.cmsg_level == IPPROTO_IP && message.cmsg_type == IP_RECVERR;
    const bool is_ip6 = message.cmsg_level == IPPROTO_IPV6 && message.cmsg_type == IPV6_RECVERR;
    if (!is_ip4 && !is_ip6) {
        return false;
    }
    sock_extended_err found = {};
    std::memcpy(&found, content_of(message), sizeof found);
    told.number = static_cast<int>(found.ee_errno);
    told.is_icmp = found.ee_origin == SO_EE_ORIGIN_ICMP;
    told.is_icmp6 = found.ee_origin == SO_EE_ORIGIN_ICMP6;
    told.type = found.ee_type;
    told.code = found.ee_code;
    told.info = found.ee_info;
    return true;
}
#else
inline constexpr int error_queue_flags = 0;
inline bool read_error(const cmsghdr&, reported_error&) noexcept {
    return false;
}
#endif

} // namespace sockeye::platform
