#include "support/loops.hpp"
#include "support/support.hpp"

#include <sockeye/prometheus.hpp>
#include <sockeye/serve.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/timer.hpp>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <map>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <doctest/doctest.h>

// What a loop tells of itself.

using namespace std::chrono_literals;
using sockeye::duration;
using sockeye::lag_histogram;
using sockeye::timer;
using support::clocked_loop;
using support::ground;
using support::on_every_clocked_loop;
using support::on_every_loop;

namespace {

std::vector<std::string> lines_of(const std::string& text) {
    std::istringstream from(text);
    std::vector<std::string> lines;
    for (std::string line; std::getline(from, line);) {
        lines.push_back(line);
    }
    return lines;
}

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != std::string::npos;
}

struct quiet {
    void on_data(sockeye::stream&, sockeye::bytes) {}
};

/// A family of metrics as the text format has it.
struct family {
    std::string type;
    std::vector<std::pair<std::string, double>> samples; ///< name with labels, value
};

bool is_name(const std::string& text) {
    constexpr auto letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
    return !text.empty() && std::string_view(letters).find(text[0]) != std::string_view::npos &&
           text.find_first_not_of(std::string(letters) + "0123456789") == std::string::npos;
}

/// Reads the text format strictly; throws what is wrong with it.
std::map<std::string, family> parse_metrics(const std::string& text) {
    if (text.empty() || text.back() != '\n') {
        throw std::runtime_error("does not end with a line feed");
    }
    std::map<std::string, family> families;
    std::string open; ///< the family whose lines these are
    std::string helped;
    for (const auto& line : lines_of(text)) {
        std::istringstream words(line);
        std::string first;
        std::string second;
        std::string third;
        words >> first >> second >> third;
        if (first == "#" && second == "HELP") {
            if (!is_name(third) || families.contains(third) || words.peek() != ' ') {
                throw std::runtime_error("wrong HELP: " + line);
            }
            helped = third;
        } else if (first == "#" && second == "TYPE") {
            std::string type;
            if (third != helped || !(words >> type) || !words.eof() ||
                !std::set<std::string>{"counter", "gauge", "histogram"}.contains(type)) {
                throw std::runtime_error("wrong TYPE: " + line);
            }
            families[third].type = type;
            open = third;
        } else {
            const auto space = line.find(' ');
            const auto name = line.substr(0, space);
            const auto bare = name.substr(0, name.find('{'));
            char* end = nullptr;
            const auto value = std::strtod(line.c_str() + space + 1, &end);
            if (space == std::string::npos || !is_name(bare) || *end != '\0' ||
                !bare.starts_with(open) || line.find(' ', space + 1) != std::string::npos) {
                throw std::runtime_error("wrong sample: " + line);
            }
            families.at(open).samples.emplace_back(name, value);
        }
    }
    return families;
}

/// Limits and counts grow, the last is that of all, and sum and count follow.
void check_histogram(const std::string& name, const family& of) {
    REQUIRE(of.samples.size() == lag_histogram::bucket_count + 2);
    double limit = 0;
    double count = 0;
    for (std::size_t i = 0; i < lag_histogram::bucket_count; ++i) {
        const auto& [label, value] = of.samples[i];
        const auto front = name + "_bucket{le=\"";
        REQUIRE(label.starts_with(front));
        REQUIRE(label.ends_with("\"}"));
        const auto text = label.substr(front.size(), label.size() - front.size() - 2);
        char* end = nullptr;
        const auto next = std::strtod(text.c_str(), &end);
        CHECK(*end == '\0');
        CHECK(next > limit);
        CHECK(value >= count);
        limit = next;
        count = value;
        CHECK((text == "+Inf") == (i + 1 == lag_histogram::bucket_count));
    }
    CHECK(of.samples[lag_histogram::bucket_count].first == name + "_sum");
    CHECK(of.samples[lag_histogram::bucket_count + 1].first == name + "_count");
    CHECK(of.samples[lag_histogram::bucket_count + 1].second == count);
}

} // namespace

