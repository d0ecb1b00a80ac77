#pragma once

#include <system_error>

namespace sockeye {

/// The errors that the kernel has no name for. Everything else is a std::errc value.
enum class errc {
    end_of_stream = 1,    ///< the peer ended the stream in good order
    send_queue_full,      ///< the peer reads too slowly: its queue passed the hard limit
    too_many_descriptors, ///< this backend cannot watch a descriptor with so high a number
    not_pollable,         ///< regular files and directories cannot be watched
    handler_threw,        ///< an exception left a handler of this object
    loop_running,         ///< run() was called from inside a handler of the same loop
    loop_forked,          ///< a loop does not work in a child made by fork(2)
    backend_unknown,      ///< no backend has this name
    backend_unavailable,  ///< the backend exists, but not on this machine or in this build
    file_truncated,       ///< a file ended before all of it that was promised was sent
    service_mismatch,     ///< the endpoint's transport does not carry this kind of service
    descriptor_limit,     ///< the peer sent more descriptors at once than the stream takes
    discard_limit,        ///< the peer said more than a graceful close was to drop

    host_not_found,       ///< no host has this name
    host_without_address, ///< the host exists, but has no address of the wanted kind
    temporary_failure,    ///< no name server answers now
    look_up_failed,       ///< the name servers cannot or will not answer
    look_up_queue_full,   ///< too many names wait to be looked up

    endpoint_empty,                ///< nothing was written
    endpoint_scheme_unknown,       ///< the part before "://" or ":" is none of ours
    endpoint_host_missing,         ///< "tcp://" without an address
    endpoint_host_invalid,         ///< neither an IPv4 nor a bracketed IPv6 address, nor a name
    endpoint_host_is_name,         ///< a host name where a numeric address is needed
    endpoint_name_too_long,        ///< a name of over 253 bytes, or a part of over 63
    endpoint_bracket_missing,      ///< an IPv6 address without [ ]
    endpoint_scope_invalid,        ///< the part behind % names no interface
    endpoint_port_missing,         ///< no ":PORT" at the end
    endpoint_port_invalid,         ///< the port is not a whole number from 0 to 65535
    endpoint_path_missing,         ///< "unix:" without a path
    endpoint_path_too_long,        ///< a socket path has at most 107 bytes
    endpoint_path_has_nul,         ///< a path ends at its first NUL byte, so it must not hold one
    endpoint_protocol_invalid,     ///< "raw://ADDRESS" without "/NUMBER" of 1 to 255
    endpoint_abstract_unsupported, ///< names without a file are a Linux feature
};

/// The category of errc: its messages say what is wrong and how to mend it.
[[nodiscard]] const std::error_category& sockeye_category() noexcept;

[[nodiscard]] std::error_code make_error_code(errc e) noexcept;

} // namespace sockeye

template <>
struct std::is_error_code_enum<sockeye::errc> : std::true_type {};
