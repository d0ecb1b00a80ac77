#include <sockeye/error.hpp>
#include <sockeye/result.hpp>

#include <string>

namespace sockeye {
namespace {

/// Of what is wrong with an address as it is written.
const char* message_of_address(errc e) noexcept {
    switch (e) {
    case errc::endpoint_empty:
        return "nothing is written there; use tcp://HOST:PORT, udp://HOST:PORT or unix:PATH";
    case errc::endpoint_scheme_unknown:
        return "unknown scheme; use tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unix-dgram:PATH "
               "or unix-seqpacket:PATH";
    case errc::endpoint_host_missing:
        return "the address is missing; use HOST:PORT, or :PORT for this machine only";
    case errc::endpoint_host_invalid:
        return "not an IP address; use one like 127.0.0.1 or [::1], or * for every IPv4 one";
    case errc::endpoint_host_is_name:
        return "host names are not looked up here; use an address like 127.0.0.1 or [::1]";
    case errc::endpoint_name_too_long:
        return "the host name is too long; it has at most 253 bytes, and 63 between two dots";
    case errc::endpoint_bracket_missing:
        return "an IPv6 address needs brackets; use [::1]:PORT";
    case errc::endpoint_scope_invalid:
        return "no interface here has the name or number behind the %";
    case errc::endpoint_port_missing:
        return "the port is missing; add :PORT, or :0 for any free one";
    case errc::endpoint_port_invalid:
        return "the port must be a whole number from 0 to 65535";
    case errc::endpoint_path_missing:
        return "the path is missing; use unix:PATH";
    case errc::endpoint_path_too_long:
        return "the path is too long; a socket path has at most 107 bytes (103 on macOS and the "
               "BSDs)";
    case errc::endpoint_path_has_nul:
        return "a path must not contain a NUL byte";
    case errc::endpoint_protocol_invalid:
        return "the protocol must be a whole number from 1 to 255; use raw://ADDRESS/NUMBER";
    case errc::endpoint_abstract_unsupported:
        return "names without a file exist on Linux only; use unix:PATH, or unix:./@NAME for a "
               "file";
    default:
        return "unknown error";
    }
}

const char* message_of(errc e) noexcept {
    switch (e) {
    case errc::end_of_stream:
        return "end of stream";
    case errc::send_queue_full:
        return "the peer reads too slowly: its send queue is full";
    case errc::too_many_descriptors:
        return "too many descriptors for this backend";
    case errc::not_pollable:
        return "files and directories cannot be watched";
    case errc::handler_threw:
        return "a handler threw an exception";
    case errc::loop_running:
        return "the event loop is already running";
    case errc::loop_forked:
        return "an event loop does not work in a forked child: make a new one there";
    case errc::backend_unknown:
        return "no backend has this name; use auto, epoll, kqueue, poll or select";
    case errc::backend_unavailable:
        return "this backend is not available here";
    case errc::file_truncated:
        return "the file became shorter while it was sent";
    case errc::service_mismatch:
        return "this transport does not carry this kind of service";
    case errc::descriptor_limit:
        return "more descriptors came at once than this stream takes";
    case errc::discard_limit:
        return "the peer said more than a graceful close was to drop";
    case errc::host_not_found:
        return "no host has this name";
    case errc::host_without_address:
        return "the host has no address of the wanted kind";
    case errc::temporary_failure:
        return "no name server answers now; try again later";
    case errc::look_up_failed:
        return "the name servers refuse to answer, or cannot";
    case errc::look_up_queue_full:
        return "too many names wait to be looked up; try again later";
    default:
        return message_of_address(e);
    }
}

class category final : public std::error_category {
public:
    const char* name() const noexcept override { return "sockeye"; }
    std::string message(int value) const override { return message_of(static_cast<errc>(value)); }
};

} // namespace

const std::error_category& sockeye_category() noexcept {
    static const category instance;
    return instance;
}

std::error_code make_error_code(errc e) noexcept {
    return {static_cast<int>(e), sockeye_category()};
}

void throw_error(std::error_code error) {
    throw std::system_error(error);
}

} // namespace sockeye
