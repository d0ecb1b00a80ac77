#include "support/fault_rows.hpp"
#include "support/misuse.hpp"
#include "support/support.hpp"

#include <sockeye/error.hpp>
#include <sockeye/timer.hpp>

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <stdexcept>
#include <vector>

#include <doctest/doctest.h>
#include <fcntl.h>

// Rows of the fault matrix: waiting, registering, closing, and the process around.

namespace {

using namespace std::chrono_literals;
using support::conversation;
using support::failing;
using support::falling_short;
using support::fault_row;
using support::faulty_loop;
using support::ground;
using support::no_limit;
using support::on_every_faulty_loop;
using support::on_every_real_loop;
using support::script;
using support::seam_call;

const support::exemption held_by_the_backends(
    {fault_row(95), fault_row(111), fault_row(112), fault_row(113)},
    "it lies inside a backend: the suite of the backends, on its own, holds them to it");
const support::exemption held_by_faults({252, 253}, "rows F83, F84 and F99 hold these");
const support::exemption no_log({fault_row(133)}, "the library writes no log");
const support::exemption
    limits_show_as_errors({fault_row(138)},
                          "a limit of the process shows as the errors of F1, F16, "
                          "F31 and F99, and not otherwise");

/// Descriptors of the ground that a watch may watch: something to read lies in the first.
support::stream_pair make_readable(ground& on) {
    auto made = support::make_stream_pair(on.system(), sockeye::transport::tcp);
    CHECK(on.system().send(made.second.get(), sockeye::as_bytes("x")));
    return made;
}

/// Tells of objects that nobody ever registered, or that are long gone.
class haunted_backend final : public support::wrapped_backend {
public:
    using wrapped_backend::wrapped_backend;

    sockeye::result<std::size_t> wait(std::span<sockeye::event> ready,
                                      std::optional<sockeye::duration> timeout) override {
        const auto count = wrapped_backend::wait(ready.first(ready.size() - 3), timeout);
        if (!count) {
            return count;
        }
        auto at = *count;
        for (const std::uint64_t key : {std::uint64_t{0}, ~std::uint64_t{0}, last_key_}) {
            ready[at++] = {.key = key, .readable = true, .writable = true, .error = true};
        }
        return at;
    }
    std::error_code remove(int fd) override {
        last_key_ = members_[fd].key;
        return wrapped_backend::remove(fd);
    }

private:
    std::uint64_t last_key_ = 0;
};

class haunted_ground final : public ground {
public:
    explicit haunted_ground(ground& on) : on_(on) {}

    const sockeye::backend_entry& entry() const noexcept override { return on_.entry(); }
    bool is_simulated() const noexcept override { return on_.is_simulated(); }
    sockeye::kernel& system() noexcept override { return on_.system(); }
    std::unique_ptr<sockeye::backend> make_backend() override {
        return std::make_unique<haunted_backend>(on_.make_backend());
    }
    std::size_t descriptors() override { return on_.descriptors(); }
    std::size_t room() override { return on_.room(); }
    void raise(int signal) override { on_.raise(signal); }
    std::string path(std::string_view name) override { return on_.path(name); }

private:
    ground& on_;
};

/// Lets time pass by a clock that nobody speeds up.
void pass(faulty_loop& at, sockeye::clock_kind which, sockeye::duration time) {
    const auto end = at.system.read_clock(which).value() + time;
    while (at.system.read_clock(which).value() < end) {
    }
}

/// Turns each millisecond of that clock until something holds.
bool turn_by_clock(faulty_loop& at, sockeye::clock_kind which, const std::function<bool()>& holds) {
    for (int turn = 0; turn < 1000 && !holds(); ++turn) {
        pass(at, which, 1ms);
        CHECK(at.loop.run_once(0s));
    }
    return holds();
}

} // namespace

TEST_CASE("[F96] faults: what cannot be removed from the backend is closed all the same") {
    on_every_faulty_loop({96}, [](faulty_loop& at, ground& on) {
        const conversation quiet(at, on);
        const auto open = on.descriptors();
        for (const auto error :
             {std::errc::no_such_file_or_directory, std::errc::bad_file_descriptor}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::remove, error, 1, no_limit));
            {
                conversation talk(at, on);
                talk.peer.close();
                CHECK(talk.until([&] { return talk.told.count("end") == 1; }));
                talk.link().close();
                CHECK(talk.until([&] { return talk.told.is_closed(); }));
            }
            CHECK(on.descriptors() == open);
        }
    });
}

