#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;
using sockeye::close_reason;
using support::mebibyte;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

namespace {

/// A session without on_end: its connection closes when the peer has ended and all is sent.
struct answering {
    explicit answering(script& told) : told_(told) {}
    void on_data(sockeye::stream& link, sockeye::bytes in) {
        told_.link = &link;
        if (told_.on_data) {
            told_.on_data(link, in);
        }
    }
    void on_close(sockeye::stream&, sockeye::close_info info) {
        ++told_.closes;
        told_.info = info;
    }
    script& told_;
};

bool has_heard(raw_peer& peer, std::size_t size) {
    peer.pump();
    return peer.heard().size() >= size || peer.is_over();
}

} // namespace

TEST_CASE("[127] [128] [130] stream: after the peer's end 10 MB still go the other way") {
    support::on_every_stream({127, 128, 130, 197}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto answer = pattern(10 * mebibyte);
        told.on_end = [&](sockeye::stream& link) {
            link.write(answer);
            link.shutdown();
        };
        raw_peer peer(on.system(), support::local_of(server));
        const auto question = pattern(2 * mebibyte, 2);
        peer.say(question);
        peer.finish();
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over();
        }));
        CHECK(peer.has_ended());
        CHECK((peer.heard() == answer));
        CHECK((told.data == question));
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::ended);
        CHECK(told.info.dropped_bytes == 0);
        CHECK(told.heard == std::vector<std::string>{"open", "data", "end", "close"});
    });
}

TEST_CASE("stream: a session without on_end closes once all its answers are sent") {
    support::on_every_stream({128}, [](network& on) {
        script told;
        auto server = sockeye::serve<answering>(on.loop(), on.local(), std::ref(told)).value();
        told.on_data = [](sockeye::stream& link, sockeye::bytes in) { link.write(in); };
        raw_peer peer(on.system(), support::local_of(server));
        const auto whole = pattern(8 * mebibyte);
        peer.say(whole);
        peer.finish();
        peer.is_deaf = true;
        for (int turns = 0; turns < 50; ++turns) {
            peer.pump();
            on.turn();
        }
        peer.is_deaf = false;
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over();
        }));
        CHECK(peer.has_ended());
        CHECK((peer.heard() == whole));
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::ended);
        CHECK(server.connection_count() == 0);
    });
}

TEST_CASE("[131] [118] stream: shutdown waits for what is queued; later writes are refused") {
    support::on_every_stream({118, 131, 133}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto whole = pattern(10 * mebibyte);
        told.on_open = [&](sockeye::stream& link) {
            link.write(whole);
            link.shutdown();
            link.shutdown();
            CHECK(link.write("late") == sockeye::write_status::refused);
            CHECK(link.is_open());
        };
        raw_peer peer(on.system(), support::local_of(server));
        CHECK(on.until([&] {
            peer.pump();
            return peer.has_ended();
        }));
        CHECK((peer.heard() == whole));
        peer.say("reading goes on");
        peer.finish();
        CHECK(on.until([&] {
            peer.pump();
            return told.is_closed();
        }));
        CHECK(told.data == "reading goes on");
        CHECK(told.info.reason == close_reason::ended);
        CHECK(told.count("end") == 0);
    });
}

TEST_CASE("[132] [141] stream: shutdown, then close, then close again: all is sent, one on_close") {
    support::on_every_stream({132, 141}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto whole = pattern(10 * mebibyte);
        told.on_open = [&](sockeye::stream& link) {
            link.write(whole);
            link.shutdown();
            link.close();
            link.close();
            CHECK_FALSE(link.is_open());
        };
        raw_peer peer(on.system(), support::local_of(server));
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over();
        }));
        CHECK(peer.has_ended());
        CHECK((peer.heard() == whole));
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::closed);
        CHECK(told.closes == 1);
    });
}

TEST_CASE("[134] stream: both sides shut down at once") {
    support::on_every_stream({134}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_open = [](sockeye::stream& link) { link.shutdown(); };
        raw_peer peer(on.system(), support::local_of(server));
        peer.finish();
        peer.pump();
        CHECK(on.until([&] {
            peer.pump();
            return told.is_closed() && peer.has_ended();
        }));
        CHECK(told.info.reason == close_reason::ended);
    });
}

TEST_CASE("[129] stream: a reset is connection_reset, never an end") {
    support::on_every_backend_with_tcp({129}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        SUBCASE("while reading") {
            peer.reset();
        }
        SUBCASE("with unread data of ours") {
            told.link->write("unread");
            on.turn();
            peer.close();
        }
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::failed);
        CHECK(told.info.error == std::errc::connection_reset);
        CHECK(told.count("end") == 0);
    });
}

TEST_CASE("[47] stream: a half-closed stream that is reset is noticed without a read") {
    support::on_every_backend_with_tcp({47, 129}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        peer.say("question");
        peer.finish();
        CHECK(on.until([&] {
            peer.pump();
            return told.count("end") == 1;
        }));
        on.settle();
        const auto events = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == events);
        CHECK_FALSE(told.is_closed());
        peer.reset();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::failed);
        CHECK(told.info.error == std::errc::connection_reset);
        CHECK(told.heard == std::vector<std::string>{"open", "data", "end", "close"});
        const auto waits = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == waits);
    });
}

