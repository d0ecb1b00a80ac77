#pragma once

#include "kernel/datagrams.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/peer_credentials.hpp>
#include <sockeye/result.hpp>
#include <sockeye/stream_info.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>
#include <sockeye/unique_function.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace sockeye {

class kernel;

/// A descriptor that a kernel made; goes back to that kernel when destroyed.
class owned_fd {
public:
    owned_fd() = default;
    owned_fd(kernel& maker, int fd) noexcept : maker_(&maker), fd_(fd) {}
    owned_fd(owned_fd&& other) noexcept : maker_(other.maker_), fd_(std::exchange(other.fd_, -1)) {}
    owned_fd& operator=(owned_fd&& other) noexcept {
        reset();
        maker_ = other.maker_;
        fd_ = std::exchange(other.fd_, -1);
        return *this;
    }
    ~owned_fd() { reset(); }

    void reset() noexcept;
    /// Gives the descriptor away; the caller hands it to kernel::close.
    [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    kernel* maker_ = nullptr;
    int fd_ = -1;
};

/// What can be set on a socket. `linger_reset` makes the next close a reset (RST).
enum class socket_option : std::uint8_t {
    no_delay,
    reuse_address,
    reuse_port,
    reuse_port_balanced, ///< where those who share a port share what comes to it as well
    ipv6_only,
    send_buffer,
    receive_buffer,
    linger_reset,
    linger,              ///< read only: seconds for which close would block
    keep_alive,          ///< whether
    keep_alive_idle,     ///< seconds
    keep_alive_interval, ///< seconds
    keep_alive_probes,
    user_timeout, ///< milliseconds
    not_sent_low_at,
    quick_ack,
    fast_open_queue,   ///< of a listener: requests that may wait
    fast_open_connect, ///< connect leaves the SYN to the first send
    defer_accept,      ///< seconds
    is_listening,      ///< can only be asked for
};

inline constexpr std::size_t parts_per_call = 64;

/// Descriptors that one message may carry. See: SCM_MAX_FD in unix(7).
inline constexpr std::size_t descriptors_per_message = 253;

/// A descriptor that another thread or a signal handler can make readable.
struct wake_channel {
    owned_fd reader;
    owned_fd writer; ///< empty where the reader is written to as well (eventfd)

    [[nodiscard]] int write_end() const noexcept { return writer ? writer.get() : reader.get(); }
};

/// Which addresses of a host are wanted.
struct host_query {
    std::string name;
    transport kind = transport::tcp;
    int family = AF_UNSPEC; ///< AF_INET, AF_INET6 or both
};

inline constexpr std::size_t addresses_per_host = 64;

/// Which file a path leads to, so that another one at the same path is noticed.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    bool is_socket = true;
    bool operator==(const file_identity&) const = default;
};

/// The clocks beside the steady one.
enum class clock_kind : std::uint8_t {
    boot, ///< counts from the start of the machine, also while that sleeps
    wall, ///< the time of day, since 1970; somebody may set it
};

/// How a child process ended.
struct process_status {
    int code = 0;   ///< what it returned, where no signal ended it
    int signal = 0; ///< which ended it; 0 where none did
};

/// What a descriptor leads to, and what may be done with it.
struct file_facts {
    bool is_socket = false; ///< then nothing else is told
    bool can_read = false;
    bool can_write = false;
    bool is_regular = false; ///< a file on a disk: never waits, and cannot be watched
};

/// A descriptor for what another one leads to.
struct reopened_file {
    owned_fd fd;
    /// Both have one open file description, which was made non-blocking for the new one: the
    /// other's calls no longer wait either.
    bool is_shared = false;
};

/// Every system call the library makes, apart from the backends' own: values in, results out.
///
/// EINTR is handled here and never reported. Sockets are made non-blocking and close-on-exec.
/// Would-block is std::errc::operation_would_block. Loop thread only, apart from wake() and
/// resolve().
class kernel {
public:
    virtual ~kernel() = default;
    kernel() = default;
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;

