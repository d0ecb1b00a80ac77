// What segmentation offload saves a datagram server: CPU for each datagram that it echoes, with
// datagram_options::offload and without, to the same clients. These are 64 in one process of
// system calls alone; each sends 16 datagrams as one that the system cuts, and the next when all
// came back. Both processes share one CPU, so that nothing is measured of idling and waking.
//
//   offload [ROUNDS=7] [SECONDS=0.5] [SIZE=64]

#include <sockeye/sockeye.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <vector>

#include <netinet/in.h>
#include <netinet/udp.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr std::size_t peers = 64;
constexpr std::size_t in_flight = 16;
constexpr std::size_t size_max = 4000;

struct settings {
    int rounds = 7;
    double seconds = 0.5;
    std::size_t size = 64;
};

[[noreturn]] void fail(const char* what) {
    std::cerr << "offload: " << what << ": " << std::strerror(errno) << '\n';
    std::exit(1);
}

void share_one_cpu() {
    cpu_set_t allowed;
    CPU_ZERO(&allowed);
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        fail("sched_getaffinity");
    }
    for (int cpu = CPU_SETSIZE - 1; cpu >= 0; --cpu) {
        if (CPU_ISSET(cpu, &allowed)) {
            CPU_ZERO(&allowed);
            CPU_SET(cpu, &allowed);
            break;
        }
    }
    if (::sched_setaffinity(0, sizeof allowed, &allowed) != 0) {
        fail("sched_setaffinity");
    }
}

/// Clients that never end; whoever made them kills them.
class clients {
public:
    clients(const sockeye::endpoint& server, std::size_t size)
        : size_(size), poller_(::epoll_create1(EPOLL_CLOEXEC)) {
        for (std::size_t i = 0; i < peers; ++i) {
            auto& one = all_[i];
            one.fd = ::socket(server.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
            const int on = 1;
            const int segment = static_cast<int>(size);
            epoll_event wanted = {};
            wanted.events = EPOLLIN;
            wanted.data.u64 = i;
            if (one.fd < 0 || ::connect(one.fd, server.data(), server.size()) != 0 ||
                ::setsockopt(one.fd, IPPROTO_UDP, UDP_GRO, &on, sizeof on) != 0 ||
                ::setsockopt(one.fd, IPPROTO_UDP, UDP_SEGMENT, &segment, sizeof segment) != 0 ||
                ::epoll_ctl(poller_, EPOLL_CTL_ADD, one.fd, &wanted) != 0) {
                fail("client");
            }
        }
    }

    [[noreturn]] void run() {
        std::array<epoll_event, peers> ready;
        for (;;) {
            const int count = ::epoll_wait(poller_, ready.data(), peers, 20);
            for (int i = 0; i < count; ++i) {
                hear(all_[ready[static_cast<std::size_t>(i)].data.u64]);
            }
            if (count == 0) { // the first time, or some were lost
                std::ranges::for_each(all_, [this](client& one) { say(one); });
            }
        }
    }

private:
    struct client {
        int fd = -1;
        std::size_t heard = 0;
    };

    void say(client& one) {
        one.heard = 0;
        static_cast<void>(::send(one.fd, room_.data(), size_ * in_flight, 0));
    }
    void hear(client& one) {
        const auto got = ::recv(one.fd, room_.data(), room_.size(), 0);
        one.heard += got > 0 ? static_cast<std::size_t>(got) / size_ : 0;
        if (one.heard >= in_flight) {
            say(one);
        }
    }

    std::size_t size_;
    int poller_;
    std::array<client, peers> all_;
    std::array<char, 65536> room_ = {};
};

pid_t start_clients(const sockeye::endpoint& server, std::size_t size) {
    const auto parent = ::getpid();
    const auto child = ::fork();
    if (child < 0) {
        fail("fork");
    }
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (::getppid() != parent) {
            ::_exit(1);
        }
        clients(server, size).run();
    }
    return child;
}

double cpu_seconds() {
    rusage used = {};
    ::getrusage(RUSAGE_SELF, &used);
    const auto seconds = [](const timeval& of) {
        return static_cast<double>(of.tv_sec) + static_cast<double>(of.tv_usec) * 1e-6;
    };
    return seconds(used.ru_utime) + seconds(used.ru_stime);
}

/// Datagrams for each second of CPU that the server used.
double measure(const settings& wanted, bool offload) {
    sockeye::loop loop;
    const sockeye::datagram_options options = {.receive_buffer = 4 << 20, .offload = offload};
    auto server = sockeye::serve(loop, "udp://127.0.0.1:0", options,
                                 [](sockeye::datagram_socket& s,
                                    std::span<const sockeye::datagram> in) { s.send(in); })
                      .value();
    const auto child = start_clients(server.local_endpoint().value(), wanted.size);
    const auto run_for = [&](double seconds) {
        const auto end = sockeye::clock::now() + std::chrono::duration<double>(seconds);
        while (sockeye::clock::now() < end) {
            static_cast<void>(loop.run_once(std::chrono::milliseconds(10)));
        }
    };
    run_for(0.1);
    const auto before = loop.counters().datagrams_read;
    const auto used = cpu_seconds();
    run_for(wanted.seconds);
    const auto spent = cpu_seconds() - used;
    const auto answered = static_cast<double>(loop.counters().datagrams_read - before);
    ::kill(child, SIGKILL);
    ::waitpid(child, nullptr, 0);
    return answered / spent;
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

int main(int count, char** words) {
    settings wanted;
    wanted.rounds = count > 1 ? std::atoi(words[1]) : wanted.rounds;
    wanted.seconds = count > 2 ? std::atof(words[2]) : wanted.seconds;
    wanted.size = count > 3 ? static_cast<std::size_t>(std::atoi(words[3])) : wanted.size;
    if (wanted.rounds < 1 || wanted.seconds <= 0 || wanted.size < 1 || wanted.size > size_max) {
        std::cerr << "usage: offload [ROUNDS] [SECONDS] [SIZE, at most " << size_max << "]\n";
        return 2;
    }
    share_one_cpu();
    std::array<std::vector<double>, 2> found;
    for (int round = 0; round < wanted.rounds; ++round) {
        for (const bool offload : {false, true}) {
            found[offload ? 1 : 0].push_back(measure(wanted, offload));
        }
    }
    const auto plain = median(found[0]);
    const auto cut = median(found[1]);
    std::cout << wanted.size << " B, " << peers << " peers x " << in_flight
              << ", one core, median of " << wanted.rounds << " rounds\n"
              << "without offload: " << 1e9 / plain << " ns of CPU for each datagram\n"
              << "with offload:    " << 1e9 / cut << " ns of CPU for each datagram\n"
              << "that is " << cut / plain << " times as many for each second of CPU\n";
    return 0;
}
