#include "base/platform.hpp"
#include "kernel/threads.hpp"
#include "support/handlers.hpp"
#include "support/network.hpp"
#include "support/support.hpp"

#include <sockeye/loop_group.hpp>
#include <sockeye/timer.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using sockeye::loop_group;
using sockeye::spread;
using support::echo;
using support::ground;
using support::network;
using support::raw_peer;

namespace {

const support::needs_real_system threads{"it has one thread"};

constexpr spread all_spreads[] = {spread::least_connections, spread::round_robin,
                                  spread::reuse_port, spread::reuse_port_by_cpu, spread::exclusive};

std::string name_of(spread how) {
    switch (how) {
    case spread::least_connections:
        return "least_connections";
    case spread::round_robin:
        return "round_robin";
    case spread::reuse_port:
        return "reuse_port";
    case spread::reuse_port_by_cpu:
        return "reuse_port_by_cpu";
    case spread::exclusive:
        return "exclusive";
    }
    return "";
}

sockeye::loop_group_options loops_of(const ground& on, std::size_t count, bool is_pinned = false) {
    sockeye::loop_group_options options;
    options.threads = count;
    options.pin_cpus = is_pinned;
    options.make_loop_options = [kind = on.entry().kind](std::size_t) {
        sockeye::loop_options made;
        made.backend = kind;
        return made;
    };
    return options;
}

bool eventually(const std::function<bool()>& fact) {
    return support::turn_until(fact, [] { std::this_thread::yield(); });
}

std::vector<raw_peer> peers_of(const sockeye::endpoint& server, std::size_t count) {
    std::vector<raw_peer> peers;
    for (std::size_t made = 0; made < count; ++made) {
        peers.emplace_back(sockeye::system_kernel(), server);
    }
    return peers;
}

/// All of them ask, and all are answered.
bool all_are_answered(std::vector<raw_peer>& peers) {
    for (auto& peer : peers) {
        peer.say("?");
    }
    return eventually([&] {
        bool all = true;
        for (auto& peer : peers) {
            peer.pump();
            all = all && !peer.heard().empty();
        }
        return all;
    });
}

/// What the sessions of all threads noted.
struct notes {
    std::atomic<int> made = 0;
    std::atomic<int> gone = 0;
    std::atomic<int> strange = 0; ///< called on another thread than they were made on
};

class noting {
public:
    explicit noting(notes& all) : all_(all) { ++all_.made; }
    noting(const noting&) = delete;
    noting& operator=(const noting&) = delete;
    ~noting() {
        check();
        ++all_.gone;
    }
    void on_open(sockeye::stream&) { check(); }
    void on_data(sockeye::stream& link, sockeye::bytes in) {
        check();
        link.write(in);
    }
    void on_close(sockeye::stream&, sockeye::close_info) { check(); }

private:
    void check() {
        if (home_ != std::this_thread::get_id()) {
            ++all_.strange;
        }
    }

    notes& all_;
    std::thread::id home_ = std::this_thread::get_id();
};

/// By_cpu needs one CPU for each thread.
std::size_t threads_for(spread how) {
    return how == spread::reuse_port_by_cpu
               ? std::min<std::size_t>(2, std::thread::hardware_concurrency())
               : 3;
}

} // namespace

TEST_CASE(
    "[105] loop_group: however they are spread, each connection has one loop and one thread") {
    support::on_every_ground(
        {105},
        [](ground& on, support::rows&) {
            for (const auto how : all_spreads) {
                const auto label = name_of(how);
                CAPTURE(label);
                const auto count = threads_for(how);
                notes all;
                {
                    loop_group group(loops_of(on, count, how == spread::reuse_port_by_cpu));
                    CHECK(group.size() == count);
                    const auto where =
                        group.serve<noting>("tcp://127.0.0.1:0", {.spread = how}, std::ref(all));
                    if (how == spread::exclusive && !on.entry().features.exclusive) {
                        CHECK(where.error() == std::errc::not_supported);
                        continue;
                    }
                    REQUIRE(where);
                    auto peers = peers_of(where.value(), 60);
                    CHECK(all_are_answered(peers));
                    CHECK(group.connection_count() == peers.size());
                    CHECK(all.made == 60);
                    peers.resize(10);
                    CHECK(eventually([&] { return group.connection_count() == 10; }));
                    CHECK(all.gone == 50);
                }
                CHECK(all.gone == 60);
                CHECK(all.strange == 0);
            }
        },
        threads);
}

