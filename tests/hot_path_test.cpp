#include "support/allocations.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

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
void echo_in_halves(sockeye::stream& link, sockeye::bytes in) {
    link.write(in.first(in.size() / 2));
    link.write(in.subspan(in.size() / 2));
}

/// Clients that connect and say nothing, in a process of their own: descriptors are scarce.
class silent_crowd {
public:
    explicit silent_crowd(const sockeye::endpoint& server) : ends_(support::make_pipe()) {
        child_ = ::fork();
        REQUIRE(child_ >= 0);
        if (child_ == 0) {
            ends_.second.reset();
            ::_exit(stay(server));
        }
        ends_.first.reset();
    }
    /// Some more connect: fewer than the listener's backlog holds.
    void grow(std::size_t by) {
        for (; by > 0; by -= std::min<std::size_t>(by, 255)) {
            const auto step = static_cast<unsigned char>(std::min<std::size_t>(by, 255));
            REQUIRE(::write(ends_.second.get(), &step, 1) == 1);
        }
    }
    silent_crowd(const silent_crowd&) = delete;
    silent_crowd& operator=(const silent_crowd&) = delete;
    ~silent_crowd() {
        ends_.second.reset();
        int status = 0;
        CHECK(::waitpid(child_, &status, 0) == child_);
        CHECK(status == 0);
    }

private:
    [[nodiscard]] int stay(const sockeye::endpoint& server) {
        std::vector<support::raw_peer> peers;
        for (;;) {
            pollfd asked = {.fd = ends_.first.get(), .events = POLLIN, .revents = 0};
            unsigned char step = 0;
            if (::poll(&asked, 1, -1) != 1 || ::read(asked.fd, &step, 1) != 1) {
                std::ranges::for_each(peers, &support::raw_peer::reset);
                return 0;
            }
            for (; step > 0; --step) {
                peers.emplace_back(sockeye::system_kernel(), server);
            }
        }
    }

    support::ends ends_;
    pid_t child_ = -1;
};

/// The pages of memory that this process has, in bytes; 0 where the system does not say.
std::size_t resident_bytes() {
    std::ifstream said("/proc/self/statm");
    std::size_t all = 0;
    std::size_t resident = 0;
    said >> all >> resident;
    return resident * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
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
            auto server = sockeye::serve(loop, "tcp://127.0.0.1:0", echo_in_halves).value();
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

TEST_CASE("hot path: an idle connection holds at most 160 bytes of ours, with a deadline armed") {
    const support::raised_descriptor_limit raised;
    const std::size_t room = std::min<std::size_t>(19'000, support::descriptor_room() - 50);
    CHECK(room >= 900);
    for (const auto& entry : sockeye::backend_table()) {
        if (entry.make == nullptr) {
            continue;
        }
        SUBCASE(std::string(entry.name).c_str()) {
            // Ports are scarce, too: one backend has to bear them all.
            const auto count = &entry == &sockeye::backend_table().front() ? room : 2000;
            sockeye::loop_options options;
            options.backend = entry.kind;
            sockeye::loop loop(std::move(options));
            auto server =
                sockeye::serve(loop, "tcp://127.0.0.1:0",
                               {.connections_max = count, .limits = {.idle = 1h}}, echo_in_halves)
                    .value();
            silent_crowd crowd(support::local_of(server));
            const auto accept_until = [&](std::size_t number) {
                while (server.connection_count() < number) {
                    const auto open = server.connection_count();
                    const auto next = std::min<std::size_t>(number, open + 500);
                    crowd.grow(next - open);
                    REQUIRE(
                        support::turn_until([&] { return server.connection_count() == next; },
                                            [&] { static_cast<void>(loop.run_once(1s).value()); }));
                }
            };
            // What the loop makes once, whatever the number of connections, is not counted.
            accept_until(1);
            const auto held = support::allocated_bytes();
            const auto resident = resident_bytes();
            accept_until(count);
            CHECK(loop.next_deadline().has_value());
            const auto bytes = support::allocated_bytes() - held;
            const auto each = static_cast<double>(bytes) / static_cast<double>(count - 1);
            const auto paged = static_cast<double>(resident_bytes() - resident);
            // The emulation of kqueue keeps its registrations in memory of ours, and poll hands an
            // array of them to the kernel.
            const bool has_more = entry.kind == sockeye::backend_kind::kqueue ||
                                  entry.kind == sockeye::backend_kind::poll;
            CHECK(each <= (has_more ? 512 : 160));
            MESSAGE(entry.name, ": ", each, " bytes for each of ", count,
                    " idle connections; resident: ", paged / static_cast<double>(count - 1));
        }
    }
}