TEST_CASE(
    "[126] stream: what happens while reading is paused is told after resume, and spins not") {
    support::on_every_backend_with_tcp({126}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_open = [](sockeye::stream& link) { link.pause(); };
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        SUBCASE("the peer closes") {
            peer.say("last words");
            peer.pump();
            peer.close();
            on.settle();
            CHECK_FALSE(told.is_closed());
            told.link->resume();
            CHECK(on.until([&] { return told.count("end") == 1; }));
            CHECK(told.data == "last words");
        }
        SUBCASE("the peer resets") {
            peer.reset();
            on.settle();
            const auto events = on.loop().counters().events;
            on.settle();
            CHECK(on.loop().counters().events == events);
            if (told.link != nullptr) {
                told.link->resume();
            }
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == std::errc::connection_reset);
        }
    });
}

TEST_CASE("[111] [137] stream: close drops what is unsent when its linger time is over") {
    support::on_every_stream({111, 137}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.linger = 30ms}});
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto whole = pattern(30 * mebibyte);
        told.link->write(whole);
        const auto start = on.now();
        told.link->close();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(on.now() - start >= 30ms);
        CHECK(told.info.reason == close_reason::failed);
        CHECK(told.info.error == std::errc::timed_out);
        CHECK(told.info.dropped_bytes > 0);
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over();
        }));
        CHECK(peer.heard().size() + told.info.dropped_bytes <= whole.size());
        CHECK((peer.heard() == whole.substr(0, peer.heard().size())));
        // What it got must not pass for all there was. Unix sockets know no reset.
        CHECK(peer.has_ended() == on.is_unix());
        CHECK((on.is_unix() || peer.error() == std::errc::connection_reset));
    });
}

TEST_CASE("[138] stream: abort drops the queue and sends a reset") {
    support::on_every_backend_with_tcp({137, 138}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        std::size_t queued = 0;
        SUBCASE("idle") {
            told.link->abort();
        }
        SUBCASE("with bytes queued") {
            told.link->write(pattern(20 * mebibyte));
            queued = told.link->queued_bytes();
            CHECK(queued > 0);
            told.link->abort();
        }
        SUBCASE("with bytes that wait for the end of the turn") {
            told.link->write("abc");
            queued = 3;
            told.link->abort();
        }
        SUBCASE("after shutdown") {
            told.link->write(pattern(20 * mebibyte));
            queued = told.link->queued_bytes();
            told.link->shutdown();
            told.link->abort();
        }
        SUBCASE("while it closes") {
            told.link->write(pattern(20 * mebibyte));
            queued = told.link->queued_bytes();
            told.link->close();
            told.link->abort();
        }
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::aborted);
        CHECK(told.info.dropped_bytes == queued);
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over();
        }));
        CHECK(peer.error() == std::errc::connection_reset);
    });
}

TEST_CASE(
    "[117] [135] stream: writing to a peer that is gone ends the connection, without SIGPIPE") {
    support::on_every_stream({117, 135}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        peer.say("before");
        peer.pump();
        REQUIRE(on.until([&] { return told.data == "before"; }));
        peer.close();
        REQUIRE(on.until([&] { return told.count("end") == 1; }));
        CHECK(on.until([&] {
            if (told.link != nullptr) {
                told.link->write(pattern(100'000));
            }
            return told.is_closed();
        }));
        CHECK(told.info.reason == close_reason::failed);
        const bool is_named = told.info.error == std::errc::broken_pipe ||
                              told.info.error == std::errc::connection_reset;
        CHECK(is_named);
    });
}

TEST_CASE("[139] stream: who closes with input unread resets; who reads to the end does not") {
    support::on_every_backend_with_tcp({139}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        told.on_open = [](sockeye::stream& link) { link.pause(); };
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        peer.say("unread");
        peer.pump();
        on.settle();
        SUBCASE("close") {
            told.link->close();
            CHECK(on.until([&] {
                peer.pump();
                return peer.is_over();
            }));
            CHECK(peer.error() == std::errc::connection_reset);
        }
        SUBCASE("shutdown, then to the end") {
            told.link->write("goodbye");
            told.link->shutdown();
            told.link->resume();
            CHECK(on.until([&] {
                peer.pump();
                return peer.has_ended();
            }));
            CHECK(peer.heard() == "goodbye");
            peer.finish();
            CHECK(on.until([&] {
                peer.pump();
                return told.is_closed();
            }));
            CHECK(told.data == "unread");
            CHECK(told.info.reason == close_reason::ended);
        }
    });
}

