#include "support/handlers.hpp"
#include "support/misuse.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <sys/socket.h>

using namespace std::chrono_literals;
using sockeye::write_status;
using support::echo;
using support::mebibyte;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

namespace {

/// Says `whole` in pieces of random sizes and turns until the answer is as long, or it is over.
void converse(network& on, raw_peer& peer, const std::string& whole, std::size_t piece_max) {
    std::mt19937_64 random(7);
    std::size_t said = 0;
    CHECK(on.until([&] {
        while (said < whole.size() && peer.has_said_all()) {
            const auto piece = std::min<std::size_t>(whole.size() - said, 1 + random() % piece_max);
            peer.say(std::string_view(whole).substr(said, piece));
            said += piece;
            peer.pump();
        }
        peer.pump();
        return peer.heard().size() >= whole.size() || peer.is_over();
    }));
}

/// Writes far more than the kernel takes.
std::string fill(sockeye::stream& link) {
    auto written = pattern(16 * mebibyte, 3);
    CHECK(link.write(written) == write_status::above_high_mark);
    return written;
}

/// Says "before", and with or behind it what cuts a receive call short: a descriptor over a Unix
/// socket, else a byte of urgent data.
void say_specially(int fd, bool is_unix) {
    char text[] = "before";
    iovec buffer = {text, 6};
    alignas(cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {};
    msghdr message = {};
    message.msg_iov = &buffer;
    message.msg_iovlen = 1;
    if (is_unix) {
        message.msg_control = room;
        message.msg_controllen = sizeof room;
        auto* const header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    CHECK(::sendmsg(fd, &message, MSG_NOSIGNAL) == 6);
    if (!is_unix) {
        CHECK(::send(fd, "!", 1, MSG_OOB | MSG_NOSIGNAL) == 1);
    }
}

const support::exemption no_reading_shutdown(
    {136}, "there is no shutdown of the reading side: pause() stops reading, close() ends it");

} // namespace

TEST_CASE("[79] [178] stream: echo gives every byte back in order, whatever the sizes") {
    support::on_every_stream({79, 178}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo).value();
        raw_peer peer(on.system(), support::local_of(server));
        const auto whole = pattern(3 * mebibyte);
        SUBCASE("small pieces") {
            converse(on, peer, whole.substr(0, 200'000), 300);
            CHECK(peer.heard() == whole.substr(0, 200'000));
        }
        SUBCASE("big pieces") {
            converse(on, peer, whole, 400'000);
            CHECK((peer.heard() == whole));
        }
        CHECK(server.connection_count() == 1);
        peer.finish();
        peer.pump();
        CHECK(on.until([&] { return server.connection_count() == 0; }));
    });
}

TEST_CASE("[108] [196] stream: 120 MB both ways at once, against a peer that reads late") {
    const auto whole = pattern(static_cast<std::size_t>(support::repetitions(120)) * mebibyte);
    support::on_every_network({108, 196}, {"tcp://127.0.0.1:0", "unix:"}, [&](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo).value();
        raw_peer peer(on.system(), support::local_of(server));
        peer.say(whole);
        peer.is_deaf = true;
        int turns = 0;
        CHECK(on.until([&] {
            peer.pump();
            peer.is_deaf = ++turns % 8 != 0;
            return peer.heard().size() >= whole.size() || peer.is_over();
        }));
        CHECK((peer.heard() == whole));
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(on.loop().counters().bytes_read == whole.size());
        CHECK(on.loop().counters().bytes_written == whole.size());
    });
}

TEST_CASE("[119] stream: its descriptor closed behind its back ends it, and nothing else") {
    support::on_every_stream(
        {119},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            script calm;
            auto other =
                sockeye::serve<support::hooked>(on.loop(), "tcp://127.0.0.1:0", std::ref(calm))
                    .value();
            raw_peer peer(on.system(), support::local_of(server));
            raw_peer bystander(on.system(), support::local_of(other));
            REQUIRE(on.until([&] { return told.link != nullptr && calm.link != nullptr; }));
            const support::tolerated_misuse closed_by_others;
            on.system().close(on.fd_of(*told.link));
            told.link->write("into nothing");
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.reason == sockeye::close_reason::failed);
            CHECK(told.info.error == std::errc::bad_file_descriptor);
            CHECK(told.info.dropped_bytes == 12);
            bystander.say("unharmed");
            CHECK(on.until([&] {
                bystander.pump();
                return calm.data == "unharmed";
            }));
        },
        support::needs_real_system{"a descriptor that is closed twice"});
}

TEST_CASE(
    "[109] [110] stream: an empty queue takes one write of any size; what follows it keeps its "
    "place") {
    support::on_every_stream({109, 110}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        const auto big = pattern(24 * mebibyte);
        told.on_open = [&](sockeye::stream& link) {
            CHECK(link.write(big) == write_status::above_high_mark);
            CHECK(link.queued_bytes() > mebibyte);
        };
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        CHECK(on.loop().counters().queued_bytes == told.link->queued_bytes());
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() >= big.size();
        }));
        REQUIRE(told.link != nullptr);
        CHECK(told.link->queued_bytes() == 0);
        CHECK(told.link->write("tail") == write_status::ok);
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() >= big.size() + 4;
        }));
        CHECK((peer.heard() == big + "tail"));
    });
}

