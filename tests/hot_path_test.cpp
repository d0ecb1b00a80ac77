#include "support/allocations.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <deque>
#include <iostream>
#include <string>
#include <vector>

#include <sys/socket.h>

using namespace std::chrono_literals;
using support::script;

namespace {

constexpr std::size_t message_size = 64;
constexpr int connections = 50;

/// Counts every call that would be a system call, and those that failed.
class counting_kernel final : public support::forwarding_kernel {
public:
    sockeye::result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                              sockeye::endpoint& peer) override {
        return count(others, forwarding_kernel::accept(fd, kind, peer));
    }
    sockeye::result<std::size_t> receive(int fd, std::span<std::byte> target) override {
        return count(receives, forwarding_kernel::receive(fd, target));
    }
    sockeye::result<std::size_t> send(int fd, sockeye::bytes source) override {
        return count(sends, forwarding_kernel::send(fd, source));
    }
    sockeye::result<std::size_t> send_gathered(int fd,
                                               std::span<const sockeye::bytes> sources) override {
        return count(sends, forwarding_kernel::send_gathered(fd, sources));
    }
    std::error_code set_option(int fd, sockeye::socket_option option, int value) override {
        ++others;
        return forwarding_kernel::set_option(fd, option, value);
    }
    std::error_code pending_error(int fd) override {
        ++others;
        return forwarding_kernel::pending_error(fd);
    }
    sockeye::result<sockeye::endpoint> peer_endpoint(int fd, sockeye::transport kind) override {
        return count(others, forwarding_kernel::peer_endpoint(fd, kind));
    }
    void drain(int reader) noexcept override {
        ++others;
        forwarding_kernel::drain(reader);
    }

    std::uint64_t receives = 0;
    std::uint64_t sends = 0;
    std::uint64_t others = 0;
    std::uint64_t failed = 0;

private:
    template <typename Outcome>
    Outcome count(std::uint64_t& calls, Outcome outcome) {
        ++calls;
        failed += outcome ? 0 : 1;
        return outcome;
    }
};

/// Clients of system calls alone: each round all of them say one message and hear it again.
class chorus {
public:
    explicit chorus(const sockeye::endpoint& server) {
        for (auto& peer : peers_) {
            peer = support::raw_peer(sockeye::system_kernel(), server);
        }
        message_.fill('m');
    }

    void say_all() {
        for (const auto& peer : peers_) {
            REQUIRE(::send(peer.fd(), message_.data(), message_.size(), MSG_NOSIGNAL) ==
                    static_cast<ssize_t>(message_.size()));
        }
    }
    /// True when every answer is there and right.
    bool hear_all() {
        for (const auto& peer : peers_) {
            std::array<char, 2 * message_size> heard;
            const auto got = ::recv(peer.fd(), heard.data(), heard.size(), 0);
            if (got != static_cast<ssize_t>(message_size) ||
                !std::equal(message_.begin(), message_.end(), heard.begin())) {
                return false;
            }
        }
        return true;
    }

private:
    std::array<support::raw_peer, connections> peers_;
    std::array<char, message_size> message_ = {};
};

/// In two writes, which leave as one.
void echo(sockeye::stream& link, sockeye::bytes in) {
    link.write(in.first(in.size() / 2));
    link.write(in.subspan(in.size() / 2));
}

} // namespace

TEST_CASE(
    "hot path: an echo is one receive and one send, no allocation and no change of interest") {
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            counting_kernel system;
            auto loop = support::make_loop(system, entry);
            auto server = sockeye::serve(loop, "tcp://127.0.0.1:0", echo).value();
            chorus clients(support::local_of(server));
            const auto round = [&] {
                clients.say_all();
                static_cast<void>(loop.run_once(1s).value());
                return clients.hear_all();
            };
            CHECK(support::turn_until([&] { return server.connection_count() == connections; },
                                      [&] { static_cast<void>(loop.run_once(1s).value()); }));
            for (int i = 0; i < 20; ++i) {
                REQUIRE(round());
            }
            constexpr std::uint64_t rounds = 200;
            constexpr std::uint64_t messages = rounds * connections;
            const auto before = loop.counters();
            const auto receives = system.receives;
            const auto sends = system.sends;
            const auto others = system.others;
            const auto failed = system.failed;
            const auto allocations = support::allocations();
            for (std::uint64_t i = 0; i < rounds; ++i) {
                if (!round()) {
                    FAIL_CHECK("a wrong answer");
                    break;
                }
            }
            const auto allocated = support::allocations() - allocations;
            const auto waits = loop.counters().waits - before.waits;
            // The emulation of kqueue allocates in its own kevent.
            const bool is_emulated = entry.kind == sockeye::backend_kind::kqueue;
            CHECK(allocated <= (is_emulated ? 2 * waits : 0));
            CHECK(system.receives - receives == messages);
            CHECK(system.sends - sends == messages);
            CHECK(system.others == others);
            CHECK(system.failed == failed);
            const auto& after = loop.counters();
            CHECK(after.registrations == before.registrations);
            CHECK(after.would_blocks == 0);
            CHECK(after.reads - before.reads == messages);
            CHECK(after.writes - before.writes == messages);
            const auto calls = static_cast<double>(2 * messages + waits) / messages;
            CHECK(calls <= 2.07);
            MESSAGE(entry.name, ": ", calls, " system calls for each message of 64 bytes over ",
                    connections, " connections");
        }
    }
}

TEST_CASE("hot path: an idle connection holds at most 256 bytes of our memory") {
    struct idle_session {
        void on_data(sockeye::stream& link, sockeye::bytes in) { link.write(in); }
    };
    const support::raised_descriptor_limit raised;
    const std::size_t count = std::min<std::size_t>(5000, support::descriptor_room() / 2 - 20);
    CHECK(count >= 400);
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            std::vector<support::raw_peer> peers(count);
            sockeye::loop_options options;
            options.backend = entry.kind;
            sockeye::loop loop(std::move(options));
            auto server = sockeye::serve<idle_session>(loop, "tcp://127.0.0.1:0").value();
            const auto where = support::local_of(server);
            const auto connect = [&](std::size_t from, std::size_t to) {
                for (auto i = from; i < to; ++i) {
                    peers[i] = support::raw_peer(sockeye::system_kernel(), where);
                    if (i % 64 == 0 || i + 1 == to) {
                        while (server.connection_count() <= i) {
                            static_cast<void>(loop.run_once(1s).value());
                        }
                    }
                }
            };
            const auto talk = [&](support::raw_peer& peer) {
                peer.say("hello");
                CHECK(support::turn_until([&] { return peer.heard() == "hello"; },
                                          [&] {
                                              peer.pump();
                                              static_cast<void>(loop.run_once(1ms).value());
                                          }));
            };
            // What the loop makes once, whatever the number of connections, is not counted.
            connect(0, 1);
            talk(peers[0]);
            const auto held = support::allocated_bytes();
            connect(1, count);
            const auto bytes = support::allocated_bytes() - held;
            talk(peers[count - 1]);
            const auto each = static_cast<double>(bytes) / static_cast<double>(count - 1);
            // The emulation of kqueue keeps its registrations in memory of ours, not the kernel's.
            CHECK(each <= (entry.kind == sockeye::backend_kind::kqueue ? 512 : 256));
            MESSAGE(entry.name, ": ", each, " bytes for each of ", count, " idle connections");
            CHECK(support::allocated_bytes() - held >= bytes);
        }
    }
}
