#include "kernel/kernel.hpp"

namespace sockeye {

// What a kernel need not have says so.

std::error_code kernel::bind_with_mode(int, const endpoint&, unsigned) {
    return make_error_code(std::errc::not_supported);
}

result<std::size_t> kernel::send_with_descriptors(int, bytes, std::span<const int>) {
    return std::errc::not_supported;
}

result<std::size_t> kernel::receive_with_descriptors(int fd, std::span<std::byte> target,
                                                     std::vector<unique_fd>&) {
    return receive(fd, target);
}

result<std::size_t> kernel::receive_message(int, std::span<std::byte>) {
    return std::errc::not_supported;
}

result<peer_credentials> kernel::credentials(int) {
    return std::errc::not_supported;
}

bool kernel::is_hung_up(int) {
    return false;
}

std::error_code kernel::remove_same_file(std::string_view path, const file_identity& file) {
    const auto found = identify(path);
    if (!found) {
        return found.error();
    }
    return *found == file ? remove_file(path) : make_error_code(std::errc::address_in_use);
}

result<file_facts> kernel::describe(int) {
    return std::errc::not_supported;
}

result<std::size_t> kernel::read(int, std::span<std::byte>) {
    return std::errc::not_supported;
}

result<std::size_t> kernel::write(int, bytes) {
    return std::errc::not_supported;
}

result<reopened_file> kernel::reopen(int) {
    return std::errc::not_supported;
}

void kernel::make_blocking(int) noexcept {}

std::error_code kernel::fill_standard_descriptors() {
    return make_error_code(std::errc::not_supported);
}

result<std::size_t> kernel::send_file(int, int, std::uint64_t, std::size_t) {
    return std::errc::not_supported;
}

result<std::size_t> kernel::read_at(int, std::span<std::byte>, std::uint64_t) {
    return std::errc::not_supported;
}

std::error_code kernel::set_congestion_control(int, std::string_view) {
    return make_error_code(std::errc::not_supported);
}

result<std::string> kernel::congestion_control(int) {
    return std::errc::not_supported;
}

result<stream_info> kernel::info(int) {
    return std::errc::not_supported;
}

} // namespace sockeye