TEST_CASE("[F96] [F97] [F99] faults: a stream whose interest cannot be changed is closed") {
    on_every_faulty_loop({96, 97, 99}, [](faulty_loop& at, ground& on) {
        const auto path = "unix:" + on.path("changing");
        for (const auto error :
             {std::errc::no_such_file_or_directory, std::errc::bad_file_descriptor,
              std::errc::no_space_on_device, std::errc::not_enough_memory}) {
            conversation talk(at, on, {}, path.c_str());
            at.system.plan.clear();
            at.inject(failing(seam_call::modify, error));
            talk.link().pause();
            CHECK(talk.until([&] { return talk.told.is_closed(); }));
            CHECK(talk.told.info.error == error);
            CHECK(talk.server.is_listening());
        }
    });
}

TEST_CASE("[253] [F97] [F99] faults: what cannot be watched is an error, and leaves nothing") {
    on_every_faulty_loop({97, 99, 253}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        const auto readable = make_readable(on);
        const auto slots = at.slots();
        for (const auto error : {std::errc::bad_file_descriptor, std::errc::no_space_on_device,
                                 std::errc::not_enough_memory}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::add, error, 1, no_limit));
            const auto ignore = [](sockeye::datagram_socket&, auto) {};
            CHECK(at.loop.watch(readable.first.get(), sockeye::interest::readable, [](auto) {})
                      .error() == error);
            CHECK(sockeye::serve(at.loop, "unix:" + on.path("none"), [](auto&, sockeye::bytes) {
                  }).error() == error);
            CHECK(
                sockeye::datagram_socket::open(at.loop, "udp://127.0.0.1:0", {}, ignore).error() ==
                error);
            CHECK(support::failure_of_connect(at, talk.server.local_endpoint().value()) == error);
            CHECK(at.slots() == slots);
        }
        CHECK(on.system().identify(on.path("none")).error() ==
              std::errc::no_such_file_or_directory);
        CHECK(talk.hears("undisturbed"));
    });
}

TEST_CASE("[F99] faults: a listener whose interest cannot be changed is told later") {
    on_every_faulty_loop({99}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        talk.server.pause();
        at.inject(failing(seam_call::modify, std::errc::not_enough_memory));
        at.inject(failing(seam_call::add, std::errc::not_enough_memory, 1, 2));
        const support::kernel_peer next(on.system(), talk.server.local_endpoint().value());
        talk.server.resume();
        CHECK(at.until([&] { return talk.told.made == 2; }));
        CHECK(at.system.plan.met() == 3);

        // Paused and still watched it would be ready for ever.
        at.inject(failing(seam_call::modify, std::errc::not_enough_memory));
        talk.server.pause();
        const support::kernel_peer later(on.system(), talk.server.local_endpoint().value());
        const auto start = at.system.now();
        REQUIRE(at.until([&] { return at.system.now() - start > 1s; }));
        CHECK(at.system.plan.met() == 4);
        CHECK(talk.told.made == 2);
        talk.server.resume();
        CHECK(at.until([&] { return talk.told.made == 3; }));
    });
}

TEST_CASE("[F99] faults: a datagram socket whose interest cannot be changed is told later") {
    on_every_faulty_loop({99}, [](faulty_loop& at, ground&) {
        std::size_t heard = 0;
        auto to =
            sockeye::datagram_socket::open(at.loop, "udp://127.0.0.1:0", {}, [&](auto&, auto in) {
                heard += in.size();
            }).value();
        auto from = sockeye::datagram_socket::connect(at.loop, to.local_endpoint().value(), {},
                                                      [](auto&, auto) {})
                        .value();
        at.inject(failing(seam_call::send_datagrams, std::errc::operation_would_block));
        at.inject(failing(seam_call::modify, std::errc::not_enough_memory));
        at.inject(failing(seam_call::add, std::errc::not_enough_memory, 1, 2));
        CHECK(from.send(sockeye::as_bytes("late")));
        CHECK(at.until([&] { return heard == 1; }));
        CHECK(from.queued_bytes() == 0);
        at.system.plan.clear();
        at.inject(failing(seam_call::modify, std::errc::not_enough_memory));
        to.pause();
        CHECK(from.send(sockeye::as_bytes("later")));
        const auto start = at.system.now();
        REQUIRE(at.until([&] { return at.system.now() - start > 1s; }));
        CHECK(heard == 1);
        at.system.plan.clear();
        at.inject(failing(seam_call::modify, std::errc::not_enough_memory));
        at.inject(failing(seam_call::add, std::errc::not_enough_memory, 1, 2));
        to.resume();
        CHECK(at.until([&] { return heard == 2; }));
    });
}

