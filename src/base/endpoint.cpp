#include <sockeye/endpoint.hpp>

#include "base/platform.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <cstddef>
#include <cstring>
#include <optional>
#include <span>

#include <arpa/inet.h>
#include <net/if.h>

namespace sockeye {
namespace {

constexpr std::string_view digits = "0123456789";
constexpr std::string_view hex_digits = "0123456789abcdefABCDEF";

constexpr std::size_t path_offset = offsetof(sockaddr_un, sun_path);
constexpr std::size_t path_room = sizeof(sockaddr_un::sun_path);
/// One byte of the room is for the NUL that other programs count on.
constexpr std::size_t path_bytes_max = path_room - 1;
/// The longest name and the longest part of one that the DNS knows. See: RFC 1035 2.3.4.
constexpr std::size_t name_bytes_max = 253;
constexpr std::size_t label_bytes_max = 63;

bool all_of(std::string_view text, std::string_view allowed) noexcept {
    return text.find_first_not_of(allowed) == std::string_view::npos;
}

bool is_letter(char c) noexcept {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/// The one way in and out of the storage: by copy, so that no type is taken for another.
template <typename Address>
Address load(const sockaddr_storage& storage) noexcept {
    Address address;
    std::memcpy(&address, &storage, sizeof address);
    return address;
}

template <typename Address>
void store(sockaddr_storage& storage, const Address& address) noexcept {
    std::memcpy(&storage, &address, sizeof address);
}

/// An address as the system has it.
struct system_address {
    sockaddr_storage storage = {};
    std::size_t size = 0;
};

/// All of sun_path that the address uses, its closing NUL included.
std::string_view path_bytes(const sockaddr_storage& storage, std::size_t size) noexcept {
    return {reinterpret_cast<const char*>(&storage) + path_offset, size - path_offset};
}

// What a Unix endpoint's name looks like in text: bytes that are not printable ASCII, and what
// else would be read as something different, are written as \xNN.

bool is_plain(char c) noexcept {
    return c >= ' ' && c <= '~' && c != '\\';
}

void append_escaped(std::string& text, char c) {
    constexpr std::string_view lower = "0123456789abcdef";
    const auto value = static_cast<unsigned char>(c);
    text += "\\x";
    text += lower[value / 16];
    text += lower[value % 16];
}

/// `bytes` is a sun_path: empty for an unnamed socket, behind a NUL for an abstract one.
std::string name_to_text(std::string_view bytes) {
    std::string text;
    if (bytes.empty() || bytes.front() == '\0') {
        text += '@';
        bytes.remove_prefix(bytes.empty() ? 0 : 1);
    } else if (bytes.front() == '@') {
        append_escaped(text, '@');
        bytes.remove_prefix(1);
    }
    for (const char c : bytes) {
        if (is_plain(c)) {
            text += c;
        } else {
            append_escaped(text, c);
        }
    }
    return text;
}

/// The byte that `text` begins with; takes it away, together with its escape.
char take_byte(std::string_view& text) noexcept {
    if (text.size() >= 4 && text.starts_with("\\x") && all_of(text.substr(2, 2), hex_digits)) {
        unsigned char value = 0;
        std::from_chars(text.data() + 2, text.data() + 4, value, 16);
        text.remove_prefix(4);
        return static_cast<char>(value);
    }
    const char plain = text.front();
    text.remove_prefix(1);
    return plain;
}

/// Writes the bytes that `text` stands for to the front of `room`; none where they do not fit.
std::optional<std::size_t> read_name(std::string_view text, std::span<char> room) noexcept {
    std::size_t count = 0;
    while (!text.empty()) {
        const char next = take_byte(text);
        if (count == room.size()) {
            return std::nullopt;
        }
        room[count++] = next;
    }
    return count;
}

// IP addresses.

/// inet_pton(3) for text that is not followed by a NUL and might contain one.
template <typename Address>
bool read_numeric(int family, std::string_view text, Address& address) noexcept {
    std::array<char, INET6_ADDRSTRLEN> copy = {};
    if (text.size() >= copy.size() || text.find('\0') != std::string_view::npos) {
        return false;
    }
    text.copy(copy.data(), text.size());
    return ::inet_pton(family, copy.data(), &address) == 1;
}

result<std::uint16_t> parse_port(std::string_view text) {
    if (text.empty()) {
        return errc::endpoint_port_missing;
    }
    std::uint16_t port = 0;
    const auto* end = text.data() + text.size();
    const auto read = std::from_chars(text.data(), end, port);
    if (text.size() > 5 || read.ec != std::errc() || read.ptr != end) {
        return errc::endpoint_port_invalid;
    }
    return port;
}

/// The number of the interface that is written as its number or its name.
result<std::uint32_t> parse_scope(std::string_view text) {
    std::array<char, IF_NAMESIZE> name = {};
    std::uint32_t number = 0;
    if (all_of(text, digits)) {
        const auto* end = text.data() + text.size();
        const auto read = std::from_chars(text.data(), end, number);
        if (read.ec != std::errc() || ::if_indextoname(number, name.data()) == nullptr) {
            return errc::endpoint_scope_invalid;
        }
        return number;
    }
    if (text.size() >= name.size() || text.find('\0') != std::string_view::npos) {
        return errc::endpoint_scope_invalid;
    }
    text.copy(name.data(), text.size());
    number = ::if_nametoindex(name.data());
    if (number == 0) {
        return errc::endpoint_scope_invalid;
    }
    return number;
}

bool is_label(std::string_view label) noexcept {
    const auto fits = [](char c) { return is_letter(c) || c == '-' || c == '_'; };
    return !label.empty() && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(
               label, [&](char c) { return fits(c) || digits.find(c) != std::string_view::npos; });
}

/// A name ends in something that no reader of numbers takes for one: 1.2.3 and 0x7f.1 are none.
bool is_number(std::string_view label) noexcept {
    return all_of(label, digits) || ((label.starts_with("0x") || label.starts_with("0X")) &&
                                     all_of(label.substr(2), hex_digits));
}

/// What is wrong with a host that is no IPv4 address: at least that it is a name.
errc why_no_address(std::string_view host) noexcept {
    if (host.size() > 1 && host.ends_with('.')) {
        host.remove_suffix(1);
    }
    bool is_too_long = host.size() > name_bytes_max;
    while (true) {
        const auto dot = host.find('.');
        const auto label = host.substr(0, dot);
        if (!is_label(label)) {
            return errc::endpoint_host_invalid;
        }
        is_too_long = is_too_long || label.size() > label_bytes_max;
        if (dot == std::string_view::npos) {
            return is_number(label) ? errc::endpoint_host_invalid
                   : is_too_long    ? errc::endpoint_name_too_long
                                    : errc::endpoint_host_is_name;
        }
        host.remove_prefix(dot + 1);
    }
}

/// Whether `text`, with or without a port behind it, is an IPv6 address that lacks its brackets.
bool lacks_brackets(std::string_view text) noexcept {
    const auto is_address = [](std::string_view candidate) {
        in6_addr ignored = {};
        return read_numeric(AF_INET6, candidate.substr(0, candidate.find('%')), ignored);
    };
    return is_address(text) || is_address(text.substr(0, text.rfind(':')));
}

result<sockaddr_in> parse_ipv4_host(std::string_view host) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    platform::set_length(address, sizeof address);
    if (host.empty() || host == "localhost") {
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    } else if (host == "*") {
        address.sin_addr.s_addr = htonl(INADDR_ANY);
    } else if (!read_numeric(AF_INET, host, address.sin_addr)) {
        return why_no_address(host);
    }
    return address;
}

/// What stands between the brackets.
result<sockaddr_in6> parse_ipv6_host(std::string_view host) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    platform::set_length(address, sizeof address);
    if (host.empty()) {
        return errc::endpoint_host_missing;
    }
    const auto percent = host.find('%');
    if (!read_numeric(AF_INET6, host.substr(0, percent), address.sin6_addr)) {
        return errc::endpoint_host_invalid;
    }
    if (percent != std::string_view::npos) {
        const auto scope = parse_scope(host.substr(percent + 1));
        if (!scope) {
            return scope.error();
        }
        address.sin6_scope_id = *scope;
    }
    return address;
}

template <typename Address>
result<system_address> with_port(const result<Address>& host, in_port_t Address::*member,
                                 std::string_view text) {
    if (!host) {
        return host.error();
    }
    const auto port = parse_port(text);
    if (!port) {
        return port.error();
    }
    auto address = *host;
    address.*member = htons(*port);
    system_address made{.size = sizeof address};
    store(made.storage, address);
    return made;
}

result<system_address> parse_bracketed(std::string_view text) {
    const auto close = text.find(']');
    if (close == std::string_view::npos) {
        return errc::endpoint_bracket_missing;
    }
    const auto host = parse_ipv6_host(text.substr(1, close - 1));
    auto rest = text.substr(close + 1);
    if (rest.starts_with(':')) {
        rest.remove_prefix(1);
    } else if (!rest.empty()) {
        return errc::endpoint_host_invalid;
    }
    return with_port(host, &sockaddr_in6::sin6_port, rest);
}

result<system_address> parse_ip(std::string_view text) {
    if (text.empty()) {
        return errc::endpoint_host_missing;
    }
    if (text.starts_with('[')) {
        return parse_bracketed(text);
    }
    if (lacks_brackets(text)) {
        return errc::endpoint_bracket_missing;
    }
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return errc::endpoint_port_missing;
    }
    return with_port(parse_ipv4_host(text.substr(0, colon)), &sockaddr_in::sin_port,
                     text.substr(colon + 1));
}

