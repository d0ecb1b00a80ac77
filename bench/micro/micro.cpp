// What single operations cost, in several rounds in which all take turns.
// micro [ROUNDS [TIMERS]]

#include "lookups.hpp"
#include "median.hpp"
#include "messages.hpp"
#include "post_table.hpp"
#include "timers.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <limits>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <contenders.hpp> // made of contenders.hpp.in

using namespace std::chrono_literals;
using namespace sockeye::micro;

namespace {

constexpr double unmeasured = std::numeric_limits<double>::infinity();

struct figures {
    std::array<double, 5> ns = {unmeasured, unmeasured, unmeasured, unmeasured, unmeasured};
};
constexpr std::array<const char*, 5> titles = {"insert", "reset", "cancel", "fire", "reset, 1000"};
enum title : std::size_t { insert, reset, cancel, fire, reset_few };

struct contender {
    std::unique_ptr<timers> many;
    std::unique_ptr<timers> few;
    figures best;
};

constexpr std::size_t few_count = 1000;
constexpr std::size_t few_passes = 2000;

/// By the processor time of this program: what others take of the machine does not count.
template <typename Work>
void measure(contender& of, title what, std::size_t operations, Work&& work) {
    const auto began = std::clock();
    work();
    const auto taken = static_cast<double>(std::clock() - began) * (1e9 / CLOCKS_PER_SEC);
    of.best.ns[what] = std::min(of.best.ns[what], taken / static_cast<double>(operations));
}

std::vector<nanoseconds> delays(std::size_t count, nanoseconds least, nanoseconds most) {
    std::mt19937_64 random(count);
    std::uniform_int_distribution<std::int64_t> any(least.count(), most.count());
    std::vector<nanoseconds> drawn(count);
    std::generate(drawn.begin(), drawn.end(), [&] { return nanoseconds(any(random)); });
    return drawn;
}

/// One round of one of them; false where not all fired.
bool take_turn(contender& one, std::size_t count) {
    static const auto far = delays(count, 1s, 60s);
    static const auto farther = delays(count + 1, 1s, 60s);
    static const auto near = delays(count, 0s, 200ms);
    static const std::vector<nanoseconds> idle_timeouts(few_count, 30s);
    measure(one, insert, count, [&] { one.many->insert(far); });
    measure(one, reset, count, [&] { one.many->reset(farther); });
    measure(one, cancel, count, [&] { one.many->cancel(); });
    one.few->insert(idle_timeouts);
    measure(one, reset_few, few_count * few_passes, [&] {
        for (std::size_t pass = 0; pass < few_passes; ++pass) {
            one.few->reset(idle_timeouts);
        }
    });
    one.few->cancel();
    one.many->fire(); // its clock is that of its last turn
    one.many->insert(near);
    std::this_thread::sleep_for(250ms);
    std::size_t fired = 0;
    measure(one, fire, count, [&] { fired = one.many->fire(); });
    return fired == count;
}

void print(const std::vector<contender>& all, std::size_t count, std::size_t rounds) {
    std::printf("TIMERS  %zu timers, CPU time of one operation, best of %zu rounds\n", count,
                rounds);
    std::printf("%-11s", "");
    for (const auto& one : all) {
        std::printf("%11s", std::string(one.many->name()).c_str());
    }
    std::printf("\n");
    for (std::size_t row = 0; row < titles.size(); ++row) {
        std::printf("%-11s", titles[row]);
        for (const auto& one : all) {
            std::printf("%8.1f ns", one.best.ns[row]);
        }
        std::printf("\n");
    }
}

/// What an idle deadline costs each message. The first one and the last are the same: what they
/// differ by is what cannot be resolved.
class idle_deadlines {
public:
    bool open() {
        constexpr std::array<nanoseconds, 3> limits = {0s, 30s, 0s};
        for (std::size_t i = 0; i < all_.size(); ++i) {
            all_[i] = messages::open(limits[i]);
        }
        return std::ranges::none_of(all_, [](const auto& one) { return one == nullptr; });
    }

    void take_turns() {
        constexpr std::size_t turns = 20;
        constexpr std::size_t count = 5000;
        for (std::size_t turn = 0; turn < turns; ++turn) {
            for (std::size_t i = 0; i < all_.size(); ++i) {
                best_[i] = std::min(best_[i], all_[i]->exchange(count).count());
            }
        }
    }

    void print() const {
        std::printf(
            "\nIDLE DEADLINE  64 bytes received and sent, CPU time of a message, best of all\n");
        std::printf("%-22s%8.1f ns\n%-22s%8.1f ns\n%-22s%8.1f ns\n", "none", best_[0], "30 s",
                    best_[1], "none, once more", best_[2]);
    }

private:
    std::array<std::unique_ptr<messages>, 3> all_;
    std::array<double, 3> best_ = {unmeasured, unmeasured, unmeasured};
};

/// Look-ups of connections among many.
class stream_lookups {
public:
    bool open() {
        all_ = lookups::open(connections);
        return all_ != nullptr;
    }

    void take_turns() {
        random_.push_back(all_->find_in_random_order());
        in_order_.push_back(all_->find_in_order());
    }

    void print() const {
        std::printf("\nLOOK-UPS  loop.find(stream_ref) among %zu live connections, sockeye alone:\n"
                    "CPU time of one, medians of %zu rounds\n%-22s%8.1f ns\n%-22s%8.1f ns\n",
                    connections, random_.size(), "in random order", median(random_), "in order",
                    median(in_order_));
    }

private:
    static constexpr std::size_t connections = 10'000;

    std::unique_ptr<lookups> all_;
    std::vector<double> random_;
    std::vector<double> in_order_;
};

std::size_t argument(int count, char** words, int at, std::size_t otherwise) {
    const auto given = at < count ? std::strtoul(words[at], nullptr, 10) : 0;
    return given > 0 ? given : otherwise;
}

} // namespace

int main(int word_count, char** words) {
    const auto rounds = argument(word_count, words, 1, 7);
    const auto count = argument(word_count, words, 2, 1'000'000);
    post_table across; // before any other use of the libraries
    std::vector<contender> all;
    for (auto* const make : timer_contenders) {
        all.push_back({make(count), make(few_count), {}});
    }
    idle_deadlines idle;
    if (!idle.open()) {
        std::fprintf(stderr, "micro: no connections\n");
        return 1;
    }
    stream_lookups found;
    if (!found.open()) {
        std::fprintf(stderr, "micro: not enough connections to look up; raise `ulimit -n`\n");
        return 1;
    }
    for (std::size_t round = 0; round < rounds; ++round) {
        for (auto& one : all) {
            if (!take_turn(one, count)) {
                std::fprintf(stderr, "micro: not all timers fired\n");
                return 1;
            }
        }
        idle.take_turns();
        found.take_turns();
        across.take_turns(std::max<std::size_t>(count / 5, 1000));
    }
    print(all, count, rounds);
    across.print();
    found.print();
    idle.print();
    return 0;
}