TEST_CASE("[F98] [F100] faults: files, and the backend itself, cannot be watched") {
    on_every_real_loop({98, 100}, [](faulty_loop& at, ground& on) {
        const sockeye::unique_fd file(::open(on.path("file").c_str(), O_RDWR | O_CREAT, 0600));
        const auto ignore = [](sockeye::readiness) {};
        CHECK(at.loop.watch(file.get(), sockeye::interest::readable, ignore).error() ==
              sockeye::errc::not_pollable);
        if (on.entry().kind == sockeye::backend_kind::epoll) {
            // It gives a descriptor of its own, so that watching oneself is no circle.
            auto self = at.loop.watch(at.loop.native_handle(), sockeye::interest::readable, ignore);
            at.settle();
        }
        CHECK(at.loop.watch(-1, sockeye::interest::readable, ignore).error() ==
              std::errc::bad_file_descriptor);
    });
}

TEST_CASE("[F102] faults: a wait that a signal ends goes on for the time that is left") {
    on_every_faulty_loop({102}, [](faulty_loop& at, ground& on) {
        const auto start = at.system.now();
        at.inject(falling_short(seam_call::wait, 0, 1, 5));
        sockeye::timer once(at.loop);
        int fired = 0;
        once.start(50ms, [&] { ++fired; });
        CHECK(at.loop.run_once().value() == 1);
        CHECK(fired == 1);
        CHECK(at.system.now() - start >= 50ms);
        CHECK(at.system.now() - start < 5s);
        conversation talk(at, on);
        at.system.plan.clear();
        at.inject(falling_short(seam_call::wait, 0, 1, 5));
        CHECK(talk.hears("no event is lost"));
    });
}

TEST_CASE("[F18] faults: a timer of another clock fires without an alarm of the system") {
    on_every_real_loop({18}, [](faulty_loop& at, ground&) {
        for (const auto call : {seam_call::make_alarm, seam_call::set_alarm, seam_call::add}) {
            for (const auto which : {sockeye::clock_kind::boot, sockeye::clock_kind::wall}) {
                at.system.plan.clear();
                at.inject(failing(call, std::errc::not_enough_memory, 1, no_limit));
                auto once = sockeye::timer::open(at.loop, which == sockeye::clock_kind::boot
                                                              ? sockeye::timer_clock::boot
                                                              : sockeye::timer_clock::wall)
                                .value();
                int fired = 0;
                const auto start = at.system.read_clock(which).value();
                once.start(20ms, [&] { ++fired; });
                CHECK(turn_by_clock(at, which, [&] { return fired != 0; }));
                CHECK(at.system.read_clock(which).value() - start >= 20ms);
                at.settle();
                CHECK(fired == 1);
            }
        }
    });
}

TEST_CASE("[F116] faults: what an alarm missed is told once") {
    on_every_real_loop({116}, [](faulty_loop& at, ground&) {
        constexpr auto boot = sockeye::clock_kind::boot;
        auto often = sockeye::timer::open(at.loop, sockeye::timer_clock::boot).value();
        int fired = 0;
        often.start_every(1ms, [&] { ++fired; });
        CHECK(turn_by_clock(at, boot, [&] { return fired != 0; }));
        pass(at, boot, 30ms);
        fired = 0;
        CHECK(at.loop.run_once(0s));
        CHECK(fired == 1);
    });
}

