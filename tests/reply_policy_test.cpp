#include <sockeye/reply_policy.hpp>

#include "base/keyed_hash.hpp"
#include "net/bounded_table.hpp"
#include "support/kernels.hpp"
#include "support/raw_datagrams.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include <netinet/in.h>
#include <sys/un.h>

using namespace std::chrono_literals;
using sockeye::datagram;
using sockeye::endpoint;
using sockeye::reply_options;
using sockeye::reply_policy;
using sockeye::reply_verdict;
using sockeye::time_point;
using sockeye::transport;
using support::network;

namespace {

endpoint parse(const std::string& text) {
    return endpoint::parse(text).value();
}

const endpoint here = parse("udp://127.0.0.1:7007");
const endpoint anywhere = parse("udp://*:7007");
const endpoint one_address = parse("udp://192.0.2.7:7007");
const endpoint here6 = parse("udp://[::1]:7007");
const endpoint anywhere6 = parse("udp://[::]:7007");

/// A sender as the kernel would report it, whatever parse() says of its scope.
endpoint link_local(std::uint32_t scope) {
    sockaddr_in6 address = {};
    address.sin6_family = AF_INET6;
    address.sin6_port = htons(40000);
    address.sin6_addr.s6_addr[0] = 0xfe;
    address.sin6_addr.s6_addr[1] = 0x80;
    address.sin6_addr.s6_addr[15] = 1;
    address.sin6_scope_id = scope;
    return endpoint::from_system(transport::udp, reinterpret_cast<const sockaddr*>(&address),
                                 sizeof address);
}

const std::string text(100, 'x');
const auto payload = sockeye::as_bytes(text);

/// What is judged of an echo that comes long after the last one.
reply_verdict judge(reply_policy& policy, const endpoint& sender, const endpoint& bound) {
    static time_point now{};
    now += 1h;
    return policy.judge({.data = payload, .peer = &sender}, bound, payload, now);
}

bool allows(reply_policy& policy, const endpoint& sender, const endpoint& bound) {
    return judge(policy, sender, bound) == reply_verdict::allowed;
}

endpoint numbered(const char* text_before_port, unsigned number) {
    return parse(text_before_port + std::to_string(number));
}

/// The same secret each time.
reply_options steady(reply_options options = {}) {
    options.secret = 42;
    return options;
}

} // namespace

TEST_CASE("reply policy: ordinary senders are answered") {
    reply_policy policy;
    CHECK(allows(policy, parse("udp://127.0.0.1:40000"), here));
    CHECK(allows(policy, parse("udp://127.0.0.1:1024"), here));
    CHECK(allows(policy, parse("udp://127.0.0.1:65535"), here));
    CHECK(allows(policy, parse("udp://127.0.0.1:40000"), anywhere));
    CHECK(allows(policy, parse("udp://198.51.100.9:40000"), anywhere));
    CHECK(allows(policy, parse("udp://198.51.100.9:40000"), one_address));
    CHECK(allows(policy, parse("udp://[::1]:40000"), here6));
    CHECK(allows(policy, parse("udp://[2001:db8::9]:40000"), anywhere6));
}

TEST_CASE("reply policy: ports of other services and of ours are refused") {
    reply_policy policy;
    policy.add_own_port(7007);
    policy.add_own_port(40001);
    for (const int port : {0,   1,   7,   9,    13,   17,   19,   37,   53,    69,   123,
                           137, 161, 389, 1023, 2049, 1900, 3702, 5353, 11211, 7007, 40001}) {
        CAPTURE(port);
        for (const auto* host : {"udp://127.0.0.1:", "udp://198.51.100.9:", "udp://[::1]:"}) {
            const auto sender = parse(host + std::to_string(port));
            CHECK_FALSE(allows(policy, sender, sender.family() == AF_INET ? here : here6));
        }
    }
    CHECK(allows(policy, parse("udp://127.0.0.1:7008"), here));
}

TEST_CASE("reply policy: addresses of nobody and of everybody are refused") {
    reply_policy policy;
    policy.add_broadcast(parse("udp://198.51.100.255:0"));
    for (const auto* sender :
         {"udp://0.0.0.0:40000", "udp://0.1.2.3:40000", "udp://255.255.255.255:40000",
          "udp://224.0.0.1:40000", "udp://239.255.255.255:40000", "udp://198.51.100.255:40000"}) {
        CAPTURE(sender);
        CHECK_FALSE(allows(policy, parse(sender), anywhere));
    }
    for (const auto* sender :
         {"udp://[::]:40000", "udp://[ff02::1]:40000", "udp://[::ffff:198.51.100.9]:40000"}) {
        CAPTURE(sender);
        CHECK_FALSE(allows(policy, parse(sender), anywhere6));
    }
    CHECK(allows(policy, parse("udp://198.51.100.254:40000"), anywhere));
    CHECK(allows(policy, parse("udp://223.255.255.255:40000"), anywhere));
}

