#include "support/fault_rows.hpp"

#include <sockeye/error.hpp>

#include <array>
#include <chrono>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

#include <fcntl.h>

// Rows of the fault matrix: reading and writing.

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
using support::seam_call;

const support::exemption
    buffer_is_ours({fault_row(60), fault_row(70)},
                   "the receive buffer is the loop's, made with it and never empty");

constexpr std::errc ends[] = {std::errc::connection_reset,    std::errc::timed_out,
                              std::errc::host_unreachable,    std::errc::network_unreachable,
                              std::errc::network_down,        std::errc::io_error,
                              std::errc::bad_file_descriptor, std::errc::permission_denied};

/// More than is kept for the end of the turn, so that it is sent at once.
const std::string& large() {
    static const auto text = support::pattern(20'000);
    return text;
}

/// Two datagram sockets of a loop, `from` connected to `to`; what `to` hears.
struct post {
    explicit post(faulty_loop& at, const std::string& local = "udp://127.0.0.1:0")
        : to(sockeye::datagram_socket::open(at.loop, local, {},
                                            [this](sockeye::datagram_socket&, auto in) {
                                                for (const auto& one : in) {
                                                    heard.emplace_back(sockeye::as_text(one.data));
                                                    is_truncated |= one.is_truncated;
                                                }
                                            })
                 .value()),
          from(sockeye::datagram_socket::connect(at.loop, to.local_endpoint().value(), {},
                                                 [](sockeye::datagram_socket&, auto) {})
                   .value()) {}

    bool say(std::string_view text) { return from.send(sockeye::as_bytes(text)); }

    std::vector<std::string> heard;
    bool is_truncated = false;
    sockeye::datagram_socket to;
    sockeye::datagram_socket from;
};

using words = std::vector<std::string>;

} // namespace

TEST_CASE("[F55] [F56] [F61] faults: however little a read brings, all comes in order") {
    on_every_faulty_loop({55, 56, 61}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        const auto text = support::pattern(1500);
        at.inject(falling_short(seam_call::receive, 1, 1, 700));
        at.inject(failing(seam_call::receive, std::errc::operation_would_block, 701, 3));
        CHECK(talk.hears(text));
        CHECK(at.system.plan.met() == 703);
        // More than one read may take, so that it comes over several turns.
        CHECK(talk.hears(support::pattern(300'000)));
        CHECK(talk.told.closes == 0);
    });
}

TEST_CASE("[F57] faults: the end of a stream is told once, and writing goes on") {
    on_every_faulty_loop({57}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        talk.peer.say("last");
        talk.peer.finish();
        CHECK(talk.until([&] { return talk.told.count("end") == 1; }));
        CHECK(talk.told.data == "last");
        const auto events = at.loop.counters().events;
        at.settle();
        CHECK(at.loop.counters().events == events);
        talk.link().write("answer");
        CHECK(talk.until([&] { return talk.peer.heard() == "answer"; }));
        talk.link().shutdown();
        CHECK(talk.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.reason == sockeye::close_reason::ended);
        CHECK(talk.told.count("end") == 1);
    });
}

TEST_CASE("[F58] faults: a reset behind the end of a stream is noticed, and ends it") {
    on_every_faulty_loop({58}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        talk.peer.finish();
        CHECK(talk.until([&] { return talk.told.count("end") == 1; }));
        talk.peer.reset();
        CHECK(at.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.error == std::errc::connection_reset);
        const auto events = at.loop.counters().events;
        at.settle();
        CHECK(at.loop.counters().events == events);
    });
}

TEST_CASE("[F58] faults: no memory for the look at a half-closed stream is no reset") {
    on_every_faulty_loop({58, 68}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        talk.peer.finish();
        CHECK(talk.until([&] { return talk.told.count("end") == 1; }));
        at.inject(failing(seam_call::send, std::errc::no_buffer_space, 1, 2));
        const auto start = at.system.now();
        static_cast<void>(at.until([&] { return at.system.now() - start > 5s; }));
        CHECK(talk.told.closes == 0);
    });
}