    virtual result<owned_fd> socket(transport kind, int family) = 0;
    /// One that carries IP packets of `protocol`.
    virtual result<owned_fd> raw_socket(int /*family*/, int /*protocol*/) {
        return std::errc::not_supported;
    }
    [[nodiscard]] virtual std::error_code bind(int fd, const endpoint& local) = 0;
    /// Binds to a path whose file gets exactly the permissions `mode`, whatever the umask says;
    /// never more than them, not for a moment. Nothing is left where it fails.
    [[nodiscard]] virtual std::error_code bind_with_mode(int fd, const endpoint& local,
                                                         unsigned mode);
    [[nodiscard]] virtual std::error_code listen(int fd, int backlog) = 0;
    /// `peer` is filled in; unknown where the peer has no address.
    virtual result<owned_fd> accept(int fd, transport kind, endpoint& peer) = 0;
    /// operation_in_progress where the answer comes later, also after EINTR.
    [[nodiscard]] virtual std::error_code connect(int fd, const endpoint& peer) = 0;
    [[nodiscard]] virtual std::error_code shutdown_write(int fd) = 0;
    virtual void close(int fd) noexcept = 0;
    /// Its descriptors are those of this process, so that others can have them and give them.
    [[nodiscard]] virtual bool is_real() const noexcept { return true; }

    /// 0 is the end of the stream. Requires: `target` is not empty.
    virtual result<std::size_t> receive(int fd, std::span<std::byte> target) = 0;
    /// May send less than all. Never raises SIGPIPE.
    virtual result<std::size_t> send(int fd, bytes source) = 0;
    /// At most `parts_per_call` of `sources` in one call; may send less than all.
    virtual result<std::size_t> send_gathered(int fd, std::span<const bytes> sources) = 0;

    /// Sends a part of a file of this process, perhaps less than `length`; 0 where it ends before
    /// `offset`. Never raises SIGPIPE. Errors: not_supported, invalid_argument where it has to be
    /// read and sent. See: sendfile(2).
    virtual result<std::size_t> send_file(int fd, int file, std::uint64_t offset,
                                          std::size_t length);
    /// Reads a file of this process; 0 at its end, invalid_seek where it has no places.
    /// See: pread(2).
    virtual result<std::size_t> read_at(int file, std::span<std::byte> target,
                                        std::uint64_t offset);
    /// As send, of a Unix socket: copies of `descriptors` go with the first byte, so that they are
    /// gone where at least that was taken. too_many_files_open where too many are on their way.
    /// Requires: at least one byte, at most descriptors_per_message descriptors.
    virtual result<std::size_t> send_with_descriptors(int fd, bytes source,
                                                      std::span<const int> descriptors);
    /// As receive, of a Unix socket: the descriptors that came with these bytes are appended to
    /// `descriptors`, close-on-exec and otherwise as they were sent. They come no later than the
    /// byte that they went with, and never together with those of another message.
    ///
    /// Where there are none, it is receive.
    /// Errors: message_size where a message was longer than `target`; too_many_files_open where
    /// not all of the descriptors could be had, or kept. The bytes are lost then, and nothing is
    /// left open.
    virtual result<std::size_t> receive_with_descriptors(int fd, std::span<std::byte> target,
                                                         std::vector<unique_fd>& descriptors);
    /// As receive, of a socket that keeps messages: one of them. Errors: message_size where it was
    /// longer than `target`; it is lost then.
    virtual result<std::size_t> receive_message(int fd, std::span<std::byte> target);
    /// Who made the other end of a Unix socket's connection.
    virtual result<peer_credentials> credentials(int fd);
    /// The other end is gone, or this one is shut both ways. See: POLLHUP and POLLERR in poll(2).
    [[nodiscard]] virtual bool is_hung_up(int fd);

    // Descriptors that are no sockets: pipes, terminals, devices, files.

