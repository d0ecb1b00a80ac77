#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/datagram.hpp>
#include <sockeye/endpoint.hpp>
#include <sockeye/result.hpp>
#include <sockeye/stream_info.hpp>
#include <sockeye/time.hpp>

#include <array>
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
};

inline constexpr std::size_t parts_per_call = 64;
inline constexpr std::size_t datagrams_per_call = 64;
inline constexpr std::size_t datagram_bytes_max = 65536;

/// Memory for the datagrams of one receive call, shared by all sockets of a loop.
///
/// 4 MiB of address space, of which only the pages that datagrams reached are ever touched.
class datagram_batch {
public:
    datagram_batch();
    ~datagram_batch();
    datagram_batch(const datagram_batch&) = delete;
    datagram_batch& operator=(const datagram_batch&) = delete;

    /// What the last receive call brought.
    [[nodiscard]] std::span<const datagram> filled() const noexcept {
        return {datagrams_.data(), count_};
    }

    // For who fills it.
    [[nodiscard]] std::span<std::byte> memory_of(std::size_t index) noexcept {
        return {memory_.get() + index * stride, datagram_bytes_max};
    }
    [[nodiscard]] endpoint& peer_of(std::size_t index) noexcept { return peers_[index]; }
    void fill(std::size_t index, std::size_t size, bool is_truncated) noexcept {
        datagrams_[index].data = memory_of(index).first(size);
        datagrams_[index].is_truncated = is_truncated;
    }
    void resize(std::size_t count) noexcept { count_ = count; }

private:
    friend class posix_kernel;
    struct headers; // what the system wants beside the memory
    /// 64 bytes more than a datagram, so that the fronts of neighbours fall into different
    /// cache sets.
    static constexpr std::size_t stride = datagram_bytes_max + 64;

    std::unique_ptr<std::byte[]> memory_;
    std::array<endpoint, datagrams_per_call> peers_;
    std::array<datagram, datagrams_per_call> datagrams_;
    std::unique_ptr<headers> headers_;
    std::size_t count_ = 0;
};

/// A descriptor that another thread or a signal handler can make readable.
struct wake_channel {
    owned_fd reader;
    owned_fd writer; ///< empty where the reader is written to as well (eventfd)

    [[nodiscard]] int write_end() const noexcept { return writer ? writer.get() : reader.get(); }
};

/// Which file a path leads to, so that another one at the same path is noticed.
struct file_identity {
    std::uint64_t device = 0;
    std::uint64_t number = 0;
    bool operator==(const file_identity&) const = default;
};

/// Every system call the library makes, apart from the backends' own: values in, results out.
///
/// EINTR is handled here and never reported. Sockets are made non-blocking and close-on-exec.
/// Would-block is std::errc::operation_would_block. Loop thread only, apart from wake().
class kernel {
public:
    virtual ~kernel() = default;
    kernel() = default;
    kernel(const kernel&) = delete;
    kernel& operator=(const kernel&) = delete;

    virtual result<owned_fd> socket(transport kind, int family) = 0;
    [[nodiscard]] virtual std::error_code bind(int fd, const endpoint& local) = 0;
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

    /// Fills `batch` and returns how many datagrams came, at least one.
    virtual result<std::size_t> receive_datagrams(int fd, transport kind,
                                                  datagram_batch& batch) = 0;
    /// Sends a front part of `sources`, at most datagrams_per_call, and returns how many went.
    /// An error is that of the first one.
    virtual result<std::size_t> send_datagrams(int fd, std::span<const datagram> sources) = 0;

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

    /// Of a socket file, as remove_file: needs no memory.
    virtual result<file_identity> identify(std::string_view path) = 0;
    [[nodiscard]] virtual std::error_code remove_file(std::string_view path) = 0;

    /// A descriptor that does nothing but hold its number. See: /dev/null.
    virtual result<owned_fd> reserve() = 0;

    [[nodiscard]] virtual time_point now() = 0;

    virtual result<wake_channel> make_wake_channel() = 0;
    /// Makes the channel readable. Threads: any; also from a signal handler.
    virtual void wake(int write_end) noexcept = 0;
    /// Makes it unreadable again.
    virtual void drain(int reader) noexcept = 0;

    /// How often fork(2) made a child on the way to this process, to notice one. No system call.
    [[nodiscard]] virtual unsigned fork_count() = 0;

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