/// An address with or without the identifier of its requests, which stands where a port does.
result<system_address> parse_echo(std::string_view text) {
    const auto last = text.find_first_of(":", text.starts_with('[') ? text.find(']') : 0);
    const bool has_number = !text.empty() && last != std::string_view::npos;
    return has_number || text.empty() ? parse_ip(text) : parse_ip(std::string(text) + ":0");
}

/// ADDRESS/PROTOCOL: the number stands where a port does.
result<system_address> parse_raw(std::string_view text) {
    const auto slash = text.rfind('/');
    const auto number = parse_port(slash == std::string_view::npos ? "" : text.substr(slash + 1));
    if (!number || *number == 0 || *number > 255) {
        return errc::endpoint_protocol_invalid;
    }
    const auto address = text.substr(0, slash);
    if (address.empty()) {
        return errc::endpoint_host_missing;
    }
    return parse_ip(std::string(address) + ':' + std::to_string(*number));
}

/// "file:/x", "tcp:127.0.0.1:7", "unix-stream:@x": a scheme that is none of ours or lacks its "//".
bool looks_like_scheme(std::string_view text) noexcept {
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || !is_letter(text.front())) {
        return false;
    }
    const auto rest = text.substr(colon + 1);
    return rest.starts_with('/') || rest.starts_with('@') || text.starts_with("tcp:") ||
           text.starts_with("udp:");
}

