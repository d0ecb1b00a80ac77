#include <sockeye/process_watch.hpp>

#include "support/loops.hpp"
#include "support/support.hpp"

#include <cerrno>
#include <chrono>
#include <csignal>
#include <memory>
#include <optional>
#include <vector>

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

using namespace std::chrono_literals;
using sockeye::process_end;
using sockeye::process_watch;
using support::ground;
using support::on_every_loop;
using support::turn_until;

namespace {

const support::needs_real_system processes = {"there are no processes"};

/// A child that executes a shell with this command.
pid_t spawn(const char* command) {
    const auto child = ::fork();
    if (child == 0) {
        ::execl("/bin/sh", "sh", "-c", command, nullptr);
        ::_exit(127);
    }
    REQUIRE(child > 0);
    return child;
}

/// Whether `child` is a child of this process still, ended or not.
bool is_ours(pid_t child) {
    siginfo_t found = {};
    return ::waitid(P_PID, static_cast<id_t>(child), &found, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/// A system without descriptors of processes: what a watch does elsewhere.
class without_pidfd final : public support::forwarding_kernel {
public:
    sockeye::result<sockeye::owned_fd> watch_process(int pid) override {
        auto made = forwarding_kernel::watch_process(pid);
        return made ? make_error_code(std::errc::function_not_supported) : made.error();
    }
};

void check_ends(sockeye::loop& owner) {
    struct row {
        const char* command;
        int code;
        int signal;
    };
    for (const auto& wanted : {row{"exit 0", 0, 0}, row{"exit 7", 7, 0},
                               row{"kill -KILL $$", 0, SIGKILL}, row{"sleep 0.05; exit 3", 3, 0}}) {
        CAPTURE(wanted.command);
        const auto child = spawn(wanted.command);
        std::vector<process_end> heard;
        auto watching =
            process_watch::open(owner, child, [&](process_end end) { heard.push_back(end); });
        REQUIRE(watching);
        CHECK(watching->is_waiting());
        CHECK(heard.empty());
        CHECK_FALSE(owner.run());
        REQUIRE(heard.size() == 1);
        CHECK(heard[0].is_known);
        CHECK(heard[0].code == wanted.code);
        CHECK(heard[0].signal == wanted.signal);
        CHECK_FALSE(watching->is_waiting());
        CHECK_FALSE(is_ours(child));
    }
}

} // namespace

TEST_CASE("process_watch: tells how a child ended, once, and leaves no zombie") {
    on_every_loop(
        {}, [](ground&, sockeye::loop& owner) { check_ends(owner); }, processes);
}

TEST_CASE("process_watch: does so by SIGCHLD, too, and brings its disposition back") {
    struct sigaction before = {};
    ::sigaction(SIGCHLD, nullptr, &before);
    without_pidfd system;
    for (const auto& entry : sockeye::backend_table()) {
        CAPTURE(entry.name);
        auto owner = support::make_loop(system, entry);
        check_ends(owner);
    }
    struct sigaction after = {};
    ::sigaction(SIGCHLD, nullptr, &after);
    const bool is_back = after.sa_handler == before.sa_handler;
    CHECK(is_back);
}

TEST_CASE("process_watch: reaps no child that is not its own") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            const auto other = spawn("exit 5");
            const auto child = spawn("sleep 0.02; exit 6");
            std::optional<process_end> heard;
            auto watching =
                process_watch::open(owner, child, [&](process_end end) { heard = end; });
            REQUIRE(watching);
            CHECK_FALSE(owner.run());
            REQUIRE(heard);
            CHECK(heard->code == 6);
            int status = 0;
            CHECK(::waitpid(other, &status, 0) == other);
            CHECK(WEXITSTATUS(status) == 5);
        },
        processes);
}

TEST_CASE("process_watch: refuses what is no child of this process") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            for (const int pid : {0, -1, 1, static_cast<int>(::getpid())}) {
                CAPTURE(pid);
                const auto watching = process_watch::open(owner, pid, [](process_end) {});
                REQUIRE_FALSE(watching);
                CHECK(watching.error() == std::errc::no_child_process);
            }
        },
        processes);
}

TEST_CASE("process_watch: says so where somebody else has taken the end of the child") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            const auto child = spawn("exit 5");
            std::optional<process_end> heard;
            auto watching =
                process_watch::open(owner, child, [&](process_end end) { heard = end; });
            REQUIRE(watching);
            CHECK(::waitpid(child, nullptr, 0) == child);
            CHECK_FALSE(owner.run());
            REQUIRE(heard);
            CHECK_FALSE(heard->is_known);
        },
        processes);
}

TEST_CASE("process_watch: destroyed, also in its own handler, it is silent and reaps nobody") {
    on_every_loop(
        {},
        [](ground&, sockeye::loop& owner) {
            const auto child = spawn("exit 0");
            const auto token = std::make_shared<int>(0);
            {
                auto dropped = process_watch::open(owner, child,
                                                   [token](process_end) { FAIL("was destroyed"); });
                REQUIRE(dropped);
            }
            CHECK(token.use_count() == 1);
            CHECK(is_ours(child));
            std::optional<process_watch> own;
            int heard = 0;
            own = process_watch::open(owner, child, [&, token](process_end) {
                      ++heard;
                      own.reset();
                      CHECK(token.use_count() == 2);
                  }).value();
            CHECK_FALSE(owner.run());
            CHECK(heard == 1);
            CHECK(token.use_count() == 1);
        },
        processes);
}

TEST_CASE("process_watch: there are no processes in a simulation") {
    support::on_every_ground({}, [](ground& on, support::rows&) {
        if (on.is_simulated()) {
            auto owner = support::make_loop(on.system(), on.make_backend(), on.entry());
            const auto watching = process_watch::open(owner, 1, [](process_end) {});
            REQUIRE_FALSE(watching);
            CHECK(watching.error() == std::errc::not_supported);
        }
    });
}
