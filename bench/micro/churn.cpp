// What a connection costs a server that accepts it, echoes 64 bytes once and closes: its CPU, ours
// beside the loop written by hand (peer-epoll-loop), turn by turn with the same clients. Ours has
// an idle deadline for each connection, as a public server should. All share one CPU, so that
// nothing is measured of idling and waking.
//
//   micro_churn [ROUNDS=21] [CONNECTIONS=4000]

#include <sockeye/sockeye.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <iomanip>
#include <iostream>
#include <string>
#include <vector>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

constexpr std::size_t at_once = 32;
constexpr std::size_t message_size = 64;

[[noreturn]] void fail(const char* what) {
    std::cerr << "micro_churn: " << what << ": " << std::strerror(errno) << '\n';
    std::exit(1);
}

void share_one_cpu() {
    cpu_set_t allowed;
    if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
        fail("sched_getaffinity");
    }
    int last = CPU_SETSIZE - 1;
    while (!CPU_ISSET(last, &allowed)) {
        --last;
    }
    CPU_ZERO(&allowed);
    CPU_SET(last, &allowed);
    if (::sched_setaffinity(0, sizeof allowed, &allowed) != 0) {
        fail("sched_setaffinity");
    }
}

/// A server in a process of its own, which says `ready tcp://...` on its standard output.
class child {
public:
    explicit child(void (*run)()) {
        std::array<int, 2> talk = {};
        std::array<int, 2> hear = {};
        if (::pipe(talk.data()) != 0 || ::pipe(hear.data()) != 0 || (pid_ = ::fork()) < 0) {
            fail("fork");
        }
        if (pid_ == 0) {
            ::prctl(PR_SET_PDEATHSIG, SIGKILL);
            ::dup2(hear[0], STDIN_FILENO); // at whose end the loop written by hand ends
            ::dup2(talk[1], STDOUT_FILENO);
            run();
            ::_exit(1);
        }
        ::close(hear[0]);
        ::close(talk[1]);
        std::string said;
        for (char one = 0; ::read(talk[0], &one, 1) == 1 && one != '\n';) {
            said += one;
        }
        if (!said.starts_with("ready ")) {
            fail("a server did not start");
        }
        where_ = sockeye::endpoint::parse(said.substr(6)).value();
        if (::clock_getcpuclockid(pid_, &clock_) != 0) {
            fail("clock_getcpuclockid");
        }
    }
    child(const child&) = delete;
    child& operator=(const child&) = delete;
    ~child() {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }

    [[nodiscard]] const sockeye::endpoint& where() const noexcept { return where_; }
    [[nodiscard]] double cpu_us() const {
        timespec used = {};
        if (::clock_gettime(clock_, &used) != 0) {
            fail("clock_gettime");
        }
        return static_cast<double>(used.tv_sec) * 1e6 + static_cast<double>(used.tv_nsec) * 1e-3;
    }

private:
    pid_t pid_ = -1;
    clockid_t clock_ = 0;
    sockeye::endpoint where_;
};

void run_sockeye() {
    sockeye::loop loop;
    auto server =
        sockeye::serve(loop, "tcp://127.0.0.1:0", {.limits = {.idle = std::chrono::minutes(1)}},
                       [](sockeye::stream& link, sockeye::bytes in) { link.write(in); })
            .value();
    std::cout << "ready " << server.local_endpoint().value().to_string() << std::endl;
    static_cast<void>(loop.run());
}

void run_by_hand() {
    ::execl(SOCKEYE_PEER, SOCKEYE_PEER, "tcp", nullptr);
    fail(SOCKEYE_PEER);
}

int connect_to(const sockeye::endpoint& server) {
    const int fd = ::socket(server.family(), SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ::connect(fd, server.data(), server.size()) != 0) {
        fail("connect");
    }
    return fd;
}

/// Many connect, say one message each, hear it again and leave; then the next.
void visit(const sockeye::endpoint& server, std::size_t connections) {
    std::array<char, message_size> message = {};
    for (std::size_t done = 0; done < connections; done += at_once) {
        std::array<int, at_once> fds = {};
        for (int& fd : fds) {
            fd = connect_to(server);
            static_cast<void>(::send(fd, message.data(), message.size(), MSG_NOSIGNAL));
        }
        for (const int fd : fds) {
            if (::recv(fd, message.data(), message.size(), MSG_WAITALL) !=
                static_cast<ssize_t>(message.size())) {
                fail("recv");
            }
            ::shutdown(fd, SHUT_WR);
        }
        for (const int fd : fds) {
            if (::recv(fd, message.data(), 1, 0) != 0) {
                fail("the end");
            }
            ::close(fd);
        }
    }
}

double cost_of(const child& server, std::size_t connections) {
    const auto before = server.cpu_us();
    visit(server.where(), connections);
    return (server.cpu_us() - before) / static_cast<double>(connections);
}

double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values[values.size() / 2];
}

} // namespace

int main(int count, char** words) {
    const int rounds = count > 1 ? std::atoi(words[1]) : 21;
    const int connections = count > 2 ? std::atoi(words[2]) : 4000;
    if (rounds < 1 || connections < 1) {
        std::cerr << "usage: micro_churn [ROUNDS] [CONNECTIONS]\n";
        return 2;
    }
    share_one_cpu();
    const child ours(run_sockeye);
    const child by_hand(run_by_hand);
    const auto some = static_cast<std::size_t>(connections);
    static_cast<void>(cost_of(ours, some));
    static_cast<void>(cost_of(by_hand, some));
    std::array<std::vector<double>, 3> found;
    for (int round = 0; round < rounds; ++round) {
        const bool ours_first = round % 2 == 0;
        const auto first = cost_of(ours_first ? ours : by_hand, some);
        const auto second = cost_of(ours_first ? by_hand : ours, some);
        found[0].push_back(ours_first ? first : second);
        found[1].push_back(ours_first ? second : first);
        found[2].push_back(found[0].back() / found[1].back());
    }
    std::cout << std::fixed << std::setprecision(2)
              << "accept, echo 64 B, close: one core, median of " << rounds << " rounds of "
              << connections << " connections\n"
              << "by hand:  " << median(found[1]) << " us of CPU for each connection\n"
              << "sockeye:  " << median(found[0]) << " us of CPU for each connection\n"
              << std::setprecision(3) << "ratio:    " << median(found[2]) << '\n';
    return 0;
}