TEST_CASE("[111] stream: ten thousand small writes leave in order, and few calls") {
    support::on_every_stream({111}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        std::string expected;
        told.on_open = [&](sockeye::stream& link) {
            for (int i = 0; i < 10'000; ++i) {
                const auto line = std::to_string(i) + ",";
                CHECK(link.write(line) != write_status::refused);
                expected += line;
            }
        };
        raw_peer peer(on.system(), support::local_of(server));
        CHECK(on.until([&] {
            peer.pump();
            return !expected.empty() && peer.heard().size() >= expected.size();
        }));
        CHECK((peer.heard() == expected));
        CHECK(on.loop().counters().writes <= 4);
    });
}

TEST_CASE("[112] stream: a write of nothing is nothing") {
    support::on_every_stream({112}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        CHECK(told.link->write("") == write_status::ok);
        on.settle();
        peer.pump();
        CHECK(on.loop().counters().writes == 0);
        CHECK_FALSE(peer.is_over());
    });
}

TEST_CASE("[113] stream: who write by turns, a little each, keep their bytes apart") {
    support::on_every_stream({113}, [](network& on) {
        script told;
        std::vector<sockeye::stream*> links;
        told.on_open = [&](sockeye::stream& link) { links.push_back(&link); };
        auto server = support::serve_script(on, told);
        auto peers = support::many_peers(on, 3, support::local_of(server));
        REQUIRE(on.until([&] { return links.size() == peers.size(); }));
        const std::string words = "abcdefghij";
        for (std::size_t i = 0; i < words.size(); ++i) {
            for (std::size_t at = 0; at < links.size(); ++at) {
                CHECK(links[at]->write(words.substr(i, 1) + std::to_string(at)) ==
                      write_status::ok);
            }
        }
        std::vector<std::string> whole(peers.size());
        for (const auto letter : words) {
            for (auto& one : whole) {
                one += letter + std::to_string(&one - whole.data());
            }
        }
        // In whatever order they were accepted.
        const auto heard = [&] {
            std::vector<std::string> all;
            for (auto& peer : peers) {
                peer.pump();
                all.push_back(peer.heard());
            }
            std::ranges::sort(all);
            return all;
        };
        CHECK(on.until([&] { return heard() == whole; }));
    });
}

TEST_CASE("[120] stream: above the high mark reading pauses, below the low mark it goes on") {
    support::on_every_stream({120}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.queue_max = 64 * mebibyte}});
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto written = fill(*told.link);
        peer.say("hello");
        peer.pump();
        on.settle();
        CHECK(told.data.empty());
        CHECK(told.count("writable") == 0);
        CHECK(told.link->write("more") == write_status::above_high_mark);

        std::size_t queued_then = 0;
        told.on_writable = [&](sockeye::stream& link) { queued_then = link.queued_bytes(); };
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() >= written.size() + 4 && told.data == "hello";
        }));
        on.settle();
        CHECK((peer.heard() == written + "more"));
        CHECK(told.count("writable") == 1);
        CHECK(queued_then <= sockeye::stream_limits{}.queue_low);
    });
}

