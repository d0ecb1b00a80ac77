#pragma once

#include "support/faulty_kernel.hpp"
#include "support/kernel_peer.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/sockeye.hpp>

#include <functional>
#include <initializer_list>

namespace support {

[[nodiscard]] fault failing(seam_call where, std::error_code error, std::size_t nth = 1,
                            std::size_t times = 1);
[[nodiscard]] fault failing(seam_call where, std::errc error, std::size_t nth = 1,
                            std::size_t times = 1);
[[nodiscard]] fault falling_short(seam_call where, std::size_t at_most, std::size_t nth = 1,
                                  std::size_t times = 1);

/// Runs `body` with a loop on every ground, for rows of the fault matrix; numbers above
/// 138, which it does not have, are rows of the specification. Afterwards nothing is
/// left in the loop, and it never used a descriptor that was not its own.
void on_every_faulty_loop(std::initializer_list<int> faults,
                          const std::function<void(faulty_loop&, ground&)>& body);

/// The same where the descriptors are those of this process, and its time may be skipped.
void on_every_real_loop(std::initializer_list<int> faults,
                        const std::function<void(faulty_loop&, ground&)>& body);

/// Lets this process open no more descriptors than it has, as long as it lives.
class descriptors_used_up {
public:
    descriptors_used_up();
    descriptors_used_up(const descriptors_used_up&) = delete;
    descriptors_used_up& operator=(const descriptors_used_up&) = delete;
    ~descriptors_used_up();

private:
    rlimit before_ = {};
};

/// A server with one connection, whose session does as `told` says, and its peer.
class conversation {
public:
    conversation(faulty_loop& at, ground& on, const sockeye::serve_options& options = {},
                 const char* local = "tcp://127.0.0.1:0");

    /// Turns, and pumps the peer, until `fact` holds.
    [[nodiscard]] bool until(const std::function<bool()>& fact);
    /// The peer speaks, and is heard.
    [[nodiscard]] bool hears(std::string_view text);
    /// The server's side. Requires: it lives.
    [[nodiscard]] sockeye::stream& link() { return *at_.loop.find(link_); }

    script told;
    sockeye::server server;
    kernel_peer peer;

private:
    faulty_loop& at_;
    sockeye::stream_ref link_;
};

/// What a connection that never comes up leads to: on_close alone, and why.
[[nodiscard]] std::error_code failure_of_connect(faulty_loop& at,
                                                 const sockeye::endpoint_argument& peer,
                                                 const sockeye::connect_options& options = {});

} // namespace support