TEST_CASE("health: lag is counted by powers of two, without bound in time and within one in room") {
    lag_histogram lag;
    CHECK(lag.total() == 0);
    CHECK(lag.quantile(0.5) == 0ns);
    lag.add(-1h);
    lag.add(1023ns);
    lag.add(1024ns);
    lag.add(3us);
    lag.add(duration::max());
    CHECK(lag.count(0) == 2);
    CHECK(lag.count(1) == 1);
    CHECK(lag.count(2) == 1);
    CHECK(lag.count(lag_histogram::bucket_count - 1) == 1);
    CHECK(lag.total() == 5);
    CHECK(lag.sum() >= 30min);
    CHECK(lag_histogram::limit(0) == 1024ns);
    CHECK(lag_histogram::limit(lag_histogram::bucket_count - 1) == duration::max());
    CHECK(lag.quantile(0.4) == 1024ns);
    CHECK(lag.quantile(0.8) == 4096ns);
    CHECK(lag.quantile(1) == duration::max());
}

TEST_CASE("health: [78] a loop counts how late its timers were and how long its turns took") {
    on_every_clocked_loop({78}, [](clocked_loop& on) {
        timer one(on.loop);
        timer late(on.loop);
        one.start(10ms, [&] { on.advance(3ms); });
        late.start(11ms, [] {});
        CHECK_FALSE(on.loop.run());
        const auto& counters = on.loop.counters();
        CHECK(counters.timer_lag.total() == 2);
        CHECK(counters.timer_lag.count(0) == 1);
        CHECK(counters.timer_lag.sum() == 2ms);
        CHECK(counters.turn_time.total() == 1);
        CHECK(counters.turn_time.sum() == 3ms);
    });
}

TEST_CASE("health: who asks hears of each slow handler, and of no other") {
    struct seen {
        std::string object;
        duration took;
    };
    support::on_every_ground({}, [](ground& ground_under, support::rows&) {
        std::vector<seen> heard;
        sockeye::loop_options options;
        options.slow_handler_time = 5ms;
        options.on_slow_handler = [&](const sockeye::slow_handler& told) {
            heard.push_back({std::string(told.object), told.took});
        };
        clocked_loop on(ground_under, std::move(options));
        timer quick(on.loop);
        timer slow(on.loop);
        quick.start(1ms, [&] { on.advance(5ms); });
        slow.start(1ms, [&] {
            on.advance(6ms);
            on.loop.remote().post([&] { on.advance(20ms); });
        });
        CHECK_FALSE(on.loop.run());
        REQUIRE(heard.size() == 2);
        CHECK(heard[0].object == "timer");
        CHECK(heard[0].took == 6ms);
        CHECK(heard[1].object == "post");
        CHECK(heard[1].took == 20ms);
        const auto pair = support::make_stream_pair(ground_under.system());
        support::put(ground_under.system(), pair.second.get());
        auto reading =
            on.loop.watch(pair.first.get(), sockeye::interest::readable, [&](sockeye::readiness) {
                support::take(ground_under.system(), pair.first.get());
                on.advance(7ms);
                throw std::runtime_error("slow and wrong");
            });
        REQUIRE(reading);
        CHECK_THROWS_AS(static_cast<void>(on.loop.run()), std::runtime_error);
        REQUIRE(heard.size() == 3);
        CHECK(heard[2].object == "watch of descriptor " + std::to_string(pair.first.get()));
        CHECK(heard[2].took == 7ms);
    });
}