// Unix addresses.

/// `name` is what bind(2) gets as sun_path: a path or, behind a NUL, an abstract name.
system_address make_local(std::string_view name) noexcept {
    assert(name.size() <= path_room);
    sockaddr_un address = {};
    address.sun_family = AF_UNIX;
    name.copy(address.sun_path, name.size());
    const bool is_path = !name.empty() && name.front() != '\0';
    const std::size_t terminator = is_path && name.size() < path_room ? 1 : 0;
    system_address made{.size = path_offset + name.size() + terminator};
    platform::set_length(address, made.size);
    store(made.storage, address);
    return made;
}

result<system_address> parse_abstract(std::string_view text) {
    if (!platform::has_abstract_names) {
        return errc::endpoint_abstract_unsupported;
    }
    std::array<char, path_room> name = {};
    const auto count = read_name(text, std::span(name).subspan(1));
    if (!count) {
        return errc::endpoint_path_too_long;
    }
    // No name at all asks the kernel to choose one. See: autobind in unix(7).
    return make_local({name.data(), *count == 0 ? 0 : *count + 1});
}

result<system_address> parse_local(std::string_view text) {
    if (text.empty()) {
        return errc::endpoint_path_missing;
    }
    if (text.find('\0', 1) != std::string_view::npos) {
        return errc::endpoint_path_has_nul;
    }
    if (text.front() == '@' || text.front() == '\0') {
        return parse_abstract(text.substr(1));
    }
    std::array<char, path_bytes_max> path = {};
    const auto count = read_name(text, path);
    if (!count) {
        return errc::endpoint_path_too_long;
    }
    const std::string_view name(path.data(), *count);
    if (name.find('\0') != std::string_view::npos) {
        return errc::endpoint_path_has_nul;
    }
    return make_local(name);
}

