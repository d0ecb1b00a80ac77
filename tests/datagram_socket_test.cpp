#include "support/handlers.hpp"
#include "support/raw_datagrams.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using sockeye::datagram;
using sockeye::datagram_socket;
using support::echo_datagrams;
using support::network;
using support::raw_datagrams;
using support::refusing_port;

namespace {

using batch = std::span<const datagram>;

void on_every_datagram(std::initializer_list<int> numbers,
                       const std::function<void(network&)>& body) {
    support::on_every_network(numbers, {"udp://127.0.0.1:0", "udp://[::1]:0", "unix-dgram:"}, body);
}

void on_every_udp(std::initializer_list<int> numbers, const std::function<void(network&)>& body) {
    support::on_every_network(numbers, {"udp://127.0.0.1:0"}, body);
}

const support::exemption
    no_small_buffers({162}, "the receive buffer is the library's own, 64 KiB for each datagram");
const support::exemption no_late_options(
    {173}, "options are arguments of open and connect: there is no socket that lacks them");

} // namespace

TEST_CASE("[151] [152] [179] datagrams: echo with the sender's address, empty ones too") {
    on_every_datagram({151, 152, 179}, [](network& on) {
        std::vector<std::string> senders;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket& s, batch in) {
                          for (const auto& one : in) {
                              CHECK_FALSE(one.is_truncated);
                              senders.push_back(one.peer->to_string());
                          }
                          CHECK(s.send(in) == in.size());
                      }).value();
        raw_datagrams client(on, server.local_endpoint().value());
        const std::vector<std::string> words = {"one", "", "three", "", std::string(9000, 'x')};
        for (const auto& word : words) {
            CHECK(client.say(word));
        }
        CHECK(on.until([&] {
            client.pump();
            return client.heard.size() == words.size();
        }));
        CHECK((client.heard == words));
        const auto own = client.name();
        CHECK(std::ranges::all_of(senders, [&](auto& one) { return one == own.to_string(); }));
        CHECK(on.loop().counters().datagrams_read == words.size());
        CHECK(on.loop().counters().datagrams_written == words.size());
    });
}

TEST_CASE("[179] datagrams: an unbound sender has no name, and cannot be answered") {
    support::on_every_network({179}, {"unix-dgram:"}, [](network& on) {
        std::vector<bool> known;
        const datagram_socket* told = nullptr;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket& s, batch in) {
                          CHECK((told == nullptr || told == &s));
                          told = &s;
                          CHECK(&s.loop() == &on.loop());
                          for (const auto& one : in) {
                              known.push_back(one.peer->is_known());
                              CHECK(s.send({&one, 1}) == (known.back() ? 1 : 0));
                          }
                      }).value();
        CHECK(&server.loop() == &on.loop());
        const auto where = server.local_endpoint().value();
        raw_datagrams nameless(on, where, true);
        CHECK(nameless.say("x"));
        // In a batch of its own, whose memory is that of the nameless one's.
        CHECK(on.until([&] { return known.size() == 1; }));
        raw_datagrams client(on, where);
        client.say("y");
        CHECK(on.until([&] { return known.size() == 2; }));
        CHECK(known == std::vector<bool>{false, true});
        CHECK(on.loop().counters().datagrams_dropped == 1);
    });
}

TEST_CASE("[154] datagrams: 65 507 bytes pass; one more is dropped, counted and harms nobody") {
    on_every_udp({154}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        std::vector<std::size_t> sizes;
        auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(),
                                               {.receive_buffer = 1 << 20},
                                               [&](datagram_socket&, batch in) {
                                                   for (const auto& one : in) {
                                                       sizes.push_back(one.data.size());
                                                   }
                                               })
                          .value();
        const auto biggest = support::pattern(65507);
        CHECK(client.send(sockeye::as_bytes(biggest)));
        const auto too_big = support::pattern(65508);
        CHECK_FALSE(client.send(sockeye::as_bytes(too_big)));
        const std::array several = {datagram{.data = sockeye::as_bytes("a")},
                                    datagram{.data = sockeye::as_bytes(too_big)},
                                    datagram{.data = sockeye::as_bytes("bc")}};
        CHECK(client.send(several) == 2);
        CHECK(on.loop().counters().datagrams_dropped == 2);
        CHECK(on.until([&] { return sizes.size() == 3; }));
        CHECK(sizes == std::vector<std::size_t>{65507, 1, 2});
    });
}