TEST_CASE("loop_group: one that accepts for all also serves Unix sockets") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            loop_group group(loops_of(on, 2));
            const auto path = on.path("group");
            for (const auto how : all_spreads) {
                const auto label = name_of(how);
                CAPTURE(label);
                notes all;
                const auto where =
                    group.serve<noting>("unix:" + path, {.spread = how}, std::ref(all));
                const bool can = how == spread::least_connections || how == spread::round_robin;
                if (!can && !(how == spread::exclusive && on.entry().features.exclusive)) {
                    const auto error = where.error();
                    CHECK((error == std::errc::not_supported));
                    continue;
                }
                REQUIRE(where);
                auto peers = peers_of(where.value(), 10);
                CHECK(all_are_answered(peers));
                group = loop_group(loops_of(on, 2));
                CHECK(all.gone == 10);
                CHECK(all.strange == 0);
            }
        },
        threads);
}

TEST_CASE("loop_group: round robin is even, and who has least gets the next") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            loop_group group(loops_of(on, 3));
            notes all;
            SUBCASE("round robin") {
                const auto where =
                    group
                        .serve<noting>("tcp://127.0.0.1:0", {.spread = spread::round_robin},
                                       std::ref(all))
                        .value();
                auto peers = peers_of(where, 300);
                CHECK(all_are_answered(peers));
                for (std::size_t index = 0; index < group.size(); ++index) {
                    CHECK(group.connection_count(index) == 100);
                }
            }
            SUBCASE("least connections") {
                const auto where = group.serve<noting>("tcp://127.0.0.1:0", std::ref(all)).value();
                auto peers = peers_of(where, 30);
                CHECK(all_are_answered(peers));
                peers.clear();
                CHECK(eventually([&] { return group.connection_count() == 0; }));
                // One at a time, of which every third one stays: they would all be on one loop.
                for (int made = 0; made < 90; ++made) {
                    auto one = peers_of(where, 1);
                    CHECK(all_are_answered(one));
                    if (made % 3 == 0) {
                        peers.push_back(std::move(one.front()));
                    }
                    const auto left = peers.size();
                    one.clear();
                    REQUIRE(eventually([&] { return group.connection_count() == left; }));
                }
                for (std::size_t index = 0; index < group.size(); ++index) {
                    CHECK(group.connection_count(index) == 10);
                }
            }
        },
        threads);
}

TEST_CASE("[105] loop_group: how a thousand connections are spread") {
    const support::raised_descriptor_limit raised;
    const auto epoll = support::make_real_grounds();
    auto& on = *epoll.front();
    for (const auto how : all_spreads) {
        loop_group group(loops_of(on, threads_for(how), how == spread::reuse_port_by_cpu));
        const auto where =
            group.serve("tcp://127.0.0.1:0", {.spread = how, .listen = {.backlog = 4096}}, echo);
        if (!where) {
            CHECK(where.error() == std::errc::not_supported);
            continue;
        }
        auto peers = peers_of(where.value(), 1000);
        CHECK(all_are_answered(peers));
        std::string counts;
        std::size_t sum = 0;
        for (std::size_t index = 0; index < group.size(); ++index) {
            counts += ' ' + std::to_string(group.connection_count(index));
            sum += group.connection_count(index);
        }
        CHECK(sum == 1000);
        MESSAGE(name_of(how) << ":" << counts);
    }
}

