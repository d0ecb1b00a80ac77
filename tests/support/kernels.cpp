#include "support/kernels.hpp"

#include "loop/loop_core.hpp"

namespace support {

sockeye::result<sockeye::owned_fd> forwarding_kernel::socket(sockeye::transport kind, int family) {
    return inner_.socket(kind, family);
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::raw_socket(int family, int protocol) {
    return inner_.raw_socket(family, protocol);
}

std::error_code forwarding_kernel::bind(int fd, const sockeye::endpoint& local) {
    return inner_.bind(fd, local);
}

std::error_code forwarding_kernel::listen(int fd, int backlog) {
    return inner_.listen(fd, backlog);
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::accept(int fd, sockeye::transport kind,
                                                             sockeye::endpoint& peer) {
    return inner_.accept(fd, kind, peer);
}

std::error_code forwarding_kernel::connect(int fd, const sockeye::endpoint& peer) {
    return inner_.connect(fd, peer);
}

std::error_code forwarding_kernel::shutdown_write(int fd) {
    return inner_.shutdown_write(fd);
}

void forwarding_kernel::close(int fd) noexcept {
    return inner_.close(fd);
}

sockeye::result<std::size_t> forwarding_kernel::receive(int fd, std::span<std::byte> target) {
    return inner_.receive(fd, target);
}

sockeye::result<std::size_t> forwarding_kernel::send(int fd, sockeye::bytes source) {
    return inner_.send(fd, source);
}

sockeye::result<std::size_t>
forwarding_kernel::send_gathered(int fd, std::span<const sockeye::bytes> sources) {
    return inner_.send_gathered(fd, sources);
}

sockeye::result<std::size_t> forwarding_kernel::send_file(int fd, int file, std::uint64_t offset,
                                                          std::size_t length) {
    return inner_.send_file(fd, file, offset, length);
}

sockeye::result<std::size_t> forwarding_kernel::read_at(int file, std::span<std::byte> target,
                                                        std::uint64_t offset) {
    return inner_.read_at(file, target, offset);
}

sockeye::result<std::size_t>
forwarding_kernel::send_with_descriptors(int fd, sockeye::bytes source,
                                         std::span<const int> descriptors) {
    return inner_.send_with_descriptors(fd, source, descriptors);
}

sockeye::result<std::size_t>
forwarding_kernel::receive_with_descriptors(int fd, std::span<std::byte> target,
                                            std::vector<sockeye::unique_fd>& descriptors) {
    return inner_.receive_with_descriptors(fd, target, descriptors);
}

std::error_code forwarding_kernel::bind_with_mode(int fd, const sockeye::endpoint& local,
                                                  unsigned mode) {
    return inner_.bind_with_mode(fd, local, mode);
}

sockeye::result<std::size_t> forwarding_kernel::receive_message(int fd,
                                                                std::span<std::byte> target) {
    return inner_.receive_message(fd, target);
}

sockeye::result<sockeye::peer_credentials> forwarding_kernel::credentials(int fd) {
    return inner_.credentials(fd);
}

bool forwarding_kernel::is_hung_up(int fd) {
    return inner_.is_hung_up(fd);
}

sockeye::result<sockeye::file_facts> forwarding_kernel::describe(int fd) {
    return inner_.describe(fd);
}

sockeye::result<std::size_t> forwarding_kernel::read(int fd, std::span<std::byte> target) {
    return inner_.read(fd, target);
}

sockeye::result<std::size_t> forwarding_kernel::write(int fd, sockeye::bytes source) {
    return inner_.write(fd, source);
}

sockeye::result<sockeye::reopened_file> forwarding_kernel::reopen(int fd) {
    return inner_.reopen(fd);
}

void forwarding_kernel::make_blocking(int fd) noexcept {
    inner_.make_blocking(fd);
}

std::error_code forwarding_kernel::fill_standard_descriptors() {
    return inner_.fill_standard_descriptors();
}

std::error_code forwarding_kernel::remove_same_file(std::string_view path,
                                                    const sockeye::file_identity& file) {
    return inner_.remove_same_file(path, file);
}

sockeye::result<std::size_t> forwarding_kernel::receive_datagrams(int fd, sockeye::transport kind,
                                                                  sockeye::datagram_batch& batch) {
    return inner_.receive_datagrams(fd, kind, batch);
}

sockeye::result<std::size_t>
forwarding_kernel::send_datagrams(int fd, std::span<const sockeye::datagram> sources) {
    return inner_.send_datagrams(fd, sources);
}

sockeye::result<std::size_t>
forwarding_kernel::send_trains(int fd, std::span<const sockeye::datagram> sources) {
    return inner_.send_trains(fd, sources);
}

sockeye::result<sockeye::datagram_error> forwarding_kernel::receive_error(int fd,
                                                                          sockeye::transport kind) {
    return inner_.receive_error(fd, kind);
}

std::error_code forwarding_kernel::disconnect(int fd) {
    return inner_.disconnect(fd);
}

std::error_code forwarding_kernel::set_datagram_option(int fd, int family,
                                                       sockeye::datagram_option option, int value) {
    return inner_.set_datagram_option(fd, family, option, value);
}

sockeye::result<int> forwarding_kernel::get_datagram_option(int fd, int family,
                                                            sockeye::datagram_option option) {
    return inner_.get_datagram_option(fd, family, option);
}

std::error_code forwarding_kernel::change_membership(int fd, const sockeye::membership& wanted) {
    return inner_.change_membership(fd, wanted);
}

std::error_code forwarding_kernel::set_option(int fd, sockeye::socket_option option, int value) {
    return inner_.set_option(fd, option, value);
}

sockeye::result<int> forwarding_kernel::get_option(int fd, sockeye::socket_option option) {
    return inner_.get_option(fd, option);
}

std::error_code forwarding_kernel::set_congestion_control(int fd, std::string_view name) {
    return inner_.set_congestion_control(fd, name);
}

sockeye::result<std::string> forwarding_kernel::congestion_control(int fd) {
    return inner_.congestion_control(fd);
}

sockeye::result<sockeye::stream_info> forwarding_kernel::info(int fd) {
    return inner_.info(fd);
}

std::error_code forwarding_kernel::pending_error(int fd) {
    return inner_.pending_error(fd);
}

sockeye::result<sockeye::endpoint> forwarding_kernel::local_endpoint(int fd,
                                                                     sockeye::transport kind) {
    return inner_.local_endpoint(fd, kind);
}

sockeye::result<sockeye::endpoint> forwarding_kernel::peer_endpoint(int fd,
                                                                    sockeye::transport kind) {
    return inner_.peer_endpoint(fd, kind);
}

sockeye::result<sockeye::transport> forwarding_kernel::transport_of(int fd) {
    return inner_.transport_of(fd);
}

std::error_code forwarding_kernel::prepare(int fd) {
    return inner_.prepare(fd);
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::duplicate(int fd) {
    return inner_.duplicate(fd);
}

std::error_code forwarding_kernel::steer_by_cpu(int fd, std::span<const unsigned> cpus) {
    return inner_.steer_by_cpu(fd, cpus);
}

sockeye::result<sockeye::file_identity> forwarding_kernel::identify(std::string_view path) {
    return inner_.identify(path);
}

sockeye::result<sockeye::file_identity> forwarding_kernel::identify_descriptor(int fd) {
    return inner_.identify_descriptor(fd);
}

std::error_code forwarding_kernel::remove_file(std::string_view path) {
    return inner_.remove_file(path);
}

sockeye::result<std::uint64_t> forwarding_kernel::random_bits() {
    return inner_.random_bits();
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::reserve() {
    return inner_.reserve();
}

sockeye::time_point forwarding_kernel::now() {
    return inner_.now();
}

sockeye::result<sockeye::duration> forwarding_kernel::read_clock(sockeye::clock_kind which) {
    return inner_.read_clock(which);
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::make_alarm(sockeye::clock_kind which) {
    return inner_.make_alarm(which);
}

std::error_code forwarding_kernel::set_alarm(int fd, sockeye::clock_kind which,
                                             sockeye::duration when) {
    return inner_.set_alarm(fd, which, when);
}

sockeye::result<sockeye::owned_fd> forwarding_kernel::watch_process(int pid) {
    return inner_.watch_process(pid);
}

sockeye::result<sockeye::process_status> forwarding_kernel::reap_process(int pid) {
    return inner_.reap_process(pid);
}

sockeye::result<sockeye::wake_channel> forwarding_kernel::make_wake_channel() {
    return inner_.make_wake_channel();
}

void forwarding_kernel::wake(int write_end) noexcept {
    return inner_.wake(write_end);
}

void forwarding_kernel::drain(int reader) noexcept {
    return inner_.drain(reader);
}

unsigned forwarding_kernel::fork_count() {
    return inner_.fork_count();
}

sockeye::result<std::vector<sockeye::endpoint>>
forwarding_kernel::resolve(const sockeye::host_query& wanted) {
    return inner_.resolve(wanted);
}

std::optional<sockeye::duration> forwarding_kernel::time_to_resolve() {
    return inner_.time_to_resolve();
}

std::error_code forwarding_kernel::start_thread(sockeye::unique_function<void()> work) {
    return inner_.start_thread(std::move(work));
}

std::error_code forwarding_kernel::add_signal(int signal, std::atomic<std::uint64_t>& pending,
                                              int write_end) {
    return inner_.add_signal(signal, pending, write_end);
}

void forwarding_kernel::remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept {
    return inner_.remove_signal(signal, pending);
}

sockeye::loop make_loop(sockeye::kernel& system, const sockeye::backend_entry& entry) {
    auto core = std::make_unique<sockeye::loop_core>(system, entry.make().value(), entry,
                                                     sockeye::loop_options());
    if (const auto error = core->start()) {
        throw std::system_error(error);
    }
    return sockeye::loop_access::make(std::move(core));
}

} // namespace support
