#include "support/fault_rows.hpp"
#include "support/handlers.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <optional>
#include <vector>

#include <doctest/doctest.h>

// Rows of the fault matrix: set-up, accept and connect.

using support::echo;
using support::ignore_datagrams;

namespace {

using namespace std::chrono_literals;
using support::conversation;
using support::failing;
using support::fault_row;
using support::faulty_loop;
using support::ground;
using support::no_limit;
using support::on_every_faulty_loop;
using support::on_every_real_loop;
using support::script;
using support::seam_call;

constexpr const char* tcp = "tcp://127.0.0.1:0";
constexpr const char* udp = "udp://127.0.0.1:0";

const support::exemption
    no_fallback_for_flags({fault_row(5)},
                          "the sockets of each system are made in the one way that it has");
const support::exemption no_io_uring({fault_row(20), fault_row(21), fault_row(94), fault_row(118),
                                      fault_row(119), fault_row(120), fault_row(121)},
                                     "there is no io_uring backend");
const support::exemption no_limits_touched({fault_row(22), fault_row(25)},
                                           "the library neither sets limits nor forks");
const support::exemption inside_getaddrinfo({fault_row(130), fault_row(132)},
                                            "what getaddrinfo allocates and lists is its own");
const support::exemption accepts_in_one_way({fault_row(36)},
                                            "accept4 is there wherever it is called");

/// A listening socket of the ground, which nobody accepts from.
struct silent_listener {
    silent_listener(ground& on, const std::string& local, int backlog)
        : where(sockeye::endpoint::parse(local).value()),
          fd(on.system().socket(where.kind(), where.family()).value()) {
        REQUIRE_FALSE(on.system().bind(fd.get(), where));
        if (backlog >= 0) {
            REQUIRE_FALSE(on.system().listen(fd.get(), backlog));
        }
        where = on.system().local_endpoint(fd.get(), where.kind()).value();
    }
    sockeye::endpoint where;
    sockeye::owned_fd fd;
};

/// A ground whose sockets find that they are connected to themselves.
class mirror_ground final : public ground {
public:
    explicit mirror_ground(ground& on) : on_(on), system_(on.system()) {}

    const sockeye::backend_entry& entry() const noexcept override { return on_.entry(); }
    bool is_simulated() const noexcept override { return on_.is_simulated(); }
    sockeye::kernel& system() noexcept override { return system_; }
    std::unique_ptr<sockeye::backend> make_backend() override { return on_.make_backend(); }
    std::size_t descriptors() override { return on_.descriptors(); }
    std::size_t room() override { return on_.room(); }
    void raise(int signal) override { on_.raise(signal); }
    std::string path(std::string_view name) override { return on_.path(name); }

private:
    class mirror final : public support::forwarding_kernel {
    public:
        using forwarding_kernel::forwarding_kernel;
        sockeye::result<sockeye::endpoint> local_endpoint(int fd,
                                                          sockeye::transport kind) override {
            return peer_endpoint(fd, kind);
        }
    };

    ground& on_;
    mirror system_;
};

/// What each way of making a socket says.
void check_all_refused(faulty_loop& at, std::errc error) {
    CAPTURE(make_error_code(error).message());
    CHECK(sockeye::serve(at.loop, tcp, echo).error() == error);
    CHECK(sockeye::listener::open(at.loop, tcp, {}, [](sockeye::stream) {}).error() == error);
    CHECK(sockeye::datagram_socket::open(at.loop, udp, {}, ignore_datagrams).error() == error);
}

} // namespace

TEST_CASE("[F1] [F2] [F3] [F4] faults: a socket that cannot be made is an error and no object") {
    on_every_faulty_loop({1, 2, 3, 4}, [](faulty_loop& at, ground&) {
        for (const auto error :
             {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
              std::errc::no_buffer_space, std::errc::not_enough_memory,
              std::errc::address_family_not_supported, std::errc::operation_not_permitted,
              std::errc::permission_denied}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::socket, error, 1, no_limit));
            check_all_refused(at, error);
            CHECK(sockeye::datagram_socket::connect(at.loop, "udp://127.0.0.1:1", {},
                                                    ignore_datagrams)
                      .error() == error);
            CHECK(support::failure_of_connect(at, "tcp://127.0.0.1:1") == error);
        }
    });
}