TEST_CASE("loop_group: a connection goes to the loop of the CPU it arrives on") {
    const auto grounds = support::make_real_grounds();
    auto& on = *grounds.front();
    auto group = loop_group::open(loops_of(on, threads_for(spread::reuse_port_by_cpu), true));
    if (!group) {
        CHECK(group.error() == std::errc::not_supported);
        return;
    }
    const auto where =
        group->serve("tcp://127.0.0.1:0", {.spread = spread::reuse_port_by_cpu}, echo);
    if (!where) {
        CHECK(where.error() == std::errc::not_supported);
        return;
    }
    const auto cpus = sockeye::usable_cpus();
    for (std::size_t index = 0; index < group->size(); ++index) {
        std::size_t there = 0;
        std::thread([&] {
            // What a process sends to itself arrives on the CPU where it was sent.
            static_cast<void>(sockeye::pin_thread(cpus[index]));
            auto peers = peers_of(where.value(), 50);
            if (all_are_answered(peers)) {
                there = group->connection_count(index);
            }
        }).join();
        CHECK(there == 50);
        CHECK(eventually([&] { return group->connection_count() == 0; }));
    }
}

namespace {

/// Where the datagrams of a group arrived.
struct arrivals {
    explicit arrivals(std::size_t loops) : at(loops) {}

    std::vector<std::atomic<int>> at; ///< by the index of the loop
    std::atomic<int> alive = 0;
    std::atomic<int> strange = 0; ///< handled on another thread than it was made on
    std::atomic<std::size_t> made = 0;
};

/// Echoes, and notes on which loop.
class noting_datagrams {
public:
    explicit noting_datagrams(arrivals& all) : all_(all), index_(all.made++) { ++all_.alive; }
    noting_datagrams(const noting_datagrams&) = delete;
    noting_datagrams& operator=(const noting_datagrams&) = delete;
    ~noting_datagrams() {
        check();
        --all_.alive;
    }
    void on_datagrams(sockeye::datagram_socket& socket, std::span<const sockeye::datagram> in) {
        check();
        all_.at[index_] += static_cast<int>(in.size());
        socket.send(in);
    }

private:
    void check() {
        if (home_ != std::this_thread::get_id()) {
            ++all_.strange;
        }
    }

    arrivals& all_;
    std::size_t index_;
    std::thread::id home_ = std::this_thread::get_id();
};

/// Each of `count` new sockets asks, and is answered.
bool new_sockets_are_answered(const sockeye::endpoint& server, std::size_t count) {
    sockeye::loop owner;
    std::size_t answers = 0;
    std::vector<sockeye::datagram_socket> sockets;
    for (std::size_t made = 0; made < count; ++made) {
        sockets.push_back(sockeye::datagram_socket::connect(owner, server, {}, [&](auto&, auto in) {
                              answers += in.size();
                          }).value());
        sockets.back().send(sockeye::as_bytes("?"));
    }
    return support::turn_until([&] { return answers == count; },
                               [&] { static_cast<void>(owner.run_once(1ms)); });
}

} // namespace

TEST_CASE("loop_group: datagrams are shared out among the loops, each with a socket of its own") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            constexpr std::size_t loops = 3;
            arrivals all(loops);
            std::optional<loop_group> group(loop_group(loops_of(on, loops)));
            const auto where = group->serve<noting_datagrams>("udp://127.0.0.1:0", std::ref(all));
            if (!where) {
                CHECK(where.error() == std::errc::not_supported);
                return;
            }
            CHECK(all.made == loops);
            CHECK(where->port() != 0);
            CHECK(new_sockets_are_answered(where.value(), 64));
            int sum = 0;
            int busy = 0;
            for (const auto& count : all.at) {
                sum += count;
                busy += count != 0;
            }
            CHECK(sum == 64);
            CHECK(busy > 1);
            CHECK(all.alive == static_cast<int>(loops));
            SUBCASE("closed") {
                group->close();
                CHECK_FALSE(group->join());
            }
            SUBCASE("drained") {
                group->drain(5s);
                CHECK_FALSE(group->join());
            }
            SUBCASE("at once") {
                group.reset();
            }
            CHECK(all.alive == 0);
            CHECK(all.strange == 0);
        },
        threads);
}