    /// Errors: bad_file_descriptor; errc::not_pollable for a directory.
    virtual result<file_facts> describe(int fd);
    /// 0 is the end; so is a terminal that hung up. Requires: `target` is not empty.
    virtual result<std::size_t> read(int fd, std::span<std::byte> target);
    /// May write less than all. Raises neither SIGPIPE nor SIGXFSZ.
    virtual result<std::size_t> write(int fd, bytes source);
    /// A non-blocking, close-on-exec descriptor for what `fd` leads to, with an open file
    /// description of its own where the system can make one. Its number is 3 or higher. A regular
    /// file's shares the position, and stays as it is.
    virtual result<reopened_file> reopen(int fd);
    /// Takes back what prepare or reopen did to an open file description.
    virtual void make_blocking(int fd) noexcept;
    /// Opens /dev/null on those of the descriptors 0, 1 and 2 that are closed.
    [[nodiscard]] virtual std::error_code fill_standard_descriptors();

    /// Fills `batch` and returns how many datagrams came, at least one.
    virtual result<std::size_t> receive_datagrams(int fd, transport kind,
                                                  datagram_batch& batch) = 0;
    /// Sends a front part of `sources`, at most datagrams_per_call, and returns how many went.
    /// An error is that of the first one.
    virtual result<std::size_t> send_datagrams(int fd, std::span<const datagram> sources) = 0;
    /// The same, but those that make a train leave as one, which the system cuts.
    virtual result<std::size_t> send_trains(int fd, std::span<const datagram> sources) {
        return send_datagrams(fd, sources);
    }
    /// Takes the oldest error from the queue of errors; operation_would_block where there is none.
    virtual result<datagram_error> receive_error(int, transport) {
        return std::errc::not_supported;
    }
    /// From now on it is connected to nobody. See: AF_UNSPEC in connect(2).
    [[nodiscard]] virtual std::error_code disconnect(int) {
        return make_error_code(std::errc::not_supported);
    }
    /// `family` is that of the socket.
    [[nodiscard]] virtual std::error_code set_datagram_option(int, int /*family*/, datagram_option,
                                                              int /*value*/) {
        return make_error_code(std::errc::not_supported);
    }
    virtual result<int> get_datagram_option(int, int /*family*/, datagram_option) {
        return std::errc::not_supported;
    }
    [[nodiscard]] virtual std::error_code change_membership(int, const membership&) {
        return make_error_code(std::errc::not_supported);
    }

    [[nodiscard]] virtual std::error_code set_option(int fd, socket_option option, int value) = 0;
    /// Not for linger_reset. Of both, errors: not_supported where the system has no such option.
    virtual result<int> get_option(int fd, socket_option option) = 0;
    /// By name. See: TCP_CONGESTION in tcp(7).
    [[nodiscard]] virtual std::error_code set_congestion_control(int fd, std::string_view name);
    virtual result<std::string> congestion_control(int fd);
    /// Of a TCP connection.
    virtual result<stream_info> info(int fd);
    /// The pending error of a socket; reading it clears it. See: SO_ERROR in socket(7).
    [[nodiscard]] virtual std::error_code pending_error(int fd) = 0;
    virtual result<endpoint> local_endpoint(int fd, transport kind) = 0;
    virtual result<endpoint> peer_endpoint(int fd, transport kind) = 0;
    /// What a socket from elsewhere carries.
    virtual result<transport> transport_of(int fd) = 0;
    /// Makes a descriptor from elsewhere non-blocking and close-on-exec.
    [[nodiscard]] virtual std::error_code prepare(int fd) = 0;

    /// Another descriptor of the same open socket, close-on-exec.
    virtual result<owned_fd> duplicate(int) { return std::errc::not_supported; }
    /// Of those who share the port of `fd`, the one that began to listen as the nth gets what
    /// arrives on the nth of `cpus`. See: SO_ATTACH_REUSEPORT_CBPF in socket(7).
    [[nodiscard]] virtual std::error_code steer_by_cpu(int, std::span<const unsigned>) {
        return make_error_code(std::errc::not_supported);
    }