TEST_CASE("[153] datagrams: a longer one than the buffer is marked, the next one is whole") {
    support::on_every_network({153}, {"unix-dgram:"}, [](network& on) {
        std::vector<std::pair<std::size_t, bool>> heard;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket&, batch in) {
                          for (const auto& one : in) {
                              heard.emplace_back(one.data.size(), one.is_truncated);
                          }
                      }).value();
        raw_datagrams client(on, server.local_endpoint().value());
        REQUIRE_FALSE(
            on.system().set_option(client.fd(), sockeye::socket_option::send_buffer, 1 << 20));
        CHECK(client.say(support::pattern(100'000)));
        CHECK(client.say("whole"));
        CHECK(on.until([&] { return heard.size() == 2; }));
        CHECK(heard[0] == std::pair<std::size_t, bool>{65536, true});
        CHECK(heard[1] == std::pair<std::size_t, bool>{5, false});
    });
}

TEST_CASE("[161] [168] datagrams: more than a batch come in batches of 64, each once, in order") {
    on_every_udp({161, 168}, [](network& on) {
        std::vector<std::string> heard;
        std::size_t most = 0;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket&, batch in) {
                          most = std::max(most, in.size());
                          for (const auto& one : in) {
                              heard.emplace_back(sockeye::as_text(one.data));
                          }
                      }).value();
        raw_datagrams client(on, server.local_endpoint().value());
        std::vector<std::string> said;
        for (int i = 0; i < 200; ++i) {
            said.push_back("datagram " + std::to_string(i));
            REQUIRE(client.say(said.back()));
        }
        on.pass(1ms);
        CHECK(on.until([&] { return !heard.empty(); }));
        CHECK(on.until([&] {
            const auto before = heard.size();
            on.turn();
            CHECK(heard.size() - before <= 64);
            return heard.size() == said.size();
        }));
        CHECK(most == 64);
        CHECK((heard == said));
    });
}

TEST_CASE("[157] [163] [166] datagrams: those that the system refuses do not hold up the others") {
    on_every_udp({157, 163, 166}, [](network& on) {
        int heard = 0;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket&, batch in) {
                          heard += static_cast<int>(in.size());
                      }).value();
        auto client = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
        const auto good = server.local_endpoint().value();
        auto no_port = good;
        no_port.set_port(0);
        const auto broadcast = sockeye::endpoint::parse("udp://255.255.255.255:9").value();
        const auto data = sockeye::as_bytes("x");
        const std::array several = {
            datagram{.data = data, .peer = &good}, datagram{.data = data, .peer = &no_port},
            datagram{.data = data, .peer = &good}, datagram{.data = data, .peer = &broadcast},
            datagram{.data = data, .peer = &good}};
        CHECK(client.send(several) == 3);
        CHECK(on.loop().counters().datagrams_dropped == 2);
        CHECK_FALSE(client.send(data)); // nobody is connected
        CHECK(on.until([&] { return heard == 3; }));
        CHECK(client.is_open());
    });
}

TEST_CASE("[167] datagrams: a thousand to nobody, and the loop goes on") {
    on_every_udp({167}, [](network& on) {
        const refusing_port nobody(on);
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        raw_datagrams client(on, server.local_endpoint().value());
        auto lost = datagram_socket::open(on.loop(), on.local(), {}, echo_datagrams).value();
        auto refused = datagram_socket::connect(on.loop(), nobody.name, {}, echo_datagrams).value();
        for (int i = 0; i < 1000; ++i) {
            lost.send(sockeye::as_bytes("x"), nobody.name);
            refused.send(sockeye::as_bytes("x"));
        }
        client.say("still there?");
        CHECK(on.until([&] {
            client.pump();
            return client.heard.size() == 1;
        }));
        on.settle();
        const auto events = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == events);
        CHECK(lost.is_open());
        CHECK(refused.is_open());
    });
}

