#include "bench/client/agenda.hpp"
#include "bench/client/fifo.hpp"
#include "bench/client/message_sizes.hpp"
#include "bench/client/schedule.hpp"
#include "bench/client/tally.hpp"
#include "bench/client/timeline.hpp"
#include "bench/judge/limit.hpp"
#include "bench/judge/steady.hpp"
#include "bench/load.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <deque>
#include <random>
#include <set>
#include <vector>

using namespace std::chrono_literals;
namespace bench = sockeye::bench;

namespace {

std::vector<double> noisy(std::size_t count, double level, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<double> noise(0, level / 50);
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i) {
        values.push_back(level + noise(random));
    }
    return values;
}

bool has(const std::vector<std::string>& flags, const char* flag) {
    return std::find(flags.begin(), flags.end(), flag) != flags.end();
}

sockeye::time_point at(sockeye::duration since_start) {
    return sockeye::time_point(1h) + since_start;
}

/// A message each millisecond from at(1ms) on, dealt to three connections.
bench::load even_load(std::size_t in_flight_max) {
    bench::load what;
    what.connections = 3;
    what.rate_per_s = 1000;
    what.law = bench::arrival::constant;
    what.in_flight_max = in_flight_max;
    return what;
}

} // namespace

TEST_CASE("sizes: one size, a range, and weights are read") {
    const auto one = *bench::message_sizes::parse("4KiB");
    CHECK(one.is_fixed());
    CHECK(one.of(3, 9) == 4096);
    CHECK(one.to_string() == "4 KiB");
    const auto range = *bench::message_sizes::parse("64B..4KiB");
    CHECK(range.least() == 64);
    CHECK(range.most() == 4096);
    CHECK(range.mean() == doctest::Approx(2080));
    CHECK(range.to_string() == "64 B to 4 KiB");
    const auto mixed = *bench::message_sizes::parse("64B:90,4KiB:10");
    CHECK(mixed.mean() == doctest::Approx(0.9 * 64 + 0.1 * 4096));
    CHECK(mixed.to_string() == "64 B (90 %) and 4 KiB (10 %)");
}

