#include "support/test_kernel.hpp"

namespace support {

using namespace sockeye;

template <typename T>
using outcome = sockeye::result<T>;

outcome<owned_fd> forwarding_kernel::socket(transport kind, int family) {
    return real_.socket(kind, family);
}

std::error_code forwarding_kernel::bind(int fd, const endpoint& local) {
    return real_.bind(fd, local);
}

std::error_code forwarding_kernel::listen(int fd, int backlog) {
    return real_.listen(fd, backlog);
}

outcome<owned_fd> forwarding_kernel::accept(int fd, transport kind, endpoint& peer) {
    return real_.accept(fd, kind, peer);
}

std::error_code forwarding_kernel::connect(int fd, const endpoint& peer) {
    return real_.connect(fd, peer);
}

std::error_code forwarding_kernel::shutdown_write(int fd) {
    return real_.shutdown_write(fd);
}

void forwarding_kernel::close(int fd) noexcept {
    real_.close(fd);
}

outcome<std::size_t> forwarding_kernel::receive(int fd, std::span<std::byte> target) {
    return real_.receive(fd, target);
}

outcome<std::size_t> forwarding_kernel::send(int fd, bytes source) {
    return real_.send(fd, source);
}

outcome<std::size_t> forwarding_kernel::send_gathered(int fd, std::span<const bytes> sources) {
    return real_.send_gathered(fd, sources);
}

outcome<std::size_t> forwarding_kernel::receive_datagrams(int fd, transport kind,
                                                          datagram_batch& batch) {
    return real_.receive_datagrams(fd, kind, batch);
}

outcome<std::size_t> forwarding_kernel::send_datagrams(int fd, std::span<const datagram> sources) {
    return real_.send_datagrams(fd, sources);
}

std::error_code forwarding_kernel::set_option(int fd, socket_option option, int value) {
    return real_.set_option(fd, option, value);
}

outcome<int> forwarding_kernel::get_option(int fd, socket_option option) {
    return real_.get_option(fd, option);
}

std::error_code forwarding_kernel::pending_error(int fd) {
    return real_.pending_error(fd);
}

outcome<endpoint> forwarding_kernel::local_endpoint(int fd, transport kind) {
    return real_.local_endpoint(fd, kind);
}

outcome<endpoint> forwarding_kernel::peer_endpoint(int fd, transport kind) {
    return real_.peer_endpoint(fd, kind);
}

outcome<transport> forwarding_kernel::transport_of(int fd) {
    return real_.transport_of(fd);
}

std::error_code forwarding_kernel::prepare(int fd) {
    return real_.prepare(fd);
}

outcome<file_identity> forwarding_kernel::identify(std::string_view path) {
    return real_.identify(path);
}

std::error_code forwarding_kernel::remove_file(std::string_view path) {
    return real_.remove_file(path);
}

outcome<owned_fd> forwarding_kernel::reserve() {
    return real_.reserve();
}

time_point forwarding_kernel::now() {
    return real_.now();
}

outcome<wake_channel> forwarding_kernel::make_wake_channel() {
    return real_.make_wake_channel();
}

void forwarding_kernel::wake(int write_end) noexcept {
    real_.wake(write_end);
}

void forwarding_kernel::drain(int reader) noexcept {
    real_.drain(reader);
}

unsigned forwarding_kernel::fork_count() {
    return real_.fork_count();
}

std::error_code forwarding_kernel::add_signal(int signal, std::atomic<std::uint64_t>& pending,
                                              int write_end) {
    return real_.add_signal(signal, pending, write_end);
}

void forwarding_kernel::remove_signal(int signal,
                                      std::atomic<std::uint64_t>& pending) noexcept {
    real_.remove_signal(signal, pending);
}

time_point test_kernel::now() {
    return stopped_at_ ? *stopped_at_ : forwarding_kernel::now();
}

void test_kernel::wake(int write_end) noexcept {
    ++wakes_;
    forwarding_kernel::wake(write_end);
}

outcome<std::size_t> test_kernel::receive(int fd, std::span<std::byte> target) {
    auto got = forwarding_kernel::receive(fd, target);
    received_[fd] += got ? *got : 0;
    return got;
}

outcome<std::size_t> test_kernel::send(int fd, bytes source) {
    return note_sent(fd, source.size(), forwarding_kernel::send(fd, source));
}

outcome<std::size_t> test_kernel::send_gathered(int fd, std::span<const bytes> sources) {
    std::size_t wanted = 0;
    for (const auto& part : sources) {
        wanted += part.size();
    }
    return note_sent(fd, wanted, forwarding_kernel::send_gathered(fd, sources));
}

outcome<std::size_t> test_kernel::note_sent(int fd, std::size_t wanted,
                                            outcome<std::size_t> sent) {
    if (!sent || *sent < wanted) {
        short_.insert(fd);
    }
    return sent;
}

void test_kernel::close(int fd) noexcept {
    received_.erase(fd);
    short_.erase(fd);
    forwarding_kernel::close(fd);
}

outcome<wake_channel> test_kernel::make_wake_channel() {
    if (refuses_channel_) {
        return std::errc::too_many_files_open;
    }
    return forwarding_kernel::make_wake_channel();
}

} // namespace support
