#include "support/ground.hpp"
#include "support/program_arm.hpp"
#include "support/simulated_ground.hpp"
#include "support/socket_program.hpp"

#include <algorithm>
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include <doctest/doctest.h>
#include <sys/un.h>

// What the kernel was measured to do: the real one still does it, and the simulation does too.

namespace {

using sockeye::endpoint;
using sockeye::interest;
using sockeye::transport;
using support::place;
using support::step;
using support::verb;

constexpr auto either = interest::readable | interest::writable;

/// Both arms, one after the other. The facts are those of Linux: no other system is asked.
void on_both_arms(const std::function<void(support::ground&)>& visit) {
    const auto epoll = sockeye::choose_backend(sockeye::backend_kind::epoll);
    if (!epoll) {
        MESSAGE("not measured on this system");
        return;
    }
    SUBCASE("real") {
        const auto on = support::make_real_ground(**epoll);
        visit(*on);
    }
    SUBCASE("simulated") {
        const auto on = support::make_simulated_ground();
        visit(*on);
    }
}

// The facts that are short programs, with what each call says.

struct line {
    step call;
    std::string says;
};

struct fact {
    std::string_view situation;
    std::vector<line> lines;
};

std::string error(std::errc what) {
    return std::make_error_code(what).message();
}

const auto in_progress = error(std::errc::operation_in_progress);
const auto would_block = error(std::errc::operation_would_block);
const auto refused = error(std::errc::connection_refused);
const auto reset = error(std::errc::connection_reset);
const auto broken = error(std::errc::broken_pipe);
const auto not_connected = error(std::errc::not_connected);
const auto is_invalid = error(std::errc::invalid_argument);

line make(int on, transport kind) {
    return {{.what = verb::make, .on = on, .kind = kind}, "ok"};
}
line bind(int on, place where) {
    return {{.what = verb::bind, .on = on, .where = where}, "ok"};
}
line listen(int on, std::size_t backlog) {
    return {{.what = verb::listen, .on = on, .amount = backlog}, "ok"};
}
line connect(int on, int other, std::string says) {
    return {{.what = verb::connect, .on = on, .other = other}, std::move(says)};
}
line connect(int on, place where, std::string says) {
    return {{.what = verb::connect, .on = on, .where = where}, std::move(says)};
}
line accept(int on, int other, std::string says) {
    return {{.what = verb::accept, .on = on, .other = other}, std::move(says)};
}
line send(int on, std::size_t amount, std::string says) {
    return {{.what = verb::send, .on = on, .amount = amount}, std::move(says)};
}
line send_to(int on, place where, std::size_t amount, std::string says) {
    return {{.what = verb::send_to, .on = on, .where = where, .amount = amount}, std::move(says)};
}
line send_to(int on, int other, std::size_t amount, std::string says) {
    return {{.what = verb::send_to, .on = on, .other = other, .amount = amount}, std::move(says)};
}
line receive(int on, std::string says) {
    return {{.what = verb::receive, .on = on, .amount = 1000}, std::move(says)};
}
line watch(int on, interest wanted) {
    return {{.what = verb::watch, .on = on, .wanted = wanted}, "ok"};
}
line wait(std::string says) {
    return {{.what = verb::wait}, std::move(says)};
}
line call(verb what, int on, std::string says) {
    return {{.what = what, .on = on}, std::move(says)};
}

/// Listens at 0, with 1 connected to 2.
std::vector<line> with_pair(std::initializer_list<line> more) {
    std::vector<line> lines = {make(0, transport::tcp), listen(0, 4), make(1, transport::tcp),
                               connect(1, 0, in_progress),
                               accept(0, 2, "from tcp://127.0.0.1:port 0")};
    lines.insert(lines.end(), more);
    return lines;
}

std::vector<fact> facts_of_connecting() {
    return {
        {"an unconnected TCP socket is writable and hung up, as long as it is asked",
         {make(0, transport::tcp), watch(0, either), wait("0 is readable writable hangup"),
          wait("0 is readable writable hangup")}},
        {"a refused connection is told by every flag, and its error once",
         {make(0, transport::tcp), connect(0, place::closed, in_progress), watch(0, either),
          wait("0 is readable writable read_closed hangup error"),
          call(verb::pending_error, 0, refused), call(verb::pending_error, 0, "ok")}},
        {"connecting again after a refusal says what became of the first time",
         {make(0, transport::tcp), connect(0, place::closed, in_progress),
          connect(0, place::closed, refused), connect(0, place::closed, in_progress)}},
        {"a full queue refuses a Unix client, which never becomes connected",
         {make(0, transport::unix_stream), bind(0, place::path_a), listen(0, 0),
          make(1, transport::unix_stream), connect(1, 0, "ok"), make(2, transport::unix_stream),
          connect(2, 0, would_block), watch(2, either), wait("2 is readable writable hangup"),
          call(verb::peer_endpoint, 2, not_connected)}},
        {"nobody answers at the file of a dead Unix socket",
         {make(0, transport::unix_stream), connect(0, place::dead_path, refused)}},
    };
}

std::vector<fact> facts_of_ends() {
    return {
        {"a reset without any interest is told once, as a hint",
         with_pair({watch(1, interest::none), call(verb::linger_reset, 2, "ok"),
                    call(verb::close, 2, "ok"), wait("1 is hangup error"), wait("nothing")})},
        {"a reset is told to a reader for ever",
         with_pair({watch(1, interest::readable), call(verb::linger_reset, 2, "ok"),
                    call(verb::close, 2, "ok"), wait("1 is readable read_closed hangup error"),
                    wait("1 is readable read_closed hangup error")})},
        {"an end is told to who wants to read, and to nobody else",
         with_pair({watch(1, interest::none), call(verb::shutdown_write, 2, "ok"), wait("nothing"),
                    watch(1, interest::readable), wait("1 is readable read_closed")})},
        {"both ends together are a hang-up",
         with_pair({watch(1, interest::none), call(verb::shutdown_write, 2, "ok"),
                    call(verb::shutdown_write, 1, "ok"), wait("1 is hangup")})},
        {"a reset after the end is a broken pipe, and reading goes on to say the end",
         with_pair({call(verb::shutdown_write, 2, "ok"), receive(1, "0 bytes"),
                    call(verb::linger_reset, 2, "ok"), call(verb::close, 2, "ok"), watch(1, either),
                    wait("1 is readable writable read_closed hangup error"), receive(1, "0 bytes"),
                    receive(1, "0 bytes"), call(verb::pending_error, 1, broken),
                    call(verb::pending_error, 1, "ok"), send(1, 1, broken)})},
        {"who closes without having read all resets the other one",
         with_pair({send(1, 10, "10 bytes"), call(verb::close, 2, "ok"), receive(1, reset)})},
        {"a connection that was reset in the queue is accepted all the same",
         {make(0, transport::tcp), listen(0, 4), make(1, transport::tcp),
          connect(1, 0, in_progress), call(verb::linger_reset, 1, "ok"), call(verb::close, 1, "ok"),
          accept(0, 2, "from tcp://127.0.0.1:port 0"), call(verb::peer_endpoint, 2, not_connected),
          receive(2, reset)}},
        {"who closes a listener resets those in its queue",
         {make(0, transport::tcp), listen(0, 4), make(1, transport::tcp),
          connect(1, 0, in_progress), call(verb::close, 0, "ok"), receive(1, reset)}},
    };
}

std::vector<fact> facts_of_datagrams() {
    return {
        {"an empty datagram is a datagram",
         {make(0, transport::udp), bind(0, place::any_port), make(1, transport::udp),
          send_to(1, 0, 0, "1 sent"),
          call(verb::receive_datagrams, 0, "0 bytes from udp://127.0.0.1:port 0")}},
        {"port 0, too many bytes and broadcast are refused each in its way",
         {make(0, transport::udp), send_to(0, place::any_port, 1, is_invalid),
          send_to(0, place::closed, 65508, error(std::errc::message_size)),
          send_to(0, place::broadcast, 1, error(std::errc::permission_denied))}},
        {"what a connected UDP socket sent to nobody makes the next send fail, once",
         {make(0, transport::udp), connect(0, place::closed, "ok"), watch(0, interest::readable),
          send(0, 1, "1 bytes"), wait("0 is readable error"), send(0, 1, refused), wait("nothing"),
          send(0, 1, "1 bytes"), call(verb::pending_error, 0, refused)}},
        {"an unconnected UDP socket hears nothing of what it sent to nobody",
         {make(0, transport::udp), watch(0, interest::readable),
          send_to(0, place::closed, 1, "1 sent"), wait("nothing"),
          send_to(0, place::closed, 1, "1 sent"), call(verb::pending_error, 0, "ok")}},
    };
}

std::vector<fact> facts_of_misuse() {
    return {
        {"sending on a connection that was reset is a broken pipe, after the reset was told",
         with_pair({call(verb::linger_reset, 2, "ok"), call(verb::close, 2, "ok"),
                    send(1, 1, reset), send(1, 1, broken)})},
        {"a socket that was never bound may listen", {make(0, transport::tcp), listen(0, 1)}},
        {"an unconnected socket cannot be shut down, a connected one not connected again",
         with_pair({make(3, transport::tcp), call(verb::shutdown_write, 3, not_connected),
                    connect(1, 0, "ok"), connect(1, 0, error(std::errc::already_connected)),
                    connect(2, 0, error(std::errc::already_connected))})},
        {"a socket may call itself",
         {make(0, transport::tcp), bind(0, place::any_port), connect(0, 0, in_progress),
          call(verb::local_endpoint, 0, "tcp://own:port 0"),
          call(verb::peer_endpoint, 0, "tcp://own:port 0"), send(0, 3, "3 bytes"),
          receive(0, "3 bytes of #1")}},
        {"a watched descriptor that is forgotten twice is unknown",
         {make(0, transport::tcp), watch(0, either), call(verb::forget, 0, "ok"),
          call(verb::forget, 0, error(std::errc::no_such_file_or_directory))}},
    };
}

sockeye::owned_fd make_bound(sockeye::kernel& system, const endpoint& name) {
    auto fd = system.socket(name.kind(), name.family()).value();
    REQUIRE_FALSE(system.bind(fd.get(), name));
    return fd;
}

} // namespace

