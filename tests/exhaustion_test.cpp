#include "support/allocations.hpp"
#include "support/handlers.hpp"
#include "support/kernels.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/timer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

using namespace std::chrono_literals;
using support::network;
using support::pattern;
using support::raw_peer;
using support::script;

// What happens when there is no more of something: descriptors, memory, patience.

using support::echo;

namespace {

/// As if another thread took each descriptor that becomes free.
class greedy_kernel final : public support::forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    sockeye::result<sockeye::owned_fd> accept(int fd, sockeye::transport kind,
                                              sockeye::endpoint& peer) override {
        if (takes_all) {
            return std::errc::too_many_files_open;
        }
        return forwarding_kernel::accept(fd, kind, peer);
    }
    sockeye::result<sockeye::owned_fd> reserve() override {
        if (takes_all) {
            return std::errc::too_many_files_open;
        }
        return forwarding_kernel::reserve();
    }

    bool takes_all = false;
};

} // namespace

TEST_CASE(
    "[248] [249] listener: out of descriptors it sheds, does not spin, and recovers by itself") {
    support::on_every_stream(
        {248, 249},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told, {.backlog = 200});
            raw_peer old(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.made == 1; }));
            told.on_data = echo;
            told.on_end = [](sockeye::stream& link) { link.close(); };
            auto peers = support::many_peers(on, 40, support::local_of(server));
            std::optional<support::lowered_descriptor_limit> limit(10);
            CHECK(on.until([&] { return on.loop().counters().shed >= 2; }));
            CHECK(server.is_listening());
            // Between two attempts it waits: the turns of 1 ms outnumber the events by far.
            const auto before = on.loop().counters();
            for (int turns = 0; turns < 100; ++turns) {
                on.turn();
            }
            const auto& after = on.loop().counters();
            CHECK(after.accept_errors - before.accept_errors <= 10);
            CHECK(after.waits - before.waits <= 220);
            old.say("unharmed");
            CHECK(on.until([&] {
                old.pump();
                return old.heard() == "unharmed";
            }));
            limit.reset();
            CHECK(on.until([&] {
                return support::count_over(peers) == on.loop().counters().shed &&
                       server.connection_count() + support::count_over(peers) == 41;
            }));
            peers.clear();
            CHECK(on.until([&] { return server.connection_count() <= 1; }));
        },
        support::needs_real_system{"limits of a process"});
}

TEST_CASE("[249] listener: it does not spin either when somebody else takes the reserve") {
    support::on_every_altered_network<greedy_kernel>(
        {248, 249}, {"tcp://127.0.0.1:0", "unix:"}, [](network& on, greedy_kernel& system) {
            script told;
            auto server = support::serve_script(on, told);
            told.on_data = echo;
            raw_peer old(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.made == 1; }));
            system.takes_all = true;
            auto peers = support::many_peers(on, 10, support::local_of(server));
            on.pass(100ms);
            // 10, 20, 40, 80 ms: it waits longer and longer.
            CHECK(on.loop().counters().accept_errors >= 1);
            CHECK(on.loop().counters().accept_errors <= 8);
            CHECK(on.loop().counters().events <= 16);
            CHECK(on.loop().counters().shed == 0);
            CHECK(server.is_listening());
            old.say("unharmed");
            CHECK(on.until([&] {
                old.pump();
                return old.heard() == "unharmed";
            }));
            system.takes_all = false;
            CHECK(on.until([&] { return told.made == 11; }));
            CHECK(support::count_over(peers) == 0);
        });
}

TEST_CASE("listener: a connection that closes makes room for one that waits for a descriptor") {
    support::on_every_backend_with_tcp(
        {},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            told.on_end = [](sockeye::stream& link) { link.close(); };
            raw_peer first(on.system(), support::local_of(server));
            auto peers = support::many_peers(on, 3, support::local_of(server));
            const support::lowered_descriptor_limit limit(1);
            CHECK(on.until([&] { return on.loop().counters().shed >= 1; }));
            const auto made = told.made;
            CHECK(made == 1);
            first.finish();
            first.pump();
            CHECK(on.until([&] { return told.made > made || on.loop().counters().shed >= 3; }));
            CHECK(told.made > made);
        },
        support::needs_real_system{"limits of a process"});
}