/// The name in `address`, of which the system gave `size` bytes; none where that cannot be.
std::optional<std::string_view> local_name(const sockaddr_un& address, std::size_t size) noexcept {
    // Linux reports a path that leaves no room for its NUL with one all the same.
    const std::string_view bytes(address.sun_path, std::min(size - path_offset, path_room));
    if (bytes.empty() || bytes.front() != '\0') {
        return bytes.substr(0, bytes.find('\0'));
    }
    if (!platform::has_abstract_names || bytes.size() == 1) {
        return bytes.substr(0, 0);
    }
    if (size > sizeof address) {
        return std::nullopt;
    }
    return bytes;
}

struct scheme {
    std::string_view prefix;
    transport kind;
};

constexpr scheme schemes[] = {
    {"tcp://", transport::tcp},
    {"udp://", transport::udp},
    {"unix:", transport::unix_stream},
    {"unix-dgram:", transport::unix_datagram},
    {"unix-seqpacket:", transport::unix_seqpacket},
    {"icmp://", transport::icmp},
    {"raw://", transport::raw},
};

std::string_view scheme_of(transport kind) noexcept {
    return std::ranges::find(schemes, kind, &scheme::kind)->prefix;
}

/// The transport that `text` begins with, which is taken away.
result<transport> take_scheme(std::string_view& text) {
    for (const auto& [prefix, kind] : schemes) {
        if (text.starts_with(prefix)) {
            text.remove_prefix(prefix.size());
            return kind;
        }
    }
    if (text.find("://") != std::string_view::npos || looks_like_scheme(text)) {
        return errc::endpoint_scheme_unknown;
    }
    return transport::tcp;
}

} // namespace

namespace {

std::string ip_port_part(transport kind, std::uint16_t port) {
    if (kind == transport::icmp && port == 0) {
        return "";
    }
    return (kind == transport::raw ? '/' : ':') + std::to_string(port);
}

} // namespace

result<endpoint> endpoint::parse(std::string_view text) {
    if (text.empty()) {
        return errc::endpoint_empty;
    }
    const auto kind = take_scheme(text);
    if (!kind) {
        return kind.error();
    }
    endpoint made;
    made.kind_ = *kind;
    const auto address = made.is_local()                 ? parse_local(text)
                         : made.kind_ == transport::icmp ? parse_echo(text)
                         : made.kind_ == transport::raw  ? parse_raw(text)
                                                         : parse_ip(text);
    if (!address) {
        return address.error();
    }
    made.storage_ = address->storage;
    made.size_ = static_cast<socklen_t>(address->size);
    return made;
}

endpoint endpoint::from_system(transport kind, const sockaddr* address, socklen_t size) noexcept {
    endpoint made;
    const socklen_t known = address != nullptr ? size : 0;
    if (known != 0) {
        std::memcpy(&made.storage_, address, std::min<std::size_t>(known, room_size()));
    }
    made.filled(kind, known);
    return made;
}