TEST_CASE("[F63] [F64] [F65] [F69] faults: what a read says ends the stream, behind its data") {
    on_every_faulty_loop({63, 64, 65, 69}, [](faulty_loop& at, ground& on) {
        for (const auto error : ends) {
            conversation talk(at, on);
            CHECK(talk.hears("before"));
            at.system.plan.clear();
            at.inject(failing(seam_call::receive, error));
            talk.peer.say("behind");
            CHECK(talk.until([&] { return talk.told.is_closed() && talk.told.sessions == 0; }));
            at.settle();
            CHECK(talk.told.data == "before");
            CHECK(talk.told.closes == 1);
            CHECK(talk.told.heard.back() == "close");
            CHECK(talk.told.info.reason == sockeye::close_reason::failed);
            CHECK(talk.told.info.error == error);
            CHECK(talk.server.is_listening());
        }
        conversation talk(at, on);
        talk.peer.reset();
        CHECK(at.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.error == std::errc::connection_reset);
    });
}

TEST_CASE(
    "[F59] [F71] [F72] faults: datagrams before an error are told, in order, empty ones too") {
    on_every_faulty_loop({59, 71, 72}, [](faulty_loop& at, ground&) {
        post mail(at);
        for (const auto* const text : {"one", "", "three"}) {
            CHECK(mail.say(text));
        }
        CHECK(at.until([&] { return mail.heard.size() == 3; }));
        for (const auto error : {std::errc::connection_refused, std::errc::host_unreachable,
                                 std::errc::network_down, std::errc::message_size}) {
            const auto errors = at.loop.counters().datagram_errors;
            at.system.plan.clear();
            at.inject(failing(seam_call::receive_datagrams, error));
            mail.heard.clear();
            CHECK(mail.say("behind"));
            CHECK(at.until([&] { return mail.heard == words{"behind"}; }));
            CHECK(at.loop.counters().datagram_errors == errors + 1);
        }
        CHECK(mail.to.is_open());
    });
}

TEST_CASE("[F66] [F88] faults: a refused datagram is an event, and ends nothing") {
    on_every_faulty_loop({66, 88}, [](faulty_loop& at, ground& on) {
        auto& system = on.system();
        auto mute = system.socket(sockeye::transport::udp, AF_INET).value();
        REQUIRE_FALSE(
            system.bind(mute.get(), sockeye::endpoint::parse("udp://127.0.0.1:0").value()));
        const auto where = system.local_endpoint(mute.get(), sockeye::transport::udp).value();
        mute.reset();
        auto from = sockeye::datagram_socket::connect(at.loop, where, {},
                                                      [](sockeye::datagram_socket&, auto) {})
                        .value();
        CHECK(from.send(sockeye::as_bytes("anybody?")));
        CHECK(at.until([&] { return at.loop.counters().datagram_errors == 1; }));
        CHECK(from.is_open());
        const auto events = at.loop.counters().events;
        at.settle();
        CHECK(at.loop.counters().events == events);

        // The answer to an earlier one meets the next send: that one is sent all the same.
        post mail(at);
        at.inject(failing(seam_call::send_datagrams, std::errc::connection_refused));
        CHECK(mail.say("innocent"));
        CHECK(at.until([&] { return mail.heard == words{"innocent"}; }));
        CHECK(at.loop.counters().datagram_errors == 2);
        CHECK(at.loop.counters().datagrams_dropped == 0);
    });
}