TEST_CASE("[158] [159] [176] datagrams: a refusal by the network is counted, and nothing else") {
    on_every_udp({158, 159, 176}, [](network& on) {
        refusing_port refused(on);
        const auto where = refused.name;
        std::vector<std::string> heard;
        auto client =
            datagram_socket::connect(on.loop(), where, {}, [&](datagram_socket&, batch in) {
                for (const auto& one : in) {
                    heard.emplace_back(sockeye::as_text(one.data));
                }
            }).value();
        SUBCASE("told by a receive") {}
        SUBCASE("while paused") {
            client.pause();
        }
        CHECK(client.send(sockeye::as_bytes("to nobody")));
        on.settle();
        const auto events = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == events);
        CHECK(on.loop().counters().datagram_errors <= 1);
        client.resume();
        on.settle();
        CHECK(on.loop().counters().datagram_errors == 1);
        CHECK(client.is_open());

        // The peer comes up at the same port: nothing that is sent now may be lost.
        refused.fd.reset();
        auto server = sockeye::serve(on.loop(), where, echo_datagrams).value();
        CHECK(client.send(sockeye::as_bytes("first")));
        CHECK(client.send(sockeye::as_bytes("second")));
        CHECK(on.until([&] { return heard.size() == 2; }));
        CHECK(heard == std::vector<std::string>{"first", "second"});
    });
}

TEST_CASE("[158] datagrams: the answer to an earlier one does not lose the next") {
    on_every_udp({158}, [](network& on) {
        refusing_port refused(on);
        const auto where = refused.name;
        std::vector<std::string> heard;
        auto client = datagram_socket::connect(on.loop(), where, {}, echo_datagrams).value();
        CHECK(client.send(sockeye::as_bytes("to nobody")));
        refused.fd.reset();
        auto server = sockeye::serve(on.loop(), where, [&](datagram_socket&, batch in) {
                          for (const auto& one : in) {
                              heard.emplace_back(sockeye::as_text(one.data));
                          }
                      }).value();
        // No turn in between: the send itself meets the pending error.
        CHECK(client.send(sockeye::as_bytes("kept")));
        CHECK(on.until([&] { return heard.size() == 1; }));
        CHECK(heard.front() == "kept");
        CHECK(on.loop().counters().datagram_errors == 1);
    });
}

TEST_CASE("[155] datagrams: a connected socket hears its peer only") {
    on_every_udp({155}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        std::vector<std::string> heard;
        auto client =
            datagram_socket::connect(on.loop(), server.local_endpoint().value(), {},
                                     [&](datagram_socket&, batch in) {
                                         for (const auto& one : in) {
                                             heard.emplace_back(sockeye::as_text(one.data));
                                         }
                                     })
                .value();
        raw_datagrams stranger(on, client.local_endpoint().value());
        stranger.say("stranger");
        client.send(sockeye::as_bytes("friend"));
        CHECK(on.until([&] { return !heard.empty(); }));
        on.settle();
        CHECK(heard == std::vector<std::string>{"friend"});
    });
}

TEST_CASE("[155] datagrams: a connected socket talks to its peer only, named or not") {
    on_every_datagram({155}, [](network& on) {
        std::vector<std::string> heard;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket& s, batch in) {
                          for (const auto& one : in) {
                              heard.emplace_back(sockeye::as_text(one.data));
                          }
                          CHECK(s.send(in) == in.size());
                      }).value();
        auto other = sockeye::serve(on.loop(), on.is_unix() ? on.local() + "2" : on.local(),
                                    [](datagram_socket&, batch) { FAIL_CHECK("was heard"); })
                         .value();
        int answers = 0;
        const auto where = server.local_endpoint().value();
        auto client =
            datagram_socket::connect(on.loop(), where, {}, [&](datagram_socket& s, batch in) {
                // What came from the peer may go back to it by its name.
                answers += static_cast<int>(in.size());
                if (answers == 2) {
                    CHECK(s.send(in) == in.size());
                }
            }).value();
        const auto elsewhere = other.local_endpoint().value();
        const std::array several = {datagram{.data = sockeye::as_bytes("plain")},
                                    datagram{.data = sockeye::as_bytes("lost"), .peer = &elsewhere},
                                    datagram{.data = sockeye::as_bytes("named"), .peer = &where}};
        CHECK(client.send(several) == 2);
        CHECK_FALSE(client.send(sockeye::as_bytes("lost"), elsewhere));
        CHECK(on.loop().counters().datagrams_dropped == 2);
        CHECK(on.until([&] { return answers >= 3; }));
        CHECK(heard.size() >= 3);
        CHECK(heard[0] == "plain");
        CHECK(heard[1] == "named");
    });
}

