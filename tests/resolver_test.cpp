#include "net/look_up_queue.hpp"
#include "support/names.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <algorithm>
#include <atomic>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using sockeye::endpoint;
using sockeye::errc;
using sockeye::look_up;
using sockeye::look_up_options;
using sockeye::look_up_queue;
using support::naming_kernel;
using support::network;
using support::with_names;

namespace {

using found = std::vector<endpoint>;

/// What one handler heard.
struct answer {
    int calls = 0;
    found endpoints;
    std::error_code error;
};

[[nodiscard]] look_up ask(network& on, const sockeye::endpoint_argument& host, answer& heard,
                          const look_up_options& options = {}) {
    return sockeye::resolve(on.loop(), host, options, [&](const sockeye::result<found>& said) {
        ++heard.calls;
        heard.endpoints = said ? *said : found();
        heard.error = said.error();
    });
}

/// What it says in the end, once and not inside the call.
const answer& outcome(network& on, const answer& heard) {
    CHECK(heard.calls == 0);
    CHECK(on.until([&] { return heard.calls != 0; }));
    on.settle();
    CHECK(heard.calls == 1);
    return heard;
}

found parsed(std::initializer_list<const char*> texts) {
    found made;
    for (const auto* const text : texts) {
        made.push_back(endpoint::parse(text).value());
    }
    return made;
}

std::string text_of(const found& all) {
    std::string text;
    for (const auto& one : all) {
        text += one.to_string() + ' ';
    }
    return text;
}

/// The same where look-ups are calls that may hang; a simulation has none.
template <typename Body>
void with_hanging_names(std::initializer_list<int> numbers, Body&& body) {
    with_names(numbers, [&](network& on, naming_kernel& names) {
        if (on.on().is_simulated()) {
            on.does_not_apply("look-ups are no calls that hang: see the tests in virtual time");
            return;
        }
        names.hang();
        body(on, names);
    });
}

/// A fresh process has no thread, and so has one whose look-ups are all over.
void wait_for_threads(const naming_kernel& names) {
    CHECK(support::turn_until([&] { return names.threads() == 0; }, [] {}));
}

} // namespace

TEST_CASE("[266] resolve: the endpoints of a host come once, from the loop, with port and kind") {
    with_names({266}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://[::1]:0", "tcp://127.0.0.1:0"}));
        answer heard;
        auto pending = ask(on, "example.test:80", heard);
        CHECK(pending.is_pending());
        CHECK(text_of(outcome(on, heard).endpoints) == "tcp://[::1]:80 tcp://127.0.0.1:80 ");
        CHECK_FALSE(pending.is_pending());
        pending.cancel();
        on.settle();
        CHECK(heard.calls == 1);
    });
}

TEST_CASE("[266] resolve: only the wanted family") {
    with_names({266}, [](network& on, naming_kernel& names) {
        names.name("both.test", parsed({"tcp://[::1]:0", "tcp://127.0.0.1:0"}));
        names.name("old.test", parsed({"tcp://127.0.0.1:0"}));
        const auto ask_for = [&](const char* host, sockeye::ip_family family) {
            answer heard;
            const auto pending = ask(on, host, heard, {.family = family});
            return outcome(on, heard);
        };
        using sockeye::ip_family;
        CHECK(text_of(ask_for("both.test:7", ip_family::ipv4).endpoints) == "tcp://127.0.0.1:7 ");
        CHECK(text_of(ask_for("both.test:7", ip_family::ipv6).endpoints) == "tcp://[::1]:7 ");
        CHECK(ask_for("old.test:7", ip_family::ipv6).error == errc::host_without_address);
        CHECK(ask_for("127.0.0.1:7", ip_family::ipv6).error == errc::host_without_address);
        CHECK(text_of(ask_for("[::1]:7", ip_family::ipv6).endpoints) == "tcp://[::1]:7 ");
    });
}

TEST_CASE("[265] resolve: what is numeric needs no look-up and no thread") {
    with_names({265}, [](network& on, naming_kernel& names) {
        for (const auto* const text :
             {"127.0.0.1:7", "udp://[::1]:7", "tcp://[fe80::1%1]:7", "unix:/a/path", "*:7"}) {
            CAPTURE(text);
            answer heard;
            const auto pending = ask(on, text, heard);
            const auto is_there = endpoint::parse(text);
            if (is_there) {
                CHECK(outcome(on, heard).endpoints == found{*is_there});
            } else {
                CHECK(outcome(on, heard).error == is_there.error()); // no such interface here
            }
        }
        CHECK(names.look_ups() == 0);
        CHECK(names.threads_started() == 0);
    });
}

