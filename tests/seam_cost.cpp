#include "kernel/backend.hpp"
#include "support/kernels.hpp"

#include <sockeye/sockeye.hpp>

#include <cstdlib>
#include <iostream>
#include <string_view>
#include <vector>

// What the seam to the kernel costs, to be run under an instruction counter: see seam_cost.sh.
//
//     seam_cost echo N      echoes N messages
//     seam_cost idle N      the same, where each connection has an idle deadline
//     seam_cost count N     the same, and says how often the loop called its kernel
//     seam_cost virtual N   calls a kernel N times as the loop does
//     seam_cost direct N    the same calls, to a class that is known

namespace {

constexpr std::size_t connections = 10;

/// Counts the calls that a message needs.
class counting_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;
    sockeye::result<std::size_t> receive(int fd, std::span<std::byte> target) override {
        ++calls;
        return forwarding_kernel::receive(fd, target);
    }
    sockeye::result<std::size_t> send(int fd, sockeye::bytes source) override {
        ++calls;
        return forwarding_kernel::send(fd, source);
    }
    sockeye::result<std::size_t> send_gathered(int fd,
                                               std::span<const sockeye::bytes> sources) override {
        ++calls;
        return forwarding_kernel::send_gathered(fd, sources);
    }
    sockeye::time_point now() override {
        ++calls;
        return forwarding_kernel::now();
    }
    unsigned fork_count() override {
        ++calls;
        return forwarding_kernel::fork_count();
    }

    std::size_t calls = 0;
};

/// A kernel that does nothing, so that the way to it is all there is.
class empty_kernel final : public support::forwarding_kernel {
public:
    [[gnu::noinline]] unsigned fork_count() override { return seen_ += 1; }

private:
    unsigned seen_ = 0;
};

template <typename Kernel>
[[gnu::noinline]] void call(Kernel& kernel, std::size_t times) {
    for (std::size_t i = 0; i < times; ++i) {
        auto* hidden = &kernel;
        asm volatile("" : "+r"(hidden)); // what it points to is known by its type alone
        static_cast<void>(hidden->fork_count());
    }
}

/// The other ends, made of system calls.
std::vector<sockeye::owned_fd> connect_all(sockeye::kernel& system, const sockeye::endpoint& to) {
    std::vector<sockeye::owned_fd> made;
    for (std::size_t i = 0; i < connections; ++i) {
        made.push_back(system.socket(sockeye::transport::tcp, to.family()).value());
        static_cast<void>(system.connect(made.back().get(), to));
    }
    return made;
}

void echo(sockeye::kernel& under, std::size_t messages, sockeye::duration idle = {}) {
    auto& real = sockeye::system_kernel();
    const auto& entry = *sockeye::choose_backend(sockeye::backend_kind::automatic).value();
    auto loop = support::make_loop(under, entry);
    sockeye::serve_options options;
    options.limits.idle = idle;
    auto server = sockeye::serve(loop, "tcp://127.0.0.1:0", options,
                                 [](sockeye::stream& peer, sockeye::bytes in) { peer.write(in); })
                      .value();
    const auto peers = connect_all(real, server.local_endpoint().value());
    while (server.connection_count() < connections) {
        static_cast<void>(loop.run_once().value());
    }
    const std::string_view message =
        "a message of 64 bytes, which is what the benchmark sends around.";
    std::byte answer[256];
    std::size_t echoed = 0;
    while (echoed < messages) {
        for (const auto& peer : peers) {
            static_cast<void>(real.send(peer.get(), sockeye::as_bytes(message)));
        }
        for (const auto& peer : peers) {
            auto got = real.receive(peer.get(), answer);
            while (!got) {
                static_cast<void>(loop.run_once().value());
                got = real.receive(peer.get(), answer);
            }
            ++echoed;
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    if (argc != 3) {
        std::cerr << "seam_cost echo|idle|count|virtual|direct N\n";
        return 2;
    }
    const std::string_view mode = argv[1];
    const auto times = std::strtoull(argv[2], nullptr, 10);
    empty_kernel empty;
    counting_kernel counting;
    if (mode == "echo") {
        echo(sockeye::system_kernel(), times);
    } else if (mode == "idle") {
        echo(sockeye::system_kernel(), times, std::chrono::seconds(30));
    } else if (mode == "count") {
        echo(counting, times);
        std::cout << counting.calls << '\n';
    } else if (mode == "virtual") {
        call<sockeye::kernel>(empty, times);
    } else {
        call(empty, times);
    }
}