    /// Of the file at a path that fits into an endpoint, as remove_file: needs no memory. Follows
    /// no symbolic link.
    virtual result<file_identity> identify(std::string_view path) = 0;
    /// Of the file that a descriptor leads to: what has no name has an identity as well, most
    /// often one of its own. See: fstat(2).
    virtual result<file_identity> identify_descriptor(int) { return std::errc::not_supported; }
    [[nodiscard]] virtual std::error_code remove_file(std::string_view path) = 0;
    /// Removes the file. address_in_use where another one is there by now, which stays.
    [[nodiscard]] virtual std::error_code remove_same_file(std::string_view path,
                                                           const file_identity& file);

    /// Chance that nobody outside can guess, for keys of hashes. See: getentropy(3).
    virtual result<std::uint64_t> random_bits() { return std::errc::not_supported; }

    /// A descriptor that does nothing but hold its number. See: /dev/null.
    virtual result<owned_fd> reserve() = 0;

    [[nodiscard]] virtual time_point now() = 0;

    /// What that clock shows. Errors: not_supported.
    virtual result<duration> read_clock(clock_kind) { return std::errc::not_supported; }
    /// A descriptor that set_alarm() makes readable some time; drain() as a wake-up channel.
    /// Errors: not_supported. See: timerfd_create(2).
    virtual result<owned_fd> make_alarm(clock_kind) { return std::errc::not_supported; }
    /// Readable when its clock shows `when`, and when somebody sets that clock; never, where it is
    /// duration::max().
    [[nodiscard]] virtual std::error_code set_alarm(int, clock_kind, duration /*when*/) {
        return make_error_code(std::errc::not_supported);
    }

    /// A descriptor that is readable when the child `pid` of this process has ended.
    /// Errors: no_child_process; function_not_supported: it is one, but there is no descriptor.
    virtual result<owned_fd> watch_process(int /*pid*/) { return std::errc::not_supported; }
    /// Lets a child go that has ended, and says how. operation_would_block while it runs;
    /// no_child_process where it is not, or no longer, a child of ours. See: waitid(2).
    virtual result<process_status> reap_process(int /*pid*/) { return std::errc::not_supported; }

    virtual result<wake_channel> make_wake_channel() = 0;
    /// Makes the channel readable. Threads: any; also from a signal handler.
    virtual void wake(int write_end) noexcept = 0;
    /// Makes it unreadable again.
    virtual void drain(int reader) noexcept = 0;

    /// How often fork(2) made a child on the way to this process, to notice one. No system call.
    [[nodiscard]] virtual unsigned fork_count() = 0;

    /// The addresses of a host, in the order in which to try them and with port 0; at least one,
    /// at most addresses_per_host. Blocks for as long as name servers take.
    /// Errors: errc::host_not_found, host_without_address, temporary_failure, look_up_failed,
    /// endpoint_host_invalid and endpoint_name_too_long for what is no name, not_enough_memory.
    /// Threads: any. See: getaddrinfo(3), RFC 6724.
    virtual result<std::vector<endpoint>> resolve(const host_query& wanted) {
        static_cast<void>(wanted);
        return std::errc::not_supported;
    }
    /// After which time resolve() has the answer and does not block; nothing where it may always
    /// block and wants a thread of its own. duration::max() where no answer will come.
    virtual std::optional<duration> time_to_resolve() { return {}; }
    /// Runs `work`, which throws nothing, on a new thread that nobody waits for; signals go to
    /// the others. Errors: resource_unavailable_try_again where there can be no more threads;
    /// `work` is gone then.
    [[nodiscard]] virtual std::error_code start_thread(unique_function<void()> work) {
        static_cast<void>(work);
        return std::make_error_code(std::errc::not_supported);
    }

    /// From now on `signal` sets its bit in `pending` and wakes `write_end`, beside what other
    /// calls asked for. Errors: invalid_argument for numbers that cannot be watched.
    [[nodiscard]] virtual std::error_code
    add_signal(int signal, std::atomic<std::uint64_t>& pending, int write_end) = 0;
    /// Takes back what add_signal was given; with the last one the former disposition returns.
    virtual void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept = 0;
};

/// The kernel of this machine. It has no state: one serves every loop.
[[nodiscard]] kernel& system_kernel() noexcept;

} // namespace sockeye