TEST_CASE("loop_group: a datagram goes to the loop of the CPU it arrives on") {
    const auto grounds = support::make_real_grounds();
    const auto count = threads_for(spread::reuse_port_by_cpu);
    auto group = loop_group::open(loops_of(*grounds.front(), count, true));
    if (!group) {
        CHECK(group.error() == std::errc::not_supported);
        return;
    }
    arrivals all(count);
    const auto where = group->serve<noting_datagrams>(
        "udp://127.0.0.1:0", {.spread = spread::reuse_port_by_cpu}, std::ref(all));
    if (!where) {
        CHECK(where.error() == std::errc::not_supported);
        return;
    }
    const auto cpus = sockeye::usable_cpus();
    for (std::size_t index = 0; index < count; ++index) {
        bool are_answered = false;
        std::thread([&] {
            static_cast<void>(sockeye::pin_thread(cpus[index]));
            are_answered = new_sockets_are_answered(where.value(), 30);
        }).join();
        CHECK(are_answered);
        CHECK(all.at[index] == 30);
    }
}

TEST_CASE("loop_group: how datagrams cannot be spread is refused, and leaves nothing behind") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            loop_group group(loops_of(on, 2));
            const auto echo_all = [](sockeye::datagram_socket& socket,
                                     std::span<const sockeye::datagram> in) { socket.send(in); };
            for (const auto how :
                 {spread::least_connections, spread::round_robin, spread::exclusive}) {
                CHECK(group.serve("udp://127.0.0.1:0", {.spread = how}, echo_all).error() ==
                      std::errc::not_supported);
            }
            CHECK(group.serve("udp://127.0.0.1:0", {.spread = spread::reuse_port_by_cpu}, echo_all)
                      .error() == std::errc::invalid_argument);
            CHECK(group.serve("unix-dgram:" + on.path("none"), echo_all).error() ==
                  std::errc::not_supported);
            CHECK(group.serve("tcp://127.0.0.1:0", echo_all).error() ==
                  sockeye::errc::service_mismatch);
            CHECK(group.serve("nonsense", echo_all).error());
            CHECK(group.serve("udp://192.0.2.1:0", echo_all).error());
            const auto where = group.serve("udp://127.0.0.1:0", echo_all);
            if (where) {
                CHECK(new_sockets_are_answered(where.value(), 4));
                // Whoever does not share the port does not get it.
                sockeye::loop own;
                CHECK(sockeye::serve(own, where.value(), echo_all).error() ==
                      std::errc::address_in_use);
            }
            // The first loop's socket would be made, and the second one's not.
            std::size_t made = 0;
            struct second_throws {
                explicit second_throws(std::size_t& count) {
                    if (++count == 2) {
                        throw std::bad_alloc();
                    }
                }
                void on_datagrams(sockeye::datagram_socket&, std::span<const sockeye::datagram>) {}
            };
            const auto refused = group.serve<second_throws>("udp://127.0.0.1:0", std::ref(made));
            CHECK(refused.error() ==
                  (where ? std::errc::not_enough_memory : std::errc::not_supported));
            group.close();
            CHECK(group.serve("udp://127.0.0.1:0", echo_all).error() ==
                  std::errc::operation_canceled);
            CHECK_FALSE(group.join());
        },
        threads);
}

TEST_CASE("loop_group: what it cannot do is refused, and leaves nothing behind") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            loop_group group(loops_of(on, 2));
            CHECK(group.serve("tcp://127.0.0.1:0", {.spread = spread::reuse_port_by_cpu}, echo)
                      .error() == std::errc::invalid_argument);
            CHECK(group.serve("udp://127.0.0.1:0", echo).error() ==
                  sockeye::errc::service_mismatch);
            CHECK(group.serve("nonsense", echo).error());
            CHECK(group.serve("tcp://192.0.2.1:0", echo).error() ==
                  std::errc::address_not_available);
            CHECK(group.serve(sockeye::unique_fd(), echo).error() ==
                  std::errc::bad_file_descriptor);
            CHECK(
                group.serve(support::make_bound_tcp_socket(), {.spread = spread::reuse_port}, echo)
                    .error() == std::errc::invalid_argument);
            const auto where = group.serve("tcp://127.0.0.1:0", echo).value();
            for (const auto how : {spread::least_connections, spread::reuse_port}) {
                CHECK(group.serve(where, {.spread = how}, echo).error() ==
                      std::errc::address_in_use);
            }
            std::atomic<bool> is_asked = false;
            std::error_code inside;
            std::error_code joined;
            group.remote(1).post([&] {
                inside = group.serve("tcp://127.0.0.1:0", echo).error();
                joined = group.join();
                is_asked = true;
            });
            CHECK(eventually([&] { return is_asked.load(); }));
            CHECK(inside == sockeye::errc::loop_running);
            CHECK(joined == sockeye::errc::loop_running);
            auto peers = peers_of(where, 4);
            CHECK(all_are_answered(peers));
            group.close();
            CHECK(group.serve("tcp://127.0.0.1:0", echo).error() == std::errc::operation_canceled);
            peers.clear();
            CHECK_FALSE(group.join());
            CHECK_FALSE(group.join());
        },
        threads);
}