TEST_CASE("[272] resolve: localhost is this machine, and nobody else is asked") {
    with_names({272}, [](network& on, naming_kernel& names) {
        answer plain;
        auto pending = ask(on, "localhost:7", plain);
        CHECK(text_of(outcome(on, plain).endpoints) == "tcp://127.0.0.1:7 ");
        for (const auto* const text :
             {"localhost.:7", "LOCALHOST:7", "my.localhost:7", "a.b.LocalHost.:7"}) {
            CAPTURE(text);
            answer heard;
            pending = ask(on, text, heard);
            CHECK(text_of(outcome(on, heard).endpoints) == "tcp://127.0.0.1:7 tcp://[::1]:7 ");
        }
        answer datagrams;
        pending = ask(on, "udp://my.localhost:7", datagrams);
        CHECK(text_of(outcome(on, datagrams).endpoints) == "udp://127.0.0.1:7 udp://[::1]:7 ");
        answer echoes;
        pending = ask(on, "icmp://my.localhost", echoes);
        CHECK(text_of(outcome(on, echoes).endpoints) == "icmp://127.0.0.1 icmp://[::1] ");
        answer other;
        pending = ask(on, "notlocalhost:7", other);
        CHECK(outcome(on, other).error == errc::host_not_found);
        CHECK(names.look_ups() == 1);
    });
}

TEST_CASE("[267] [273] resolve: what is no name is refused before any call") {
    with_names({267, 273}, [](network& on, naming_kernel& names) {
        const std::string label(63, 'a');
        const auto longest = label + '.' + label + '.' + label + '.' + label.substr(2);
        REQUIRE(longest.size() == 253);
        const std::pair<std::string, errc> bad[] = {
            {"", errc::endpoint_empty},
            {":0x", errc::endpoint_port_invalid},
            {"example.test", errc::endpoint_port_missing},
            {"example.test:99999", errc::endpoint_port_invalid},
            {std::string("example.test\0.evil:80", 21), errc::endpoint_host_invalid},
            {longest + "a:80", errc::endpoint_name_too_long},
            {label + "a.test:80", errc::endpoint_name_too_long},
            {std::string(4000, 'a') + ":80", errc::endpoint_name_too_long},
            {"1.2.3:80", errc::endpoint_host_invalid},
            {"0x7f.1:80", errc::endpoint_host_invalid},
            {"a..b:80", errc::endpoint_host_invalid},
            {"[::1]:", errc::endpoint_port_missing},
            {"[" + std::string(4000, ':') + "]:80", errc::endpoint_host_invalid},
        };
        for (const auto& row : bad) {
            CAPTURE(row.first);
            answer heard;
            const auto pending = ask(on, row.first, heard);
            CHECK(outcome(on, heard).error == row.second);
        }
        CHECK(names.look_ups() == 0);
        names.name(longest, parsed({"tcp://127.0.0.1:0"}));
        answer heard;
        const auto pending = ask(on, longest + ":80", heard);
        CHECK(text_of(outcome(on, heard).endpoints) == "tcp://127.0.0.1:80 ");
    });
}

TEST_CASE("[266] [F128] [F129] resolve: every failure has its name") {
    with_names({266, support::fault_row(128), support::fault_row(129)},
               [](network& on, naming_kernel& names) {
                   answer unknown;
                   auto pending = ask(on, "nobody.test:80", unknown);
                   CHECK(outcome(on, unknown).error == errc::host_not_found);
                   for (const auto error : {errc::temporary_failure, errc::look_up_failed}) {
                       names.fail_with(error);
                       answer heard;
                       pending = ask(on, "nobody.test:80", heard);
                       CHECK(outcome(on, heard).error == error);
                       CHECK(heard.error.message().size() > 15);
                   }
               });
}

