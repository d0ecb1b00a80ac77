#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>
#include <vector>

#include <sys/socket.h>

using namespace std::chrono_literals;
using sockeye::stream_options;
using support::fault_row;
using support::network;
using support::pair_of_streams;
using support::raw_peer;
using support::script;

namespace {

bool is_there(const std::error_code& error) {
    return error != std::errc::not_supported;
}

/// Counts calls that set or ask for an option.
class option_counter final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;
    std::error_code set_option(int fd, sockeye::socket_option option, int value) override {
        ++calls;
        return forwarding_kernel::set_option(fd, option, value);
    }
    sockeye::result<int> get_option(int fd, sockeye::socket_option option) override {
        ++calls;
        return forwarding_kernel::get_option(fd, option);
    }
    std::error_code set_congestion_control(int fd, std::string_view name) override {
        ++calls;
        return forwarding_kernel::set_congestion_control(fd, name);
    }

    int calls = 0;
};

const stream_options unusual = {.no_delay = false,
                                .keep_alive = {{.idle = 70s, .interval = 7s, .probes = 3}},
                                .user_timeout = 4321ms,
                                .not_sent_low_at = 8192,
                                .congestion_control = "reno"};

/// Those of `unusual`, as `found` has them where the system does.
void check_unusual(const stream_options& found) {
    CHECK(found.no_delay == false);
    if (found.keep_alive) {
        CHECK(found.keep_alive->is_on);
        CHECK(found.keep_alive->idle == 70s);
        CHECK(found.keep_alive->interval == 7s);
        CHECK(found.keep_alive->probes == 3);
    }
    if (found.user_timeout) {
        CHECK(*found.user_timeout == 4321ms);
    }
    if (found.not_sent_low_at) {
        CHECK(*found.not_sent_low_at == 8192);
    }
    if (found.congestion_control) {
        CHECK(*found.congestion_control == "reno");
    }
}

} // namespace