TEST_CASE("reply policy: link-local senders need their scope") {
    reply_policy policy;
    CHECK_FALSE(allows(policy, link_local(0), anywhere6));
    CHECK(allows(policy, link_local(1), anywhere6));
}

TEST_CASE("reply policy: a loopback sender reaches no other address of the machine") {
    reply_policy policy;
    CHECK_FALSE(allows(policy, parse("udp://127.0.0.1:40000"), one_address));
    CHECK_FALSE(allows(policy, parse("udp://[::1]:40000"), parse("udp://[2001:db8::7]:7007")));
}

TEST_CASE("reply policy: Unix senders are answered if they have a name") {
    reply_policy policy;
    const auto local = parse("unix-dgram:/tmp/server");
    CHECK(allows(policy, parse("unix-dgram:/tmp/client"), local));
    sockaddr_un unnamed = {};
    unnamed.sun_family = AF_UNIX;
    const auto* address = reinterpret_cast<const sockaddr*>(&unnamed);
    CHECK_FALSE(allows(
        policy,
        endpoint::from_system(transport::unix_datagram, address, offsetof(sockaddr_un, sun_path)),
        local));
    CHECK_FALSE(allows(policy, endpoint(), local));
    CHECK(policy.judge({.data = payload}, local, payload, {}) == reply_verdict::refused_address);
}

TEST_CASE("reply policy: mapped senders are judged as IPv4 ones, where both families are asked") {
    reply_policy both(steady({.dual_stack = true}));
    both.add_broadcast(parse("udp://198.51.100.255:0"));
    CHECK(allows(both, parse("udp://[::ffff:198.51.100.9]:40000"), anywhere6));
    for (const auto* sender :
         {"udp://[::ffff:0.0.0.0]:40000", "udp://[::ffff:224.0.0.1]:40000",
          "udp://[::ffff:255.255.255.255]:40000", "udp://[::ffff:198.51.100.255]:40000"}) {
        CAPTURE(sender);
        CHECK_FALSE(allows(both, parse(sender), anywhere6));
    }
    const auto told = parse("udp://[2001:db8::7]:7007");
    const auto forged = parse("udp://[::ffff:127.0.0.1]:40000");
    CHECK(both.judge({.data = payload, .peer = &forged, .local = &told}, anywhere6, payload, {}) ==
          reply_verdict::refused_address);
}

TEST_CASE("reply policy: the address that was asked unmasks a forged loopback sender") {
    reply_policy policy;
    const auto sender = parse("udp://127.0.0.1:40000");
    const auto asked = parse("udp://192.0.2.7:7007");
    const auto judged = [&](const endpoint* local) {
        return policy.judge({.data = payload, .peer = &sender, .local = local}, anywhere, payload,
                            time_point{});
    };
    CHECK(judged(&asked) == reply_verdict::refused_address);
    CHECK(judged(&here) == reply_verdict::allowed);
    CHECK(judged(nullptr) == reply_verdict::allowed);
}

TEST_CASE("reply policy: ports that are refused can be chosen") {
    reply_policy policy({.refused_ports = {40001}});
    CHECK_FALSE(allows(policy, parse("udp://127.0.0.1:40001"), here));
    CHECK(allows(policy, parse("udp://127.0.0.1:2049"), here));
    CHECK_FALSE(allows(policy, parse("udp://127.0.0.1:1023"), here));
    CHECK(policy.count(reply_verdict::allowed) == 1);
    CHECK(policy.count(reply_verdict::refused_port) == 2);
    CHECK(policy.refused() == 2);
}

TEST_CASE("reply policy: an answer to a public address is no longer than its request") {
    reply_policy policy(steady());
    const auto sender = parse("udp://198.51.100.9:40000");
    const datagram in = {.data = payload.first(10), .peer = &sender};
    CHECK(policy.judge(in, anywhere, payload.first(11), {}) == reply_verdict::too_long);
    CHECK(policy.judge(in, anywhere, payload.first(10), {}) == reply_verdict::allowed);
    CHECK(policy.judge(in, anywhere, {}, {}) == reply_verdict::allowed);
    const auto near = parse("udp://127.0.0.1:40000");
    CHECK(policy.judge({.data = {}, .peer = &near}, here, payload, {}) == reply_verdict::allowed);
}