TEST_CASE("[268] resolve: many at once, each with its own answer") {
    with_names({268}, [](network& on, naming_kernel& names) {
        constexpr std::size_t count = 100;
        std::vector<answer> heard(count);
        std::vector<look_up> pending;
        for (std::size_t i = 0; i < count; ++i) {
            const auto host = "host-" + std::to_string(i) + ".test";
            names.name(host, parsed({("127.0.1." + std::to_string(i) + ":0").c_str()}));
            pending.push_back(ask(on, host + ":" + std::to_string(i), heard[i]));
        }
        CHECK(on.until([&] {
            return std::ranges::all_of(heard, [](const answer& one) { return one.calls != 0; });
        }));
        on.settle();
        for (std::size_t i = 0; i < count; ++i) {
            const auto number = std::to_string(i);
            CHECK(heard[i].calls == 1);
            CHECK(text_of(heard[i].endpoints) == "tcp://127.0.1." + number + ':' + number + ' ');
        }
        CHECK(names.look_ups_most() <= look_up_queue::threads_max);
        wait_for_threads(names);
    });
}

TEST_CASE("[269] resolve: cancelled at any time it says so, once") {
    with_names({269}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        const char* host = "example.test:80";
        SUBCASE("a name") {}
        SUBCASE("what is known at once") {
            host = "127.0.0.1:80";
        }
        SUBCASE("what is no address") {
            host = "";
        }
        answer heard;
        auto pending = ask(on, host, heard);
        pending.cancel();
        pending.cancel();
        CHECK(pending.is_pending());
        CHECK(outcome(on, heard).error == std::errc::operation_canceled);
        CHECK_FALSE(pending.is_pending());
    });
}

TEST_CASE("[269] [271] resolve: one whose call hangs is cancelled, times out or goes in silence") {
    with_hanging_names({269, 271}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        answer heard;
        std::optional<look_up> pending;
        const auto start = on.now();
        SUBCASE("cancelled") {
            pending = ask(on, "example.test:80", heard);
            CHECK(on.until([&] { return names.hanging() == 1; }));
            pending->cancel();
            CHECK(outcome(on, heard).error == std::errc::operation_canceled);
        }
        SUBCASE("timed out, and not before") {
            pending = ask(on, "example.test:80", heard, {.deadline = 30ms});
            CHECK(outcome(on, heard).error == std::errc::timed_out);
            CHECK(on.now() - start >= 30ms);
        }
        SUBCASE("its handle goes") {
            pending = ask(on, "example.test:80", heard);
            CHECK(on.until([&] { return names.hanging() == 1; }));
            pending.reset();
            on.settle();
            CHECK(heard.calls == 0);
        }
        const auto before = heard.calls;
        names.release();
        wait_for_threads(names);
        on.settle();
        CHECK(heard.calls == before); // the late answer is dropped
    });
}

TEST_CASE("[271] resolve: hanging calls never have more than four threads, and others wait") {
    with_hanging_names({271, support::fault_row(131)}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        answer hanging;
        std::vector<look_up> pending;
        for (std::size_t i = 0; i < look_up_queue::threads_max; ++i) {
            pending.push_back(ask(on, "example.test:80", hanging, {.deadline = 0s}));
        }
        CHECK(on.until([&] { return names.hanging() == look_up_queue::threads_max; }));
        std::vector<answer> heard(20);
        for (auto& one : heard) {
            pending.push_back(ask(on, "example.test:80", one, {.deadline = 20ms}));
        }
        CHECK(on.until([&] {
            return std::ranges::all_of(heard, [](const answer& one) { return one.calls != 0; });
        }));
        for (const auto& one : heard) {
            CHECK(one.error == std::errc::timed_out);
        }
        pending.clear();
        CHECK(names.look_ups_most() == look_up_queue::threads_max);
        // All threads hang: whoever comes now waits for one, and gets it.
        answer late;
        const auto waiting = ask(on, "example.test:80", late, {.deadline = 0s});
        on.settle();
        CHECK(late.calls == 0);
        names.release();
        CHECK(text_of(outcome(on, late).endpoints) == "tcp://127.0.0.1:80 ");
        // Of those that only waited none was looked up.
        CHECK(hanging.calls == 0);
        CHECK(names.look_ups() == look_up_queue::threads_max + 1);
        wait_for_threads(names);
    });
}

