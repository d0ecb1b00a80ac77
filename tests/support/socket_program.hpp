#pragma once

#include <sockeye/endpoint.hpp>
#include <sockeye/interest.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace support {

inline bool is_stream(sockeye::transport kind) noexcept {
    return kind == sockeye::transport::tcp || kind == sockeye::transport::unix_stream;
}

inline bool is_local(sockeye::transport kind) noexcept {
    return kind == sockeye::transport::unix_stream || kind == sockeye::transport::unix_datagram;
}

/// One call of a socket program.
enum class verb : std::uint8_t {
    make,
    bind,
    listen,
    connect,
    accept, ///< what comes becomes socket `other`
    send,
    send_to,
    fill, ///< sends until nothing more fits
    receive,
    receive_datagrams,
    drain, ///< receives until nothing is left
    shutdown_write,
    close,
    linger_reset,
    pending_error,
    local_endpoint,
    peer_endpoint,
    watch, ///< adds to the backend, or modifies
    forget,
    wait, ///< without a timeout
};

/// An address, by what is there.
enum class place : std::uint8_t {
    of_socket, ///< what socket `other` is bound to
    any_port,  ///< port 0 of the program's own loopback address
    anywhere,  ///< port 0 of every address of the machine
    foreign,   ///< an address that is not of this machine; nothing is ever sent there
    closed,    ///< a port that somebody holds, and nobody answers on
    broadcast,
    path_a,
    path_b,
    dead_path, ///< the file of a socket that is closed
    unnamed,   ///< asks for an abstract name
};

struct step {
    verb what = verb::wait;
    int on = 0;
    sockeye::transport kind = sockeye::transport::tcp;
    place where = place::of_socket;
    int other = 0;
    std::size_t amount = 0; ///< bytes, or a backlog
    sockeye::interest wanted = sockeye::interest::none;
};

inline constexpr int program_sockets = 4;
inline constexpr std::size_t program_steps_max = 30;

using socket_program = std::vector<step>;

/// The program of that seed: something useful to begin with, most of the time, and then anything.
[[nodiscard]] socket_program draw_program(std::uint64_t seed);

/// As it stands in a source.
[[nodiscard]] std::string to_string(const step& one);

} // namespace support
