#include "support/network.hpp"
#include "support/support.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

using support::network;
using support::raw_peer;
using support::script;

// Streams that keep their messages.

namespace {

/// What one side was told, message by message.
struct mailbag {
    std::vector<std::string> messages;
    script told;

    mailbag() {
        told.on_data = [this](sockeye::stream&, sockeye::bytes in) {
            messages.emplace_back(sockeye::as_text(in));
        };
    }
    mailbag(const mailbag&) = delete;
    mailbag& operator=(const mailbag&) = delete;
};

/// A client and a server that are connected.
struct pair_of_ends {
    mailbag there;
    mailbag here;
    sockeye::server server;
    sockeye::stream client;

    explicit pair_of_ends(network& on, const sockeye::stream_limits& limits = {})
        : server(support::serve_script(on, there.told, {.limits = limits})),
          client(sockeye::connect<support::hooked>(on.loop(), on.local(), {.limits = limits},
                                                   std::ref(here.told))) {
        REQUIRE(on.until([&] { return there.told.link != nullptr && here.told.link != nullptr; }));
    }
};

std::vector<std::string> messages_of(std::initializer_list<std::size_t> sizes) {
    std::vector<std::string> made;
    for (const auto size : sizes) {
        made.push_back(support::pattern(size, made.size() + 1));
    }
    return made;
}

void on_every_seqpacket(std::initializer_list<int> numbers,
                        const std::function<void(network&)>& body) {
    support::on_every_network(numbers, {"unix-seqpacket:"}, body);
}

} // namespace

TEST_CASE("seqpacket: one write is one message, which is one on_data, both ways") {
    on_every_seqpacket({}, [](network& on) {
        pair_of_ends ends(on);
        const auto all = messages_of({1, 2, 1000, 1, 16384, 16385, 65536, 3});
        for (const auto& one : all) {
            CHECK(ends.client.write(one) != sockeye::write_status::refused);
            CHECK(ends.client.write("") != sockeye::write_status::refused); // is none
        }
        REQUIRE(on.until([&] { return ends.there.messages.size() >= all.size(); }));
        CHECK(ends.there.messages == all);
        for (const auto& one : all) {
            ends.there.told.link->write(one);
        }
        REQUIRE(on.until([&] { return ends.here.messages.size() >= all.size(); }));
        CHECK(ends.here.messages == all);
    });
}

TEST_CASE("seqpacket: messages written before the connection is up are kept apart") {
    on_every_seqpacket({}, [](network& on) {
        mailbag there;
        mailbag here;
        auto server = support::serve_script(on, there.told);
        auto client =
            sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(here.told));
        client.write("one");
        client.write("two");
        client.shutdown();
        CHECK(on.until([&] { return there.told.count("end") == 1; }));
        CHECK(there.messages == std::vector<std::string>{"one", "two"});
    });
}

TEST_CASE("seqpacket: a queue keeps messages apart, and in order") {
    on_every_seqpacket({}, [](network& on) {
        pair_of_ends ends(on, {.queue_max = 64 << 20});
        std::vector<std::string> all;
        bool was_full = false;
        for (std::size_t i = 0; i < 600; ++i) {
            all.push_back(support::pattern(i * 7 % 5000 + 1, i));
            const auto said = ends.client.write(all.back());
            was_full = was_full || said == sockeye::write_status::above_high_mark;
        }
        CHECK(was_full);
        REQUIRE(on.until([&] { return ends.there.messages.size() >= all.size(); }));
        CHECK(ends.there.messages == all);
        CHECK(on.until([&] { return ends.here.told.count("writable") == 1; }));
    });
}

