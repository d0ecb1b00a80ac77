#include "support/misuse.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/socket.h>

using namespace std::chrono_literals;
using sockeye::close_reason;
using support::mebibyte;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

namespace {

/// Which handler of a script shall do something.
using deed = std::function<void(sockeye::stream&)>;

struct moment {
    const char* name;
    void (*arm)(script&, deed);
};

/// A peer that says something, reads all and ends its side brings each of them about.
const moment moments[] = {
    {"on_open", [](script& told, deed what) { told.on_open = std::move(what); }},
    {"on_data",
     [](script& told, deed what) {
         told.on_data = [what = std::move(what)](sockeye::stream& link, sockeye::bytes) {
             what(link);
         };
     }},
    {"on_end", [](script& told, deed what) { told.on_end = std::move(what); }},
    {"on_writable",
     [](script& told, deed what) {
         told.on_open = [](sockeye::stream& link) {
             link.pause();
             link.write(pattern(8 * mebibyte));
         };
         told.on_writable = std::move(what);
     }},
    {"on_close",
     [](script& told, deed what) {
         told.on_data = [](sockeye::stream& link, sockeye::bytes) { link.close(); };
         told.on_close = [what = std::move(what)](sockeye::stream& link,
                                                  const sockeye::close_info&) { what(link); };
     }},
};

raw_peer talking_peer(network& on, const sockeye::server& server) {
    raw_peer peer(on.system(), support::local_of(server));
    peer.say("hello");
    peer.finish();
    return peer;
}

/// Turns until `fact`, with `peer` doing its part.
bool until(network& on, raw_peer& peer, const std::function<bool()>& fact) {
    return on.until([&] {
        peer.pump();
        return fact();
    });
}

} // namespace

TEST_CASE("[140] [142] server: may be destroyed in every handler of its sessions") {
    for (const auto& when : moments) {
        SUBCASE(when.name) {
            support::on_every_backend_with_tcp({140, 142}, [arm = when.arm](network& on) {
                script told;
                std::optional<sockeye::server> server;
                bool is_done = false;
                arm(told, [&](sockeye::stream& link) {
                    server.reset();
                    CHECK(told.sessions == 1); // only the one that is running
                    CHECK_FALSE(link.is_open());
                    link.write("harmless");
                    is_done = true;
                });
                server.emplace(support::serve_script(on, told));
                raw_peer idle(on.system(), support::local_of(*server));
                auto peer = talking_peer(on, *server);
                CHECK(until(on, peer, [&] { return is_done; }));
                on.settle();
                CHECK(told.sessions == 0);
                CHECK(told.closes <= 1);
                CHECK(until(on, idle, [&] { return idle.is_over(); }));
            });
        }
    }
}

TEST_CASE("[142] connect: its stream may be destroyed in every handler of its session") {
    for (const auto& when : moments) {
        SUBCASE(when.name) {
            support::on_every_stream({142}, [arm = when.arm](network& on) {
                script remote;
                auto server = support::serve_script(on, remote);
                remote.on_open = [](sockeye::stream& link) {
                    link.write("hello");
                    link.shutdown();
                };
                script told;
                std::optional<sockeye::stream> client;
                bool is_done = false;
                arm(told, [&](sockeye::stream&) {
                    client.reset();
                    is_done = true;
                });
                client.emplace(sockeye::connect<support::hooked>(
                    on.loop(), support::local_of(server), {}, std::ref(told)));
                CHECK(on.until([&] { return is_done; }));
                on.settle();
                CHECK(told.sessions == 0);
                CHECK(told.closes <= 1);
            });
        }
    }
}