TEST_CASE("stream: who has closed is not told that there is room again") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(
            on, told, {.limits = {.queue_high = 4 * mebibyte, .queue_low = 4 * mebibyte}});
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto written = pattern(8 * mebibyte);
        REQUIRE(told.link->write(written) == write_status::above_high_mark);
        told.link->close();
        CHECK(on.until([&] {
            peer.pump();
            return peer.is_over() && told.is_closed();
        }));
        CHECK((peer.heard() == written));
        CHECK(told.count("writable") == 0);
    });
}

TEST_CASE("[121] stream: whatever the way of a write, it counts towards the mark") {
    support::on_every_stream({121}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.limits = {.queue_max = 64 * mebibyte}});
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto written = fill(*told.link);
        const auto queued = told.link->queued_bytes();
        const auto small = [](sockeye::stream& link) {
            CHECK(link.write("0123456789") == write_status::above_high_mark);
        };
        SUBCASE("between turns") {
            small(*told.link);
        }
        SUBCASE("posted") {
            CHECK(on.loop().remote().post(told.link->ref(), small));
        }
        SUBCASE("by a timer") {
            sockeye::timer clock(on.loop());
            clock.start(0ms, [&] { small(*told.link); });
            on.settle();
        }
        on.settle();
        REQUIRE(told.link != nullptr);
        CHECK(told.link->queued_bytes() == queued + 10);
        CHECK(on.loop().counters().queued_bytes == queued + 10);
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() == written.size() + 10 && told.count("writable") == 1;
        }));
    });
}

TEST_CASE("stream: a user's pause outlasts that of the queue") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        const auto written = fill(*told.link);
        told.link->pause();
        peer.say("hello");
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard().size() >= written.size() && told.count("writable") == 1;
        }));
        on.settle();
        CHECK(told.data.empty());
        told.link->resume();
        CHECK(on.until([&] { return told.data == "hello"; }));
    });
}