TEST_CASE("sizes: the sizes drawn follow the weights, and are the same again") {
    const auto sizes = *bench::message_sizes::parse("100:3,200..299:1");
    std::size_t small = 0;
    std::set<std::size_t> others;
    for (std::uint64_t i = 0; i < 100'000; ++i) {
        const auto size = sizes.of(i % 7, i);
        CHECK(size == sizes.of(i % 7, i));
        if (size == 100) {
            ++small;
        } else {
            others.insert(size);
        }
    }
    CHECK(small > 74'000);
    CHECK(small < 76'000);
    CHECK(others.size() == 100);
    CHECK(*others.begin() == 200);
    CHECK(*others.rbegin() == 299);
}

TEST_CASE("sizes: what makes no sense is refused") {
    for (const char* text : {"", "0", "-5", "64..", "..64", "4KiB..64B", "64:0", "64:", "64,,65",
                             "1GiB", "64B..4KiB:x", "1e999", "64 B:1:"}) {
        CAPTURE(text);
        CHECK_FALSE(bench::message_sizes::parse(text));
    }
}

TEST_CASE("load: shares of threads add up to the whole") {
    bench::load whole;
    whole.connections = 10;
    whole.idle = 5;
    whole.threads = 3;
    whole.rate_per_s = 300;
    whole.in_flight_max = 7;
    std::size_t in_flight = 0;
    std::size_t connections = 0;
    std::size_t idle = 0;
    for (std::size_t i = 0; i < 3; ++i) {
        CHECK(whole.first_of(i) == connections);
        const auto part = whole.share_of(i);
        connections += part.connections;
        idle += part.idle;
        in_flight += part.in_flight_max;
        CHECK(part.in_flight_max >= 2);
        CHECK(part.rate_per_s == doctest::Approx(100));
        CHECK(part.connections >= 3);
    }
    CHECK(connections == 10);
    CHECK(idle == 5);
    CHECK(in_flight == 7);
}

TEST_CASE("schedule: the same seed gives the same times, another one others") {
    bench::schedule one(1, 1000, bench::arrival::poisson);
    bench::schedule same(1, 1000, bench::arrival::poisson);
    bench::schedule other(2, 1000, bench::arrival::poisson);
    int differences = 0;
    for (int i = 0; i < 1000; ++i) {
        CHECK(one.next() == same.next());
        differences += one.next() != other.next() ? 1 : 0;
        one.advance();
        same.advance();
        other.advance();
    }
    CHECK(differences > 990);
}

TEST_CASE("schedule: Poisson distances are exponential, constant ones equal") {
    bench::schedule poisson(7, 1e6, bench::arrival::poisson);
    constexpr int count = 200'000;
    double sum = 0;
    double squares = 0;
    sockeye::duration last = {};
    for (int i = 0; i < count; ++i) {
        const auto distance = static_cast<double>((poisson.next() - last).count());
        last = poisson.next();
        sum += distance;
        squares += distance * distance;
        poisson.advance();
    }
    const double mean = sum / count;
    CHECK(mean == doctest::Approx(1000).epsilon(0.01));
    // Of an exponential distribution the standard deviation is the mean.
    CHECK(std::sqrt(squares / count - mean * mean) == doctest::Approx(mean).epsilon(0.02));
    bench::schedule constant(7, 1e6, bench::arrival::constant);
    for (int i = 1; i < 100; ++i) {
        CHECK(constant.next() == sockeye::duration(i * 1000));
        constant.advance();
    }
}

TEST_CASE("agenda: what is due goes to the connections in turn, and nothing else does") {
    bench::agenda left(even_load(100), 1);
    bench::tally counted;
    counted.over_time.begin(at(0ms));
    std::size_t on_way = 0;
    std::vector<std::size_t> connections;
    const auto send = [&](std::size_t connection, sockeye::time_point due,
                          sockeye::time_point now) {
        CHECK(due == at((connections.size() + 1) * 1ms));
        connections.push_back(connection);
        ++on_way;
        return now;
    };
    CHECK(left.send_due(at(5ms), on_way, counted, send) == sockeye::time_point::max());
    left.begin(at(0ms));
    CHECK(left.send_due(at(4ms), on_way, counted, send) == at(5ms));
    CHECK(connections == std::vector<std::size_t>{0, 1, 2, 0});
    CHECK(counted.offered == 4);
    // A burst ends, so that answers are looked for: the next call goes on.
    CHECK(left.send_due(at(200ms), on_way, counted, send) == at(69ms));
    CHECK(connections.size() == 4 + bench::burst_max);
}

TEST_CASE("agenda: of two ends the earlier counts, whichever comes first") {
    bench::agenda left(even_load(100), 1);
    left.begin(at(0ms));
    left.end_at(at(3ms));
    left.end_at(at(9ms));
    left.take();
    left.take();
    CHECK(left.next() == sockeye::time_point::max());
    bench::agenda shortened(even_load(100), 1);
    shortened.begin(at(0ms));
    shortened.end_at(at(9ms));
    shortened.end_at(at(2ms));
    CHECK(shortened.next() == at(1ms));
    shortened.take();
    CHECK_FALSE(shortened.is_left());
}

TEST_CASE("agenda: beyond the cap nothing is sent any more, even when there is room again") {
    bench::agenda left(even_load(2), 1);
    bench::tally counted;
    counted.over_time.begin(at(0ms));
    left.begin(at(0ms));
    std::size_t on_way = 0;
    const auto send = [&](std::size_t, sockeye::time_point, sockeye::time_point now) {
        ++on_way;
        return now;
    };
    CHECK(left.send_due(at(2ms), on_way, counted, send) == at(3ms));
    CHECK_FALSE(counted.has_overflowed);
    CHECK(left.send_due(at(3ms), on_way, counted, send) == sockeye::time_point::max());
    CHECK(counted.has_overflowed);
    CHECK(on_way == 2);
    left.end_at(at(20ms)); // as the end of the window does
    on_way = 0;
    CHECK(left.send_due(at(20ms), on_way, counted, send) == sockeye::time_point::max());
    CHECK(on_way == 0);
    CHECK(counted.offered == 2);
    left.note_unsent(counted, at(21ms));
    CHECK(counted.unfinished == 0);
}

TEST_CASE("fifo: is a queue, whatever is pushed and popped") {
    bench::fifo<int> tested(3);
    std::deque<int> model;
    std::mt19937 random(3);
    for (int i = 0; i < 20'000; ++i) {
        if (random() % 5 < 3 || model.empty()) {
            tested.push_back(i);
            model.push_back(i);
        } else {
            tested.pop_front();
            model.pop_front();
        }
        REQUIRE(tested.size() == model.size());
        if (!model.empty()) {
            const auto place = random() % model.size();
            CHECK(tested[place] == model[place]);
            CHECK(tested[0] == model.front());
        }
    }
}

TEST_CASE("timeline: answers, lag and backlog are in the slice they happened in") {
    bench::timeline course;
    course.begin(at(0ms));
    course.note_answers(at(1ms));
    course.note_answers(at(19ms), 2);
    course.note_backlog(at(45ms), 7);
    course.note_send_lag(at(46ms), 500);
    course.note_send_lag(at(47ms), 300);
    REQUIRE(course.slices().size() == 3);
    CHECK(course.slices()[0].messages == 3);
    CHECK(course.slices()[1].messages == 0);
    CHECK(course.slices()[2].backlog == 7);
    CHECK(course.slices()[2].send_lag_max_ns == 500);
    CHECK(course.between(at(0ms), at(60ms)).size() == 3);
    CHECK(course.between(at(1ms), at(59ms)).size() == 1);
    bench::timeline other;
    other.begin(at(0ms));
    other.note_answers(at(79ms), 5);
    course.merge(other);
    REQUIRE(course.slices().size() == 4);
    CHECK(course.slices()[3].messages == 5);
    CHECK(course.slices()[0].messages == 3);
}

TEST_CASE("tally: of an open loop a message belongs to the window it was due in") {
    bench::tally counted;
    counted.over_time.begin(at(0ms));
    counted.note_due(at(9ms), at(9ms));
    counted.begin_window(at(10ms));
    counted.note_answer(at(9ms), at(9ms), at(11ms));
    CHECK(counted.messages == 1);
    CHECK(counted.response.count() == 0);
    counted.note_due(at(12ms), at(13ms));
    counted.note_answer(at(12ms), at(14ms), at(20ms));
    CHECK(counted.offered == 1);
    CHECK(counted.response.max() == 8'000'000);
    CHECK(counted.service.max() == 6'000'000);
    CHECK(counted.send_lag.max() == 1'000'000);
    counted.note_unfinished(at(13ms), at(113ms));
    CHECK(counted.response.max() == 100'000'000);
}

TEST_CASE("steady: a steady window has no flags") {
    int flagged = 0;
    for (unsigned seed = 0; seed < 200; ++seed) {
        flagged += bench::unsteady_flags(noisy(50, 2000, seed)).empty() ? 0 : 1;
    }
    CHECK(flagged == 0);
}

TEST_CASE("steady: a slow begin, a drift and a stall are told apart") {
    auto cold = noisy(50, 2000, 1);
    for (std::size_t i = 0; i < 20; ++i) {
        cold[i] *= 0.7;
    }
    CHECK(has(bench::unsteady_flags(cold), "not-warm"));
    auto drifting = noisy(50, 2000, 2);
    for (std::size_t i = 0; i < drifting.size(); ++i) {
        drifting[i] *= 1 - 0.2 * static_cast<double>(i) / 50;
    }
    CHECK(has(bench::unsteady_flags(drifting), "drift"));
    auto stalled = noisy(50, 2000, 3);
    stalled[30] = 500;
    CHECK(bench::unsteady_flags(stalled) == std::vector<std::string>{"stall"});
}

TEST_CASE("steady: few messages are joined before they are judged") {
    // 10 a slice by chance: some have less than half of the median, which says nothing.
    std::mt19937 random(11);
    std::poisson_distribution<int> drawn(20);
    std::vector<double> messages;
    for (int i = 0; i < 200; ++i) {
        messages.push_back(drawn(random));
    }
    CHECK(bench::unsteady_flags(messages).empty());
    CHECK(bench::unsteady_flags(std::vector<double>(8, 1000.0)).empty());
}

TEST_CASE("steady: Mann and Kendall's test and Theil and Sen's slope, by hand") {
    // Kendall's score of 1 3 2 4 5 is 8; variance 16.667; z = 7 / 4.082 = 1.715.
    const std::vector<double> rising = {1, 3, 2, 4, 5};
    CHECK(bench::mann_kendall_p(rising) == doctest::Approx(0.0864).epsilon(0.01));
    CHECK(bench::theil_sen_slope(rising) == doctest::Approx(1));
    CHECK(bench::mann_kendall_p(std::vector<double>(20, 3.0)) == 1);
    CHECK(bench::mser5_truncation(std::vector<double>(50, 3.0)) == 0);
}

TEST_CASE("steady: a backlog that grows is one, one that comes and goes is none") {
    std::vector<double> growing;
    std::vector<double> passing;
    for (int i = 0; i < 50; ++i) {
        growing.push_back(i * 20);
        passing.push_back(i > 20 && i < 33 ? 400 : 3);
    }
    CHECK(bench::is_growing(growing, 100));
    CHECK_FALSE(bench::is_growing(growing, 2000));
    CHECK_FALSE(bench::is_growing(passing, 100));
}

TEST_CASE("limit: what is compared with what") {
    const auto time = *bench::limit::parse("p99>2ms");
    CHECK(time.metric == "p99");
    CHECK(time.is_above);
    CHECK(time.value == 2'000'000);
    CHECK(time.holds(2'000'001));
    CHECK_FALSE(time.holds(2'000'000));
    const auto rate = *bench::limit::parse("latency.rate<100k/s");
    CHECK(rate.test == "latency");
    CHECK(rate.metric == "rate");
    CHECK(rate.value == 100'000);
    CHECK(rate.holds(99'999));
    CHECK((*bench::limit::parse("throughput-1KiB.errors>0")).test == "throughput-1KiB");
    for (const char* text : {"", "p99", "p98>1ms", "p99>", "p99>x", "p99>-1ms", ">1ms", "rate<1ms",
                             "errors>0.5", "p99=1ms", "rate<100Mbit/s", "p99>1e999"}) {
        CAPTURE(text);
        CHECK_FALSE(bench::limit::parse(text));
    }
}