TEST_CASE("[88] datagrams: on IPv6 alone, so that the same port of IPv4 stays free") {
    support::on_every_network({88}, {"udp://[::]:0"}, [](network& on) {
        // Somebody else may have the one of IPv4: a few are tried.
        bool is_free = false;
        for (int tries = 0; tries < 10 && !is_free; ++tries) {
            auto six = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
            auto name = sockeye::endpoint::parse("udp://127.0.0.1:0").value();
            name.set_port(six.local_endpoint().value().port());
            is_free = sockeye::serve(on.loop(), name, echo_datagrams).has_value();
        }
        CHECK(is_free);
    });
}

TEST_CASE("datagrams: more than the receive buffer holds are lost, and nothing else is") {
    on_every_udp({}, [](network& on) {
        std::vector<int> heard;
        auto server = sockeye::serve(on.loop(), on.local(), {.receive_buffer = 8192},
                                     [&](datagram_socket&, batch in) {
                                         for (const auto& one : in) {
                                             heard.push_back(std::stoi(
                                                 std::string(sockeye::as_text(one.data))));
                                         }
                                     })
                          .value();
        raw_datagrams client(on, server.local_endpoint().value());
        int said = 0;
        for (; said < 5000; ++said) {
            client.say(std::to_string(said));
        }
        on.settle();
        CHECK(!heard.empty());
        CHECK(heard.size() < 5000);
        // When there is room again, they come as before.
        CHECK(on.until([&] {
            client.say(std::to_string(said++));
            on.turn();
            return heard.back() >= 5000;
        }));
        CHECK(std::ranges::adjacent_find(heard, std::greater_equal<>()) == heard.end());
    });
}

TEST_CASE("[160] datagrams: closed inside its handler, and another opened there") {
    on_every_datagram({160}, [](network& on) {
        int calls = 0;
        std::optional<datagram_socket> server;
        std::optional<datagram_socket> another;
        const auto handler = [&](datagram_socket& s, batch) {
            ++calls;
            server.reset();
            CHECK_FALSE(s.is_open());
            another = datagram_socket::open(on.loop(), on.is_unix() ? on.local() + "2" : on.local(),
                                            {}, echo_datagrams)
                          .value();
            // The reference must not have become the new one.
            CHECK_FALSE(s.is_open());
            CHECK_FALSE(s.local_endpoint());
            s.close();
        };
        server = datagram_socket::open(on.loop(), on.local(), {}, handler).value();
        raw_datagrams client(on, server->local_endpoint().value());
        for (int i = 0; i < 100; ++i) {
            client.say("x");
        }
        CHECK(on.until([&] { return calls == 1; }));
        on.settle();
        CHECK(calls == 1);
        REQUIRE(another.has_value());
        CHECK(another->is_open());
        if (on.is_unix()) {
            CHECK_FALSE(on.has_file(on.path()));
        }
    });
}

TEST_CASE("datagrams: a handler that throws closes its socket and no other") {
    on_every_udp({}, [](network& on) {
        auto bad = datagram_socket::open(on.loop(), on.local(), {}, [](datagram_socket&, batch) {
                       throw std::runtime_error("on purpose");
                   }).value();
        auto good = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        raw_datagrams first(on, bad.local_endpoint().value());
        raw_datagrams second(on, good.local_endpoint().value());
        first.say("x");
        second.say("y");
        int thrown = 0;
        for (int turns = 0; turns < 1000 && second.heard.empty(); ++turns) {
            try {
                on.turn();
            } catch (const std::runtime_error&) {
                ++thrown;
            }
            second.pump();
        }
        CHECK(thrown == 1);
        CHECK_FALSE(bad.is_open());
        CHECK(good.is_open());
    });
}

TEST_CASE("[169] datagrams: paused, they wait in the kernel; resumed, none is lost") {
    on_every_datagram({169}, [](network& on) {
        std::vector<std::string> heard;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket& s, batch in) {
                          for (const auto& one : in) {
                              heard.emplace_back(sockeye::as_text(one.data));
                          }
                          s.pause();
                      }).value();
        server.pause();
        raw_datagrams client(on, server.local_endpoint().value());
        client.say("one");
        client.say("two");
        on.settle();
        CHECK(heard.empty());
        CHECK(on.loop().counters().reads == 0);
        server.resume();
        CHECK(on.until([&] { return heard.size() == 2; }));
        client.say("three");
        on.settle();
        CHECK(heard.size() == 2);
        server.resume();
        CHECK(on.until([&] { return heard.size() == 3; }));
    });
}