TEST_CASE("[F103] [F108] faults: a wait that fails ends run, which may be called again") {
    on_every_faulty_loop({103, 108}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        for (const auto error : {std::errc::bad_file_descriptor, std::errc::invalid_argument,
                                 std::errc::bad_address, std::errc::not_enough_memory}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::wait, error, 1, 2));
            CHECK(at.loop.run() == error);
            CHECK(at.loop.run_once(1s).error() == error);
            CHECK(talk.hears("as if nothing had happened"));
        }
    });
}

TEST_CASE("[F104] faults: where each wait has room for one, all are served") {
    on_every_faulty_loop({104}, [](faulty_loop& at, ground& on) {
        script told;
        auto server =
            sockeye::serve<support::hooked>(at.loop, "tcp://127.0.0.1:0", {}, std::ref(told))
                .value();
        std::vector<support::kernel_peer> peers;
        for (int i = 0; i < 20; ++i) {
            peers.emplace_back(on.system(), server.local_endpoint().value()).say("x");
        }
        at.inject(falling_short(seam_call::wait, 1, 1, no_limit));
        CHECK(at.until([&] {
            std::ranges::for_each(peers, &support::kernel_peer::pump);
            return told.data.size() == peers.size();
        }));
    });
}

TEST_CASE("[F105] [F106] faults: events of nobody, and of who is gone, are dropped and counted") {
    on_every_faulty_loop({105, 106}, [](faulty_loop&, ground& on) {
        haunted_ground haunted(on);
        faulty_loop at(haunted);
        for (int round = 0; round < 3; ++round) {
            conversation talk(at, on);
            CHECK(talk.hears("among ghosts"));
            talk.link().close();
            CHECK(talk.until([&] { return talk.told.is_closed(); }));
        }
        CHECK(at.loop.counters().stale_events > 3);
    });
}

TEST_CASE("[F107] [F109] [F110] faults: a descriptor that is closed behind our back is no spin") {
    on_every_real_loop({107, 109, 110}, [](faulty_loop& at, ground& on) {
        const support::tolerated_misuse tolerated;
        conversation talk(at, on);
        auto readable = make_readable(on);
        int told = 0;
        bool is_error = false;
        auto watching = at.loop.watch(readable.first.get(), sockeye::interest::readable,
                                      [&](sockeye::readiness what) {
                                          ++told;
                                          is_error |= what.error;
                                      });
        readable.first.reset();
        at.settle();
        const bool is_kept_by_us = on.entry().kind == sockeye::backend_kind::poll ||
                                   on.entry().kind == sockeye::backend_kind::select;
        CHECK(told == (is_kept_by_us ? 1 : 0));
        CHECK(is_error == is_kept_by_us);
        CHECK(talk.hears("undisturbed"));
    });
}

TEST_CASE("[F114] [F115] faults: a wake-up channel is never too full, nor too empty") {
    on_every_faulty_loop({114, 115}, [](faulty_loop& at, ground& on) {
        auto& system = on.system();
        auto channel = system.make_wake_channel().value();
        system.drain(channel.reader.get());
        for (int i = 0; i < 20'000; ++i) {
            system.wake(channel.write_end());
        }
        for (int i = 0; i < 200; ++i) {
            system.drain(channel.reader.get());
        }
        int ran = 0;
        const auto remote = at.loop.remote();
        for (int i = 0; i < 1000; ++i) {
            CHECK(remote.post([&] { ++ran; }));
        }
        CHECK(at.until([&] { return ran == 1000; }));
        CHECK(at.system.plan.count(seam_call::wake) == 1);
    });
}

TEST_CASE("[F117] [F137] faults: a clock that jumps makes timers late once, and nothing else") {
    on_every_real_loop({117, 137}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        std::vector<std::string> order;
        talk.told.on_data = [&](sockeye::stream&, sockeye::bytes) { order.emplace_back("data"); };
        sockeye::timer ticking(at.loop);
        sockeye::timer once(at.loop);
        int ticks = 0;
        ticking.start_every(10ms, [&] { ++ticks; });
        once.start(5s, [&] { order.emplace_back("timer"); });
        // Stopped for an hour: what lies there is read before time-outs are told.
        talk.peer.say("x");
        talk.peer.pump();
        at.system.skip(1h);
        static_cast<void>(at.loop.run_once(0s));
        CHECK(order == std::vector<std::string>{"data", "timer"});
        CHECK(ticks == 1);
        // Time does not go back.
        const auto before = at.loop.now();
        at.system.skip(-2h);
        talk.peer.say("y");
        CHECK(talk.until([&] { return order.size() == 3; }));
        CHECK(at.loop.now() >= before);
        CHECK(at.system.plan.count(seam_call::wait) < 200);
    });
}