TEST_CASE("seqpacket: a queue of tiny messages is bounded by what it costs") {
    on_every_seqpacket({}, [](network& on) {
        mailbag there;
        auto server = support::serve_script(on, there.told, {.limits = {.queue_max = 100'000}});
        raw_peer peer(on.system(), support::local_of(server));
        peer.is_deaf = true;
        REQUIRE(on.until([&] { return there.told.link != nullptr; }));
        // What the system takes is its own.
        REQUIRE_FALSE(on.system().set_option(on.fd_of(*there.told.link),
                                             sockeye::socket_option::send_buffer, 4096));
        std::size_t written = 0;
        while (there.told.link->write("x") != sockeye::write_status::refused) {
            REQUIRE(++written < 100'000);
        }
        CHECK(written < 20'000);
        CHECK(on.until([&] { return there.told.is_closed(); }));
        CHECK(there.told.info.error == sockeye::errc::send_queue_full);
    });
}

TEST_CASE("seqpacket: a message of more than 64 KiB is not sent, and the connection ends with it") {
    on_every_seqpacket({}, [](network& on) {
        pair_of_ends ends(on);
        ends.client.write("before");
        CHECK(ends.client.write(std::string(65537, 'x')) == sockeye::write_status::refused);
        CHECK(on.until([&] { return ends.here.told.is_closed() && ends.there.told.is_closed(); }));
        CHECK(ends.here.told.info.error == std::errc::message_size);
    });
}

TEST_CASE("seqpacket: a message that was longer than 64 KiB is never taken for a shorter one") {
    support::on_every_network(
        {}, {"unix-seqpacket:"},
        [](network& on) {
            mailbag there;
            auto server = support::serve_script(on, there.told);
            raw_peer peer(on.system(), support::local_of(server));
            peer.say(std::string(65537, 'x'));
            CHECK(on.until([&] {
                peer.pump();
                return there.told.is_closed();
            }));
            CHECK(there.told.info.error == std::errc::message_size);
            CHECK(there.messages.empty());
        },
        support::needs_real_system{"the buffers of a simulation take no message so long"});
}

TEST_CASE("[197] seqpacket: half-close, and the end of both") {
    on_every_seqpacket({197}, [](network& on) {
        pair_of_ends ends(on);
        ends.client.write("last");
        ends.client.shutdown();
        REQUIRE(on.until([&] { return ends.there.told.count("end") == 1; }));
        CHECK(ends.there.messages == std::vector<std::string>{"last"});
        ends.there.told.link->write("answer");
        ends.there.told.link->close();
        CHECK(on.until([&] { return ends.here.told.is_closed() && ends.there.told.is_closed(); }));
        CHECK(ends.here.messages == std::vector<std::string>{"answer"});
        CHECK(ends.here.told.info.reason == sockeye::close_reason::ended);
        CHECK(ends.there.told.info.reason == sockeye::close_reason::closed);
    });
}

TEST_CASE("[197] seqpacket: a peer that goes after its end is noticed without a write") {
    on_every_seqpacket({197}, [](network& on) {
        mailbag there;
        auto server = support::serve_script(on, there.told);
        raw_peer peer(on.system(), support::local_of(server));
        peer.finish();
        REQUIRE(on.until([&] {
            peer.pump();
            return there.told.count("end") == 1;
        }));
        on.settle();
        CHECK_FALSE(there.told.is_closed());
        CHECK(there.messages.empty());
        peer.close();
        CHECK(on.until([&] { return there.told.is_closed(); }));
        CHECK(there.told.info.error == std::errc::connection_reset);
    });
}

TEST_CASE("seqpacket: a stream cannot connect to it, nor it to a stream") {
    support::on_every_network({}, {"unix:"}, [](network& on) {
        for (const bool is_stream : {true, false}) {
            const auto stream = "unix:" + on.path();
            const auto packets = "unix-seqpacket:" + on.path();
            auto server = sockeye::serve(on.loop(), is_stream ? stream : packets,
                                         [](sockeye::stream&, sockeye::bytes) {})
                              .value();
            script told;
            auto client = sockeye::connect<support::hooked>(on.loop(), is_stream ? packets : stream,
                                                            {}, std::ref(told));
            CHECK(on.until([&] { return told.is_closed(); }));
            CHECK(told.info.error == std::errc::wrong_protocol_type);
        }
    });
}

namespace {

/// Counts what came with each message.
struct counting_taker {
    std::vector<std::pair<std::string, std::size_t>>& told;

    void on_data(sockeye::stream&, sockeye::bytes in,
                 const std::vector<sockeye::unique_fd>& descriptors) {
        told.emplace_back(sockeye::as_text(in), descriptors.size());
    }
};

} // namespace

TEST_CASE("[193] seqpacket: descriptors go with their message") {
    support::on_every_network(
        {193}, {"unix-seqpacket:"},
        [](network& on) {
            std::vector<std::pair<std::string, std::size_t>> told;
            auto server =
                sockeye::serve<counting_taker>(on.loop(), on.local(), std::ref(told)).value();
            script connected;
            auto client =
                sockeye::connect<support::hooked>(on.loop(), on.local(), {}, std::ref(connected));
            for (int round = 0; round < 50; ++round) {
                std::vector<sockeye::unique_fd> two;
                two.push_back(support::make_duplicate(0));
                two.push_back(support::make_duplicate(0));
                client.write("none");
                client.write("two", std::move(two));
                client.write(std::string(9000, 'x'));
            }
            REQUIRE(on.until([&] { return told.size() == 150; }));
            for (std::size_t i = 0; i < told.size(); ++i) {
                CHECK(told[i].first.size() == (i % 3 == 0 ? 4U : i % 3 == 1 ? 3U : 9000U));
                CHECK(told[i].second == (i % 3 == 1 ? 2U : 0U));
            }
        },
        support::needs_real_system{"a simulation passes no descriptors"});
}