TEST_CASE("[122] stream: past the hard limit a write is refused and that stream alone closes") {
    support::on_every_stream({122}, [](network& on) {
        script told;
        script other;
        auto server = support::serve_script(on, told, {.limits = {.queue_max = 100'000}});
        auto others =
            sockeye::serve<support::hooked>(on.loop(), "tcp://127.0.0.1:0", std::ref(other))
                .value();
        raw_peer peer(on.system(), support::local_of(server));
        raw_peer bystander(on.system(), support::local_of(others));
        REQUIRE(on.until([&] { return told.link != nullptr && other.link != nullptr; }));
        CHECK(told.link->write(pattern(16 * mebibyte)) == write_status::above_high_mark);
        CHECK(told.link->queued_bytes() > 100'000);
        const auto queued = told.link->queued_bytes();
        auto* const link = told.link;
        CHECK(link->write("x") == write_status::refused);
        CHECK_FALSE(link->is_open());
        CHECK(link->write("y") == write_status::refused);
        CHECK(on.until([&] { return told.is_closed(); }));
        CHECK(told.info.reason == sockeye::close_reason::failed);
        CHECK(told.info.error == sockeye::errc::send_queue_full);
        CHECK(told.info.dropped_bytes == queued);
        CHECK(on.loop().counters().queued_bytes == 0);
        bystander.say("still here");
        CHECK(on.until([&] {
            bystander.pump();
            return other.data == "still here";
        }));
        CHECK(told.closes == 1);
    });
}

TEST_CASE("[123] stream: paused, it makes no receive call and loses nothing") {
    support::on_every_stream({123}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_open = [](sockeye::stream& link) { link.pause(); };
        raw_peer peer(on.system(), support::local_of(server));
        const auto whole = pattern(100'000);
        peer.say(whole);
        peer.pump();
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        on.settle();
        CHECK(on.loop().counters().reads == 0);
        const auto events = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == events);
        told.link->resume();
        CHECK(on.until([&] {
            peer.pump();
            return told.data.size() == whole.size();
        }));
        CHECK((told.data == whole));
    });
}

TEST_CASE("stream: who resumes many times reads once a turn all the same") {
    support::on_every_stream({}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        told.on_data = [](sockeye::stream& link, sockeye::bytes) { link.pause(); };
        raw_peer peer(on.system(), support::local_of(server));
        peer.say(pattern(mebibyte));
        REQUIRE(on.until([&] {
            peer.pump();
            return told.count("data") == 1;
        }));
        peer.pump();
        on.settle();
        told.on_data = {};
        const auto reads = on.loop().counters().reads;
        for (int i = 0; i < 3; ++i) {
            told.link->resume();
            told.link->pause();
        }
        told.link->resume();
        on.turn();
        CHECK(on.loop().counters().reads == reads + 1);
    });
}

TEST_CASE("[124] [125] stream: pause and resume inside on_data") {
    support::on_every_stream({124, 125}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        const auto whole = pattern(3 * mebibyte);
        peer.say(whole);
        peer.finish();
        SUBCASE("pause in each, resume from outside") {
            int calls_after_pause = 0;
            bool is_paused = false;
            told.on_data = [&](sockeye::stream& link, sockeye::bytes in) {
                calls_after_pause += is_paused ? 1 : 0;
                told.data += sockeye::as_text(in);
                link.pause();
                is_paused = true;
            };
            CHECK(on.until([&] {
                peer.pump();
                if (is_paused && told.link != nullptr) {
                    is_paused = false;
                    told.link->resume();
                }
                return told.count("end") == 1;
            }));
            CHECK(calls_after_pause == 0);
        }
        SUBCASE("pause and resume in each") {
            int depth = 0;
            told.on_data = [&](sockeye::stream& link, sockeye::bytes in) {
                CHECK(++depth == 1);
                link.pause();
                link.resume();
                told.data += sockeye::as_text(in);
                --depth;
            };
            CHECK(on.until([&] {
                peer.pump();
                return told.count("end") == 1;
            }));
        }
        CHECK((told.data == whole));
    });
}

TEST_CASE("stream: the loop's limit of queued bytes pauses all reading, and relief resumes it") {
    support::on_every_backend_with_tcp({}, [](network& on) {
        sockeye::loop_options options;
        options.queued_bytes_max = mebibyte;
        auto loop = on.on().make_loop(std::move(options));
        const auto until = [&](const std::function<bool()>& fact) {
            return on.until([&] {
                static_cast<void>(loop.run_once(1ms).value());
                return fact();
            });
        };
        script slow;
        script eager;
        auto server = sockeye::serve<support::hooked>(loop, on.local(), std::ref(slow)).value();
        auto other = sockeye::serve<support::hooked>(loop, on.local(), std::ref(eager)).value();
        raw_peer reader(on.system(), support::local_of(server));
        raw_peer writer(on.system(), support::local_of(other));
        REQUIRE(until([&] { return slow.link != nullptr && eager.link != nullptr; }));
        const auto big = pattern(16 * mebibyte);
        slow.link->write(big);
        writer.say("held back");
        writer.pump();
        raw_peer newcomer(on.system(), support::local_of(other));
        for (int turns = 0; turns < 20; ++turns) {
            static_cast<void>(loop.run_once(1ms).value());
        }
        CHECK(eager.data.empty());
        CHECK(eager.made == 1);
        CHECK(until([&] {
            reader.pump();
            return reader.heard().size() == big.size();
        }));
        CHECK(until([&] { return eager.data == "held back" && eager.made == 2; }));
    });
}

TEST_CASE("[144] [195] stream: what came behind urgent data or descriptors is not left lying") {
    support::on_every_stream(
        {144, 195},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            raw_peer peer(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.link != nullptr; }));
            const auto before = support::open_descriptors().size();
            say_specially(peer.fd(), on.is_unix());
            peer.say("after");
            peer.pump();
            CHECK(on.until([&] { return told.data.ends_with("after"); }));
            CHECK(told.data == "beforeafter");
            CHECK(support::open_descriptors().size() == before);
        },
        support::needs_real_system{"descriptors and urgent data in messages"});
}