TEST_CASE("[F122] [F123] faults: a shutdown that fails waits for what the next read says") {
    on_every_faulty_loop({122, 123}, [](faulty_loop& at, ground& on) {
        for (const auto error : {std::errc::not_connected, std::errc::invalid_argument,
                                 std::errc::bad_file_descriptor}) {
            conversation talk(at, on);
            at.system.plan.clear();
            at.inject(failing(seam_call::shutdown_write, error));
            talk.link().write("all of it");
            talk.link().shutdown();
            CHECK(talk.until([&] { return talk.peer.heard() == "all of it"; }));
            CHECK(talk.told.closes == 0);
            talk.peer.finish();
            CHECK(talk.until([&] { return talk.told.is_closed(); }));
            CHECK(talk.told.info.reason == sockeye::close_reason::ended);
        }
    });
}

TEST_CASE("[F126] faults: every descriptor is closed once, by who made it") {
    on_every_faulty_loop({126}, [](faulty_loop& at, ground& on) {
        const auto closes = at.system.plan.count(seam_call::close);
        const auto open = at.system.open().size();
        {
            conversation talk(at, on);
            talk.link().close();
            talk.link().abort();
            CHECK(talk.until([&] { return talk.told.is_closed(); }));
        }
        // The listener, the connection; the reserve stays.
        CHECK(at.system.plan.count(seam_call::close) == closes + 2);
        CHECK(at.system.open().size() == open + 1);
    });
}

TEST_CASE("[F135] faults: an exception closes the object it came from, and no other") {
    support::on_every_ground({fault_row(135)}, [](ground& on, support::rows&) {
        int caught = 0;
        sockeye::loop_options options;
        options.on_exception = [&](std::exception_ptr) { ++caught; };
        faulty_loop at(on, std::move(options));
        conversation quiet(at, on);
        conversation talk(at, on);
        talk.told.on_data = [](sockeye::stream&, sockeye::bytes) { throw std::runtime_error("!"); };
        talk.peer.say("x");
        CHECK(talk.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.error == sockeye::errc::handler_threw);
        CHECK(caught == 1);
        int ticks = 0;
        sockeye::timer timer(at.loop);
        timer.start(1ms, [&] {
            ++ticks;
            throw std::runtime_error("!");
        });
        CHECK(at.loop.remote().post([] { throw std::runtime_error("!"); }));
        CHECK(at.until([&] { return caught == 3; }));
        CHECK(ticks == 1);
        CHECK(quiet.hears("undisturbed"));
    });
}

TEST_CASE("[F135] faults: without on_exception, the first of several in a turn leaves run") {
    support::on_every_ground({fault_row(135)}, [](ground& on, support::rows&) {
        faulty_loop at(on);
        std::vector<std::string> ran;
        const auto remote = at.loop.remote();
        for (const char* const name : {"first", "second", "third"}) {
            CHECK(remote.post([&ran, name] {
                ran.emplace_back(name);
                throw std::runtime_error(name);
            }));
        }
        CHECK_THROWS_WITH(static_cast<void>(at.loop.run()), "first");
        CHECK(ran == std::vector<std::string>{"first", "second", "third"});
        CHECK_FALSE(at.loop.run());
    });
}

TEST_CASE("[F136] faults: after the loop nothing can be posted") {
    support::on_every_ground({fault_row(136)}, [](ground& on, support::rows&) {
        std::optional<faulty_loop> at(std::in_place, on);
        const auto remote = at->loop.remote();
        auto kept = std::make_shared<int>(1);
        CHECK(remote.post([kept] { FAIL_CHECK("ran"); }));
        at.reset();
        CHECK(kept.use_count() == 1);
        CHECK_FALSE(remote.post([kept] { FAIL_CHECK("ran"); }));
        CHECK(kept.use_count() == 1);
    });
}