TEST_CASE("[F6] faults: an option that is only better is ignored, one asked for is an error") {
    on_every_faulty_loop({6}, [](faulty_loop& at, ground& on) {
        for (const auto error : {std::errc::no_protocol_option, std::errc::invalid_argument,
                                 std::errc::operation_not_supported, std::errc::connection_reset}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::set_option, error, 1, no_limit));
            conversation talk(at, on);
            CHECK(talk.hears("served all the same"));
            script told;
            auto client = sockeye::connect<support::hooked>(
                at.loop, talk.server.local_endpoint().value(), {}, std::ref(told));
            CHECK(at.until([&] { return told.count("open") == 1; }));
            CHECK(sockeye::serve(at.loop, tcp, {.reuse_port = true}, echo).error() == error);
            CHECK(sockeye::datagram_socket::open(at.loop, udp, {.receive_buffer = 4096},
                                                 ignore_datagrams)
                      .error() == error);
        }
    });
}

TEST_CASE("[F7] [F8] [F9] [F10] [F11] [F13] faults: what bind and listen say is said") {
    on_every_faulty_loop({7, 8, 9, 10, 11, 13}, [](faulty_loop& at, ground& on) {
        for (const auto error : {std::errc::address_in_use, std::errc::address_not_available,
                                 std::errc::permission_denied, std::errc::no_such_file_or_directory,
                                 std::errc::not_a_directory, std::errc::read_only_file_system,
                                 std::errc::too_many_symbolic_link_levels}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::bind, error, 1, no_limit));
            check_all_refused(at, error);
        }
        at.system.plan.clear();
        at.inject(failing(seam_call::listen, std::errc::address_in_use));
        const auto path = on.path("socket");
        CHECK(sockeye::serve(at.loop, "unix:" + path, echo).error() == std::errc::address_in_use);
        // The file that bind had made is gone again: the next one can have the path.
        auto server = sockeye::serve(at.loop, "unix:" + path, echo).value();
        CHECK(sockeye::serve(at.loop, "unix:" + path, echo).error() == std::errc::address_in_use);
        auto second = sockeye::serve(at.loop, tcp, echo).value();
        CHECK(sockeye::serve(at.loop, second.local_endpoint().value(), echo).error() ==
              std::errc::address_in_use);
        CHECK(sockeye::serve(at.loop, "unix:" + std::string(200, 'x'), echo).error() ==
              sockeye::errc::endpoint_path_too_long);
    });
}

TEST_CASE("[F12] faults: the file of a dead server is kept, and in the way") {
    on_every_faulty_loop({12}, [](faulty_loop& at, ground& on) {
        const auto path = on.path("stale");
        { const silent_listener dead(on, "unix:" + path, -1); }
        const auto before = on.system().identify(path);
        REQUIRE(before);
        CHECK(sockeye::serve(at.loop, "unix:" + path, echo).error() == std::errc::address_in_use);
        const auto after = on.system().identify(path);
        REQUIRE(after);
        CHECK(*after == *before);
    });
}

TEST_CASE("[F14] faults: a name that cannot be asked for is an error and no address") {
    on_every_faulty_loop({14}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        for (const auto error : {std::errc::no_buffer_space, std::errc::connection_reset}) {
            at.inject(failing(seam_call::local_endpoint, error, 1, 2));
            CHECK(talk.server.local_endpoint().error() == error);
            CHECK(talk.link().local_endpoint().error() == error);
            at.system.plan.clear();
            at.inject(failing(seam_call::peer_endpoint, error));
            CHECK(talk.link().peer_endpoint().error() == error);
        }
        CHECK(talk.link().local_endpoint());
        CHECK(talk.hears("still there"));
    });
}