TEST_CASE("[111] stream: an owner's destructor is silent, and what was written is still sent") {
    support::on_every_stream({111, 142}, [](network& on) {
        script told;
        std::optional<sockeye::server> server(support::serve_script(on, told));
        raw_peer peer(on.system(), support::local_of(*server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto whole = pattern(10 * mebibyte);
        told.link->write(whole);
        server.reset();
        CHECK(told.sessions == 0);
        CHECK(until(on, peer, [&] { return peer.is_over(); }));
        CHECK(peer.has_ended());
        CHECK((peer.heard() == whole));
        on.settle();
        CHECK(told.closes == 0);
        CHECK(on.loop().counters().queued_bytes == 0);
    });
}

TEST_CASE("stream: a handler that throws closes its own connection and no other") {
    for (const auto& when : moments) {
        SUBCASE(when.name) {
            support::on_every_backend_with_tcp({}, [arm = when.arm](network& on) {
                script told;
                script calm;
                arm(told, [](sockeye::stream&) { throw std::runtime_error("on purpose"); });
                auto server = support::serve_script(on, told);
                auto calm_server = support::serve_script(on, calm);
                raw_peer bystander(on.system(), support::local_of(calm_server));
                auto peer = talking_peer(on, server);
                int thrown = 0;
                const auto turn_until = [&](const std::function<bool()>& fact) {
                    for (int turns = 0; turns < 10'000 && !fact(); ++turns) {
                        peer.pump();
                        bystander.pump();
                        try {
                            on.turn();
                        } catch (const std::runtime_error&) {
                            ++thrown;
                        }
                    }
                    return fact();
                };
                CHECK(turn_until([&] { return told.is_closed() && told.sessions == 0; }));
                CHECK(thrown == 1);
                CHECK(told.closes == 1);
                if (!told.on_close) {
                    CHECK(told.info.reason == close_reason::failed);
                    CHECK(told.info.error == sockeye::errc::handler_threw);
                }
                bystander.say("unharmed");
                CHECK(turn_until([&] { return calm.data == "unharmed"; }));
            });
        }
    }
}

TEST_CASE("stream: a constructor of a session that throws closes that connection only") {
    struct moody {
        explicit moody(int& made) {
            if (++made == 1) {
                throw std::runtime_error("on purpose");
            }
        }
        void on_data(sockeye::stream& link, sockeye::bytes in) { link.write(in); }
    };
    support::on_every_backend_with_tcp({}, [](network& on) {
        int made = 0;
        auto server = sockeye::serve<moody>(on.loop(), on.local(), std::ref(made)).value();
        raw_peer first(on.system(), support::local_of(server));
        int thrown = 0;
        for (int turns = 0; turns < 1000 && !first.is_over(); ++turns) {
            first.pump();
            try {
                on.turn();
            } catch (const std::runtime_error&) {
                ++thrown;
            }
        }
        CHECK(thrown == 1);
        CHECK(first.is_over());
        raw_peer second(on.system(), support::local_of(server));
        second.say("hi");
        CHECK(until(on, second, [&] { return second.heard() == "hi"; }));
    });
}

TEST_CASE("stream: moved out of its session it is taken over, and takes a new session") {
    for (const auto& when : moments) {
        if (std::string_view(when.name) == "on_close") {
            continue;
        }
        SUBCASE(when.name) {
            support::on_every_stream({142}, [arm = when.arm](network& on) {
                script told;
                script next;
                std::optional<sockeye::stream> taken;
                arm(told, [&](sockeye::stream& link) {
                    taken.emplace(std::move(link));
                    CHECK(taken->is_open());
                });
                auto server = support::serve_script(on, told, {.connections_max = 1});
                auto peer = talking_peer(on, server);
                peer.say("more");
                CHECK(until(on, peer, [&] { return told.is_closed(); }));
                CHECK(told.info.reason == close_reason::taken);
                CHECK(told.closes == 1);
                CHECK(told.sessions == 0);
                CHECK(server.connection_count() == 0);
                REQUIRE(taken.has_value());
                taken->resume();
                taken->attach<support::hooked>(std::ref(next));
                taken->write("from the next");
                taken->shutdown();
                CHECK(until(on, peer, [&] { return next.is_closed() && peer.is_over(); }));
                CHECK(peer.heard().ends_with("from the next"));
                CHECK(next.count("open") == 0);

                // The server's limit counts only what is still its own.
                raw_peer another(on.system(), support::local_of(server));
                CHECK(until(on, another, [&] { return told.made == 2; }));
            });
        }
    }
}

TEST_CASE("stream: moved out and given a new session inside one handler") {
    support::on_every_backend_with_tcp({142}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        remote.on_open = [](sockeye::stream& link) { link.write("hello"); };
        script told;
        script next;
        std::optional<sockeye::stream> taken;
        const deed upgrade = [&](sockeye::stream& link) {
            taken.emplace(std::move(link));
            taken->attach<support::hooked>(std::ref(next));
        };
        SUBCASE("on_open, with bytes written early") {
            told.on_open = upgrade;
        }
        SUBCASE("on_writable, with bytes waiting") {
            told.on_writable = upgrade;
        }
        SUBCASE("and destroyed there as well") {
            told.on_data = [&](sockeye::stream& link, sockeye::bytes) {
                upgrade(link);
                taken.reset();
            };
        }
        auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server), {},
                                                        std::ref(told));
        client.write(pattern(6 * mebibyte));
        client.detach();
        if (told.on_data) {
            CHECK(on.until([&] { return remote.is_closed() || remote.count("end") == 1; }));
            CHECK(next.closes == 0);
        } else {
            CHECK(on.until([&] { return remote.data.size() == 6 * mebibyte; }));
            CHECK(on.until([&] { return (told.data + next.data) == "hello"; }));
            CHECK(taken->is_open());
        }
        on.settle();
        CHECK(told.closes == 1);
        CHECK(told.info.reason == close_reason::taken);
        CHECK(told.sessions == 0);
    });
}

TEST_CASE("stream: one that is over cannot be taken, and on_close comes once all the same") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        SUBCASE("in on_close") {
            told.on_open = [](sockeye::stream& link) { link.close(); };
            told.on_close = [](sockeye::stream& link, const sockeye::close_info&) {
                const sockeye::stream taken(std::move(link));
                CHECK_FALSE(taken.is_open());
            };
        }
        SUBCASE("after close") {
            told.on_open = [](sockeye::stream& link) {
                link.close();
                const sockeye::stream taken(std::move(link));
                CHECK_FALSE(taken.is_open());
            };
        }
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        CHECK(until(on, peer, [&] { return peer.is_over(); }));
        on.settle();
        CHECK(told.closes == 1);
        CHECK(told.info.reason == close_reason::closed);
        CHECK(told.sessions == 0);
    });
}