TEST_CASE("[F67] [F73] faults: a datagram that is longer than the buffer is marked") {
    on_every_faulty_loop({67, 73}, [](faulty_loop& at, ground& on) {
        post mail(at, "unix-dgram:" + on.path("mail"));
        CHECK(mail.say("short"));
        CHECK(mail.say(support::pattern(100'000)));
        CHECK(at.until([&] { return mail.heard.size() == 2; }));
        CHECK(mail.heard[0] == "short");
        CHECK(mail.heard[1] == support::pattern(100'000).substr(0, 65'536));
        CHECK(mail.is_truncated);
    });
}

TEST_CASE("[F68] faults: what there was no memory to read is read 10 ms later") {
    on_every_faulty_loop({68}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        for (const auto error : {std::errc::no_buffer_space, std::errc::not_enough_memory}) {
            at.system.plan.clear();
            at.inject(failing(seam_call::receive, error, 1, 5));
            const auto start = at.system.now();
            const auto reads = at.system.plan.count(seam_call::receive);
            CHECK(talk.hears("patience"));
            CHECK(at.system.now() - start >= 50ms);
            CHECK(at.system.plan.count(seam_call::receive) - reads <= 7);
        }
        // An end that came meanwhile is not lost.
        at.inject(failing(seam_call::receive, std::errc::not_enough_memory, 1, 2));
        talk.peer.finish();
        CHECK(talk.until([&] { return talk.told.count("end") == 1; }));
    });
}

TEST_CASE("[F68] faults: a stream that waits for memory may be closed") {
    on_every_faulty_loop({68}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(failing(seam_call::receive, std::errc::not_enough_memory, 1, no_limit));
        talk.peer.say("unheard");
        CHECK(talk.until([&] { return at.system.plan.met() != 0; }));
        talk.link().close();
        CHECK(talk.until([&] { return talk.told.is_closed(); }));
        CHECK(at.until([&] { return at.timers() == 0; }));
    });
}

TEST_CASE("[F68] faults: datagrams that there was no memory for are read 10 ms later") {
    on_every_faulty_loop({68}, [](faulty_loop& at, ground&) {
        post mail(at);
        at.inject(failing(seam_call::receive_datagrams, std::errc::no_buffer_space, 1, 5));
        const auto start = at.system.now();
        CHECK(mail.say("patience"));
        CHECK(at.until([&] { return mail.heard == words{"patience"}; }));
        CHECK(at.system.now() - start >= 50ms);
        CHECK(at.system.plan.count(seam_call::receive_datagrams) <= 7);
    });
}

TEST_CASE("[F76] faults: an address of a strange length or family is unknown") {
    on_every_faulty_loop({76}, [](faulty_loop&, ground&) {
        const auto known = sockeye::endpoint::parse("tcp://127.0.0.1:80").value();
        for (socklen_t size = 0; size < known.size(); ++size) {
            CHECK_FALSE(sockeye::endpoint::from_system(sockeye::transport::tcp, known.data(), size)
                            .is_known());
        }
        sockaddr strange = {};
        strange.sa_family = AF_UNSPEC;
        CHECK_FALSE(
            sockeye::endpoint::from_system(sockeye::transport::udp, &strange, sizeof strange)
                .is_known());
    });
}

TEST_CASE("[113] [F77] faults: a write that is split at any byte is resumed exactly") {
    support::on_every_ground({113, fault_row(77)}, [](ground& on, support::rows&) {
        faulty_loop at(on);
        conversation talk(at, on);
        const std::string small = "small one";
        const auto big = support::pattern(16'385);
        std::size_t heard = 0;
        for (std::size_t at_most = 1; at_most <= small.size() + big.size(); ++at_most) {
            at.system.plan.clear();
            at.inject(falling_short(seam_call::send_gathered, at_most));
            talk.link().write(small);
            talk.link().write(big);
            heard += small.size() + big.size();
            if (!talk.until([&] { return talk.peer.heard().size() == heard; })) {
                FAIL("lost bytes after " << at_most);
            }
            const std::string_view last = talk.peer.heard();
            if (last.substr(last.size() - big.size()) != big ||
                last.substr(last.size() - big.size() - small.size(), small.size()) != small) {
                FAIL("wrong bytes after " << at_most);
            }
            if (heard > 4'000'000) {
                talk.peer.forget();
                heard = 0;
            }
        }
        CHECK(at.system.plan.count(seam_call::send_gathered) == small.size() + big.size());
        CHECK(talk.told.closes == 0);
    });
}

TEST_CASE("[F77] [F79] faults: one byte at a time, all is sent in order") {
    on_every_faulty_loop({77, 79}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        talk.told.on_data = [](sockeye::stream& link, sockeye::bytes in) { link.write(in); };
        at.inject(falling_short(seam_call::send, 1, 1, 1000));
        at.inject(failing(seam_call::send, std::errc::operation_would_block, 1001, 3));
        const auto text = support::pattern(1500);
        talk.peer.say(text);
        CHECK(talk.until([&] { return talk.peer.heard() == text; }));
        CHECK(at.system.plan.met() == 1003);
        // With nothing left to send, being writable is nobody's business.
        const auto events = at.loop.counters().events;
        at.settle();
        CHECK(at.loop.counters().events == events);
    });
}

TEST_CASE("[F78] faults: a send that takes nothing is tried again, and not for ever") {
    on_every_faulty_loop({78}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(falling_short(seam_call::send, 0, 1, 3));
        talk.link().write(large());
        CHECK(talk.until([&] { return talk.peer.heard() == large(); }));
        at.system.plan.clear();
        at.inject(falling_short(seam_call::send, 0, 1, no_limit));
        talk.link().write("never");
        CHECK(talk.until([&] { return talk.told.is_closed(); }));
        CHECK(talk.told.info.error == std::errc::no_buffer_space);
        CHECK(talk.told.info.dropped_bytes == 5);
        CHECK(at.system.plan.count(seam_call::send) < 150);
    });
}

