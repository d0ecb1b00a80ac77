#include "net/segments.hpp"
#include "support/handlers.hpp"
#include "support/kernels.hpp"
#include "support/raw_datagrams.hpp"

#include <doctest/doctest.h>

#include <array>
#include <cerrno>
#include <string>
#include <vector>

using sockeye::datagram;
using sockeye::datagram_socket;
using support::ignore_datagrams;
using support::network;
using support::raw_datagrams;

namespace {

using batch = std::span<const datagram>;

std::vector<datagram> views_of(const std::vector<std::string>& words) {
    std::vector<datagram> made;
    for (const auto& word : words) {
        made.push_back({.data = sockeye::as_bytes(word)});
    }
    return made;
}

/// What one of them says is all but the same from one to the next.
std::vector<std::string> numbered(std::size_t count, std::size_t size) {
    std::vector<std::string> made;
    for (std::size_t i = 0; i < count; ++i) {
        made.push_back(support::pattern(size, i + 1));
    }
    return made;
}

/// Counts trains, and refuses them as a device without offload would.
class trainless_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    sockeye::result<std::size_t> send_trains(int fd, batch all) override {
        ++trains;
        if (refusal == 0 || sockeye::train_length(all) == 1) {
            return forwarding_kernel::send_trains(fd, all);
        }
        return std::error_code(refusal, std::system_category());
    }
    sockeye::result<std::size_t> send_datagrams(int fd, batch all) override {
        ++plain;
        return forwarding_kernel::send_datagrams(fd, all);
    }

    int refusal = 0;
    int trains = 0;
    int plain = 0;
};

} // namespace

TEST_CASE("segments: what came merged is cut into what was sent, without a copy") {
    const auto whole = support::pattern(10'000);
    const auto other = std::string("alone");
    const sockeye::endpoint peer = sockeye::endpoint::parse("udp://127.0.0.1:9").value();
    const std::array merged = {
        datagram{.data = sockeye::as_bytes(whole), .peer = &peer, .segment_size = 3},
        datagram{.data = sockeye::as_bytes(other), .peer = &peer, .is_truncated = true},
        datagram{.data = {}, .peer = &peer},
        datagram{.data = sockeye::as_bytes(other), .peer = &peer, .segment_size = 5}};
    sockeye::segments cutter;
    cutter.begin(merged);
    std::vector<datagram> found;
    for (auto some = cutter.next(); !some.empty(); some = cutter.next()) {
        found.insert(found.end(), some.begin(), some.end());
    }
    REQUIRE(found.size() == 3334 + 3);
    std::string again;
    for (std::size_t i = 0; i < 3334; ++i) {
        again += sockeye::as_text(found[i].data);
        CHECK_FALSE(found[i].is_truncated);
        CHECK(found[i].peer == &peer);
    }
    CHECK(again == whole);
    CHECK(found[0].data.data() == merged[0].data.data());
    CHECK(found[3333].data.size() == 1);
    CHECK(found[3334].is_truncated);
    CHECK(found[3335].data.empty());
    CHECK(sockeye::as_text(found[3336].data) == other);
}

TEST_CASE("trains: as many as are alike, the last one shorter at most") {
    const auto a = sockeye::endpoint::parse("udp://127.0.0.1:9").value();
    const auto same = a;
    const auto b = sockeye::endpoint::parse("udp://127.0.0.1:10").value();
    const std::string text(1200, 'x');
    const auto all = sockeye::as_bytes(text);
    const datagram plain = {.data = all, .peer = &a};
    const auto length = [](std::vector<datagram> of) { return sockeye::train_length(of); };
    CHECK(length({plain}) == 1);
    CHECK(length({plain, plain, {.data = all, .peer = &same}}) == 3);
    CHECK(length({plain, {.data = all.first(7), .peer = &a}, plain}) == 2);
    CHECK(length({{.data = all.first(7), .peer = &a}, plain}) == 1);
    CHECK(length({plain, {.data = {}, .peer = &a}}) == 1);
    CHECK(length({{.data = {}, .peer = &a}, {.data = {}, .peer = &a}}) == 1);
    CHECK(length({plain, {.data = all, .peer = &b}}) == 1);
    CHECK(length({plain, {.data = all}}) == 1);
    CHECK(length({plain, {.data = all, .peer = &a, .local = &b}}) == 1);
    CHECK(length({plain, {.data = all, .peer = &a, .ttl = 1}}) == 1);
    CHECK(length({plain, {.data = all, .peer = &a, .mark = sockeye::ecn::capable_0}}) == 1);
    CHECK(length({plain, {.data = all, .peer = &a, .segment_size = 100}}) == 1);
    CHECK(length(std::vector<datagram>(200, plain)) == 54); // 65 000 bytes
    CHECK(length(std::vector<datagram>(200, {.data = all.first(9), .peer = &a})) == 64);
}

TEST_CASE("[151] [152] datagrams: with offload all arrive as they were sent, on every system") {
    support::on_every_network({151, 152}, {"udp://127.0.0.1:0", "udp://[::1]:0"}, [](network& on) {
        const sockeye::datagram_options options = {.receive_buffer = 1 << 20, .offload = true};
        auto server = datagram_socket::open(on.loop(), on.local(), options, [](auto& s, batch in) {
                          CHECK(s.send(in) == in.size());
                      }).value();
        std::vector<std::string> heard;
        auto client =
            datagram_socket::connect(on.loop(), server.local_endpoint().value(), options,
                                     [&](auto&, batch in) {
                                         for (const auto& one : in) {
                                             heard.emplace_back(sockeye::as_text(one.data));
                                         }
                                     })
                .value();
        auto words = numbered(100, 100);
        words[7] = "shorter";
        words[8] = "";
        words[20] = support::pattern(101);
        words.push_back(support::pattern(30'000));
        words.push_back(support::pattern(30'000, 2));
        words.push_back("");
        CHECK(client.send(views_of(words)) == words.size());
        CHECK(on.until([&] { return heard.size() == words.size(); }));
        CHECK((heard == words));
        CHECK(on.loop().counters().datagrams_written == 2 * words.size());
        CHECK(on.loop().counters().datagrams_read == 2 * words.size());
        CHECK(server.counters().received == words.size());
    });
}

TEST_CASE("datagrams: what leaves merged arrives merged, where the system can") {
    support::on_every_network(
        {}, {"udp://127.0.0.1:0"},
        [](network& on) {
            std::vector<std::size_t> merged_with;
            auto server = datagram_socket::open(on.loop(), on.local(), {.offload = true},
                                                [&](auto&, batch in) {
                                                    for (const auto& one : in) {
                                                        merged_with.push_back(one.segment_size);
                                                    }
                                                })
                              .value();
            auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(),
                                                   {.offload = true}, ignore_datagrams)
                              .value();
            const auto words = numbered(200, 50);
            CHECK(client.send(views_of(words)) == 200);
            CHECK(on.loop().counters().writes == 1);
            CHECK(on.until([&] { return merged_with.size() == 200; }));
            CHECK(on.loop().counters().reads <= 4);
            CHECK(merged_with == std::vector<std::size_t>(200, 50));
        },
        support::needs_real_system{"the simulation merges nothing"});
}

TEST_CASE("datagrams: one that is to be cut leaves as several, also without offload") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        std::string heard;
        std::vector<std::size_t> sizes;
        auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket&, batch in) {
                          for (const auto& one : in) {
                              sizes.push_back(one.data.size());
                              heard += sockeye::as_text(one.data);
                          }
                      }).value();
        auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(), {},
                                               ignore_datagrams)
                          .value();
        const auto text = support::pattern(2500);
        const datagram one = {.data = sockeye::as_bytes(text), .segment_size = 1000};
        CHECK(client.send({&one, 1}) == 1);
        CHECK(on.until([&] { return heard.size() == text.size(); }));
        CHECK(heard == text);
        CHECK(sizes == std::vector<std::size_t>{1000, 1000, 500});
    });
}