TEST_CASE("[F15] faults: a descriptor that cannot be made non-blocking is not used") {
    on_every_real_loop({15}, [](faulty_loop& at, ground& on) {
        auto pair = support::make_stream_pair(on.system(), sockeye::transport::tcp);
        const auto registrations = at.loop.counters().registrations;
        at.inject(failing(seam_call::prepare, std::errc::invalid_argument));
        CHECK(sockeye::adopt(at.loop, sockeye::unique_fd(pair.first.release())).error() ==
              std::errc::invalid_argument);
        CHECK(at.loop.counters().registrations == registrations);
        at.inject(failing(seam_call::transport_of, std::errc::not_a_socket));
        CHECK(sockeye::adopt(at.loop, sockeye::unique_fd(pair.second.release())).error() ==
              std::errc::not_a_socket);
    });
}

TEST_CASE("[F16] [F17] faults: a loop that cannot be made leaves nothing behind") {
    support::on_every_ground({fault_row(16), fault_row(17)}, [](ground& on, support::rows&) {
        const auto open = on.descriptors();
        for (const auto error :
             {std::errc::too_many_files_open, std::errc::too_many_files_open_in_system,
              std::errc::no_such_device, std::errc::not_enough_memory}) {
            for (const auto where : {seam_call::make_wake_channel, seam_call::add}) {
                try {
                    const faulty_loop none(on, {}, {failing(where, error)});
                    FAIL_CHECK("a loop was made");
                } catch (const std::system_error& refused) {
                    CHECK(refused.code() == error);
                }
                CHECK(on.descriptors() == open);
            }
        }
        faulty_loop after(on);
        after.settle();
    });
}

TEST_CASE("[F1] [F16] [F17] faults: with no descriptor left, nothing is made and nothing lost") {
    on_every_real_loop({1, 16, 17}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        const auto open = on.descriptors();
        {
            const support::descriptors_used_up none;
            check_all_refused(at, std::errc::too_many_files_open);
            CHECK(support::failure_of_connect(at, "tcp://127.0.0.1:1") ==
                  std::errc::too_many_files_open);
            CHECK(sockeye::loop::open({.backend = on.entry().kind}).error() ==
                  std::errc::too_many_files_open);
        }
        CHECK(on.descriptors() == open);
        CHECK(sockeye::loop::open({.backend = on.entry().kind}));
        CHECK(talk.hears("undisturbed"));
    });
}

TEST_CASE("[F19] faults: a signal that cannot be watched leaves none watched") {
    on_every_real_loop({19}, [](faulty_loop& at, ground&) {
        at.inject(failing(seam_call::add_signal, std::errc::invalid_argument, 2));
        CHECK(sockeye::signal_set::open(at.loop, {SIGUSR1, SIGUSR2}, [](int) {}).error() ==
              std::errc::invalid_argument);
        CHECK(at.system.plan.count(seam_call::remove_signal) == 1);
        CHECK(sockeye::signal_set::open(at.loop, {9999}, [](int) {}).error() ==
              std::errc::invalid_argument);
        CHECK_FALSE(at.loop.run());
    });
}

TEST_CASE("[F24] faults: a loop in a forked child says so") {
    on_every_real_loop({24}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        CHECK(support::run_in_child([&] {
                  const bool is_told = at.loop.run() == sockeye::errc::loop_forked &&
                                       at.loop.run_once().error() == sockeye::errc::loop_forked;
                  return is_told ? 0 : 1;
              }) == 0);
        CHECK(talk.hears("the parent goes on"));
    });
}

