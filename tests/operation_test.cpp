#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

using namespace std::chrono_literals;
using sockeye::close_reason;
using sockeye::deadline_kind;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

// What a stream is asked to tell of once, and the close that waits for the peer's.

using support::mebibyte;

namespace {

/// A server with one connection, whose peer reads nothing at first.
struct talk {
    explicit talk(network& on, const sockeye::stream_limits& limits = {.queue_max = 64 * mebibyte})
        : server(support::serve_script(on, told, {.limits = limits})),
          peer(on.system(), support::local_of(server)) {
        peer.is_deaf = true;
        REQUIRE(on.until([&] { return told.link != nullptr; }));
    }
    [[nodiscard]] sockeye::stream& link() { return *told.link; }
    /// Notes what becomes of all that was written before.
    void await(std::string name) {
        CHECK(link().when_sent([this, name](std::error_code error) {
            CHECK(told.closes == 0);
            heard.push_back(name);
            errors.push_back(error);
        }));
    }

    script told;
    std::vector<std::string> heard;
    std::vector<std::error_code> errors;
    sockeye::server server;
    raw_peer peer;
};

} // namespace

TEST_CASE("[109] [110] when_sent: told when the kernel has all, in order, and never in the call") {
    support::on_every_stream({109, 110}, [](network& on) {
        talk here(on);
        here.await("nothing");
        CHECK(here.heard.empty());
        CHECK(on.until([&] { return here.heard.size() == 1; }));
        const auto whole = pattern(16 * mebibyte);
        here.link().write(whole);
        here.await("big");
        here.link().write("small");
        here.await("small");
        on.settle();
        CHECK(here.heard.size() == 1);
        CHECK(here.link().queued_bytes() > 0);
        here.peer.is_deaf = false;
        CHECK(on.until([&] {
            here.peer.pump();
            return here.heard.size() == 3;
        }));
        CHECK(here.heard == std::vector<std::string>{"nothing", "big", "small"});
        CHECK(here.link().queued_bytes() == 0);
        for (const auto& error : here.errors) {
            CHECK_FALSE(error);
        }
        CHECK(on.until([&] {
            here.peer.pump();
            return here.peer.heard().size() == whole.size() + 5;
        }));
    });
}

TEST_CASE("when_sent: who writes and waits again in its handler is told once in a turn") {
    support::on_every_stream({}, [](network& on) {
        talk here(on);
        int count = 0;
        std::function<void(std::error_code)> again = [&](std::error_code error) {
            CHECK_FALSE(error);
            if (++count < 20) {
                here.link().write("x");
                CHECK(here.link().when_sent([&](std::error_code next) { again(next); }));
            }
        };
        CHECK(here.link().when_sent([&](std::error_code error) { again(error); }));
        int before = 0;
        int most = 0;
        CHECK(on.until([&] {
            most = std::max(most, count - before);
            before = count;
            return count == 20;
        }));
        CHECK(most == 1);
    });
}

TEST_CASE("[111] [137] when_sent: abort and a linger time that is over cancel, before on_close") {
    support::on_every_stream({111, 137}, [](network& on) {
        talk here(on, {.queue_max = 64 * mebibyte, .linger = 30ms});
        here.link().write(pattern(16 * mebibyte));
        here.await("first");
        here.link().write("more");
        here.await("second");
        SUBCASE("abort") {
            here.link().abort();
        }
        SUBCASE("linger") {
            here.link().close();
        }
        CHECK(here.heard.empty());
        CHECK(on.until([&] { return here.told.is_closed(); }));
        CHECK(here.heard == std::vector<std::string>{"first", "second"});
        CHECK(here.errors[0] == std::errc::operation_canceled);
        CHECK(here.errors[1] == std::errc::operation_canceled);
        CHECK(here.told.info.dropped_bytes > 0);
        on.settle();
        CHECK(here.heard.size() == 2);
    });
}

TEST_CASE("when_sent: a failure is told as such, and what was over before is refused") {
    support::on_every_stream({}, [](network& on) {
        talk here(on);
        here.link().write(pattern(16 * mebibyte));
        here.await("lost");
        std::optional<bool> is_taken;
        here.told.on_close = [&](sockeye::stream& link, const sockeye::close_info&) {
            is_taken = link.when_sent([](std::error_code) { FAIL("called"); });
        };
        if (on.is_unix()) {
            here.peer.close();
        } else {
            here.peer.reset();
        }
        CHECK(on.until([&] { return here.told.is_closed(); }));
        REQUIRE(here.errors.size() == 1);
        CHECK(here.errors[0] == here.told.info.error);
        CHECK(here.errors[0]);
        CHECK(is_taken == false);
    });
}

