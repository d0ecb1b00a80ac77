#pragma once

// The kernel of this machine. posix.cpp and its neighbours posix_*.cpp hold its calls, by theme.

#include "base/platform.hpp"
#include "kernel/kernel.hpp"
#include "kernel/last_error.hpp"

#include <cerrno>

#include <sys/uio.h>

namespace sockeye {

inline std::error_code error_if(bool failed) noexcept {
    return failed ? last_error() : std::error_code();
}

/// Calls again as long as a signal interrupts. See: signal(7).
template <typename Call>
auto retry_eintr(Call&& call) noexcept(noexcept(call())) {
    for (;;) {
        const auto outcome = call();
        if (outcome >= 0 || errno != EINTR) {
            return outcome;
        }
    }
}

inline result<std::size_t> count_or_error(ssize_t outcome) noexcept {
    if (outcome >= 0) {
        return static_cast<std::size_t>(outcome);
    }
    return errno == EAGAIN ? make_error_code(std::errc::operation_would_block) : last_error();
}

inline iovec buffer_of(bytes data) noexcept {
    return {const_cast<std::byte*>(data.data()), data.size()};
}

/// An option whose value is an int. See: getsockopt(2).
result<int> integer_option(int fd, int level, int name);

class posix_kernel final : public kernel {
public:
    posix_kernel();

    result<owned_fd> socket(transport kind, int family) override;
    result<owned_fd> raw_socket(int family, int protocol) override;
    std::error_code bind(int fd, const endpoint& local) override;
    std::error_code bind_with_mode(int fd, const endpoint& local, unsigned mode) override;
    std::error_code listen(int fd, int backlog) override;
    result<owned_fd> accept(int fd, transport kind, endpoint& peer) override;
    std::error_code connect(int fd, const endpoint& peer) override;
    std::error_code shutdown_write(int fd) override;
    void close(int fd) noexcept override;

    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const bytes> sources) override;

    // posix_files.cpp
    result<std::size_t> send_file(int fd, int file, std::uint64_t offset,
                                  std::size_t length) override;
    result<std::size_t> read_at(int file, std::span<std::byte> target,
                                std::uint64_t offset) override;

    // posix_descriptors.cpp
    result<std::size_t> send_with_descriptors(int fd, bytes source,
                                              std::span<const int> descriptors) override;
    result<std::size_t> receive_with_descriptors(int fd, std::span<std::byte> target,
                                                 std::vector<unique_fd>& descriptors) override;

    result<std::size_t> receive_message(int fd, std::span<std::byte> target) override;
    result<peer_credentials> credentials(int fd) override;

    // posix_files.cpp
    bool is_hung_up(int fd) override;
    result<file_facts> describe(int fd) override;
    result<std::size_t> read(int fd, std::span<std::byte> target) override;
    result<std::size_t> write(int fd, bytes source) override;
    result<reopened_file> reopen(int fd) override;
    void make_blocking(int fd) noexcept override;
    std::error_code fill_standard_descriptors() override;

    // posix_datagrams.cpp
    result<std::size_t> receive_datagrams(int fd, transport kind, datagram_batch& batch) override;
    result<std::size_t> send_datagrams(int fd, std::span<const datagram> sources) override;
    result<std::size_t> send_trains(int fd, std::span<const datagram> sources) override;

    // posix_datagram_options.cpp
    result<datagram_error> receive_error(int fd, transport kind) override;
    std::error_code disconnect(int fd) override;
    std::error_code set_datagram_option(int fd, int family, datagram_option option,
                                        int value) override;
    result<int> get_datagram_option(int fd, int family, datagram_option option) override;
    std::error_code change_membership(int fd, const membership& wanted) override;

    std::error_code set_option(int fd, socket_option option, int value) override;
    result<int> get_option(int fd, socket_option option) override;
    // posix_streams.cpp
    std::error_code set_congestion_control(int fd, std::string_view name) override;
    result<std::string> congestion_control(int fd) override;
    result<stream_info> info(int fd) override;

    std::error_code pending_error(int fd) override;
    result<endpoint> local_endpoint(int fd, transport kind) override;
    result<endpoint> peer_endpoint(int fd, transport kind) override;
    result<transport> transport_of(int fd) override;
    std::error_code prepare(int fd) override;
    result<owned_fd> duplicate(int fd) override;
    std::error_code steer_by_cpu(int fd, std::span<const unsigned> cpus) override;

    result<file_identity> identify(std::string_view path) override;
    result<file_identity> identify_descriptor(int fd) override;
    std::error_code remove_file(std::string_view path) override;
    result<std::uint64_t> random_bits() override;
    std::error_code remove_same_file(std::string_view path, const file_identity& file) override;
    result<owned_fd> reserve() override;

    time_point now() override;
    // posix_clocks.cpp
    result<duration> read_clock(clock_kind which) override;
    result<owned_fd> make_alarm(clock_kind which) override;
    std::error_code set_alarm(int fd, clock_kind which, duration when) override;

    // posix_processes.cpp
    result<owned_fd> watch_process(int pid) override;
    result<process_status> reap_process(int pid) override;

    // posix_names.cpp
    result<std::vector<endpoint>> resolve(const host_query& wanted) override;
    std::error_code start_thread(unique_function<void()> work) override;

    result<wake_channel> make_wake_channel() override;
    void wake(int write_end) noexcept override;
    void drain(int reader) noexcept override;
    unsigned fork_count() override;
    std::error_code add_signal(int signal, std::atomic<std::uint64_t>& pending,
                               int write_end) override;
    void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept override;

private:
    result<owned_fd> own(int fd);
};

} // namespace sockeye