TEST_CASE("[F26] [F28] [F29] [F32] faults: accept goes on to the next one") {
    on_every_faulty_loop({26, 28, 29, 32}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        const std::error_code host_down(EHOSTDOWN, std::system_category());
        std::vector<std::error_code> all = {host_down};
        for (const auto one :
             {std::errc::connection_aborted, std::errc::protocol_error, std::errc::network_down,
              std::errc::no_protocol_option, std::errc::host_unreachable,
              std::errc::operation_not_supported, std::errc::network_unreachable,
              std::errc::operation_not_permitted, std::errc::operation_would_block}) {
            all.push_back(make_error_code(one));
        }
        for (const auto error : all) {
            CAPTURE(error.message());
            const auto before = at.loop.counters();
            const int made = talk.told.made;
            at.system.plan.clear();
            at.inject(failing(seam_call::accept, error));
            support::kernel_peer next(on.system(), talk.server.local_endpoint().value());
            CHECK(at.until([&] { return talk.told.made == made + 1; }));
            const auto counted = error == std::errc::operation_would_block ? 0u : 1u;
            CHECK(at.loop.counters().accept_errors - before.accept_errors == counted);
            CHECK(talk.server.is_listening());
        }
        CHECK(talk.hears("undisturbed"));
    });
}

TEST_CASE("[F30] [F31] [F37] [F99] faults: out of descriptors a server sheds, waits, comes back") {
    on_every_faulty_loop({30, 31, 37, 99}, [](faulty_loop& at, ground& on) {
        const std::pair<seam_call, std::error_code> shortages[] = {
            {seam_call::accept, make_error_code(std::errc::too_many_files_open)},
            {seam_call::accept, make_error_code(std::errc::too_many_files_open_in_system)},
            {seam_call::accept, make_error_code(std::errc::not_enough_memory)},
            {seam_call::accept, make_error_code(std::errc::no_buffer_space)},
            {seam_call::add, make_error_code(sockeye::errc::too_many_descriptors)},
            {seam_call::add, make_error_code(std::errc::no_space_on_device)},
            {seam_call::add, make_error_code(std::errc::not_enough_memory)}};
        conversation talk(at, on);
        const auto where = talk.server.local_endpoint().value();
        for (const auto& shortage : shortages) {
            CAPTURE(shortage.second.message());
            at.system.plan.clear();
            at.inject(failing(shortage.first, shortage.second));
            support::kernel_peer refused(on.system(), where);
            CHECK(at.until([&] {
                refused.pump();
                return refused.is_over();
            }));
            // It waits for its timer and does not ask again and again.
            const auto accepts = at.system.plan.count(seam_call::accept);
            const int made = talk.told.made;
            support::kernel_peer next(on.system(), where);
            at.settle();
            CHECK(at.system.plan.count(seam_call::accept) == accepts);
            CHECK(talk.hears("undisturbed"));
            CHECK(at.until([&] { return talk.told.made == made + 1; }));
        }
        CHECK(at.loop.counters().shed == 4);
    });
}

TEST_CASE("[F30] faults: out of descriptors for real, each newcomer is shed, until one is free") {
    on_every_real_loop({30}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        support::kernel_peer first(on.system(), talk.server.local_endpoint().value());
        std::optional<support::kernel_peer> second(std::in_place, on.system(),
                                                   talk.server.local_endpoint().value());
        {
            const support::descriptors_used_up none;
            const auto start = at.system.now();
            CHECK(at.until([&] { return at.loop.counters().shed == 2; }));
            CHECK(at.system.now() - start < 1s);
            CHECK(talk.hears("undisturbed"));
        }
        CHECK(talk.told.made == 1);
        const support::kernel_peer next(on.system(), talk.server.local_endpoint().value());
        CHECK(at.until([&] { return talk.told.made == 2; }));
    });
}

TEST_CASE("[F30] faults: while descriptors are short a server asks later and later") {
    on_every_faulty_loop({30}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(failing(seam_call::accept, std::errc::too_many_files_open, 1, no_limit));
        const support::kernel_peer waiting(on.system(), talk.server.local_endpoint().value());
        const auto start = at.system.now();
        const auto waits = at.system.plan.count(seam_call::wait);
        REQUIRE(at.until([&] { return at.system.now() - start > 10s; }));
        // 10, 20, ... 640 ms, and then one each second; each try asks twice, to shed one.
        CHECK(at.system.plan.count(seam_call::accept) < 50);
        CHECK(at.system.plan.count(seam_call::wait) - waits < 100);
        at.system.plan.clear();
        CHECK(at.until([&] { return talk.told.made == 2; }));
    });
}

