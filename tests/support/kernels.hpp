#pragma once

#include "kernel/backend.hpp"
#include "kernel/kernel.hpp"

#include <sockeye/loop.hpp>

namespace support {

/// Passes every call on to another kernel: a test overrides what it wants to see or to change.
class forwarding_kernel : public sockeye::kernel {
public:
    explicit forwarding_kernel(sockeye::kernel& inner = sockeye::system_kernel()) : inner_(inner) {}

    sockeye::result<sockeye::owned_fd> socket(sockeye::transport kind, int family) override;
    sockeye::result<sockeye::owned_fd> raw_socket(int family, int protocol) override;
    std::error_code bind(int fd, const sockeye::endpoint& local) override;
    std::error_code bind_with_mode(int fd, const sockeye::endpoint& local, unsigned mode) override;
    std::error_code listen(int fd, int backlog) override;
    sockeye::result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                              sockeye::endpoint& peer) override;
    std::error_code connect(int fd, const sockeye::endpoint& peer) override;
    std::error_code shutdown_write(int fd) override;
    void close(int fd) noexcept override;
    sockeye::result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    sockeye::result<std::size_t> send(int fd, sockeye::bytes source) override;
    sockeye::result<std::size_t> send_gathered(int fd,
                                               std::span<const sockeye::bytes> sources) override;
    sockeye::result<std::size_t> send_file(int fd, int file, std::uint64_t offset,
                                           std::size_t length) override;
    sockeye::result<std::size_t> read_at(int file, std::span<std::byte> target,
                                         std::uint64_t offset) override;
    sockeye::result<std::size_t> send_with_descriptors(int fd, sockeye::bytes source,
                                                       std::span<const int> descriptors) override;
    sockeye::result<std::size_t>
    receive_with_descriptors(int fd, std::span<std::byte> target,
                             std::vector<sockeye::unique_fd>& descriptors) override;
    sockeye::result<std::size_t> receive_message(int fd, std::span<std::byte> target) override;
    sockeye::result<sockeye::peer_credentials> credentials(int fd) override;
    bool is_hung_up(int fd) override;
    sockeye::result<sockeye::file_facts> describe(int fd) override;
    sockeye::result<std::size_t> read(int fd, std::span<std::byte> target) override;
    sockeye::result<std::size_t> write(int fd, sockeye::bytes source) override;
    sockeye::result<sockeye::reopened_file> reopen(int fd) override;
    void make_blocking(int fd) noexcept override;
    std::error_code fill_standard_descriptors() override;
    sockeye::result<std::size_t> receive_datagrams(int fd, sockeye::transport kind,
                                                   sockeye::datagram_batch& batch) override;
    sockeye::result<std::size_t>
    send_datagrams(int fd, std::span<const sockeye::datagram> sources) override;
    sockeye::result<std::size_t> send_trains(int fd,
                                             std::span<const sockeye::datagram> sources) override;
    sockeye::result<sockeye::datagram_error> receive_error(int fd,
                                                           sockeye::transport kind) override;
    std::error_code disconnect(int fd) override;
    std::error_code set_datagram_option(int fd, int family, sockeye::datagram_option option,
                                        int value) override;
    sockeye::result<int> get_datagram_option(int fd, int family,
                                             sockeye::datagram_option option) override;
    std::error_code change_membership(int fd, const sockeye::membership& wanted) override;
    std::error_code set_option(int fd, sockeye::socket_option option, int value) override;
    sockeye::result<int> get_option(int fd, sockeye::socket_option option) override;
    std::error_code set_congestion_control(int fd, std::string_view name) override;
    sockeye::result<std::string> congestion_control(int fd) override;
    sockeye::result<sockeye::stream_info> info(int fd) override;
    std::error_code pending_error(int fd) override;
    sockeye::result<sockeye::endpoint> local_endpoint(int fd, sockeye::transport kind) override;
    sockeye::result<sockeye::endpoint> peer_endpoint(int fd, sockeye::transport kind) override;
    sockeye::result<sockeye::transport> transport_of(int fd) override;
    std::error_code prepare(int fd) override;
    sockeye::result<sockeye::owned_fd> duplicate(int fd) override;
    std::error_code steer_by_cpu(int fd, std::span<const unsigned> cpus) override;
    sockeye::result<sockeye::file_identity> identify(std::string_view path) override;
    sockeye::result<sockeye::file_identity> identify_descriptor(int fd) override;
    std::error_code remove_file(std::string_view path) override;
    sockeye::result<std::uint64_t> random_bits() override;
    std::error_code remove_same_file(std::string_view path,
                                     const sockeye::file_identity& file) override;
    sockeye::result<sockeye::owned_fd> reserve() override;
    sockeye::time_point now() override;
    sockeye::result<sockeye::duration> read_clock(sockeye::clock_kind which) override;
    sockeye::result<sockeye::owned_fd> make_alarm(sockeye::clock_kind which) override;
    std::error_code set_alarm(int fd, sockeye::clock_kind which, sockeye::duration when) override;
    sockeye::result<sockeye::owned_fd> watch_process(int pid) override;
    sockeye::result<sockeye::process_status> reap_process(int pid) override;
    sockeye::result<sockeye::wake_channel> make_wake_channel() override;
    void wake(int write_end) noexcept override;
    void drain(int reader) noexcept override;
    unsigned fork_count() override;
    sockeye::result<std::vector<sockeye::endpoint>>
    resolve(const sockeye::host_query& wanted) override;
    std::optional<sockeye::duration> time_to_resolve() override;
    std::error_code start_thread(sockeye::unique_function<void()> work) override;
    std::error_code add_signal(int signal, std::atomic<std::uint64_t>& pending,
                               int write_end) override;
    void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept override;

private:
    sockeye::kernel& inner_;
};

/// A loop over `system` and the backend of `entry`. Throws where the system refuses.
[[nodiscard]] sockeye::loop make_loop(sockeye::kernel& system, const sockeye::backend_entry& entry);

} // namespace support
