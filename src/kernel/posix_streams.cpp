#include "kernel/posix.hpp"

#include <array>
#include <chrono>

namespace sockeye {
namespace {

duration of_microseconds(std::uint32_t count) noexcept {
    return std::chrono::microseconds(count);
}

} // namespace

std::error_code posix_kernel::set_congestion_control(int fd, std::string_view name) {
    if (!platform::tcp_congestion.exists()) {
        return make_error_code(std::errc::not_supported);
    }
    return error_if(::setsockopt(fd, platform::tcp_congestion.level, platform::tcp_congestion.name,
                                 name.data(), static_cast<socklen_t>(name.size())) != 0);
}

result<std::string> posix_kernel::congestion_control(int fd) {
    if (!platform::tcp_congestion.exists()) {
        return std::errc::not_supported;
    }
    std::array<char, 64> name = {};
    socklen_t size = name.size() - 1;
    if (::getsockopt(fd, platform::tcp_congestion.level, platform::tcp_congestion.name, name.data(),
                     &size) != 0) {
        return last_error();
    }
    return std::string(name.data());
}

result<stream_info> posix_kernel::info(int fd) {
    platform::tcp_facts facts = {};
    int unacknowledged = 0;
    if (!platform::read_tcp_facts(fd, facts, unacknowledged)) {
        return last_error();
    }
    stream_info said;
    said.round_trip = of_microseconds(facts.rtt);
    said.round_trip_variance = of_microseconds(facts.rttvar);
    // Until something is measured it is the greatest number there is.
    said.round_trip_min = of_microseconds(facts.min_rtt == UINT32_MAX ? 0 : facts.min_rtt);
    said.congestion_window = std::size_t{facts.snd_cwnd} * facts.snd_mss;
    said.segment_size_max = facts.snd_mss;
    said.unacknowledged_bytes = static_cast<std::size_t>(unacknowledged);
    said.unsent_bytes = facts.notsent_bytes;
    said.retransmissions = facts.total_retrans;
    said.bytes_received = facts.bytes_received;
    said.bytes_acknowledged = facts.bytes_acked;
    said.has_fast_open = (facts.options & platform::tcp_fact_syn_data) != 0;
    return said;
}

} // namespace sockeye
