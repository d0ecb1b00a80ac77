#include "simulation/failure.hpp"
#include "simulation/host.hpp"

#include <algorithm>
#include <cerrno>

namespace sockeye::simulated {
namespace {

/// A kernel takes what is too small as the least it has.
std::size_t buffer_size(int value, int least) noexcept {
    return static_cast<std::size_t>(std::max(value, least)) * 2;
}

} // namespace

/// Where the number of a TCP option is kept; null for one that there is not.
int* host::tcp_option(sock& it, socket_option option) noexcept {
    switch (option) {
    case socket_option::keep_alive:
        return &it.tcp.keep_alive;
    case socket_option::keep_alive_idle:
        return &it.tcp.keep_alive_idle;
    case socket_option::keep_alive_interval:
        return &it.tcp.keep_alive_interval;
    case socket_option::keep_alive_probes:
        return &it.tcp.keep_alive_probes;
    case socket_option::user_timeout:
        return &it.tcp.user_timeout;
    case socket_option::not_sent_low_at:
        return &it.tcp.not_sent_low_at;
    case socket_option::quick_ack:
        return &it.tcp.quick_ack;
    default:
        return nullptr;
    }
}

std::error_code host::set_tcp_option(sock& it, socket_option option, int value) {
    auto* const found = tcp_option(it, option);
    if (found == nullptr || (it.kind != transport::tcp && option != socket_option::keep_alive)) {
        return failure(EOPNOTSUPP);
    }
    if (value < 0) {
        return failure(EINVAL);
    }
    *found = value;
    return {};
}

std::error_code host::set_option(int fd, socket_option option, int value) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("set_option", fd, why_not_socket(fd));
    }
    switch (option) {
    case socket_option::no_delay:
        if (it->kind != transport::tcp) {
            return noted("set_option", fd, failure(EOPNOTSUPP));
        }
        it->no_delay = value != 0;
        break;
    case socket_option::reuse_address:
        it->reuse_address = value != 0;
        break;
    case socket_option::reuse_port:
    case socket_option::reuse_port_balanced:
        it->reuse_port = value != 0;
        break;
    case socket_option::ipv6_only:
        if (it->kind == transport::udp && value == 0) {
            return noted("set_option", fd, failure(EOPNOTSUPP)); // not modelled
        }
        it->ipv6_only = value != 0;
        break;
    case socket_option::send_buffer:
        it->send_buffer = buffer_size(value, 2048);
        break;
    case socket_option::receive_buffer:
        it->receive_buffer = buffer_size(value, 1024);
        break;
    case socket_option::linger_reset:
        it->resets_on_close = value != 0;
        break;
    default:
        return noted("set_option", fd, set_tcp_option(*it, option, value));
    }
    return noted("set_option", fd, std::error_code());
}

result<int> host::get_option(int fd, socket_option option) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted<int>("get_option", fd, why_not_socket(fd));
    }
    const auto value = [&]() -> result<int> {
        switch (option) {
        case socket_option::no_delay:
            return it->no_delay ? 1 : 0;
        case socket_option::reuse_address:
            return it->reuse_address ? 1 : 0;
        case socket_option::reuse_port:
        case socket_option::reuse_port_balanced:
            return it->reuse_port ? 1 : 0;
        case socket_option::ipv6_only:
            return it->ipv6_only ? 1 : 0;
        case socket_option::send_buffer:
            return static_cast<int>(it->send_buffer);
        case socket_option::receive_buffer:
            return static_cast<int>(it->receive_buffer);
        case socket_option::linger_reset:
            return it->resets_on_close ? 1 : 0;
        case socket_option::linger:
            return 0;
        case socket_option::is_listening:
            return it->state == phase::listening ? 1 : 0;
        default:
            const auto* const found = tcp_option(*it, option);
            return found == nullptr ? result<int>(failure(EOPNOTSUPP)) : *found;
        }
    }();
    return noted("get_option", fd, value);
}

std::error_code host::set_congestion_control(int fd, std::string_view name) {
    auto* const it = socket_of(fd);
    if (it == nullptr) {
        return noted("set_option", fd, why_not_socket(fd));
    }
    if (it->kind != transport::tcp) {
        return noted("set_option", fd, failure(EOPNOTSUPP));
    }
    if (name != "cubic" && name != "reno") {
        return noted("set_option", fd, failure(ENOENT));
    }
    it->tcp.is_reno = name == "reno";
    return noted("set_option", fd, std::error_code());
}

result<std::string> host::congestion_control(int fd) {
    const auto* const it = socket_of(fd);
    if (it == nullptr || it->kind != transport::tcp) {
        return it == nullptr ? why_not_socket(fd) : failure(EOPNOTSUPP);
    }
    return std::string(it->tcp.is_reno ? "reno" : "cubic");
}

/// What the links make of it: there is neither a window nor a segment that is sent twice.
result<stream_info> host::info(int fd) {
    const auto* const it = socket_of(fd);
    if (it == nullptr || it->kind != transport::tcp) {
        return it == nullptr ? why_not_socket(fd) : failure(EOPNOTSUPP);
    }
    stream_info said;
    if (it->other_host != nullptr) {
        const auto& there = world_.between(*this, *it->other_host).options;
        const auto& back = world_.between(*it->other_host, *this).options;
        said.round_trip = said.round_trip_min = there.latency + back.latency;
        said.segment_size_max = there.mtu;
    }
    said.unacknowledged_bytes = it->underway;
    said.bytes_received = it->received;
    said.bytes_acknowledged = it->acknowledged;
    return said;
}

} // namespace sockeye::simulated