TEST_CASE("reply policy: so many answers a second to one /24 or /64, and no more") {
    for (const bool is_ip4 : {true, false}) {
        CAPTURE(is_ip4);
        reply_policy policy(steady());
        time_point now{};
        const auto ask = [&](unsigned host, unsigned network) {
            const auto sender =
                is_ip4 ? parse("udp://198.51." + std::to_string(network) + "." +
                               std::to_string(host) + ":" + std::to_string(40000 + host))
                       : parse("udp://[2001:db8:0:" + std::to_string(network) +
                               "::" + std::to_string(host) + "]:40000");
            return policy.judge({.data = payload, .peer = &sender}, is_ip4 ? anywhere : anywhere6,
                                payload, now);
        };
        unsigned allowed = 0;
        for (unsigned host = 1; host <= 100; ++host) {
            allowed += ask(host, 100) == reply_verdict::allowed ? 1 : 0;
        }
        CHECK(allowed == 10);
        CHECK(policy.count(reply_verdict::rate_limited) == 90);
        CHECK(ask(1, 101) == reply_verdict::allowed); // the neighbour has its own
        now += 99ms;
        CHECK(ask(1, 100) == reply_verdict::rate_limited);
        now += 1ms;
        CHECK(ask(1, 100) == reply_verdict::allowed);
        CHECK(ask(2, 100) == reply_verdict::rate_limited);
        now += 1s;
        allowed = 0;
        for (unsigned host = 1; host <= 100; ++host) {
            allowed += ask(host, 100) == reply_verdict::allowed ? 1 : 0;
        }
        CHECK(allowed == 10);
    }
}

TEST_CASE("reply policy: so many answers a second to all together, whoever asks") {
    reply_policy policy(steady());
    time_point now{};
    const auto flood = [&] {
        std::uint64_t allowed = 0;
        for (unsigned network = 0; network < 3000; ++network) {
            const auto sender = parse("udp://203." + std::to_string(network / 250) + "." +
                                      std::to_string(network % 250) + ".1:40000");
            allowed += policy.judge({.data = payload, .peer = &sender}, anywhere, payload, now) ==
                               reply_verdict::allowed
                           ? 1
                           : 0;
        }
        return allowed;
    };
    CHECK(flood() == 1000);
    now += 500ms;
    CHECK(flood() == 500);
    // Loopback has no limits: benchmarks say the same again and again.
    for (int i = 0; i < 5000; ++i) {
        const auto near = parse("udp://127.0.0.1:40000");
        REQUIRE(policy.judge({.data = payload, .peer = &near}, here, payload, now) ==
                reply_verdict::allowed);
    }
}

TEST_CASE("reply policy: who sends our answers back again and again is left alone for a minute") {
    reply_policy policy(steady({.replies_per_second = 100'000, .replies_per_source = 100'000}));
    const auto looping = parse("udp://198.51.100.9:40000");
    const auto honest = parse("udp://198.51.100.9:40001");
    time_point now{};
    const auto ask = [&](const endpoint& sender, const std::string& said) {
        return policy.judge({.data = sockeye::as_bytes(said), .peer = &sender}, anywhere,
                            sockeye::as_bytes(said), now);
    };
    CHECK(ask(looping, "ping") == reply_verdict::allowed);
    for (int i = 0; i < 100; ++i) {
        now += 1ms;
        REQUIRE(ask(looping, "ping") == reply_verdict::allowed);
        REQUIRE(ask(honest, "message " + std::to_string(i)) == reply_verdict::allowed);
    }
    CHECK(ask(looping, "ping") == reply_verdict::looping);
    CHECK(ask(looping, "anything") == reply_verdict::looping);
    CHECK(ask(honest, "message 100") == reply_verdict::allowed);
    now += 60s - 1ns;
    CHECK(ask(looping, "ping") == reply_verdict::looping);
    now += 1ns;
    CHECK(ask(looping, "ping") == reply_verdict::allowed);
    // Once every 11 ms is 91 a second: no loop, however long it goes on.
    for (int i = 0; i < 1000; ++i) {
        now += 11ms;
        REQUIRE(ask(looping, "ping") == reply_verdict::allowed);
    }
}

TEST_CASE("reply policy: a loop that is also beyond its rate is known as one") {
    reply_policy policy(steady());
    const auto looping = parse("udp://198.51.100.9:40000");
    time_point now{};
    std::uint64_t allowed = 0;
    for (int i = 0; i < 1000; ++i) {
        now += 1ms;
        allowed += policy.judge({.data = payload, .peer = &looping}, anywhere, payload, now) ==
                           reply_verdict::allowed
                       ? 1
                       : 0;
    }
    CHECK(allowed < 20);
    CHECK(policy.count(reply_verdict::looping) > 850);
}