TEST_CASE("loop_group: it is ended politely, by a deadline, or at once") {
    support::on_every_ground(
        {240, 241},
        [](ground& on, support::rows&) {
            for (const auto how : {spread::least_connections, spread::reuse_port}) {
                notes all;
                loop_group group(loops_of(on, 3));
                const auto where =
                    group.serve<noting>("tcp://127.0.0.1:0", {.spread = how}, std::ref(all))
                        .value();
                auto peers = peers_of(where, 30);
                CHECK(all_are_answered(peers));
                SUBCASE("close") {
                    group.close();
                }
                SUBCASE("drain, and they end by themselves") {
                    for (auto& peer : peers) {
                        peer.forget();
                        peer.say("last words");
                        peer.finish();
                    }
                    group.drain(1h);
                    CHECK(eventually([&] { return support::count_over(peers) == peers.size(); }));
                    for (const auto& peer : peers) {
                        CHECK(peer.heard() == "last words");
                        CHECK(peer.has_ended());
                    }
                }
                SUBCASE("drain, and the deadline ends them") {
                    group.drain(10ms);
                }
                SUBCASE("stop") {
                    group.stop();
                }
                SUBCASE("stop on one of its threads") {
                    group.remote(2).post([&] { group.stop(); });
                }
                CHECK_FALSE(group.join());
                CHECK(eventually([&] { return support::count_over(peers) == peers.size(); }));
                CHECK(all.gone == 30);
                std::uint64_t opened = 0;
                for (std::size_t index = 0; index < group.size(); ++index) {
                    opened += group.counters(index).opened;
                }
                CHECK(opened == 30);
                CHECK(all.strange == 0);
                CHECK(group.connection_count() == 0);
            }
        },
        threads);
}

TEST_CASE(
    "loop_group: no connection is lost between the one that accepts and the one that serves") {
    const support::raised_descriptor_limit raised;
    support::on_every_ground(
        {244},
        [](ground& on, support::rows&) {
            for (int round = 0; round < 20; ++round) {
                notes all;
                loop_group group(loops_of(on, 3));
                const auto where = group.serve<noting>("tcp://127.0.0.1:0", std::ref(all)).value();
                auto peers = peers_of(where, 100);
                // In the middle of it.
                CHECK(eventually([&] { return all.made >= round; }));
                if (round % 2 == 0) {
                    group.close();
                } else {
                    group.drain(1ms);
                }
                CHECK_FALSE(group.join());
                CHECK(all.made == all.gone);
                CHECK(all.strange == 0);
                // Nobody is left with a connection that nobody has.
                CHECK(eventually([&] { return support::count_over(peers) == peers.size(); }));
            }
        },
        threads);
}

