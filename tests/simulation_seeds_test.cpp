#include <sockeye/simulation.hpp>
#include <sockeye/sockeye.hpp>

#include "support/seeds.hpp"

#include <chrono>
#include <cstdint>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <doctest/doctest.h>

// An echo workload under every fault that the simulation knows, for as many seeds as wanted.

using namespace std::chrono_literals;

namespace {

/// What one client wanted and got.
struct errand {
    std::string said;
    std::string heard;
    int opens = 0;
    int closes = 0;
    bool was_heard_after_close = false;
    std::optional<sockeye::close_info> info;

    [[nodiscard]] bool is_prefix() const { return said.compare(0, heard.size(), heard) == 0; }
    [[nodiscard]] bool is_whole() const { return said == heard; }
};

/// Says all in parts of random size, ends, and listens.
class talker {
public:
    talker(sockeye::simulation& world, errand& what) : world_(world), what_(what) {}

    void on_open(sockeye::stream& link) {
        ++what_.opens;
        say_more(link);
    }
    void on_data(sockeye::stream& link, sockeye::bytes in) {
        what_.was_heard_after_close |= what_.closes != 0;
        what_.heard += sockeye::as_text(in);
        say_more(link);
    }
    void on_end(sockeye::stream& link) { link.close(); }
    void on_writable(sockeye::stream& link) { say_more(link); }
    void on_close(sockeye::stream&, sockeye::close_info info) {
        ++what_.closes;
        what_.info = info;
    }

private:
    void say_more(sockeye::stream& link) {
        const auto left = what_.said.size() - said_;
        if (left == 0) {
            link.shutdown();
            return;
        }
        const auto size = 1 + world_.random() % left;
        link.write(sockeye::as_bytes(std::string_view(what_.said).substr(said_, size)));
        said_ += size;
    }

    sockeye::simulation& world_;
    errand& what_;
    std::size_t said_ = 0;
};

std::string words(sockeye::simulation& world) {
    std::string made(1 + world.random() % (std::size_t{1} << world.random() % 14), '\0');
    for (auto& letter : made) {
        letter = static_cast<char>(world.random());
    }
    return made;
}

/// A server, a few clients over TCP, datagrams beside them, and what the seed does to them.
class echo_world {
public:
    /// With `faults` instead of those that the seed draws.
    explicit echo_world(std::uint64_t seed,
                        const std::optional<sockeye::fault_options>& faults = {})
        : world_(seed) {
        world_.swarm();
        drawn_ = world_.faults();
        world_.set_faults(faults.value_or(drawn_));
        if (support::is_tracing()) {
            world_.on_call([](std::string_view line) { std::cout << line << '\n'; });
        }
        auto& server = world_.host("server");
        server.run([](sockeye::loop& owner) { return echo_servers(owner); });
        const auto clients = 1 + world_.random() % 3;
        for (std::uint64_t i = 0; i < clients; ++i) {
            auto& host = world_.host("client " + std::to_string(i));
            start_client(host);
        }
        trouble(server);
    }

    /// Empty where all is as it must be.
    [[nodiscard]] std::string run() {
        report_ = world_.run_until_idle(1h);
        if (!report_.problems.empty()) {
            return report_.problems.front();
        }
        if (!report_.is_idle) {
            return "something is still going on after an hour";
        }
        if (report_.connections_leaked != 0 && !is_cut_) {
            return "connections are left that nobody will ever end";
        }
        for (const auto& one : errands_) {
            if (auto wrong = judge(*one); !wrong.empty()) {
                return wrong;
            }
        }
        return datagrams_wrong_ == 0 ? "" : "a datagram came back changed";
    }

    [[nodiscard]] const sockeye::simulation_report& report() const noexcept { return report_; }
    [[nodiscard]] const sockeye::fault_options& drawn() const noexcept { return drawn_; }

private:
    struct servers {
        sockeye::server tcp;
        sockeye::datagram_socket udp;
    };

    /// Asks again where the system has no descriptors just now.
    template <typename Call>
    static auto insist(Call&& call) {
        for (;;) {
            auto made = call();
            if (made || made.error() != std::errc::too_many_files_open) {
                return std::move(made).value();
            }
        }
    }

    static servers echo_servers(sockeye::loop& owner) {
        return {insist([&] {
                    return sockeye::serve(
                        owner, "tcp://*:7007",
                        [](sockeye::stream& peer, sockeye::bytes in) { peer.write(in); });
                }),
                insist([&] {
                    return sockeye::serve(
                        owner, "udp://*:7007",
                        [](sockeye::datagram_socket& socket,
                           std::span<const sockeye::datagram> in) { socket.send(in); });
                })};
    }