TEST_CASE("[257] listener: connections_max holds, and one that closes lets one in") {
    support::on_every_stream({257}, [](network& on) {
        script told;
        auto server = support::serve_script(on, told, {.connections_max = 3});
        told.on_end = [](sockeye::stream& link) { link.close(); };
        auto peers = support::many_peers(on, 5, support::local_of(server));
        REQUIRE(on.until([&] { return told.made == 3; }));
        on.settle();
        CHECK(server.connection_count() == 3);
        const auto events = on.loop().counters().events;
        on.settle();
        CHECK(on.loop().counters().events == events);
        for (auto& peer : peers) {
            peer.finish();
            peer.pump();
        }
        CHECK(on.until([&] { return told.made == 5 && told.closes == 5; }));
        CHECK(server.connection_count() == 0);
    });
}

TEST_CASE("[250] without descriptors whoever asks for one is told, and nobody else") {
    support::on_every_stream(
        {250},
        [](network& on) {
            script told;
            auto server = support::serve_script(on, told);
            told.on_data = echo;
            raw_peer old(on.system(), support::local_of(server));
            REQUIRE(on.until([&] { return told.made == 1; }));
            script refused;
            {
                const support::lowered_descriptor_limit limit(0);
                auto client = sockeye::connect<support::hooked>(
                    on.loop(), support::local_of(server), {}, std::ref(refused));
                CHECK(on.until([&] { return refused.is_closed(); }));
                CHECK(sockeye::serve(on.loop(), "tcp://127.0.0.1:0", echo).error() ==
                      std::errc::too_many_files_open);
                const auto no_datagrams = [](sockeye::datagram_socket&,
                                             std::span<const sockeye::datagram>) {};
                CHECK(sockeye::serve(on.loop(), "udp://127.0.0.1:0", no_datagrams).error() ==
                      std::errc::too_many_files_open);
                CHECK(sockeye::datagram_socket::connect(on.loop(), "udp://127.0.0.1:9", {},
                                                        no_datagrams)
                          .error() == std::errc::too_many_files_open);
                sockeye::loop_options options;
                options.backend = on.entry().kind;
                CHECK(sockeye::loop::open(std::move(options)).error() ==
                      std::errc::too_many_files_open);
            }
            CHECK(refused.heard == std::vector<std::string>{"close"});
            CHECK(refused.info.error == std::errc::too_many_files_open);
            old.say("unharmed");
            CHECK(on.until([&] {
                old.pump();
                return old.heard() == "unharmed";
            }));
            CHECK(server.is_listening());
        },
        support::needs_real_system{"limits of a process"});
}

namespace {

constexpr sockeye::stream_limits small_limits = {
    .queue_high = 16'384, .queue_low = 4096, .queue_max = 65'536};
constexpr std::size_t slow_readers = 1000;
constexpr std::size_t words_each_time = 16'384;

} // namespace

TEST_CASE("[256] a thousand who do not read: a polite server holds a bounded amount for each") {
    const support::raised_descriptor_limit raised;
    support::on_every_network({256}, {"unix:"}, [](network& on) {
        const auto piece = pattern(4096);
        script told;
        std::size_t each_max = 0;
        auto server = support::serve_script(on, told, {.backlog = 4096, .limits = small_limits});
        SUBCASE("it stops above the high mark") {
            told.on_open = [&](sockeye::stream& link) {
                while (link.write(piece) == sockeye::write_status::ok) {
                }
            };
            each_max = small_limits.queue_high + piece.size();
        }
        SUBCASE("it echoes, and they go on talking") {
            told.on_data = echo;
            // The high mark stops reading, and one read is at most 64 KiB.
            each_max = small_limits.queue_high + 65'536;
        }
        auto peers = support::many_peers(on, slow_readers, support::local_of(server));
        REQUIRE(on.until([&] { return told.made == static_cast<int>(slow_readers); }));
        std::size_t most = on.loop().counters().queued_bytes;
        const std::string words(words_each_time, 'x');
        for (int round = 0; told.on_data && round < 40; ++round) {
            for (auto& peer : peers) {
                peer.is_deaf = true;
                if (peer.has_said_all()) {
                    peer.say(words);
                }
                peer.pump();
            }
            on.turn();
            most = std::max(most, on.loop().counters().queued_bytes);
        }
        CHECK(most > slow_readers * small_limits.queue_high);
        CHECK(most <= slow_readers * each_max);
        CHECK(told.closes == 0);
        CHECK(told.sessions == static_cast<int>(slow_readers));
        // The memory of a queue may be twice what it holds; what peers hold is theirs.
        const auto held = support::allocated_bytes();
        server.close();
        server = support::serve_script(on, told);
        peers.clear();
        CHECK(on.until([&] { return on.loop().counters().queued_bytes == 0; }));
        on.settle();
        const auto freed = held - support::allocated_bytes();
        if (!on.on().is_simulated()) { // where the kernel's buffers are memory of ours as well
            CHECK(freed <= slow_readers * (2 * each_max + 2 * words_each_time + 1024));
        }
    });
}