TEST_CASE("[266] resolve: the queue of waiting names has an end") {
    with_hanging_names({266}, [](network& on, naming_kernel& names) {
        answer ignored;
        std::vector<look_up> pending;
        for (std::size_t i = 0; i < look_up_queue::threads_max; ++i) {
            pending.push_back(ask(on, "example.test:80", ignored, {.deadline = 0s}));
        }
        CHECK(on.until([&] { return names.hanging() == look_up_queue::threads_max; }));
        for (std::size_t i = 0; i < look_up_queue::waiting_max; ++i) {
            pending.push_back(ask(on, "example.test:80", ignored, {.deadline = 0s}));
        }
        answer refused;
        auto one_more = ask(on, "example.test:80", refused);
        CHECK(outcome(on, refused).error == errc::look_up_queue_full);
        pending.pop_back(); // makes room
        answer heard;
        one_more = ask(on, "example.test:80", heard);
        on.settle();
        CHECK(heard.calls == 0);
        CHECK(ignored.calls == 0);
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        names.release();
        CHECK(outcome(on, heard).endpoints.size() == 1);
    });
}

TEST_CASE("[274] resolve: a loop goes on while its look-ups hang") {
    with_hanging_names({274}, [](network& on, naming_kernel& names) {
        answer heard;
        const auto pending = ask(on, "example.test:80", heard);
        sockeye::timer ticks(on.loop());
        int ticked = 0;
        ticks.start_every(1ms, [&] { ++ticked; });
        CHECK(on.until([&] { return names.hanging() == 1 && ticked >= 20; }));
        CHECK(heard.calls == 0);
    });
}

TEST_CASE("[270] resolve: the loop goes while look-ups hang, wait and are answered") {
    support::on_every_ground({270}, [](support::ground& on, support::rows&) {
        naming_kernel names(on.system());
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        names.hang();
        {
            auto owner = on.make_loop(names);
            std::vector<look_up> pending;
            for (int i = 0; i < 10; ++i) {
                pending.push_back(sockeye::resolve(owner, "example.test:80", {},
                                                   [](const auto&) { FAIL_CHECK("called"); }));
            }
            if (!on.is_simulated()) {
                CHECK(support::turn_until([&] { return names.hanging() == 4; }, [] {}));
            }
            pending.resize(5);
            for (auto& one : pending) {
                one = look_up();
            }
        }
        names.release();
        wait_for_threads(names);
    });
}

TEST_CASE("[270] resolve: an answer comes to a loop that has gone") {
    support::on_every_ground(
        {270},
        [](support::ground& on, support::rows&) {
            naming_kernel names(on.system());
            names.hang();
            std::optional<sockeye::loop> owner(on.make_loop(names));
            support::script told;
            auto client = sockeye::connect<support::hooked>(*owner, "tcp://example.test:80", {},
                                                            std::ref(told));
            client.detach();
            CHECK(support::turn_until([&] { return names.hanging() == 1; }, [] {}));
            owner.reset();
            CHECK(told.sessions == 0);
            CHECK(told.heard.empty());
            names.release();
            wait_for_threads(names);
        },
        support::needs_real_system{"look-ups are no calls that hang"});
}

TEST_CASE("[255] [F23] resolve: without a thread it says so, and later ones work") {
    with_names({255, support::fault_row(23)}, [](network& on, naming_kernel& names) {
        if (on.on().is_simulated()) {
            on.does_not_apply("a simulation has no threads");
            return;
        }
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        names.refuse_threads(1);
        answer refused;
        auto pending = ask(on, "example.test:80", refused);
        CHECK(outcome(on, refused).error == std::errc::resource_unavailable_try_again);
        answer heard;
        pending = ask(on, "example.test:80", heard);
        CHECK(outcome(on, heard).endpoints.size() == 1);
        // Where another thread runs, the name waits for that one.
        names.hang();
        answer first;
        answer second;
        const auto one = ask(on, "example.test:80", first);
        CHECK(on.until([&] { return names.hanging() == 1; }));
        names.refuse_threads(1);
        pending = ask(on, "example.test:80", second);
        names.release();
        CHECK(outcome(on, second).endpoints.size() == 1);
        CHECK(first.endpoints.size() == 1);
    });
}