void endpoint::filled(transport kind, socklen_t size) noexcept {
    kind_ = kind;
    size_ = 0;
    const bool has_family = size >= offsetof(sockaddr, sa_data);
    const int family = has_family ? storage_.ss_family : AF_UNSPEC;
    if (family == AF_INET && size >= sizeof(sockaddr_in) && !is_local()) {
        auto address = load<sockaddr_in>(storage_);
        std::memset(address.sin_zero, 0, sizeof address.sin_zero);
        store(storage_, address);
        size_ = sizeof address;
    } else if (family == AF_INET6 && size >= sizeof(sockaddr_in6) && !is_local()) {
        // The flow label is no part of an address: it says how packets got here.
        auto address = load<sockaddr_in6>(storage_);
        address.sin6_flowinfo = 0;
        store(storage_, address);
        size_ = sizeof address;
    } else if (family == AF_UNIX && is_local()) {
        const auto address = load<sockaddr_un>(storage_);
        if (const auto name = local_name(address, size)) {
            const auto local = make_local(*name);
            storage_ = local.storage;
            size_ = static_cast<socklen_t>(local.size);
        }
    }
    if (size_ == 0) {
        storage_ = {};
    }
}

endpoint_argument::endpoint_argument(std::string_view text) : content_(endpoint::parse(text)) {
    if (content_.error() != errc::endpoint_host_is_name) {
        return;
    }
    const auto kind = take_scheme(text);
    if (*kind == transport::raw) {
        return; // numeric addresses alone
    }
    const auto colon = text.rfind(':');
    const bool is_bare = colon == std::string_view::npos && *kind == transport::icmp;
    const auto port =
        is_bare ? result<std::uint16_t>(std::uint16_t{0}) : parse_port(text.substr(colon + 1));
    if (port) {
        host_ = {std::string(text.substr(0, colon)), *port, *kind};
    } else {
        content_ = port.error();
    }
}

bool endpoint::is_loopback() const noexcept {
    if (family() == AF_INET) {
        return ntohl(load<sockaddr_in>(storage_).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
    }
    const auto address = load<sockaddr_in6>(storage_);
    return family() == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&address.sin6_addr);
}

bool endpoint::is_unspecified() const noexcept {
    if (family() == AF_INET) {
        return load<sockaddr_in>(storage_).sin_addr.s_addr == htonl(INADDR_ANY);
    }
    const auto address = load<sockaddr_in6>(storage_);
    return family() == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&address.sin6_addr);
}

std::uint16_t endpoint::port() const noexcept {
    switch (family()) {
    case AF_INET:
        return ntohs(load<sockaddr_in>(storage_).sin_port);
    case AF_INET6:
        return ntohs(load<sockaddr_in6>(storage_).sin6_port);
    default:
        return 0;
    }
}

void endpoint::set_port(std::uint16_t port) noexcept {
    if (family() == AF_INET) {
        auto address = load<sockaddr_in>(storage_);
        address.sin_port = htons(port);
        store(storage_, address);
    } else {
        assert(family() == AF_INET6);
        auto address = load<sockaddr_in6>(storage_);
        address.sin6_port = htons(port);
        store(storage_, address);
    }
}

std::string_view endpoint::path() const noexcept {
    if (family() != AF_UNIX) {
        return {};
    }
    const auto bytes = path_bytes(storage_, size_);
    return bytes.substr(0, bytes.find('\0'));
}

std::string endpoint::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> host = {};
    const std::string scheme(scheme_of(kind_));
    const std::string port_part = ip_port_part(kind_, port());
    if (family() == AF_INET) {
        const auto address = load<sockaddr_in>(storage_);
        return scheme + ::inet_ntop(AF_INET, &address.sin_addr, host.data(), host.size()) +
               port_part;
    }
    if (family() == AF_INET6) {
        const auto address = load<sockaddr_in6>(storage_);
        const auto scope = address.sin6_scope_id;
        return scheme + '[' + ::inet_ntop(AF_INET6, &address.sin6_addr, host.data(), host.size()) +
               (scope != 0 ? '%' + std::to_string(scope) : "") + ']' + port_part;
    }
    if (family() == AF_UNIX) {
        return scheme + name_to_text(path().empty() ? path_bytes(storage_, size_) : path());
    }
    return "unknown";
}

bool operator==(const endpoint& left, const endpoint& right) noexcept {
    // Whatever has no meaning in an address is 0 in every endpoint, so that bytes will do.
    return left.kind_ == right.kind_ && left.size_ == right.size_ &&
           std::memcmp(&left.storage_, &right.storage_, left.size_) == 0;
}

} // namespace sockeye