    void start_client(sockeye::simulated_host& host) {
        host.run([this](sockeye::loop& owner) {
            std::vector<sockeye::stream> links;
            const auto count = 1 + world_.random() % 3;
            for (std::uint64_t i = 0; i < count; ++i) {
                auto& one = *errands_.emplace_back(std::make_unique<errand>());
                one.said = words(world_);
                links.push_back(sockeye::connect<talker>(owner, "tcp://10.0.0.1:7007",
                                                         {.deadline = 60s}, std::ref(world_),
                                                         std::ref(one)));
            }
            return links;
        });
        host.run([this](sockeye::loop& owner) { return send_datagrams(owner); });
    }

    sockeye::datagram_socket send_datagrams(sockeye::loop& owner) {
        auto socket = insist([&] {
            return sockeye::datagram_socket::open(
                owner, "udp://*:0", {},
                [this](sockeye::datagram_socket&, std::span<const sockeye::datagram> in) {
                    for (const auto& one : in) {
                        datagrams_wrong_ += is_intact(sockeye::as_text(one.data)) ? 0 : 1;
                    }
                });
        });
        const auto target = *sockeye::endpoint::parse("udp://10.0.0.1:7007");
        for (std::uint64_t i = world_.random() % 4; i > 0; --i) {
            const std::string text(world_.random() % 1000, static_cast<char>('a' + i));
            static_cast<void>(socket.send(sockeye::as_bytes(text), target));
        }
        return socket;
    }

    static bool is_intact(std::string_view text) {
        return text.empty() || text.find_first_not_of(text.front()) == text.npos;
    }

    /// Cables that are cut and mended, hosts that crash or stand still.
    void trouble(sockeye::simulated_host& server) {
        if (world_.random() % 4 == 0) {
            const auto begin = std::chrono::milliseconds(world_.random() % 100);
            auto& client = world_.host("client 0");
            is_cut_ = true;
            world_.at(begin, [&] { world_.partition({server}, {client}); });
            world_.at(begin + std::chrono::milliseconds(world_.random() % 3000),
                      [&] { world_.heal(); });
        }
        if (world_.random() % 16 == 0) {
            const auto begin = std::chrono::milliseconds(world_.random() % 100);
            is_cut_ = true;
            world_.at(begin, [&] { server.crash(); });
            world_.at(begin + 200ms, [&] { server.restart(); });
        }
        if (world_.random() % 8 == 0) {
            world_.at(10ms, [&] { server.pause(); });
            world_.at(500ms, [&] { server.resume(); });
        }
    }

    [[nodiscard]] std::string judge(const errand& one) const {
        if (one.closes == 0 && is_cut_) {
            return ""; // the reset was lost in the cut: nobody can know
        }
        if (one.closes != 1) {
            return "on_close was called " + std::to_string(one.closes) + " times";
        }
        if (one.was_heard_after_close) {
            return "data came after on_close";
        }
        if (!one.is_prefix()) {
            return "bytes came back changed";
        }
        const bool may_fail = report_.faults.resets + report_.faults.no_descriptors +
                                  report_.faults.aborted_accepts + report_.faults.no_buffers !=
                              0;
        const bool is_clean = one.info->reason == sockeye::close_reason::ended;
        if (is_clean && !one.is_whole() && !may_fail && !is_cut_) {
            return "a connection ended in good order with bytes missing";
        }
        if (!is_clean && !may_fail && !is_cut_) {
            return "a connection failed without a fault: " + one.info->error.message() + " (" +
                   std::to_string(static_cast<int>(one.info->reason)) + ")";
        }
        return "";
    }

    sockeye::simulation world_;
    std::vector<std::unique_ptr<errand>> errands_;
    sockeye::simulation_report report_;
    sockeye::fault_options drawn_;
    int datagrams_wrong_ = 0;
    bool is_cut_ = false;
};

} // namespace

TEST_SUITE("seeds") {
    TEST_CASE("simulation: an echo under faults keeps its promises, twice the same way") {
        support::tally all;
        for (const auto seed : support::seeds(2000)) {
            echo_world first(seed);
            const auto wrong = first.run();
            echo_world second(seed);
            static_cast<void>(second.run());
            all.add(first.report());
            if (!wrong.empty()) {
                const auto fails = [&](const sockeye::fault_options& fewer) {
                    return !echo_world(seed, fewer).run().empty();
                };
                FAIL_CHECK("seed " << seed << ": " << wrong << "\n  it takes these faults: "
                                   << support::needed_faults(first.drawn(), fails)
                                   << support::how_to_repeat(seed));
            }
            if (first.report().hash != second.report().hash) {
                FAIL_CHECK("seed " << seed << " gives two different runs");
            }
        }
        MESSAGE(all.to_string());
    }
}

TEST_CASE("seeds: of many faults those are named without which nothing fails") {
    const sockeye::fault_options drawn = {
        .short_receive = 0.1, .would_block = 0.2, .no_buffers = 0.3, .reset = 0.1};
    CHECK(support::needed_faults(drawn, [](const sockeye::fault_options& left) {
              return left.would_block > 0 && left.reset > 0;
          }) == "would-blocks, resets");
    CHECK(support::needed_faults(drawn, [](const auto&) { return true; }) == "none");
}