TEST_CASE("[107] [106] stream: a released descriptor is whole, and can be adopted again") {
    support::on_every_stream(
        {106, 107},
        [](network& on) {
            script told;
            script next;
            auto server = support::serve_script(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            told.link->write("before");
            auto fd = told.link->release();
            REQUIRE(fd);
            CHECK_FALSE(told.link->is_open());
            CHECK(told.link->release().error() == std::errc::not_connected);
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.reason == close_reason::taken);
            peer.say("question");
            peer.pump();
            on.settle();
            CHECK(told.data.empty());

            auto adopted = sockeye::adopt(on.loop(), std::move(*fd)).value();
            on.settle();
            adopted.attach<support::hooked>(std::ref(next));
            CHECK(on.until([&] { return next.data == "question"; }));
            adopted.write(" after");
            CHECK(until(on, peer, [&] { return peer.heard() == "before after"; }));
        },
        support::needs_real_system{"descriptors that change hands"});
}

TEST_CASE("[87] [106] adopt: refuses what is no connection, and what is watched already") {
    support::on_every_backend_with_tcp(
        {87, 106},
        [](network& on) {
            const auto adopt = [&](sockeye::unique_fd fd) {
                return sockeye::adopt(on.loop(), std::move(fd)).error();
            };
            CHECK(adopt(sockeye::unique_fd(::open("/", O_RDONLY | O_CLOEXEC))) ==
                  sockeye::errc::not_pollable);
            CHECK(adopt(sockeye::unique_fd()) == std::errc::bad_file_descriptor);
            auto datagrams = support::make_refused_udp();
            CHECK(adopt(std::move(datagrams.first)) == sockeye::errc::service_mismatch);
            CHECK(adopt(support::make_bound_tcp_socket()) == std::errc::not_connected);
            auto listening = support::make_bound_tcp_socket();
            REQUIRE(::listen(listening.get(), 1) == 0);
            CHECK(adopt(std::move(listening)) == std::errc::not_connected);

            auto pair = support::make_tcp_pair();
            const support::tolerated_misuse closed_by_adopt;
            auto watched =
                on.loop()
                    .watch(pair.first.get(), sockeye::interest::readable, [](sockeye::readiness) {})
                    .value();
            CHECK(adopt(std::move(pair.first)) == std::errc::file_exists);
            CHECK_FALSE(pair.first);
        },
        support::needs_real_system{"descriptors that change hands"});
}

TEST_CASE("stream_ref: finds a living connection; a post for a dead one is dropped") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto ref = told.link->ref();
        CHECK(on.loop().find(sockeye::stream_ref()) == nullptr);
        int ran = 0;
        const auto remote = on.loop().remote();
        CHECK(remote.post(ref, [&](sockeye::stream& link) {
            ++ran;
            link.write("posted");
            link.close();
        }));
        CHECK(until(on, peer, [&] { return peer.is_over(); }));
        CHECK(peer.heard() == "posted");
        CHECK(ran == 1);
        CHECK(remote.post(ref, [&](sockeye::stream&) { ++ran; }));
        on.settle();
        CHECK(ran == 1);
    });
}

TEST_CASE("detach: servers and streams live on until they are closed, and run() with them") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.connections_max = 1});
        const auto where = support::local_of(server);
        raw_peer peer(on.system(), where);
        told.on_data = [](sockeye::stream& link, sockeye::bytes in) {
            link.write(in);
            link.close();
        };
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        SUBCASE("it closes first") {
            server.close();
            server.detach();
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK_FALSE(on.loop().run()); // nothing is left
        }
        SUBCASE("it goes with the loop") {
            server.detach();
            on.leaves_to_the_loop(1); // the listening socket
            peer.say("answer me");
            CHECK(until(on, peer, [&] { return peer.heard() == "answer me"; }));
        }
    });
}

TEST_CASE("server: drain stops accepting and aborts what is left at the deadline") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer quick(on.system(), support::local_of(server));
        raw_peer slow(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.made == 2; }));
        const auto start = on.now();
        server.drain(50ms);
        CHECK_FALSE(server.is_listening());
        told.on_end = [](sockeye::stream& link) { link.close(); };
        quick.finish();
        CHECK(until(on, quick, [&] { return told.closes == 1; }));
        CHECK(told.info.reason == close_reason::closed);
        CHECK(until(on, slow, [&] { return told.closes == 2; }));
        CHECK(told.info.reason == close_reason::aborted);
        CHECK(on.now() - start >= 50ms);
        CHECK(until(on, slow, [&] { return slow.is_over(); }));
        CHECK(slow.error() == std::errc::connection_reset);
    });
}