TEST_CASE("[F81] [F82] faults: what had arrived is heard before a failed write ends the stream") {
    on_every_faulty_loop({81, 82}, [](faulty_loop& at, ground& on) {
        for (const auto error : {std::errc::broken_pipe, std::errc::connection_reset,
                                 std::errc::timed_out, std::errc::host_unreachable,
                                 std::errc::network_unreachable, std::errc::network_down}) {
            for (const bool is_large : {false, true}) {
                conversation talk(at, on);
                at.system.plan.clear();
                at.inject(failing(seam_call::send, error));
                talk.peer.say("last words");
                talk.peer.pump();
                talk.link().write(is_large ? std::string_view(large()) : "lost");
                CHECK(talk.until([&] { return talk.told.is_closed(); }));
                CHECK(talk.told.data == "last words");
                CHECK(talk.told.heard == words{"open", "data", "close"});
                CHECK(talk.told.info.error == error);
                CHECK(talk.told.info.dropped_bytes == (is_large ? large().size() : 4));
            }
        }
    });
}

TEST_CASE("[252] [F83] faults: a send that there was no memory for is late, and not lost") {
    on_every_faulty_loop({83, 252}, [](faulty_loop& at, ground& on) {
        for (const auto where : {seam_call::send, seam_call::send_gathered}) {
            for (const auto error : {std::errc::no_buffer_space, std::errc::not_enough_memory}) {
                conversation talk(at, on);
                at.system.plan.clear();
                at.inject(failing(where, error));
                at.inject(failing(seam_call::send, error, 1, 4));
                const auto start = at.system.now();
                talk.link().write("first ");
                talk.link().write(large());
                talk.link().write("last");
                CHECK(talk.until([&] { return talk.peer.heard() == "first " + large() + "last"; }));
                CHECK(at.system.now() - start >= 15ms);
                CHECK(talk.hears("and it reads on"));
                CHECK(talk.link().queued_bytes() == 0);
                talk.link().shutdown();
                CHECK(talk.until([&] { return talk.peer.is_over(); }));
            }
        }
    });
}

TEST_CASE("[F83] faults: after 10 s without memory a send has failed") {
    on_every_faulty_loop({83}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        at.inject(failing(seam_call::send, std::errc::no_buffer_space, 1, no_limit));
        const auto start = at.system.now();
        const auto waits = at.system.plan.count(seam_call::wait);
        talk.link().write("never");
        CHECK(talk.until([&] { return talk.told.is_closed(); }));
        CHECK(at.system.now() - start >= 10s);
        CHECK(at.system.now() - start < 12s);
        CHECK(talk.told.info.error == std::errc::no_buffer_space);
        CHECK(talk.told.info.dropped_bytes == 5);
        CHECK(at.system.plan.count(seam_call::send) < 150);
        CHECK(at.system.plan.count(seam_call::wait) - waits < 400);
    });
}