TEST_CASE("[128] stream: what arrived before a failed write is still delivered") {
    support::on_every_stream({128}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        told.on_open = [](sockeye::stream& link) { link.pause(); };
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto words = pattern(200'000);
        peer.say(words.substr(0, 100'000));
        peer.pump();
        peer.close();
        on.settle();
        told.link->resume();
        // A Unix socket says at once that its peer is gone; TCP with the second write.
        told.link->write("a");
        CHECK(on.until([&] {
            if (told.link != nullptr) {
                told.link->write("b");
            }
            return told.is_closed();
        }));
        const auto arrived = told.data.size();
        CHECK(arrived == (on.is_unix() ? 100'000 : arrived));
        CHECK((told.data == words.substr(0, arrived)));
        CHECK(told.info.reason == close_reason::failed);
    });
}

TEST_CASE("[135] stream: shutdown after a reset is harmless, and the reset is what is told") {
    support::on_every_backend_with_tcp({135}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        told.on_close = [](sockeye::stream& link, const sockeye::close_info&) { link.shutdown(); };
        peer.reset();
        // No turn in between: only the kernel knows of the reset.
        told.link->shutdown();
        told.link->shutdown();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::failed);
        CHECK(told.info.error == std::errc::connection_reset);
        CHECK(told.heard == std::vector<std::string>{"open", "close"});
    });
}

TEST_CASE("[197] stream: a half-closed Unix stream whose peer goes is noticed without a read") {
    support::on_every_network({197}, {"unix:"}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        peer.finish();
        CHECK(on.until([&] {
            peer.pump();
            return told.count("end") == 1;
        }));
        on.settle();
        CHECK_FALSE(told.is_closed());
        peer.close();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == close_reason::failed);
        CHECK(told.info.error == std::errc::connection_reset);
        CHECK(told.heard == std::vector<std::string>{"open", "end", "close"});
    });
}

TEST_CASE("[147] stream: the addresses of one that connected go with it") {
    support::on_every_stream({147}, [](network& on) {
        script remote;
        auto server = support::serve_script(on, remote);
        script told;
        auto client = sockeye::connect<support::hooked>(on.loop(), support::local_of(server), {},
                                                        std::ref(told));
        REQUIRE(on.until([&] { return told.link != nullptr && remote.link != nullptr; }));
        CHECK(client.peer_endpoint().value() == support::local_of(server));
        CHECK(client.local_endpoint().value() == remote.link->peer_endpoint().value());
        client.close();
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(client.peer_endpoint().error() == std::errc::not_connected);
        CHECK(client.local_endpoint().error() == std::errc::not_connected);
    });
}

TEST_CASE("[147] stream: addresses are known while it lives and are errors afterwards") {
    support::on_every_stream({147}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        sockeye::stream_ref ref;
        sockeye::stream* link = nullptr;
        told.on_open = [&](sockeye::stream& opened) {
            link = &opened;
            ref = opened.ref();
            CHECK(opened.local_endpoint().value().family() == support::local_of(server).family());
            CHECK(opened.peer_endpoint().value().family() == support::local_of(server).family());
        };
        told.on_close = [](sockeye::stream& closed, const sockeye::close_info&) {
            CHECK(closed.local_endpoint());
            CHECK_FALSE(closed.is_open());
        };
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return link != nullptr; }));
        CHECK(on.loop().find(ref) == link);
        link->close();
        CHECK(on.until([&] { return told.is_closed(); }));
        on.settle();
        CHECK(on.loop().find(ref) == nullptr);
        CHECK(on.until([&] { return has_heard(peer, 1); }));
        CHECK(peer.has_ended());
    });
}

TEST_CASE("[140] stream: close inside each of its handlers") {
    support::on_every_stream({140}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto close = [](sockeye::stream& link) { link.close(); };
        std::vector<std::string> expected = {"open", "close"};
        SUBCASE("on_open") {
            told.on_open = close;
        }
        SUBCASE("on_data") {
            told.on_data = [](sockeye::stream& link, sockeye::bytes) { link.close(); };
            expected = {"open", "data", "close"};
        }
        sockeye::timer clock(on.loop());
        SUBCASE("that of a timer") {
            // In the turn that brings the data, before they are read or after.
            told.on_open = [&](sockeye::stream& link) {
                link.pause();
                clock.start(0ms, [&] {
                    told.link->resume();
                    told.link->close();
                });
            };
        }
        SUBCASE("on_end") {
            told.on_end = close;
            expected = {"open", "data", "end", "close"};
        }
        SUBCASE("on_writable") {
            told.on_open = [](sockeye::stream& link) {
                link.pause();
                link.write(pattern(10 * mebibyte));
            };
            told.on_writable = close;
            expected = {"open", "writable", "close"};
        }
        raw_peer peer(on.system(), support::local_of(server));
        peer.say("hello");
        peer.finish();
        CHECK(on.until([&] {
            peer.pump();
            return told.is_closed();
        }));
        on.settle();
        CHECK(told.heard == expected);
        CHECK(told.info.reason == close_reason::closed);
        CHECK(told.sessions == 0);
        CHECK(server.connection_count() == 0);
    });
}