TEST_CASE("resolve: a handler may do anything to its own look-up, and to others") {
    with_names({}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        answer silent;
        look_up other = ask(on, "127.0.0.1:80", silent);
        look_up own;
        int calls = 0;
        SUBCASE("destroy them") {
            own = sockeye::resolve(on.loop(), "127.0.0.1:80", {}, [&](const auto&) {
                ++calls;
                own = look_up();
            });
        }
        SUBCASE("begin again") {
            own = sockeye::resolve(on.loop(), "example.test:80", {}, [&](const auto&) {
                own = sockeye::resolve(on.loop(), "example.test:80", {},
                                       [&](const auto&) { ++calls; });
            });
        }
        SUBCASE("throw") {
            own = sockeye::resolve(on.loop(), "example.test:80", {}, [&](const auto&) {
                ++calls;
                throw std::runtime_error("thrown");
            });
            CHECK_THROWS_WITH(static_cast<void>(on.until([&] { return calls != 0; })), "thrown");
        }
        CHECK(on.until([&] { return calls == 1; }));
        CHECK_FALSE(own.is_pending());
        CHECK(on.until([&] { return silent.calls == 1; }));
    });
}

TEST_CASE("resolve: run() waits for the answer") {
    with_names({}, [](network& on, naming_kernel& names) {
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        answer heard;
        const auto pending = ask(on, "example.test:80", heard);
        CHECK_FALSE(on.loop().run());
        CHECK(heard.endpoints.size() == 1);
    });
}

TEST_CASE("[266] [267] kernel: the system's own look-up") {
    auto& system = sockeye::system_kernel();
    const auto ask_system = [&](std::string name, int family = AF_UNSPEC) {
        return system.resolve({std::move(name), sockeye::transport::udp, family});
    };
    // The hosts file has it wherever these tests run; no name server is asked.
    const auto local = ask_system("localhost");
    REQUIRE(local);
    for (const auto& one : *local) {
        CHECK(one.is_loopback());
        CHECK(one.port() == 0);
        CHECK(one.kind() == sockeye::transport::udp);
    }
    const auto numeric = ask_system("127.0.0.7");
    CHECK(text_of(numeric.value()) == "udp://127.0.0.7:0 ");
    const auto wrong_family = ask_system("127.0.0.7", AF_INET6).error();
    CHECK((wrong_family == errc::host_without_address || wrong_family == errc::host_not_found));
    CHECK(ask_system("localhost", 12345).error() == std::errc::address_family_not_supported);
    CHECK(ask_system("").error() == errc::endpoint_host_invalid);
    CHECK(ask_system(std::string("localhost\0.evil", 15)).error() == errc::endpoint_host_invalid);
    CHECK(ask_system(std::string(255, 'a')).error() == errc::endpoint_name_too_long);
}

TEST_CASE("[268] resolve: loops of several threads share the threads that look up") {
    naming_kernel names;
    names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
    constexpr int loops = 4;
    constexpr int each = 50;
    std::atomic<int> answered = 0;
    std::vector<std::thread> threads;
    for (int i = 0; i < loops; ++i) {
        threads.emplace_back([&] {
            auto owner = support::make_loop(names, sockeye::backend_table()[0]);
            std::vector<look_up> pending;
            for (int j = 0; j < each; ++j) {
                pending.push_back(sockeye::resolve(
                    owner, "example.test:80", {},
                    [&](const sockeye::result<found>& said) { answered += said ? 1 : 0; }));
            }
            static_cast<void>(owner.run());
        });
    }
    for (auto& one : threads) {
        one.join();
    }
    CHECK(answered == loops * each);
    CHECK(names.look_ups_most() <= look_up_queue::threads_max);
}

TEST_CASE("[264] resolve: a child made by fork looks up on threads of its own") {
    const auto look_up_here = [] {
        naming_kernel names;
        names.name("example.test", parsed({"tcp://127.0.0.1:0"}));
        auto owner = support::make_loop(names, sockeye::backend_table()[0]);
        int found_here = 0;
        const auto pending =
            sockeye::resolve(owner, "example.test:80", {}, [&](const sockeye::result<found>& said) {
                found_here += said ? 1 : 0;
            });
        static_cast<void>(owner.run());
        return found_here == 1 && names.threads_started() == 1 ? 0 : 1;
    };
    CHECK(look_up_here() == 0);
    CHECK(support::run_in_child(look_up_here) == 0);
    CHECK(look_up_here() == 0);
}