TEST_CASE("facts: short programs say what was measured") {
    on_both_arms([](support::ground& on) {
        sockeye::datagram_batch batch;
        std::uint64_t number = 0;
        for (const auto& part :
             {facts_of_connecting(), facts_of_ends(), facts_of_datagrams(), facts_of_misuse()}) {
            for (const auto& one : part) {
                CAPTURE(one.situation);
                support::program_arm arm(on, batch, ++number);
                for (const auto& [call, says] : one.lines) {
                    const auto text = to_string(call);
                    CAPTURE(text);
                    CHECK(to_string(arm.perform(call)) == says);
                }
            }
        }
    });
}

TEST_CASE("facts: backlog 1 lets two of six clients in") {
    on_both_arms([](support::ground& on) {
        auto& system = on.system();
        const auto listener = make_bound(system, endpoint::parse("tcp://127.0.0.1:0").value());
        REQUIRE_FALSE(system.listen(listener.get(), 1));
        const auto name = system.local_endpoint(listener.get(), transport::tcp).value();
        std::vector<sockeye::owned_fd> clients;
        for (int count = 0; count < 6; ++count) {
            clients.push_back(system.socket(transport::tcp, AF_INET).value());
            CHECK(system.connect(clients.back().get(), name) == std::errc::operation_in_progress);
        }
        CHECK(std::ranges::count_if(clients, [&](const sockeye::owned_fd& one) {
                  return system.peer_endpoint(one.get(), transport::tcp).has_value();
              }) == 2);
    });
}