TEST_CASE("[F30] faults: a descriptor that becomes free ends the waiting at once") {
    on_every_faulty_loop({30}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(failing(seam_call::accept, std::errc::too_many_files_open, 1, 2));
        const support::kernel_peer waiting(on.system(), talk.server.local_endpoint().value());
        REQUIRE(at.until([&] { return at.loop.counters().accept_errors == 1; }));
        talk.link().close();
        const auto start = at.system.now();
        CHECK(at.until([&] { return talk.told.made == 2; }));
        CHECK(at.system.now() - start < 10ms);
    });
}

TEST_CASE("[F33] faults: a listener that was shut down stops") {
    on_every_faulty_loop({33}, [](faulty_loop& at, ground& on) {
        for (const auto error : {std::errc::invalid_argument, std::errc::bad_file_descriptor}) {
            conversation talk(at, on);
            at.inject(failing(seam_call::accept, error));
            support::kernel_peer next(on.system(), talk.server.local_endpoint().value());
            CHECK(at.until([&] { return !talk.server.is_listening(); }));
            CHECK(talk.hears("those who are there stay"));
            const auto waits = at.system.plan.count(seam_call::wait);
            at.settle();
            CHECK(at.system.plan.count(seam_call::wait) - waits == 5);
        }
    });
}

TEST_CASE("[F33] faults: a listener that is told for nothing, for ever, does not spin") {
    on_every_faulty_loop({33}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(failing(seam_call::accept, std::errc::operation_would_block, 1, no_limit));
        support::kernel_peer next(on.system(), talk.server.local_endpoint().value());
        const auto start = at.system.now();
        REQUIRE(at.until([&] { return at.system.now() - start > 10s; }));
        CHECK(at.system.plan.count(seam_call::accept) < 100);
        CHECK(talk.hears("undisturbed"));
        at.system.plan.clear();
        CHECK(at.until([&] { return talk.told.made == 2; }));
        CHECK(at.system.now() - start < 12s);
    });
}

TEST_CASE("[F33] faults: a Unix listener that somebody shut down does not spin") {
    on_every_real_loop({33}, [](faulty_loop& at, ground& on) {
        const auto local = "unix:" + on.path("server");
        const auto open = at.system.open();
        auto server = sockeye::serve(at.loop, local, echo).value();
        for (const int fd : at.system.open()) {
            if (std::ranges::find(open, fd) == open.end()) {
                ::shutdown(fd, SHUT_RDWR);
            }
        }
        const auto start = at.system.now();
        REQUIRE(at.until([&] { return at.system.now() - start > 10s; }));
        CHECK(at.system.plan.count(seam_call::accept) < 100);
        // The hint of a hang-up says more than would-block, where there is one.
        CHECK(server.is_listening() != on.entry().features.early_close);
    });
}

TEST_CASE("[F34] faults: who connects and resets at once opens and closes once") {
    on_every_faulty_loop({34}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        support::kernel_peer(on.system(), talk.server.local_endpoint().value()).reset();
        at.settle();
        CHECK(talk.told.closes == talk.told.made - 1);
        at.inject(failing(seam_call::peer_endpoint, std::errc::not_connected));
        CHECK(talk.link().peer_endpoint().error() == std::errc::not_connected);
        CHECK(talk.hears("undisturbed"));
    });
}

TEST_CASE("[F35] faults: a peer without a name has no name") {
    on_every_faulty_loop({35}, [](faulty_loop& at, ground& on) {
        const auto local = "unix:" + on.path("named");
        conversation talk(at, on, {}, local.c_str());
        const auto peer = talk.link().peer_endpoint();
        REQUIRE(peer);
        CHECK(peer->path().empty());
        CHECK(talk.hears("hello"));
    });
}