TEST_CASE("[257] loop_group: limits are for all loops together") {
    support::on_every_ground(
        {257},
        [](ground& on, support::rows&) {
            notes all;
            loop_group group(loops_of(on, 3));
            SUBCASE("of connections") {
                const auto where =
                    group
                        .serve<noting>("tcp://127.0.0.1:0", {.listen = {.connections_max = 6}},
                                       std::ref(all))
                        .value();
                auto peers = peers_of(where, 10);
                CHECK(eventually([&] { return group.connection_count() == 6; }));
                for (auto& peer : peers) {
                    peer.say("?");
                }
                // Those who are in leave, one by one, and each lets one in.
                for (int left = 1; left <= 4; ++left) {
                    auto in = peers.end();
                    REQUIRE(eventually([&] {
                        std::ranges::for_each(peers, &raw_peer::pump);
                        in = std::ranges::find_if_not(
                            peers, [](const raw_peer& peer) { return peer.heard().empty(); });
                        return in != peers.end();
                    }));
                    peers.erase(in);
                    CHECK(eventually([&] { return all.made == 6 + left; }));
                    CHECK(eventually([&] { return group.connection_count() == 6; }));
                }
            }
            SUBCASE("of a source") {
                for (const auto how : {spread::least_connections, spread::reuse_port}) {
                    const auto where =
                        group
                            .serve<noting>(
                                "tcp://127.0.0.1:0",
                                {.spread = how, .listen = {.connections_per_source_max = 5}},
                                std::ref(all))
                            .value();
                    auto peers = peers_of(where, 12);
                    CHECK(eventually([&] { return support::count_over(peers) == 7; }));
                    CHECK(eventually([&] { return group.connection_count() == 5; }));
                    peers.clear();
                    CHECK(eventually([&] { return group.connection_count() == 0; }));
                }
            }
        },
        threads);
}

TEST_CASE(
    "loop_group: what leaves a handler ends it, and join throws that; on_exception hears it") {
    support::on_every_ground(
        {},
        [](ground& on, support::rows&) {
            SUBCASE("without on_exception") {
                loop_group group(loops_of(on, 3));
                const auto where = group
                                       .serve("tcp://127.0.0.1:0",
                                              [](sockeye::stream&, sockeye::bytes) {
                                                  throw std::domain_error("thrown");
                                              })
                                       .value();
                auto peers = peers_of(where, 1);
                peers.front().say("x");
                peers.front().pump();
                CHECK_THROWS_AS(static_cast<void>(group.join()), std::domain_error);
                CHECK_FALSE(group.join());
            }
            SUBCASE("with on_exception") {
                std::atomic<int> heard = 0;
                auto options = loops_of(on, 3);
                options.make_loop_options = [&](std::size_t) {
                    sockeye::loop_options made;
                    made.on_exception = [&](const std::exception_ptr&) { ++heard; };
                    return made;
                };
                loop_group group(std::move(options));
                group.remote(1).post([] { throw 7; });
                CHECK(eventually([&] { return heard == 1; }));
                std::atomic<bool> is_alive = false;
                group.remote(1).post([&] { is_alive = true; });
                CHECK(eventually([&] { return is_alive.load(); }));
            }
            SUBCASE("loops that cannot be made") {
                auto options = loops_of(on, 3);
                options.make_loop_options = [&](std::size_t index) {
                    sockeye::loop_options made;
                    made.backend = index == 2 ? sockeye::backend_kind::simulated : on.entry().kind;
                    return made;
                };
                CHECK(loop_group::open(std::move(options)).error() ==
                      sockeye::errc::backend_unavailable);
            }
        },
        threads);
}

TEST_CASE("[106] loop_group: serves on a socket that was adopted") {
    support::on_every_ground(
        {106},
        [](ground& on, support::rows&) {
            notes all;
            loop_group group(loops_of(on, 2));
            auto fd = support::make_bound_tcp_socket();
            REQUIRE(::listen(fd.get(), 16) == 0);
            const auto where = group.serve<noting>(std::move(fd), std::ref(all)).value();
            auto peers = peers_of(where, 10);
            CHECK(all_are_answered(peers));
            CHECK(group.connection_count(0) == 5);
            CHECK(group.connection_count(1) == 5);
        },
        threads);
}