TEST_CASE(
    "reply policy: more sources than there is room for cost no more memory, and stay bounded") {
    reply_policy policy(steady({.replies_per_second = 1'000'000, .sources_max = 64}));
    time_point now{};
    for (unsigned round = 0; round < 3; ++round) {
        for (unsigned network = 0; network < 5000; ++network) {
            const auto sender = parse("udp://203." + std::to_string(network / 250) + "." +
                                      std::to_string(network % 250) + ".1:40000");
            static_cast<void>(
                policy.judge({.data = payload, .peer = &sender}, anywhere, payload, now));
        }
    }
    CHECK(policy.count(reply_verdict::allowed) + policy.refused() == 15'000);
}

TEST_CASE("reply policy: its chance is that of the loop it is made with") {
    support::on_every_network({}, {"udp://127.0.0.1:0"}, [](network& on) {
        reply_policy policy(on.loop(), {.replies_per_source = 1});
        const auto sender = parse("udp://198.51.100.1:40000");
        const auto say = [&] {
            return policy.judge({.data = payload, .peer = &sender}, anywhere, payload, on.now());
        };
        CHECK(say() == reply_verdict::allowed);
        CHECK(say() == reply_verdict::rate_limited);
    });
}

TEST_CASE("reply policy: without randomness there is none") {
    class numb_kernel final : public support::forwarding_kernel {
    public:
        explicit numb_kernel(sockeye::kernel& inner) : forwarding_kernel(inner) {}
        sockeye::result<std::uint64_t> random_bits() override { return std::errc::io_error; }
    };
    support::on_every_altered_network<numb_kernel>(
        {}, {"udp://127.0.0.1:0"}, [](network& on, numb_kernel&) {
            CHECK_THROWS_AS(reply_policy(on.loop()), std::system_error);
            CHECK_NOTHROW(reply_policy(on.loop(), steady()));
        });
}

TEST_CASE("bounded_table: entries are found again, and the place of a new one is left to chance") {
    sockeye::bounded_table<int> table(64, 7);
    CHECK(table.capacity() == 64);
    table[1] = 10;
    table[9] = 90; // in the same group of eight
    CHECK(table[1] == 10);
    CHECK(table[9] == 90);
    std::set<std::size_t> survivors;
    for (std::uint64_t seed = 1; seed <= 200; ++seed) {
        sockeye::bounded_table<std::size_t> full(8, seed);
        for (std::uint64_t i = 1; i <= 8; ++i) {
            full[i] = i;
        }
        full[100] = 100;
        std::size_t lost = 0;
        for (std::uint64_t i = 1; i <= 8 && lost == 0; ++i) {
            lost = full[i] == 0 ? i : 0;
        }
        survivors.insert(lost);
    }
    CHECK(survivors.size() == 8); // any of them may go
    CHECK_FALSE(survivors.contains(0));
}

TEST_CASE("keyed hash: the same for the same, and another for each key and each length") {
    const sockeye::keyed_hash one(1);
    const sockeye::keyed_hash other(2);
    std::set<std::uint64_t> seen;
    const std::string words(64, 'a');
    for (std::size_t size = 0; size <= words.size(); ++size) {
        const auto part = sockeye::as_bytes(words).first(size);
        CHECK(one(part) == one(part));
        seen.insert(one(part));
        seen.insert(other(part));
    }
    CHECK(seen.size() == 2 * 65);
}

TEST_CASE("[177] datagrams: an echo server with a policy answers no forbidden sender") {
    support::on_every_network({177}, {"udp://127.0.0.1:0"}, [](network& on) {
        reply_policy policy(steady());
        endpoint bound;
        auto server =
            sockeye::serve(on.loop(), on.local(),
                           [&](sockeye::datagram_socket& s, std::span<const datagram> in) {
                               for (const auto& one : in) {
                                   if (policy.judge(one, bound, one.data, on.loop().now()) ==
                                       reply_verdict::allowed) {
                                       CHECK(s.send({&one, 1}) == 1);
                                   }
                               }
                           })
                .value();
        bound = server.local_endpoint().value();
        policy.add_own_port(bound.port());
        support::raw_datagrams friendly(on, bound);
        std::size_t refused = 0;
        for (const unsigned port : {1023U, 2049U, 11211U, unsigned{bound.port()}}) {
            auto from = numbered("udp://127.0.0.2:", port);
            auto fd = on.system().socket(transport::udp, AF_INET).value();
            if (on.system().bind(fd.get(), from) || on.system().connect(fd.get(), bound)) {
                continue; // taken, or only for the administrator
            }
            const datagram one = {.data = payload};
            REQUIRE(on.system().send_datagrams(fd.get(), {&one, 1}).has_value());
            ++refused;
            const auto before = friendly.heard.size();
            friendly.say("barrier");
            CHECK(on.until([&] {
                friendly.pump();
                return friendly.heard.size() > before;
            }));
            sockeye::datagram_batch batch;
            CHECK(on.system().receive_datagrams(fd.get(), transport::udp, batch).error() ==
                  std::errc::operation_would_block);
        }
        CHECK(refused > 0);
        CHECK(policy.count(reply_verdict::refused_port) == refused);
    });
}