TEST_CASE("[F38] faults: a burst of newcomers is accepted in budgets") {
    on_every_faulty_loop({38}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        std::vector<support::kernel_peer> burst;
        for (int i = 0; i < 200; ++i) {
            burst.emplace_back(on.system(), talk.server.local_endpoint().value());
        }
        int most = 0;
        CHECK(at.until([&] {
            const int before = talk.told.made;
            talk.peer.say("x");
            talk.peer.pump();
            static_cast<void>(at.loop.run_once(1ms));
            most = std::max(most, talk.told.made - before);
            return talk.told.made == 201;
        }));
        CHECK(most <= 64);
        CHECK_FALSE(talk.told.data.empty());
    });
}

TEST_CASE("[F39] [F135] faults: a stream that its handler does not take, or throws at, is closed") {
    on_every_faulty_loop({39, 135}, [](faulty_loop& at, ground& on) {
        int accepted = 0;
        auto listener = sockeye::listener::open(at.loop, tcp, {}, [&](const sockeye::stream&) {
                            if (++accepted == 2) {
                                throw std::runtime_error("no");
                            }
                        }).value();
        support::kernel_peer first(on.system(), listener.local_endpoint().value());
        CHECK(at.until([&] {
            first.pump();
            return first.is_over();
        }));
        support::kernel_peer second(on.system(), listener.local_endpoint().value());
        std::string thrown;
        CHECK(at.until([&] {
            try {
                at.turn();
            } catch (const std::runtime_error& error) {
                thrown = error.what();
            }
            second.pump();
            return second.is_over();
        }));
        CHECK(thrown == "no");
        CHECK(accepted == 2);
    });
}

TEST_CASE("[F40] [F41] [F42] faults: a connect that is done, under way or interrupted comes up") {
    on_every_faulty_loop({40, 41, 42}, [](faulty_loop& at, ground& on) {
        const auto path = "unix:" + on.path("server");
        for (const auto* const local : {tcp, path.c_str()}) {
            for (const bool is_interrupted : {false, true}) {
                conversation talk(at, on, {}, local);
                at.system.plan.clear();
                if (is_interrupted) {
                    at.inject(failing(seam_call::connect, std::errc::operation_in_progress));
                }
                const auto connects = at.system.plan.count(seam_call::connect);
                script told;
                auto client = sockeye::connect<support::hooked>(
                    at.loop, talk.server.local_endpoint().value(), {}, std::ref(told));
                CHECK(told.heard.empty());
                CHECK(at.until([&] { return told.count("open") == 1; }));
                CHECK(at.system.plan.count(seam_call::connect) == connects + 1);
            }
        }
    });
}

TEST_CASE("[F43] faults: a full backlog is tried again by timer, and its deadline says so") {
    on_every_faulty_loop({43}, [](faulty_loop& at, ground& on) {
        silent_listener full(on, "unix:" + on.path("full"), 0);
        std::vector<support::kernel_peer> waiting;
        CHECK_THROWS_AS(
            for (;;) { waiting.emplace_back(on.system(), full.where); }, std::system_error);
        const auto start = at.system.now();
        const auto waits = at.system.plan.count(seam_call::wait);
        CHECK(support::failure_of_connect(at, full.where, {.deadline = 5s}) ==
              std::errc::operation_would_block);
        CHECK(at.system.now() - start >= 5s);
        // 1, 2, ... 64 ms, and then every 100 ms.
        CHECK(at.system.plan.count(seam_call::connect) < 60);
        CHECK(at.system.plan.count(seam_call::wait) - waits < 150);

        script told;
        auto client = sockeye::connect<support::hooked>(at.loop, full.where, {}, std::ref(told));
        client.write("early");
        at.settle();
        CHECK(client.is_connecting());
        sockeye::endpoint peer;
        std::vector<sockeye::owned_fd> taken;
        CHECK(at.until([&] {
            if (auto next = on.system().accept(full.fd.get(), full.where.kind(), peer)) {
                taken.push_back(std::move(next.value()));
            }
            return told.count("open") == 1;
        }));
    });
}