TEST_CASE("health: a dump says what keeps the loop alive") {
    on_every_loop({78}, [](ground& on, sockeye::loop& owner) {
        CHECK(lines_of(owner.dump()).size() == 1);
        CHECK(has(owner.dump(), "0 keep it alive"));
        auto server =
            sockeye::serve(owner, "tcp://127.0.0.1:0", [](sockeye::stream&, sockeye::bytes) {
            }).value();
        auto socket =
            sockeye::serve(owner, "udp://127.0.0.1:0",
                           [](sockeye::datagram_socket&, std::span<const sockeye::datagram>) {})
                .value();
        auto client = sockeye::connect<quiet>(owner, server.local_endpoint().value(), {});
        REQUIRE(support::turn_until(
            owner, [&] { return !client.is_connecting() && server.connection_count() == 1; }));
        const auto pair = support::make_stream_pair(on.system());
        auto watching =
            owner.watch(pair.first.get(), sockeye::interest::readable, [](sockeye::readiness) {});
        REQUIRE(watching);
        auto signals = sockeye::signal_set::open(owner, {SIGUSR1, SIGUSR2}, [](int) {});
        REQUIRE(signals);
        timer soon(owner);
        soon.start(1h, [] {});
        auto wall = timer::open(owner, sockeye::timer_clock::wall);
        REQUIRE(wall);
        wall->start(2h, [] {});
        const auto guard = owner.hold();
        client.write(std::as_bytes(std::span("twelve bytes", 12)));
        const auto text = owner.dump();
        CAPTURE(text);
        CHECK(has(text, "9 keep it alive"));
        CHECK(has(text, "server on " + server.local_endpoint()->to_string() + ", 1 connections"));
        CHECK(has(text, "datagram socket on " + socket.local_endpoint()->to_string()));
        CHECK(has(text, "connection with " + server.local_endpoint()->to_string()));
        CHECK(has(text, "watch of descriptor " + std::to_string(pair.first.get())));
        CHECK(
            has(text, "signal set of " + std::to_string(SIGUSR1) + " " + std::to_string(SIGUSR2)));
        CHECK(has(text, "timer due in 3"));
        CHECK(has(text, "timer of the wall clock due in 7"));
        CHECK(has(text, "1 held by guards"));
        CHECK(lines_of(text).size() == 10);
    });
}

TEST_CASE("health: a dump of very many is short and counts them") {
    on_every_clocked_loop({78}, [](clocked_loop& on) {
        std::vector<timer> many;
        for (int i = 0; i < 1000; ++i) {
            many.emplace_back(on.loop).start(1h, [] {});
        }
        const auto text = on.loop.dump();
        CHECK(lines_of(text).size() == 18);
        CHECK(has(text, "1000 keep it alive"));
        CHECK(has(text, "and 984 more: timer"));
    });
}

TEST_CASE("health: [78] the metrics are in the text format of Prometheus") {
    on_every_clocked_loop({78}, [](clocked_loop& on) {
        timer one(on.loop);
        one.start(10ms, [&] { on.advance(3ms); });
        on.loop.remote().post([] {});
        CHECK_FALSE(on.loop.run());
        const auto families = parse_metrics(sockeye::prometheus(on.loop));
        CHECK(families.size() == 26);
        for (const auto& entry : families) {
            const auto& name = entry.first;
            const auto& content = entry.second;
            CAPTURE(name);
            CHECK(name.starts_with("sockeye_"));
            CHECK(name.ends_with("_total") == (content.type == "counter"));
            if (content.type == "histogram") {
                check_histogram(name, content);
            } else {
                REQUIRE(content.samples.size() == 1);
                CHECK(content.samples[0].first == name);
            }
        }
        const auto value_of = [&](const char* name) {
            return families.at(name).samples.back().second;
        };
        CHECK(value_of("sockeye_timers_fired_total") == 1);
        CHECK(value_of("sockeye_posts_total") == 1);
        CHECK(value_of("sockeye_turns_total") == double(on.loop.counters().turns));
        CHECK(value_of("sockeye_longest_handler_seconds") == doctest::Approx(0.003));
        CHECK(value_of("sockeye_timer_lag_seconds") == 1);
        CHECK(value_of("sockeye_turn_seconds") == 1);
    });
}