TEST_CASE("when_sent: cancel ends the wait once, and the bytes are sent all the same") {
    support::on_every_stream({}, [](network& on) {
        talk here(on);
        const auto whole = pattern(16 * mebibyte);
        here.link().write(whole);
        here.await("cancelled");
        here.link().cancel();
        CHECK(here.heard.empty());
        CHECK(on.until([&] { return here.heard.size() == 1; }));
        CHECK(here.errors[0] == std::errc::operation_canceled);
        here.await("sent");
        here.peer.is_deaf = false;
        CHECK(on.until([&] {
            here.peer.pump();
            return here.peer.heard().size() == whole.size();
        }));
        CHECK((here.peer.heard() == whole));
        CHECK(on.until([&] { return here.heard.size() == 2; }));
        CHECK_FALSE(here.errors[1]);
    });
}

TEST_CASE("[132] when_sent: shutdown and then close still tell, each wait once") {
    support::on_every_stream({132}, [](network& on) {
        talk here(on);
        const auto whole = pattern(16 * mebibyte);
        here.link().write(whole);
        here.link().shutdown();
        here.await("shut");
        here.link().close();
        here.peer.is_deaf = false;
        CHECK(on.until([&] {
            here.peer.pump();
            return here.told.is_closed();
        }));
        CHECK(here.heard == std::vector<std::string>{"shut"});
        CHECK_FALSE(here.errors[0]);
        CHECK(on.until([&] {
            here.peer.pump();
            return here.peer.has_ended();
        }));
        CHECK((here.peer.heard() == whole));
    });
}

TEST_CASE("when_sent: of a stream that connects, and of one whose owner goes") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        script connected;
        int calls = 0;
        std::error_code outcome;
        {
            auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server),
                                                            {}, std::ref(connected));
            client.write("early");
            CHECK(client.when_sent([&](std::error_code error) {
                ++calls;
                outcome = error;
            }));
            SUBCASE("up") {
                CHECK(on.until([&] { return calls == 1 && told.data == "early"; }));
                CHECK_FALSE(outcome);
            }
            SUBCASE("cancelled while it connects") {
                client.cancel();
                CHECK(on.until([&] { return calls == 1 && told.data == "early"; }));
            }
            SUBCASE("closed while it connects") {
                client.close();
                CHECK(on.until([&] { return connected.is_closed(); }));
                CHECK(calls == 1);
                CHECK(outcome == std::errc::operation_canceled);
            }
            SUBCASE("its owner goes") {
                client = sockeye::stream();
                on.settle();
                CHECK(calls == 0);
            }
        }
        server.close();
        CHECK(on.until([&] { return told.sessions == 0; }));
        CHECK(calls <= 1);
    });
}

TEST_CASE("[139] graceful close: what the peer still says costs it nothing of what it is told") {
    support::on_every_stream({139}, [](network& on) {
        talk here(on);
        const auto whole = pattern(8 * mebibyte);
        here.link().write(whole);
        here.peer.say(pattern(500'000));
        here.link().graceful_close();
        CHECK_FALSE(here.link().is_open());
        here.link().close();
        CHECK(here.link().write("late") == sockeye::write_status::refused);
        here.peer.pump();
        on.settle();
        here.peer.is_deaf = false;
        CHECK(on.until([&] {
            here.peer.pump();
            return here.peer.is_over();
        }));
        CHECK(here.peer.has_ended());
        CHECK((here.peer.heard() == whole));
        CHECK_FALSE(here.told.is_closed());
        here.peer.finish();
        CHECK(on.until([&] {
            here.peer.pump();
            return here.told.is_closed();
        }));
        CHECK(here.told.info.reason == close_reason::closed);
        CHECK_FALSE(here.told.info.error);
        CHECK(here.told.info.discarded_bytes == 500'000);
        CHECK(here.told.count("data") == 0);
    });
}

TEST_CASE("graceful close: a peer that ends too late, or says too much, is cut off") {
    support::on_every_stream({}, [](network& on) {
        talk here(on);
        here.peer.is_deaf = false;
        SUBCASE("late") {
            const auto begin = on.now();
            here.link().graceful_close({.deadline = 40ms});
            CHECK(on.until([&] {
                here.peer.pump();
                return here.told.is_closed();
            }));
            CHECK(on.now() - begin >= 40ms);
            CHECK(here.told.info.error == std::errc::timed_out);
            CHECK(here.told.info.deadline == deadline_kind::shutdown);
            CHECK(here.peer.has_ended());
        }
        SUBCASE("much") {
            here.link().graceful_close({.discard_max = 1000});
            here.peer.say(pattern(300'000));
            CHECK(on.until([&] {
                here.peer.pump();
                return here.told.is_closed();
            }));
            CHECK(here.told.info.error == sockeye::errc::discard_limit);
            CHECK(here.told.info.discarded_bytes > 1000);
        }
        SUBCASE("its end has come already") {
            here.told.on_end = [](sockeye::stream& link) { link.graceful_close(); };
            here.peer.finish();
            CHECK(on.until([&] {
                here.peer.pump();
                return here.told.is_closed();
            }));
            CHECK(here.told.info.reason == close_reason::ended);
        }
        SUBCASE("abort") {
            here.link().graceful_close();
            on.settle();
            here.link().abort();
            CHECK(on.until([&] { return here.told.is_closed(); }));
            CHECK(here.told.info.reason == close_reason::aborted);
        }
    });
}