TEST_CASE("[163] datagrams: trains that the system refuses go one by one, and none is lost") {
    support::on_every_altered_network<trainless_kernel>(
        {163}, {"udp://127.0.0.1:0"}, [](network& on, trainless_kernel& system) {
            std::vector<std::string> heard;
            auto server = sockeye::serve(on.loop(), on.local(), [&](datagram_socket&, batch in) {
                              for (const auto& one : in) {
                                  heard.emplace_back(sockeye::as_text(one.data));
                              }
                          }).value();
            auto client = datagram_socket::connect(on.loop(), server.local_endpoint().value(),
                                                   {.offload = true}, ignore_datagrams)
                              .value();
            const auto words = numbered(80, 50);
            const auto say = [&] {
                heard.clear();
                CHECK(client.send(views_of(words)) == words.size());
                CHECK(on.until([&] { return heard.size() == words.size(); }));
                CHECK((heard == words));
            };
            SUBCASE("for ever, because the device cannot") {
                system.refusal = EIO;
                say();
                const auto tried = system.trains;
                system.refusal = 0;
                say();
                CHECK(system.trains == tried);
            }
            SUBCASE("because they are too long, and shorter ones may pass") {
                system.refusal = EINVAL;
                say();
                const auto tried = system.trains;
                system.refusal = 0;
                say();
                CHECK(system.trains == tried);
                const auto shorter = numbered(5, 49);
                CHECK(client.send(views_of(shorter)) == 5);
                CHECK(system.trains > tried);
            }
            SUBCASE("not at all") {
                say();
                CHECK(system.plain == 0);
            }
            CHECK(on.loop().counters().datagrams_dropped == 0);
        });
}

TEST_CASE("[160] datagrams: closed inside its handler while more of a merged batch is left") {
    support::on_every_network({160}, {"udp://127.0.0.1:0"}, [](network& on) {
        int calls = 0;
        datagram_socket server;
        server = datagram_socket::open(on.loop(), on.local(),
                                       {.receive_buffer = 1 << 20, .offload = true},
                                       [&](datagram_socket& s, batch) {
                                           ++calls;
                                           s.close();
                                       })
                     .value();
        raw_datagrams client(on, server.local_endpoint().value());
        const auto text = support::pattern(1200);
        for (int i = 0; i < 20; ++i) {
            const datagram one = {.data = sockeye::as_bytes(text), .segment_size = 19};
            static_cast<void>(on.system().send_datagrams(client.fd(), {&one, 1}));
        }
        CHECK(on.until([&] { return calls == 1; }));
        on.settle();
        CHECK(calls == 1);
        CHECK_FALSE(server.is_open());
    });
}
