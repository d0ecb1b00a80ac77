#include "kernel/kernel.hpp"

// What a kernel need not have says so.

namespace sockeye {

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