TEST_CASE(
    "[164] [165] datagrams: a Unix peer that does not read costs bounded memory and no spin") {
    support::on_every_network({164, 165}, {"unix-dgram:"}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(),
                                     sockeye::datagram_options{.queue_max = 20'000}, echo_datagrams)
                          .value();
        raw_datagrams client(on, server.local_endpoint().value());
        const auto own = client.name();
        int taken = 0;
        for (int i = 0; i < 5000; ++i) {
            const auto text = std::to_string(i);
            taken += server.send(sockeye::as_bytes(text), own) ? 1 : 0;
        }
        CHECK(taken < 5000);
        CHECK(server.queued_bytes() <= 20'000);
        CHECK(server.queued_bytes() > 10'000);
        CHECK(on.loop().counters().datagrams_dropped == 5000U - static_cast<unsigned>(taken));
        CHECK(on.loop().counters().queued_bytes == server.queued_bytes());
        const auto before = on.loop().counters();
        on.pass(100ms);
        CHECK(on.loop().counters().writes - before.writes <= 110);
        CHECK(on.loop().counters().events == before.events);
        SUBCASE("it reads in the end") {
            CHECK(on.until([&] {
                client.pump();
                return client.heard.size() == static_cast<std::size_t>(taken);
            }));
            bool is_in_order = true;
            for (std::size_t i = 0; i < client.heard.size(); ++i) {
                is_in_order = is_in_order && client.heard[i] == std::to_string(i);
            }
            CHECK(is_in_order);
            CHECK(server.queued_bytes() == 0);
        }
        SUBCASE("the socket is closed") {
            server.close();
        }
        CHECK(on.loop().counters().queued_bytes == 0);
    });
}

TEST_CASE("datagrams: a Unix peer that never reads does not lock out the others") {
    support::on_every_network({165}, {"unix-dgram:"}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        // Not connected: what waits in the queue of a connected peer uses up the send buffer of the
        // server, and then the system lets it send to nobody.
        auto deaf =
            datagram_socket::open(on.loop(), "unix-dgram:@", {}, [](auto&, batch) {}).value();
        deaf.pause();
        raw_datagrams good(on, server.local_endpoint().value());
        for (std::size_t round = 1; round <= 3; ++round) {
            for (int i = 0; i < 400; ++i) {
                server.send(sockeye::as_bytes("x"), deaf.local_endpoint().value());
            }
            good.say("still there?");
            CHECK(on.until([&] {
                good.pump();
                return good.heard.size() == round;
            }));
        }
        CHECK(on.loop().counters().datagrams_dropped > 0);
    });
}

TEST_CASE("datagrams: a Unix client without a name of its own gets its answer") {
    support::on_every_network({182}, {"unix-dgram:"}, [](network& on) {
        auto server = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        std::string heard;
        auto client =
            datagram_socket::connect(on.loop(), on.local(), {}, [&](datagram_socket&, batch in) {
                heard = sockeye::as_text(in.front().data);
            }).value();
        CHECK(client.send(sockeye::as_bytes("hello")));
        CHECK(on.until([&] { return heard == "hello"; }));
    });
}

TEST_CASE("[170] datagrams: endpoints that cannot be bound, and sockets that live on in the loop") {
    on_every_datagram({170}, [](network& on) {
        auto first = sockeye::serve(on.loop(), on.local(), echo_datagrams).value();
        CHECK(sockeye::serve(on.loop(), first.local_endpoint().value(), echo_datagrams).error() ==
              std::errc::address_in_use);
        CHECK(datagram_socket::open(on.loop(), "tcp://127.0.0.1:0", {}, echo_datagrams).error() ==
              sockeye::errc::service_mismatch);
        raw_datagrams client(on, first.local_endpoint().value());
        first.detach();
        on.leaves_to_the_loop(1);
        client.say("still there");
        CHECK(on.until([&] {
            client.pump();
            return client.heard.size() == 1;
        }));
    });
}