TEST_CASE("facts: a batch of datagrams is sent up to the bad one, which the next call meets") {
    on_both_arms([](support::ground& on) {
        auto& system = on.system();
        const auto taker = make_bound(system, endpoint::parse("udp://127.0.0.1:0").value());
        const auto good = system.local_endpoint(taker.get(), transport::udp).value();
        const auto bad = endpoint::parse("udp://127.0.0.1:0").value();
        const auto fd = system.socket(transport::udp, AF_INET).value();
        const std::array<sockeye::datagram, 3> batch = {
            {{.data = {}, .peer = &good}, {.data = {}, .peer = &bad}, {.data = {}, .peer = &good}}};
        CHECK(system.send_datagrams(fd.get(), batch).value() == 1);
        CHECK(system.send_datagrams(fd.get(), std::span(batch).subspan(1)).error() ==
              std::errc::invalid_argument);
    });
}

TEST_CASE("facts: a Unix datagram socket takes many datagrams that nobody reads, and then none") {
    on_both_arms([](support::ground& on) {
        auto& system = on.system();
        const auto taker =
            make_bound(system, endpoint::parse("unix-dgram:" + on.path("taker")).value());
        const auto name = system.local_endpoint(taker.get(), transport::unix_datagram).value();
        const auto fd = system.socket(transport::unix_datagram, AF_UNIX).value();
        REQUIRE_FALSE(system.connect(fd.get(), name));
        support::fill(system, fd.get());
        const auto outcome = system.send(fd.get(), sockeye::as_bytes("1"));
        REQUIRE_FALSE(outcome);
        CHECK(outcome.error() == std::errc::operation_would_block);

        const auto subject = on.make_backend();
        REQUIRE_FALSE(subject->add(fd.get(), interest::writable, 1));
        std::array<sockeye::event, 1> ready;
        CHECK(subject->wait(ready, sockeye::duration::zero()).value() == 0);
        sockeye::datagram_batch batch;
        CHECK(system.receive_datagrams(taker.get(), transport::unix_datagram, batch).value() > 1);
        CHECK(subject->wait(ready, sockeye::duration::zero()).value() == 1);
        CHECK_FALSE(system.remove_file(on.path("taker")));
    });
}