TEST_CASE("loop_group: its threads have names, and stay on their CPUs") {
    auto options = sockeye::loop_group_options{};
    options.threads = 2;
    options.name = "group";
    options.pin_cpus = true;
    auto group = loop_group::open(std::move(options));
    if (!group) {
        CHECK(group.error() == std::errc::not_supported);
        return;
    }
    const auto cpus = sockeye::usable_cpus();
    for (std::size_t index = 0; index < 2; ++index) {
        std::atomic<bool> is_done = false;
        std::string name(16, '\0');
        std::vector<unsigned> found;
        group->remote(index).post([&] {
            ::pthread_getname_np(::pthread_self(), name.data(), name.size());
            found = sockeye::usable_cpus();
            is_done = true;
        });
        REQUIRE(eventually([&] { return is_done.load(); }));
        CHECK(name.c_str() == "group/" + std::to_string(index));
        CHECK(found == std::vector<unsigned>{cpus[index % cpus.size()]});
    }
}

namespace {

/// Echoes, and moves on to the next loop after each piece that it could send at once.
class wanderer {
public:
    wanderer(loop_group& group, std::size_t at, std::atomic<int>& moves)
        : group_(group), at_(at), moves_(moves) {}

    void on_data(sockeye::stream& link, sockeye::bytes in) {
        link.write(in);
        const auto next = (at_ + 1) % group_.size();
        const auto error = sockeye::move_to(
            link, group_.remote(next),
            [&group = group_, next, &moves = moves_](sockeye::result<sockeye::stream> arrived) {
                ++moves;
                arrived->attach<wanderer>(group, next, moves);
                arrived->detach();
            });
        if (error && error != std::errc::operation_in_progress) {
            throw std::system_error(error);
        }
    }

private:
    loop_group& group_;
    std::size_t at_;
    std::atomic<int>& moves_;
};

} // namespace

TEST_CASE("[106] [107] move_to: a stream wanders between loops, and every byte arrives once") {
    support::on_every_ground(
        {106, 107},
        [](ground& on, support::rows&) {
            std::atomic<int> moves = 0;
            loop_group group(loops_of(on, 3));
            const std::string local = on.entry().kind == sockeye::backend_kind::poll
                                          ? "unix:" + on.path("wander")
                                          : "tcp://127.0.0.1:0";
            const auto where =
                group.serve<wanderer>(local, std::ref(group), std::size_t{0}, std::ref(moves))
                    .value();
            const auto whole = support::pattern(std::size_t{1} << 20);
            auto peers = peers_of(where, 3);
            for (auto& peer : peers) {
                peer.say(whole);
                peer.finish();
            }
            CHECK(eventually([&] { return support::count_over(peers) == peers.size(); }));
            for (const auto& peer : peers) {
                CHECK(peer.has_ended());
                CHECK((peer.heard() == whole));
            }
            CHECK(moves >= 10);
            MESSAGE(std::string(on.name()) << ": " << std::to_string(moves) << " moves");
        },
        threads);
}

TEST_CASE("[106] move_to: where it cannot, nothing has changed") {
    support::on_every_backend_with_tcp({106}, [](network& on) {
        support::script told;
        auto server = support::serve_script(on, told);
        raw_peer peer(on.system(), support::local_of(server));
        REQUIRE(on.until([&] { return told.link != nullptr; }));
        int arrived = 0;
        const auto arrive = [&](sockeye::result<sockeye::stream>) { ++arrived; };
        std::optional<sockeye::loop> other(on.on().make_loop());
        const auto gone = other->remote();
        if (on.on().is_simulated()) {
            CHECK(sockeye::move_to(*told.link, gone, arrive) == std::errc::not_supported);
        } else {
            const std::string much(std::size_t{8} << 20, 'x');
            told.link->write(much);
            CHECK(sockeye::move_to(*told.link, gone, arrive) == std::errc::operation_in_progress);
            peer.is_deaf = false;
            CHECK(on.until([&] {
                peer.pump();
                return peer.heard().size() == much.size();
            }));
        }
        static_cast<void>(other->run_once(0ms));
        other.reset();
        CHECK(sockeye::move_to(*told.link, gone, arrive) == std::errc::operation_canceled);
        sockeye::stream nobody;
        CHECK(sockeye::move_to(nobody, gone, arrive) == std::errc::not_connected);
        CHECK(arrived == 0);
        peer.forget();
        told.on_data = echo;
        peer.say("still here");
        CHECK(on.until([&] {
            peer.pump();
            return peer.heard() == "still here";
        }));
    });
}