TEST_CASE("[F83] faults: close and the end of the loop do not wait for memory") {
    on_every_faulty_loop({83}, [](faulty_loop& at, ground& on) {
        std::optional<conversation> talk;
        talk.emplace(at, on, sockeye::serve_options{.limits = {.linger = 100ms}});
        at.inject(failing(seam_call::send, std::errc::not_enough_memory, 1, no_limit));
        talk->link().write("never");
        at.settle();
        talk->link().close();
        CHECK(talk->until([&] { return talk->told.is_closed(); }));
        CHECK(talk->told.info.error == std::errc::timed_out);
        CHECK(talk->told.info.dropped_bytes == 5);
        CHECK(at.until([&] { return at.timers() == 0; }));
        talk.emplace(at, on);
        talk->link().write("never");
        at.settle();
        talk->link().abort();
        CHECK(talk->until([&] { return talk->told.is_closed(); }));
        talk.reset();
    });
}

TEST_CASE("[F84] [F85] [F86] [F87] [F89] faults: a datagram that is refused holds up no other") {
    on_every_faulty_loop({84, 85, 86, 87, 89}, [](faulty_loop& at, ground&) {
        post mail(at);
        for (const auto error :
             {std::errc::no_buffer_space, std::errc::message_size,
              std::errc::operation_not_permitted, std::errc::permission_denied,
              std::errc::invalid_argument, std::errc::destination_address_required,
              std::errc::already_connected, std::errc::not_connected,
              std::errc::address_family_not_supported}) {
            const auto dropped = at.loop.counters().datagrams_dropped;
            at.system.plan.clear();
            at.inject(failing(seam_call::send_datagrams, error));
            mail.heard.clear();
            CHECK_FALSE(mail.say("refused"));
            CHECK(mail.say("next"));
            CHECK(at.until([&] { return mail.heard == words{"next"}; }));
            CHECK(at.loop.counters().datagrams_dropped == dropped + 1);
            CHECK(mail.from.is_open());
        }
        CHECK_FALSE(mail.say(support::pattern(70'000)));
        CHECK_FALSE(mail.to.send(sockeye::as_bytes("for whom?")));
        CHECK(mail.from.queued_bytes() == 0);
    });
}

TEST_CASE("[F90] faults: a batch that is taken in part goes on behind that part") {
    on_every_faulty_loop({90}, [](faulty_loop& at, ground&) {
        post mail(at);
        const words texts = {"one", "two", "three", "four"};
        std::vector<sockeye::datagram> batch;
        for (const auto& text : texts) {
            batch.push_back({.data = sockeye::as_bytes(text), .peer = nullptr});
        }
        at.inject(falling_short(seam_call::send_datagrams, 1));
        CHECK(mail.from.send(batch) == 4);
        CHECK(at.until([&] { return mail.heard == texts; }));
        mail.heard.clear();
        at.system.plan.clear();
        at.inject(falling_short(seam_call::send_datagrams, 2));
        at.inject(failing(seam_call::send_datagrams, std::errc::invalid_argument, 2));
        CHECK(mail.from.send(batch) == 3);
        CHECK(at.until([&] { return mail.heard == words{"one", "two", "four"}; }));
        mail.heard.clear();
        at.system.plan.clear();
        at.inject(failing(seam_call::send_datagrams, std::errc::operation_would_block, 1, 3));
        CHECK(mail.from.send(batch) == 4);
        CHECK(at.until([&] { return mail.heard == texts; }));
        CHECK(mail.from.queued_bytes() == 0);
    });
}

TEST_CASE("[F92] faults: a write of nothing is no call") {
    on_every_faulty_loop({92}, [](faulty_loop& at, ground& on) {
        conversation talk(at, on);
        CHECK(talk.link().write("") == sockeye::write_status::ok);
        at.settle();
        CHECK(at.system.plan.count(seam_call::send) == 0);
        CHECK(talk.hears("nothing has happened"));
        CHECK(talk.peer.heard().empty());
    });
}

namespace {

/// Takes what comes along, and counts it.
struct counting_taker {
    std::size_t& bytes;
    std::size_t& descriptors;

    counting_taker(std::size_t& bytes_count, std::size_t& descriptor_count)
        : bytes(bytes_count), descriptors(descriptor_count) {}

    void on_data(sockeye::stream&, sockeye::bytes in, const std::vector<sockeye::unique_fd>& more) {
        bytes += in.size();
        descriptors += more.size();
    }
};

} // namespace

TEST_CASE("[F91] faults: too many descriptors on their way go later, or end the connection") {
    support::on_every_real_loop({91}, [](faulty_loop& at, ground& on) {
        std::size_t bytes = 0;
        std::size_t came = 0;
        auto server = sockeye::serve<counting_taker>(at.loop, "unix:" + on.path("many"),
                                                     std::ref(bytes), std::ref(came))
                          .value();
        const auto before = support::open_descriptors();
        {
            at.inject(
                failing(seam_call::send_with_descriptors, std::errc::too_many_files_open, 1, 5));
            support::script told;
            auto client = sockeye::connect<support::hooked>(
                at.loop, server.local_endpoint().value(), {}, std::ref(told));
            REQUIRE(at.until([&] { return told.link != nullptr; }));
            std::vector<sockeye::unique_fd> along;
            along.push_back(support::make_duplicate(0));
            client.write("ahead ");
            client.write("along", std::move(along));
            client.write(" behind");
            CHECK(at.until([&] { return bytes == 18; }));
            CHECK(came == 1);
            CHECK(at.system.plan.met() == 5);
            at.inject(failing(seam_call::send_with_descriptors, std::errc::too_many_files_open, 1,
                              support::no_limit));
            along.clear();
            along.push_back(support::make_duplicate(0));
            client.write("never", std::move(along));
            CHECK(at.until([&] { return told.closes == 1; }));
            CHECK(told.info.error == std::errc::too_many_files_open);
        }
        at.settle();
        CHECK(support::open_descriptors().size() <= before.size());
    });
}

TEST_CASE("F74: descriptors that could not all be had end the connection, and no other one") {
    support::on_every_real_loop({74}, [](faulty_loop& at, ground& on) {
        std::size_t bytes = 0;
        std::size_t came = 0;
        auto server = sockeye::serve<counting_taker>(at.loop, "unix:" + on.path("many"),
                                                     std::ref(bytes), std::ref(came))
                          .value();
        at.inject(
            failing(seam_call::receive_with_descriptors, std::errc::too_many_files_open, 1, 1));
        for (const bool is_first : {true, false}) {
            support::script told;
            auto client = sockeye::connect<support::hooked>(
                at.loop, server.local_endpoint().value(), {}, std::ref(told));
            client.write("hello");
            CHECK(at.until([&] { return is_first ? told.is_closed() : bytes == 5; }));
        }
        CHECK(came == 0);
    });
}

TEST_CASE("[113] faults: a gathered write is resumed at whatever byte the kernel stopped") {
    on_every_faulty_loop({}, [](faulty_loop& at, ground& on) {
        const support::rows covered({113}, on.name());
        conversation talk(at, on);
        std::vector<std::string> texts;
        std::string whole = "head ";
        for (std::size_t i = 0; i < 100; ++i) {
            const auto size = i == 60 ? 16'500 : i % 7;
            texts.push_back(support::pattern(size, i + 1));
            whole += texts.back();
        }
        std::vector<sockeye::bytes> parts;
        for (const auto& text : texts) {
            parts.push_back(sockeye::as_bytes(text));
        }
        const auto resumes_at = [&](seam_call where, std::size_t nth, std::size_t stop) {
            talk.peer.forget();
            at.system.plan.clear();
            at.inject(falling_short(where, stop, nth));
            talk.link().write("head ");
            CHECK(talk.link().write(parts) != sockeye::write_status::refused);
            return talk.until([&] { return talk.peer.heard().size() >= whole.size(); }) &&
                   talk.peer.heard() == whole;
        };
        // The first call has the head and 63 parts, the second one the rest.
        for (std::size_t stop = 1; stop < whole.size(); stop += stop < 400 ? 1 : 311) {
            CAPTURE(stop);
            REQUIRE(resumes_at(seam_call::send_gathered, 1, stop));
        }
        for (std::size_t stop = 1; stop < 110; ++stop) {
            CAPTURE(stop);
            REQUIRE(resumes_at(seam_call::send_gathered, 2, stop));
        }
        CHECK(talk.told.closes == 0);
        CHECK(at.queued_bytes() == 0);
    });
}

TEST_CASE("[113] faults: small parts leave as one send, resumed at whatever byte it stopped") {
    on_every_faulty_loop({}, [](faulty_loop& at, ground& on) {
        const support::rows covered({113}, on.name());
        conversation talk(at, on);
        const std::vector<std::string> texts = {"one", "", "two two", "3", "the fourth of them"};
        std::vector<sockeye::bytes> parts;
        std::string whole;
        for (const auto& text : texts) {
            parts.push_back(sockeye::as_bytes(text));
            whole += text;
        }
        for (std::size_t stop = 1; stop < whole.size(); ++stop) {
            CAPTURE(stop);
            talk.peer.forget();
            at.system.plan.clear();
            at.inject(falling_short(seam_call::send, stop));
            at.inject(falling_short(seam_call::send, 1, 2));
            const auto sends = at.system.plan.count(seam_call::send);
            CHECK(talk.link().write(parts) == sockeye::write_status::ok);
            REQUIRE(talk.until([&] { return talk.peer.heard().size() >= whole.size(); }));
            CHECK(talk.peer.heard() == whole);
            CHECK(at.system.plan.count(seam_call::send) - sends ==
                  (stop + 1 < whole.size() ? 3 : 2));
        }
    });
}

TEST_CASE("[113] [F83] faults: a queue of all kinds of pieces survives whatever a send meets") {
    on_every_faulty_loop({83}, [](faulty_loop& at, ground& on) {
        const support::rows covered({113}, on.name());
        const support::scratch_folder folder;
        const auto path = folder.path("content");
        const auto content = support::pattern(30'000, 9);
        std::ofstream(path, std::ios::binary) << content;
        for (const std::size_t piece : {1UL, 77UL, 4096UL}) {
            conversation talk(at, on, {.limits = {.queue_max = std::size_t{16} << 20}});
            at.system.plan.clear();
            for (const auto where : {seam_call::send, seam_call::send_gathered,
                                     seam_call::send_file, seam_call::read_at}) {
                const auto most = piece * (where == seam_call::read_at ? 3 : 1);
                at.inject(falling_short(where, most, 1, 40));
            }
            at.inject(failing(seam_call::send_file, std::errc::operation_would_block, 2));
            at.inject(failing(seam_call::send_gathered, std::errc::no_buffer_space, 41));
            std::string whole;
            for (std::size_t i = 0; i < 12; ++i) {
                auto text = support::pattern(17'000 + i, i);
                whole += text;
                if (i % 3 == 0) {
                    talk.link().write(text);
                } else if (i % 3 == 1) {
                    talk.link().write(sockeye::owned_bytes(std::move(text)));
                } else {
                    const std::array parts = {sockeye::as_bytes(text), sockeye::as_bytes("and")};
                    talk.link().write(parts);
                    whole += "and";
                }
                talk.link().send_file(
                    sockeye::unique_fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC)),
                    {.offset = i, .length = 10'000});
                whole += content.substr(i, 10'000);
            }
            CHECK(talk.until([&] { return talk.peer.heard().size() >= whole.size(); }));
            CHECK((talk.peer.heard() == whole));
            CHECK(talk.told.closes == 0);
            CHECK(at.queued_bytes() == 0);
        }
    });
}

TEST_CASE("faults: what a file or its send says ends the stream, and the peer is not fooled") {
    on_every_faulty_loop({}, [](faulty_loop& at, ground& on) {
        for (const auto where : {seam_call::send_file, seam_call::read_at}) {
            for (const auto error : {std::errc::io_error, std::errc::permission_denied}) {
                conversation talk(at, on);
                at.system.plan.clear();
                if (where == seam_call::read_at) {
                    at.inject(failing(seam_call::send_file, std::errc::not_supported));
                } else if (on.is_simulated()) {
                    continue; // it sends no file by itself
                }
                at.inject(failing(where, error));
                talk.link().send_file(sockeye::unique_fd(::open("/dev/zero", O_RDONLY | O_CLOEXEC)),
                                      {.length = 100});
                CHECK(talk.until([&] { return talk.told.is_closed() && talk.peer.is_over(); }));
                CHECK(talk.told.info.error == error);
                CHECK(talk.told.info.dropped_bytes == 100);
            }
        }
    });
}