TEST_CASE("[F44] [F45] [F46] [F48] [F49] [F52] faults: what connect says at once, is said once") {
    on_every_faulty_loop({44, 45, 46, 48, 49, 52}, [](faulty_loop& at, ground& on) {
        const silent_listener there(on, tcp, 5);
        for (const auto error :
             {std::errc::address_not_available, std::errc::operation_would_block,
              std::errc::connection_refused, std::errc::network_unreachable,
              std::errc::host_unreachable, std::errc::network_down, std::errc::permission_denied,
              std::errc::operation_not_permitted, std::errc::connection_reset,
              std::errc::protocol_error, std::errc::already_connected,
              std::errc::connection_already_in_progress, std::errc::address_family_not_supported}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::connect, error));
            CHECK(support::failure_of_connect(at, there.where) == error);
        }
        CHECK(support::failure_of_connect(at, "nonsense://") ==
              sockeye::errc::endpoint_scheme_unknown);
        CHECK(support::failure_of_connect(at, udp) == sockeye::errc::service_mismatch);
        CHECK(at.system.plan.count(seam_call::connect) == 13);
        const silent_listener closed(on, tcp, -1);
        CHECK(support::failure_of_connect(at, closed.where) == std::errc::connection_refused);
    });
}

TEST_CASE("[F45] [F46] [F47] [F48] [F54] faults: what connecting leads to later, is said once") {
    on_every_faulty_loop({45, 46, 47, 48, 54}, [](faulty_loop& at, ground& on) {
        const silent_listener there(on, tcp, 20);
        for (const auto error :
             {std::errc::connection_refused, std::errc::network_unreachable,
              std::errc::host_unreachable, std::errc::timed_out, std::errc::connection_reset,
              std::errc::protocol_error, std::errc::bad_file_descriptor, std::errc::not_a_socket}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::pending_error, error));
            const auto asked = at.system.plan.count(seam_call::pending_error);
            CHECK(support::failure_of_connect(at, there.where) == error);
            CHECK(at.system.plan.count(seam_call::pending_error) == asked + 1);
        }
    });
}

TEST_CASE("[F50] faults: writable before it is up, a connection waits on") {
    on_every_faulty_loop({50}, [](faulty_loop& at, ground& on) {
        const silent_listener there(on, tcp, 5);
        at.inject(failing(seam_call::peer_endpoint, std::errc::not_connected, 1, 3));
        script told;
        auto client = sockeye::connect<support::hooked>(at.loop, there.where, {}, std::ref(told));
        CHECK(at.until([&] { return told.count("open") == 1; }));
        CHECK(at.system.plan.count(seam_call::peer_endpoint) == 4);
        CHECK(told.closes == 0);
    });
}

TEST_CASE("[F51] faults: a connection to itself is none") {
    on_every_faulty_loop({51}, [](faulty_loop&, ground& on) {
        const silent_listener there(on, tcp, 5);
        mirror_ground mirror(on);
        faulty_loop at(mirror);
        CHECK(support::failure_of_connect(at, there.where) == std::errc::connection_refused);
    });
}

TEST_CASE("[F53] faults: cancelled or too late while connecting, it is closed once") {
    on_every_faulty_loop({53}, [](faulty_loop& at, ground& on) {
        // Its backlog is full: those who come now are left waiting.
        const silent_listener there(on, tcp, 0);
        std::vector<support::kernel_peer> waiting;
        for (int i = 0; i < 5; ++i) {
            waiting.emplace_back(on.system(), there.where);
        }
        at.settle();
        const auto open = on.descriptors();
        CHECK(support::failure_of_connect(at, there.where, {.deadline = 30ms}) ==
              std::errc::timed_out);
        for (const bool is_aborted : {false, true}) {
            script told;
            auto client =
                sockeye::connect<support::hooked>(at.loop, there.where, {}, std::ref(told));
            at.settle();
            is_aborted ? client.abort() : client.close();
            CHECK(at.until([&] { return told.is_closed(); }));
            at.settle();
            CHECK(told.heard == std::vector<std::string>{"close"});
            CHECK(told.info.error == std::errc::operation_canceled);
        }
        CHECK(on.descriptors() == open);
    });
}
