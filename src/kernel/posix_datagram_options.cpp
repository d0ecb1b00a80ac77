#include "kernel/posix.hpp"

#include <array>

namespace sockeye {
namespace {

using platform::no_option;
using platform::option_name;

option_name ip4_name(datagram_option option) noexcept {
    switch (option) {
    case datagram_option::ttl:
        return {IPPROTO_IP, IP_TTL};
    case datagram_option::multicast_ttl:
        return {IPPROTO_IP, IP_MULTICAST_TTL};
    case datagram_option::multicast_loop:
        return {IPPROTO_IP, IP_MULTICAST_LOOP};
    case datagram_option::path_mtu_discovery:
        return platform::discovery_ip4;
    case datagram_option::path_mtu:
        return platform::path_mtu_ip4;
    case datagram_option::report_errors:
        return platform::report_errors_ip4;
    case datagram_option::tell_local:
        return platform::tell_local_ip4;
    case datagram_option::tell_mark:
        return platform::tell_mark_ip4;
    case datagram_option::tell_ttl:
        return platform::tell_ttl_ip4;
    default:
        return no_option;
    }
}

option_name ip6_name(datagram_option option) noexcept {
    switch (option) {
    case datagram_option::ttl:
        return {IPPROTO_IPV6, IPV6_UNICAST_HOPS};
    case datagram_option::multicast_ttl:
        return {IPPROTO_IPV6, IPV6_MULTICAST_HOPS};
    case datagram_option::multicast_loop:
        return {IPPROTO_IPV6, IPV6_MULTICAST_LOOP};
    case datagram_option::multicast_interface:
        return {IPPROTO_IPV6, IPV6_MULTICAST_IF};
    case datagram_option::path_mtu_discovery:
        return platform::discovery_ip6;
    case datagram_option::path_mtu:
        return platform::path_mtu_ip6;
    case datagram_option::report_errors:
        return platform::report_errors_ip6;
    case datagram_option::tell_local:
        return platform::tell_local_ip6;
    case datagram_option::tell_mark:
        return platform::tell_mark_ip6;
    case datagram_option::tell_ttl:
        return platform::tell_ttl_ip6;
    default:
        return no_option;
    }
}

option_name name_of(datagram_option option, int family) noexcept {
    switch (option) {
    case datagram_option::broadcast:
        return {SOL_SOCKET, SO_BROADCAST};
    case datagram_option::tell_time:
        return platform::tell_time;
    case datagram_option::tell_overflow:
        return platform::tell_overflow;
    case datagram_option::merge_received:
        return family == AF_UNIX ? no_option : platform::merge_received;
    default:
        return family == AF_INET    ? ip4_name(option)
               : family == AF_INET6 ? ip6_name(option)
                                    : no_option;
    }
}

/// Of one that IPv4 has too, and an IPv6 socket that carries both must be told of separately.
bool is_for_both(datagram_option option) noexcept {
    return option == datagram_option::ttl || option == datagram_option::tell_mark ||
           option == datagram_option::tell_ttl || option == datagram_option::report_errors ||
           option == datagram_option::path_mtu_discovery;
}

std::error_code set_integer(int fd, option_name name, int value) noexcept {
    return error_if(::setsockopt(fd, name.level, name.name, &value, sizeof value) != 0);
}

/// The systems agree on a byte for these two.
bool is_byte(option_name name) noexcept {
    return name.level == IPPROTO_IP &&
           (name.name == IP_MULTICAST_TTL || name.name == IP_MULTICAST_LOOP);
}

std::error_code not_supported() noexcept {
    return make_error_code(std::errc::not_supported);
}

} // namespace

std::error_code posix_kernel::set_datagram_option(int fd, int family, datagram_option option,
                                                  int value) {
    if (option == datagram_option::multicast_interface && family == AF_INET) {
        return error_if(
            platform::set_multicast_interface_ip4(fd, static_cast<std::uint32_t>(value)) != 0);
    }
    const auto name = name_of(option, family);
    if (!name.exists() || option == datagram_option::path_mtu) {
        return not_supported();
    }
    if (option == datagram_option::path_mtu_discovery) {
        value = platform::discovery_values[value];
    }
    if (is_byte(name)) {
        const auto byte = static_cast<unsigned char>(value);
        return error_if(::setsockopt(fd, name.level, name.name, &byte, sizeof byte) != 0);
    }
    const auto error = set_integer(fd, name, value);
    if (!error && family == AF_INET6 && is_for_both(option)) {
        // Fails where the socket has to do with IPv6 alone, or the system knows no such thing.
        static_cast<void>(set_integer(fd, ip4_name(option), value));
    }
    return error;
}

result<int> posix_kernel::get_datagram_option(int fd, int family, datagram_option option) {
    const auto name = name_of(option, family);
    return name.exists() ? integer_option(fd, name.level, name.name) : result<int>(not_supported());
}

std::error_code posix_kernel::change_membership(int fd, const membership& wanted) {
    const auto* const source = wanted.source == nullptr ? nullptr : wanted.source->data();
    return error_if(platform::change_membership(fd, wanted.joins, wanted.interface_index,
                                                *wanted.group->data(), source,
                                                wanted.group->size()) != 0);
}

/// Some systems say that they know no such family, and have done it all the same.
std::error_code posix_kernel::disconnect(int fd) {
    sockaddr nobody = {};
    nobody.sa_family = AF_UNSPEC;
    platform::set_length(nobody, sizeof nobody);
    const bool failed = ::connect(fd, &nobody, sizeof nobody) != 0;
    return error_if(failed && errno != EAFNOSUPPORT);
}

result<datagram_error> posix_kernel::receive_error(int fd, transport kind) {
    if (!platform::report_errors_ip4.exists()) {
        return not_supported();
    }
    datagram_error found;
    alignas(cmsghdr) std::array<std::byte, 512> control;
    msghdr header = {};
    header.msg_name = found.peer.room();
    header.msg_namelen = endpoint::room_size();
    header.msg_control = control.data();
    header.msg_controllen = static_cast<decltype(header.msg_controllen)>(control.size());
    const auto got = count_or_error(
        retry_eintr([&] { return ::recvmsg(fd, &header, platform::error_queue_flags); }));
    if (!got) {
        return got.error();
    }
    found.peer.filled(kind, header.msg_namelen);
    for (auto* at = CMSG_FIRSTHDR(&header); at != nullptr; at = CMSG_NXTHDR(&header, at)) {
        platform::reported_error told;
        if (platform::read_error(*at, told)) {
            found.error = std::error_code(told.number, std::system_category());
            found.origin = told.is_icmp    ? datagram_error::source::icmp
                           : told.is_icmp6 ? datagram_error::source::icmp6
                                           : datagram_error::source::local;
            found.icmp_type = told.type;
            found.icmp_code = told.code;
            found.path_mtu = told.number == EMSGSIZE ? told.info : 0;
        }
    }
    return found;
}

} // namespace sockeye
