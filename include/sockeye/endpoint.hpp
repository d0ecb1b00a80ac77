#pragma once

#include <sockeye/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>

#include <sys/socket.h>

namespace sockeye {

/// What carries the bytes.
///
/// unix_seqpacket is a connection whose bytes keep their messages: one write is one message, which
/// is one on_data over there. Not on macOS. See: SOCK_SEQPACKET in unix(7).
enum class transport : std::uint8_t {
    tcp,
    udp,
    unix_stream,
    unix_datagram,
    unix_seqpacket,
    icmp,
    raw
};

/// Which addresses of a host are wanted.
enum class ip_family : std::uint8_t { any, ipv4, ipv6 };

/// An address to serve on or to connect to: IPv4, IPv6 or a Unix path, and what carries it.
///
/// Written `tcp://127.0.0.1:7007`, `udp://[::1]:0`, `unix:/path`, `unix-dgram:/path`,
/// `unix-seqpacket:/path`, `unix:@name` (Linux: a name without a file). `127.0.0.1:7007` and
/// `:7007` mean TCP, and a missing host means loopback. `*` is every IPv4 address of the machine,
/// `[::]` every IPv6 one.
/// `localhost` is 127.0.0.1; no other name is looked up here. Link-local IPv6 addresses name
/// their interface: `[fe80::1%eth0]:7007`, or its number.
///
/// `icmp://127.0.0.1` is an echo socket (ping), which carries ICMP or ICMPv6 messages from their
/// type on; its port is the identifier of the requests, which the system chooses. `raw://ADDR/17`
/// carries packets of that IP protocol, whose number is its port.
///
/// In Unix paths and names `\xNN` stands for the byte of that hexadecimal number, so that every
/// one of them can be written and printed; a path that begins with `@` is `./@...` or `\x40...`.
/// `unix:@` is a socket without a name; a server bound to it gets one from the kernel (Linux).
///
/// A default-made endpoint is unknown: the address of a peer that has none.
class endpoint {
public:
    endpoint() = default;

    /// Reads one of the forms above. Errors: errc::endpoint_..., whose messages say how to mend.
    static result<endpoint> parse(std::string_view text);

    /// Copies what the system says of an address; unknown where the family is none of ours or
    /// the length does not fit the family, or where `kind` does not go with it. A flow label is
    /// left out, a Unix path ends at its first NUL, and an abstract name of no bytes is none.
    static endpoint from_system(transport kind, const sockaddr* address, socklen_t size) noexcept;

    [[nodiscard]] transport kind() const noexcept { return kind_; }
    /// AF_INET, AF_INET6, AF_UNIX; AF_UNSPEC when unknown.
    [[nodiscard]] int family() const noexcept { return storage_.ss_family; }
    [[nodiscard]] bool is_known() const noexcept { return size_ != 0; }
    /// What is connected and carried by a stream; false for datagrams.
    [[nodiscard]] bool is_stream() const noexcept {
        return kind_ == transport::tcp || kind_ == transport::unix_stream ||
               kind_ == transport::unix_seqpacket;
    }
    /// Unix sockets of every kind.
    [[nodiscard]] bool is_local() const noexcept {
        return kind_ == transport::unix_stream || kind_ == transport::unix_datagram ||
               kind_ == transport::unix_seqpacket;
    }
    /// 127.0.0.0/8 or ::1. False for Unix paths.
    [[nodiscard]] bool is_loopback() const noexcept;
    /// 0.0.0.0 or ::. False for Unix paths.
    [[nodiscard]] bool is_unspecified() const noexcept;

    /// The port in host byte order; 0 for Unix paths.
    [[nodiscard]] std::uint16_t port() const noexcept;
    /// Requires: an IP endpoint.
    void set_port(std::uint16_t port) noexcept;

    /// The path of a Unix endpoint; empty for others, for unnamed and for abstract sockets.
    [[nodiscard]] std::string_view path() const noexcept;

    /// A form that parse() reads back to the same endpoint, in printable ASCII alone.
    ///
    /// Exceptions: `unknown`; an interface that is gone; an unnamed socket outside Linux; a path
    /// of 108 bytes, which Linux knows but which leaves no room for the NUL that programs count on.
    [[nodiscard]] std::string to_string() const;

    /// As the system wants it. See: bind(2), unix(7).
    [[nodiscard]] const sockaddr* data() const noexcept {
        return reinterpret_cast<const sockaddr*>(&storage_);
    }
    [[nodiscard]] socklen_t size() const noexcept { return size_; }

    /// For calls that fill in an address: room for any of them, then the length they gave.
    [[nodiscard]] sockaddr* room() noexcept { return reinterpret_cast<sockaddr*>(&storage_); }
    [[nodiscard]] static constexpr socklen_t room_size() noexcept { return sizeof storage_; }
    void filled(transport kind, socklen_t size) noexcept;

    friend bool operator==(const endpoint& left, const endpoint& right) noexcept;

private:
    sockaddr_storage storage_ = {};
    socklen_t size_ = 0;
    transport kind_ = transport::tcp;
};

/// A host by its name, and where on it: what `tcp://example.org:80` says.
struct host_name {
    std::string name;
    std::uint16_t port = 0;
    transport kind = transport::tcp;

    friend bool operator==(const host_name&, const host_name&) = default;
};

/// Where an endpoint is wanted, its text will do: `serve(loop, "tcp://127.0.0.1:7007", ...)`.
/// Where names are looked up, by connect and resolve, that of a host will do as well.
class endpoint_argument {
public:
    endpoint_argument(const endpoint& value) : content_(value) {}
    /// Throws bad_alloc where there is no memory for a host's name.
    endpoint_argument(std::string_view text);
    endpoint_argument(const std::string& text) : endpoint_argument(std::string_view(text)) {}
    endpoint_argument(const char* text) : endpoint_argument(std::string_view(text)) {}

    /// The endpoint, or errc::endpoint_... : endpoint_host_is_name where there is a host().
    [[nodiscard]] const result<endpoint>& get() const noexcept { return content_; }
    /// The host that has to be looked up; null for endpoints and for what is no address.
    [[nodiscard]] const host_name* host() const noexcept {
        return host_.name.empty() ? nullptr : &host_;
    }

private:
    result<endpoint> content_;
    host_name host_;
};

} // namespace sockeye
