#pragma once

#include <sockeye/datagram_socket.hpp>
#include <sockeye/stream.hpp>

#include <cstddef>
#include <span>

// The handlers that most tests use.
namespace support {

inline void echo(sockeye::stream& link, sockeye::bytes in) {
    link.write(in);
}

inline void echo_datagrams(sockeye::datagram_socket& socket,
                           std::span<const sockeye::datagram> in) {
    socket.send(in);
}

inline void ignore_datagrams(sockeye::datagram_socket&, std::span<const sockeye::datagram>) {}

/// Does nothing with what it reads.
struct silent_session {
    void on_data(sockeye::stream&, sockeye::bytes) {}
};

} // namespace support
