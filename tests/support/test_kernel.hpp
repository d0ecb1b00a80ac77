#pragma once

#include "kernel/kernel.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace support {

/// Passes every call on to the kernel of this machine. Tests derive from it what they change.
class forwarding_kernel : public sockeye::kernel {
public:
    template <typename T>
    using result = sockeye::result<T>;

    result<sockeye::owned_fd> socket(sockeye::transport kind, int family) override;
    std::error_code bind(int fd, const sockeye::endpoint& local) override;
    std::error_code listen(int fd, int backlog) override;
    result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                     sockeye::endpoint& peer) override;
    std::error_code connect(int fd, const sockeye::endpoint& peer) override;
    std::error_code shutdown_write(int fd) override;
    void close(int fd) noexcept override;
    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, sockeye::bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const sockeye::bytes> sources) override;
    result<std::size_t> receive_datagrams(int fd, sockeye::transport kind,
                                          sockeye::datagram_batch& batch) override;
    result<std::size_t> send_datagrams(int fd,
                                       std::span<const sockeye::datagram> sources) override;
    std::error_code set_option(int fd, sockeye::socket_option option, int value) override;
    result<int> get_option(int fd, sockeye::socket_option option) override;
    std::error_code pending_error(int fd) override;
    result<sockeye::endpoint> local_endpoint(int fd, sockeye::transport kind) override;
    result<sockeye::endpoint> peer_endpoint(int fd, sockeye::transport kind) override;
    result<sockeye::transport> transport_of(int fd) override;
    std::error_code prepare(int fd) override;
    result<sockeye::file_identity> identify(std::string_view path) override;
    std::error_code remove_file(std::string_view path) override;
    result<sockeye::owned_fd> reserve() override;
    sockeye::time_point now() override;
    result<sockeye::wake_channel> make_wake_channel() override;
    void wake(int write_end) noexcept override;
    void drain(int reader) noexcept override;
    unsigned fork_count() override;
    std::error_code add_signal(int signal, std::atomic<std::uint64_t>& pending,
                               int write_end) override;
    void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept override;

private:
    sockeye::kernel& real_ = sockeye::system_kernel();
};

/// The kernel of this machine, with a clock that a test may take over, and with counts.
class test_kernel final : public forwarding_kernel {
public:
    sockeye::time_point now() override;
    void wake(int write_end) noexcept override;
    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, sockeye::bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const sockeye::bytes> sources) override;
    void close(int fd) noexcept override;
    result<sockeye::wake_channel> make_wake_channel() override;

    /// From now on the clock moves only by advance().
    void stop_clock() { stopped_at_ = forwarding_kernel::now(); }
    void advance(sockeye::duration step) { *stopped_at_ += step; }
    [[nodiscard]] bool has_stopped_clock() const noexcept { return stopped_at_.has_value(); }

    /// The next wake-up channel cannot be made.
    void refuse_wake_channel() noexcept { refuses_channel_ = true; }

    /// How often a loop was woken. Threads: any.
    [[nodiscard]] std::size_t wakes() const noexcept { return wakes_; }
    /// Bytes that receive calls took from `fd` since it was opened.
    [[nodiscard]] std::uint64_t received(int fd) { return received_[fd]; }
    /// Whether a send to `fd` came short since this was last asked.
    [[nodiscard]] bool came_short(int fd) { return short_.erase(fd) != 0; }

private:
    result<std::size_t> note_sent(int fd, std::size_t wanted, result<std::size_t> sent);

    std::optional<sockeye::time_point> stopped_at_;
    std::atomic<std::size_t> wakes_ = 0;
    bool refuses_channel_ = false;
    std::map<int, std::uint64_t> received_;
    std::set<int> short_;
};

} // namespace support