TEST_CASE("facts: a stream that nobody reads takes more than a buffer, and then nothing") {
    on_both_arms([](support::ground& on) {
        for (const auto kind : {transport::tcp, transport::unix_stream}) {
            auto& system = on.system();
            const auto pair = support::make_stream_pair(system, kind);
            support::fill(system, pair.first.get());
            CHECK(system.send(pair.first.get(), sockeye::as_bytes("1")).error() ==
                  std::errc::operation_would_block);
            CHECK(support::take(system, pair.second.get()) > 65536);
        }
    });
}

TEST_CASE("facts: a Unix path may fill its 108 bytes") {
    on_both_arms([](support::ground& on) {
        auto& system = on.system();
        sockaddr_un raw = {};
        raw.sun_family = AF_UNIX;
        std::ranges::fill(raw.sun_path, 'x');
        std::ranges::copy(on.path(""), raw.sun_path);
        const auto name = endpoint::from_system(
            transport::unix_stream, reinterpret_cast<const sockaddr*>(&raw), sizeof raw);
        const std::string path(name.path());
        CHECK(path.size() == sizeof raw.sun_path);
        const auto fd = make_bound(system, name);
        CHECK(system.local_endpoint(fd.get(), transport::unix_stream).value() == name);
        CHECK(system.identify(path).has_value());
        CHECK_FALSE(system.remove_file(path));
    });
}

TEST_CASE("facts: a wake channel is readable from the first wake until it is drained") {
    on_both_arms([](support::ground& on) {
        auto& system = on.system();
        const auto channel = system.make_wake_channel().value();
        const auto subject = on.make_backend();
        REQUIRE_FALSE(subject->add(channel.reader.get(), interest::readable, 1));
        CHECK(subject->add(channel.reader.get(), interest::readable, 1) == std::errc::file_exists);
        std::array<sockeye::event, 1> ready;
        const auto count = [&] { return subject->wait(ready, sockeye::duration::zero()).value(); };
        CHECK(count() == 0);
        system.wake(channel.write_end());
        system.wake(channel.write_end());
        CHECK(count() == 1);
        CHECK(count() == 1);
        system.drain(channel.reader.get());
        CHECK(count() == 0);
    });
}
