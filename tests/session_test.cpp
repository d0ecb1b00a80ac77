#include "support/network.hpp"
#include "support/raw_datagrams.hpp"

#include <sockeye/datagram_socket.hpp>
#include <sockeye/error.hpp>
#include <sockeye/serve.hpp>

#include <doctest/doctest.h>

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

// What serve and connect make of a class, by the members that it has.

using namespace std::chrono_literals;
using sockeye::datagram;
using sockeye::datagram_socket;
using support::network;

namespace {

/// What a class that serves datagrams noted.
struct datagram_notes {
    int made = 0;
    int alive = 0;
    int errors = 0;
    std::string heard;
    std::function<void(datagram_socket&)> act = [](datagram_socket&) {};
};

class quiet_echo {
public:
    quiet_echo(datagram_notes& all, std::string prefix) : all_(all), prefix_(std::move(prefix)) {
        ++all_.made;
        ++all_.alive;
    }
    quiet_echo(const quiet_echo&) = delete;
    quiet_echo& operator=(const quiet_echo&) = delete;
    ~quiet_echo() { --all_.alive; }

    void on_datagrams(datagram_socket& socket, std::span<const datagram> in) {
        for (const auto& one : in) {
            const std::string text(reinterpret_cast<const char*>(one.data.data()), one.data.size());
            all_.heard += text;
            socket.send(sockeye::as_bytes(prefix_ + text), *one.peer);
        }
        all_.act(socket);
    }

private:
    datagram_notes& all_;
    std::string prefix_;
};

/// The same, which wants to hear of errors.
class told_echo : public quiet_echo {
public:
    explicit told_echo(datagram_notes& all) : quiet_echo(all, ""), all_(all) {}
    void on_error(datagram_socket& socket, const sockeye::datagram_error& one) {
        all_.errors += one.error == std::errc::connection_refused;
        all_.act(socket);
    }

private:
    datagram_notes& all_;
};

struct greeter {
    explicit greeter(std::string& heard, std::string_view greeting = "none")
        : heard_(heard), greeting_(greeting) {}
    void on_open(sockeye::stream& link) { link.write(greeting_); }
    void on_data(sockeye::stream& link, sockeye::bytes in) {
        heard_.append(reinterpret_cast<const char*>(in.data()), in.size());
        link.close();
    }

    std::string& heard_;
    std::string_view greeting_;
};

} // namespace

TEST_CASE("serve: a class with on_datagrams serves a socket, which owns it") {
    support::on_every_network(
        {}, {"udp://127.0.0.1:0", "udp://[::1]:0", "unix-dgram:"}, [](network& on) {
            datagram_notes all;
            {
                auto socket =
                    sockeye::serve<quiet_echo>(on.loop(), on.local(), std::ref(all), "re:").value();
                CHECK(all.made == 1);
                support::raw_datagrams first(on, socket.local_endpoint().value());
                support::raw_datagrams second(on, socket.local_endpoint().value());
                CHECK(first.say("one"));
                CHECK(second.say("two"));
                CHECK(on.until([&] {
                    first.pump();
                    second.pump();
                    return first.heard.size() == 1 && second.heard.size() == 1;
                }));
                CHECK(first.heard.front() == "re:one");
                CHECK(second.heard.front() == "re:two");
                CHECK(all.heard.size() == 6);
                CHECK(all.made == 1);
                CHECK(all.alive == 1);
            }
            CHECK(all.alive == 0);
        });
}

TEST_CASE("serve: a class with on_datagrams takes options, and may close its socket") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        datagram_notes all;
        all.act = [&](datagram_socket& socket) {
            socket.close();
            CHECK(all.alive == 1); // until the handler has returned
        };
        const sockeye::datagram_options options{.receive_buffer = 65536};
        auto socket =
            sockeye::serve<quiet_echo>(on.loop(), on.local(), options, std::ref(all), "").value();
        support::raw_datagrams client(on, socket.local_endpoint().value());
        CHECK(client.say("last"));
        CHECK(on.until([&] { return all.alive == 0; }));
        CHECK(all.heard == "last");
        CHECK_FALSE(socket.is_open());
    });
}

TEST_CASE("serve: a class with on_datagrams that has on_error hears of errors") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        datagram_notes all;
        const support::refusing_port nobody(on);
        auto made = sockeye::serve<told_echo>(on.loop(), on.local(), std::ref(all));
        if (!made) {
            CHECK(made.error() == std::errc::not_supported);
            CHECK(all.alive == 0);
            on.does_not_apply("the system does not tell of errors");
            return;
        }
        auto socket = std::move(made.value());
        int alive_then = 0;
        SUBCASE("and the socket goes on") {
            alive_then = 1;
        }
        SUBCASE("and may close the socket") {
            all.act = [](datagram_socket& it) { it.close(); };
        }
        CHECK(socket.send(sockeye::as_bytes("?"), nobody.name));
        CHECK(on.until([&] { return all.errors == 1; }));
        CHECK(on.until([&] { return all.alive == alive_then; }));
    });
}

TEST_CASE("serve: a class with on_datagrams is refused where there are streams") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        datagram_notes all;
        CHECK(
            sockeye::serve<quiet_echo>(on.loop(), "tcp://127.0.0.1:0", std::ref(all), "").error() ==
            sockeye::errc::service_mismatch);
        CHECK(
            sockeye::serve<greeter>(on.loop(), "udp://127.0.0.1:0", std::ref(all.heard)).error() ==
            sockeye::errc::service_mismatch);
        CHECK(all.made == 1);
        CHECK(all.alive == 0);
    });
}

TEST_CASE("connect: needs no options, whatever the session is made with") {
    support::on_every_stream({}, [](network& on) {
        std::string heard;
        auto server =
            sockeye::serve(on.loop(), on.local(), [](sockeye::stream& link, sockeye::bytes in) {
                link.write(in);
            }).value();
        const auto where = server.local_endpoint().value();
        SUBCASE("one argument") {
            auto link = sockeye::connect<greeter>(on.loop(), where, std::ref(heard));
            CHECK(on.until([&] { return heard == "none"; }));
        }
        SUBCASE("two arguments") {
            auto link = sockeye::connect<greeter>(on.loop(), where, std::ref(heard), "hello");
            CHECK(on.until([&] { return heard == "hello"; }));
        }
        SUBCASE("options, and two arguments") {
            auto link =
                sockeye::connect<greeter>(on.loop(), where, {.deadline = 5s}, heard, "hello");
            CHECK(on.until([&] { return heard == "hello"; }));
        }
        SUBCASE("options that have a name") {
            const sockeye::connect_options options;
            auto link = sockeye::connect<greeter>(on.loop(), where, options, heard);
            CHECK(on.until([&] { return heard == "none"; }));
        }
        server.close();
        CHECK(on.until([&] { return server.connection_count() == 0; }));
    });
}
