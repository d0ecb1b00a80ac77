#pragma once

#include "support/network.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <doctest/doctest.h>

namespace support {

/// A datagram socket of the ground's calls alone, connected to `peer`; it has a name of its own,
/// unless it shall be nameless.
class raw_datagrams {
public:
    raw_datagrams(network& on, const sockeye::endpoint& peer, bool is_nameless = false)
        : system_(on.system()), kind_(peer.kind()),
          fd_(is_nameless ? system_.socket(kind_, peer.family()).value()
                          : support::make_bound(system_, any_local(peer))) {
        REQUIRE_FALSE(system_.connect(fd_.get(), peer));
    }

    /// False where the system refuses.
    bool say(std::string_view text) {
        const sockeye::datagram one = {.data = sockeye::as_bytes(text)};
        return system_.send_datagrams(fd_.get(), {&one, 1}).has_value();
    }
    /// Takes what is there into `heard`.
    void pump() {
        while (system_.receive_datagrams(fd_.get(), kind_, *batch_)) {
            for (const auto& one : batch_->filled()) {
                heard.emplace_back(sockeye::as_text(one.data));
            }
        }
    }
    [[nodiscard]] sockeye::endpoint name() const {
        return system_.local_endpoint(fd_.get(), kind_).value();
    }
    [[nodiscard]] int fd() const noexcept { return fd_.get(); }

    std::vector<std::string> heard;

private:
    static sockeye::endpoint any_local(const sockeye::endpoint& peer) {
        return sockeye::endpoint::parse(peer.is_local()             ? "unix-dgram:@"
                                        : peer.family() == AF_INET6 ? "udp://[::1]:0"
                                                                    : "udp://127.0.0.1:0")
            .value();
    }

    sockeye::kernel& system_;
    sockeye::transport kind_;
    sockeye::owned_fd fd_;
    std::unique_ptr<sockeye::datagram_batch> batch_ = std::make_unique<sockeye::datagram_batch>();
};

/// A port whose owner hears nobody else: each datagram to it brings back an ICMP error. It is
/// free for others once this is gone.
struct refusing_port {
    explicit refusing_port(network& on)
        : fd(support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value())),
          name(on.system().local_endpoint(fd.get(), sockeye::transport::udp).value()) {
        REQUIRE_FALSE(on.system().connect(fd.get(), name));
    }

    sockeye::owned_fd fd;
    sockeye::endpoint name;
};

} // namespace support