TEST_CASE("[256] a thousand who do not read: a server that goes on writing loses them") {
    const support::raised_descriptor_limit raised;
    support::on_every_network({256}, {"unix:"}, [](network& on) {
        const auto piece = pattern(4096);
        script told;
        std::size_t most = 0;
        told.on_open = [&](sockeye::stream& link) {
            while (link.write(piece) != sockeye::write_status::refused) {
                most = std::max(most, link.queued_bytes());
            }
        };
        told.on_close = [](sockeye::stream&, const sockeye::close_info& info) {
            CHECK(info.error == sockeye::errc::send_queue_full);
        };
        auto server = support::serve_script(on, told, {.backlog = 4096, .limits = small_limits});
        auto peers = support::many_peers(on, slow_readers, support::local_of(server));
        CHECK(on.until([&] { return told.closes == static_cast<int>(slow_readers); }));
        CHECK(most > small_limits.queue_max);
        CHECK(most <= small_limits.queue_max + piece.size());
        CHECK(on.loop().counters().queued_bytes == 0);
        CHECK(server.connection_count() == 0);
    });
}

TEST_CASE("[258] a day of load: no memory, no descriptor and no time is lost") {
    support::on_every_network({258}, {"tcp://127.0.0.1:0", "unix:"}, [](network& on) {
        const bool is_day = on.on().is_simulated();
        if (!is_day) {
            on.does_not_apply("no test lasts a day of real time: as many rounds in a few seconds");
        }
        constexpr int rounds = 288;
        const sockeye::duration rest = is_day ? sockeye::duration(5min) : sockeye::duration(1ms);
        auto server = sockeye::serve(on.loop(), on.local(), echo).value();
        const auto words = pattern(10'000);
        const auto descriptors = on.on().descriptors();
        std::uint64_t ticks = 0;
        const auto start = on.now();
        sockeye::timer clock(on.loop());
        clock.start_every(rest / 4, [&] { ++ticks; });
        std::size_t memory = 0;
        for (int round = 0; round < rounds; ++round) {
            {
                auto peers = support::many_peers(on, 8, support::local_of(server));
                for (auto& peer : peers) {
                    peer.say(words);
                }
                CHECK(on.until([&] {
                    std::ranges::for_each(peers, &raw_peer::pump);
                    return std::ranges::all_of(
                        peers, [&](const raw_peer& peer) { return peer.heard() == words; });
                }));
                peers.front().reset();
            }
            const auto end = on.now() + rest;
            while (on.now() < end) {
                static_cast<void>(on.loop().run_once(end - on.now()).value());
            }
            CHECK(on.until([&] { return server.connection_count() == 0; }));
            CHECK(on.on().descriptors() == descriptors);
            // The first rounds find the sizes of the loop's own tables.
            memory = round < rounds / 4 ? support::allocated_bytes() : memory;
        }
        CHECK(support::allocated_bytes() <= memory + 4096);
        const auto due = static_cast<std::uint64_t>((on.now() - start) / (rest / 4));
        CHECK(ticks <= due);
        CHECK(ticks >= (is_day ? due - 1 : 1));
    });
}