TEST_CASE("[143] options: what is set on a live stream is read back, and nothing else changes") {
    support::on_every_backend_with_tcp({143}, [](network& on) {
        const pair_of_streams both(on);
        const auto before = both.link().options().value();
        CHECK(before.no_delay == true);
        CHECK_FALSE(before.keep_alive.value().is_on);
        stream_options wanted = unusual;
        wanted.send_buffer = 30'000;
        wanted.receive_buffer = 20'000;
        CHECK_FALSE(both.link().set_options(wanted));
        const auto after = both.link().options().value();
        check_unusual(after);
        CHECK(*after.send_buffer >= 30'000);
        CHECK(*after.send_buffer <= 60'000);
        CHECK(*after.receive_buffer >= 20'000);
        CHECK(*after.receive_buffer <= 40'000);
        CHECK_FALSE(both.link().set_options({.no_delay = true}));
        const auto last = both.link().options().value();
        CHECK(last.no_delay == true);
        CHECK(last.keep_alive->idle == 70s);
        CHECK(last.user_timeout == after.user_timeout);
        CHECK(last.send_buffer == after.send_buffer);
    });
}

TEST_CASE("[143] options: keep-alive is turned off again; times are rounded up") {
    support::on_every_backend_with_tcp({143}, [](network& on) {
        const pair_of_streams both(on);
        CHECK_FALSE(both.link().set_options(
            {.keep_alive = {{.idle = 1500ms, .interval = 1ns, .probes = 1}}}));
        const auto kept = both.link().options()->keep_alive.value();
        CHECK(kept.idle == 2s);
        CHECK(kept.interval == 1s);
        CHECK_FALSE(both.link().set_options({.keep_alive = {{.is_on = false}}}));
        CHECK_FALSE(both.link().options()->keep_alive->is_on);
        const auto error = both.link().set_options({.user_timeout = 1ns});
        if (is_there(error)) {
            CHECK_FALSE(error);
            CHECK(both.link().options()->user_timeout == 1ms);
            CHECK_FALSE(both.link().set_options({.user_timeout = 0s}));
            CHECK(both.link().options()->user_timeout == 0ms);
        }
    });
}

TEST_CASE("[143] options: what makes no sense is refused, and nothing is set") {
    support::on_every_backend_with_tcp({143}, [](network& on) {
        const pair_of_streams both(on);
        const std::vector<stream_options> senseless = {
            {.no_delay = false, .keep_alive = {{.idle = 0s}}},
            {.no_delay = false, .keep_alive = {{.idle = -1s}}},
            {.no_delay = false, .keep_alive = {{.interval = 0s}}},
            {.no_delay = false, .keep_alive = {{.probes = 0}}},
            {.no_delay = false, .keep_alive = {{.idle = 24h * 365 * 100}}},
            {.no_delay = false, .user_timeout = -1ms},
            {.no_delay = false, .user_timeout = 24h * 365},
            {.no_delay = false, .not_sent_low_at = std::size_t{1} << 40},
            {.no_delay = false, .send_buffer = 0},
            {.no_delay = false, .receive_buffer = 0},
            {.no_delay = false, .receive_buffer = std::size_t{1} << 31},
        };
        for (const auto& one : senseless) {
            CAPTURE(&one - senseless.data());
            CHECK(both.link().set_options(one) == std::errc::invalid_argument);
            const auto served = sockeye::serve(on.loop(), on.local(), {.socket = one},
                                               [](sockeye::stream&, sockeye::bytes) {});
            CHECK(served.error() == std::errc::invalid_argument);
            script told;
            auto client = sockeye::connect<support::hooked>(
                on.loop(), support::local_of(both.server), {.socket = one}, std::ref(told));
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.reason == sockeye::close_reason::connect_failed);
            CHECK(told.info.error == std::errc::invalid_argument);
        }
        CHECK(both.link().options()->no_delay == true);
        CHECK(both.link().set_options({.congestion_control = "no such thing"}) ==
              std::errc::no_such_file_or_directory);
    });
}

TEST_CASE("[143] options: those of a listener are every stream's, without a call for each") {
    support::on_every_altered_network<option_counter>(
        {143}, {"tcp://127.0.0.1:0"}, [](network& on, option_counter& counted) {
            stream_options wanted = unusual;
            wanted.send_buffer = 50'000;
            wanted.receive_buffer = 40'000;
            script told;
            auto server = support::serve_script(on, told, {.socket = wanted});
            const auto calls = counted.calls;
            auto peers = support::many_peers(on, 5, support::local_of(server));
            REQUIRE(on.until([&] { return told.count("open") == 5; }));
            CHECK(counted.calls == calls);
            const auto found = told.link->options().value();
            check_unusual(found);
            CHECK(*found.send_buffer >= 50'000);
            CHECK(*found.receive_buffer >= 40'000);
            CHECK(sockeye::serve(on.loop(), on.local(), {.socket = {.quick_ack = true}},
                                 [](sockeye::stream&, sockeye::bytes) {})
                      .error() == std::errc::not_supported);
        });
}

TEST_CASE("[143] options: those of a connect are set before it is up") {
    support::on_every_backend_with_tcp({143}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        script told;
        std::optional<stream_options> found;
        told.on_open = [&](sockeye::stream& link) { found = link.options().value(); };
        stream_options wanted = unusual;
        wanted.receive_buffer = 40'000;
        auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server),
                                                        {.socket = wanted}, std::ref(told));
        REQUIRE(on.until([&] { return found.has_value(); }));
        check_unusual(*found);
        CHECK(*found->receive_buffer >= 40'000);
        const auto error = client.set_options({.quick_ack = true});
        if (is_there(error)) {
            CHECK_FALSE(error);
            CHECK(client.options()->quick_ack == true);
        }
    });
}

TEST_CASE("[143] options: a Unix stream has buffers and nothing of TCP") {
    support::on_every_network({143}, {"unix:"}, [](network& on) {
        const pair_of_streams both(on, {.socket = {.send_buffer = 20'000}});
        CHECK_FALSE(both.link().set_options({.send_buffer = 30'000, .receive_buffer = 25'000}));
        const auto found = both.link().options().value();
        CHECK(*found.send_buffer >= 30'000);
        CHECK(*found.receive_buffer >= 25'000);
        CHECK_FALSE(found.no_delay);
        CHECK_FALSE(found.keep_alive);
        CHECK_FALSE(found.congestion_control);
        CHECK(both.link().set_options({.no_delay = true}) == std::errc::not_supported);
        CHECK(both.link().set_options({.keep_alive = {{}}}) == std::errc::not_supported);
        CHECK(both.link().info().error() == std::errc::not_supported);
        CHECK(sockeye::serve(on.loop(), on.local() + "2", {.fast_open_queue = 5},
                             [](sockeye::stream&, sockeye::bytes) {})
                  .error() == std::errc::not_supported);
        CHECK_FALSE(on.has_file(on.path() + "2"));
    });
}

TEST_CASE("[143] options: on a dead stream they are errors") {
    support::on_every_stream({143}, [](network& on) {
        script told;
        auto client = sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(told));
        client.abort();
        CHECK(on.until([&] { return told.is_closed(); }));
        on.settle();
        CHECK(client.options().error() == std::errc::not_connected);
        CHECK(client.set_options({.no_delay = true}) == std::errc::not_connected);
        CHECK(client.info().error() == std::errc::not_connected);
    });
}

TEST_CASE("[143] [F127] options: a socket that lingers in close is not adopted") {
    support::on_every_backend_with_tcp(
        {143, fault_row(127)},
        [](network& on) {
            const support::raw_listener listener(on.system(),
                                                 sockeye::endpoint::parse(on.local()).value(), 5);
            const auto adopt = [&](const linger& wanted) {
                auto fd = on.system().socket(sockeye::transport::tcp, AF_INET).value();
                static_cast<void>(on.system().connect(fd.get(), listener.local()));
                raw_peer connected(on.system(), std::move(fd));
                REQUIRE(on.until([&] { return connected.is_up(); }));
                REQUIRE(::setsockopt(connected.fd(), SOL_SOCKET, SO_LINGER, &wanted,
                                     sizeof wanted) == 0);
                return sockeye::adopt(on.loop(), sockeye::unique_fd(::dup(connected.fd())));
            };
            CHECK(adopt({.l_onoff = 1, .l_linger = 5}).error() == std::errc::invalid_argument);
            CHECK(adopt({.l_onoff = 1, .l_linger = 0}).has_value());
            CHECK(adopt({.l_onoff = 0, .l_linger = 5}).has_value());
        },
        support::needs_real_system{"descriptors of this process, adopted"});
}

TEST_CASE("[145] options: a peer that takes nothing for the user time-out ends the stream") {
    support::on_every_backend_with_tcp(
        {145},
        [](network& on) {
            pair_of_streams both(on, {.limits = {.queue_high = 64u << 20, .queue_max = 64u << 20}});
            const auto error = both.link().set_options({.user_timeout = 300ms});
            if (!is_there(error)) {
                on.does_not_apply("this system has no TCP_USER_TIMEOUT");
                return;
            }
            CHECK_FALSE(error);
            const auto began = on.now();
            both.link().write(support::pattern(32u << 20));
            CHECK(on.until([&] { return both.told.is_closed(); }));
            CHECK(both.told.info.error == std::errc::timed_out);
            CHECK(on.now() - began >= 300ms);
        },
        support::needs_real_system{"its receivers have no window; the path is cut there instead"});
}

TEST_CASE("[94] connect: with fast open early bytes arrive once, in order, or it is refused") {
    support::on_every_backend_with_tcp({94}, [](network& on) {
        script remote;
        auto server = sockeye::serve<support::hooked>(on.loop(), on.local(),
                                                      {.fast_open_queue = 16}, std::ref(remote));
        if (!server) {
            CHECK(server.error() == std::errc::not_supported);
            on.does_not_apply("this system has no TCP Fast Open");
            return;
        }
        const auto early = support::pattern(100'000);
        std::string expected;
        for (const std::size_t size : {std::size_t{0}, std::size_t{5}, early.size()}) {
            CAPTURE(size);
            script told;
            remote.data.clear();
            const auto opened = remote.count("open");
            auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(*server),
                                                            {.fast_open = true}, std::ref(told));
            client.write(early.substr(0, size));
            CHECK(on.until(
                [&] { return told.count("open") == 1 && remote.count("open") == opened + 1; }));
            client.write("last");
            CHECK(on.until([&] { return remote.data.size() >= size + 4; }));
            CHECK((remote.data == early.substr(0, size) + "last"));
            client.close();
            CHECK(on.until([&] { return told.is_closed(); }));
        }
        script refused;
        const auto nobody =
            support::make_bound(on.system(), sockeye::endpoint::parse(on.local()).value());
        auto client = sockeye::connect<support::hooked>(
            on.loop(), on.system().local_endpoint(nobody.get(), sockeye::transport::tcp).value(),
            {.fast_open = true}, std::ref(refused));
        client.write("early");
        CHECK(on.until([&] { return refused.is_closed(); }));
        CHECK(refused.info.reason == sockeye::close_reason::connect_failed);
        CHECK(refused.info.error == std::errc::connection_refused);
    });
}

TEST_CASE("info: what the system knows of a connection grows with what it carries") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        pair_of_streams both(on);
        if (const auto info = both.link().info(); !info) {
            CHECK(info.error() == std::errc::not_supported);
            return;
        }
        const auto before = both.link().info().value();
        both.link().write(support::pattern(100'000));
        both.peer.say(support::pattern(70'000));
        CHECK(on.until([&] {
            both.peer.pump();
            return both.peer.heard().size() == 100'000 && both.told.data.size() == 70'000 &&
                   both.link().info()->unacknowledged_bytes == 0;
        }));
        const auto after = both.link().info().value();
        CHECK(after.bytes_received - before.bytes_received == 70'000);
        CHECK(after.bytes_acknowledged - before.bytes_acknowledged == 100'000);
        CHECK((after.round_trip > 0s || on.on().is_simulated()));
        CHECK(after.segment_size_max > 0);
        CHECK(after.unsent_bytes == 0);
        // Nobody reads it: it stays in the kernels.
        both.link().write(support::pattern(30'000));
        on.settle();
        CHECK(both.link().info()->unacknowledged_bytes <= 30'000);
    });
}
