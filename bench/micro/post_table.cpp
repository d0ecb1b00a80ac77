#include "post_table.hpp"

#include "median.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <semaphore>
#include <thread>

#include <contenders.hpp> // made of contenders.hpp.in

namespace sockeye::micro {
namespace {

using clock = std::chrono::steady_clock;
using nanoseconds_each = std::chrono::duration<double, std::nano>;

/// The processor time of a task, posted and run on one thread, a thousand at a time.
double post_and_run(posts& one, std::size_t count) {
    constexpr std::size_t group = 1000;
    const auto began = std::clock();
    std::size_t posted = 0;
    while (posted < count) {
        one.post(group);
        posted += group;
        while (one.tasks().ran < posted) {
            one.turn();
        }
    }
    const auto taken = static_cast<double>(std::clock() - began) * (1e9 / CLOCKS_PER_SEC);
    return taken / static_cast<double>(posted);
}

/// How long `send` and all that it led to take, with the loop on this thread and `send` on another
/// one, until the loop has run `tasks` tasks and was then woken once more.
template <typename Send>
double send_across(posts& one, std::size_t tasks, std::size_t& handler_calls, Send send) {
    std::atomic<bool> sent = false;
    one.on_wake([&] {
        ++handler_calls;
        if (sent && one.tasks().ran == tasks) {
            one.stop();
        }
    });
    const auto began = clock::now();
    std::thread sender([&] {
        send();
        sent = true;
        one.wake(1);
    });
    one.run();
    const auto ended = clock::now();
    sender.join();
    return nanoseconds_each(ended - began).count();
}

/// The loop that answers: on a thread of its own, awake only when it is woken.
class answering {
public:
    answering(make_posts* make, posts& asker)
        : thread_([this, make, &asker] {
              const auto own = make();
              own->on_wake([this, &asker, &answerer = *own] {
                  if (over_) {
                      answerer.stop();
                  } else {
                      asker.wake(1);
                  }
              });
              own_ = own.get();
              ready_.release();
              own->run();
              finished_.acquire();
          }) {
        ready_.acquire();
    }

    ~answering() {
        over_ = true;
        own_->wake(1);
        finished_.release();
        thread_.join();
    }

    void ask() { own_->wake(1); }

private:
    posts* own_ = nullptr;
    std::atomic<bool> over_ = false;
    std::binary_semaphore ready_{0};
    std::binary_semaphore finished_{0}; // nobody uses the loop any more
    std::thread thread_;
};

/// The median of single ways to a loop that sleeps in another thread and back to this one.
double there_and_back(make_posts* make) {
    constexpr std::size_t trips = 2000;
    const auto asker = make();
    answering other(make, *asker);
    std::vector<double> taken;
    taken.reserve(trips);
    auto began = clock::now();
    asker->on_wake([&] {
        const auto now = clock::now();
        taken.push_back(std::chrono::duration<double, std::micro>(now - began).count());
        if (taken.size() == trips) {
            asker->stop();
            return;
        }
        began = clock::now();
        other.ask();
    });
    began = clock::now();
    other.ask();
    asker->run();
    return median(std::move(taken));
}

} // namespace

post_table::post_table() {
    for (auto* const make : post_contenders) {
        const auto one = make();
        all_.push_back({make, std::string(one->name()), one->coalesces(), {}});
    }
}

void post_table::take_turns(std::size_t count) {
    const auto each = [&](row what, auto&& measure) {
        for (auto& one : all_) {
            one.figures[what].push_back(measure(one));
        }
    };
    each(one_thread, [&](contender& one) { return post_and_run(*one.make(), count); });
    each(across, [&](contender& one) {
        const auto made = one.make();
        std::size_t ignored = 0;
        const auto taken = send_across(*made, count, ignored, [&] { made->post(count); });
        return taken / static_cast<double>(count);
    });
    for (auto& one : all_) {
        if (one.coalesces) {
            const auto made = one.make();
            std::size_t called = 0;
            const auto taken = send_across(*made, 0, called, [&] { made->wake(count); });
            one.figures[wake].push_back(taken / static_cast<double>(count));
            one.figures[merged].push_back(static_cast<double>(count) / static_cast<double>(called));
        }
    }
    each(back, [](contender& one) { return there_and_back(one.make); });
}

void post_table::print_row(const char* title, row what, const char* unit) const {
    std::printf("%-22s", title);
    for (const auto& one : all_) {
        if (one.figures[what].empty()) {
            std::printf("%11s", "-");
        } else {
            std::printf("%8.1f %-2s", median(one.figures[what]), unit);
        }
    }
    std::printf("\n");
}

void post_table::print() const {
    std::printf("\nPOSTS  medians of %zu rounds in which all take turns\n",
                all_.front().figures[back].size());
    std::printf("task: 32 bytes captured, and every one runs. sockeye and asio have the queue;\n"
                "      beside the others it is a vector of std::function under a mutex, and\n"
                "      a wake for each. The time of one, from the first post to the last run.\n"
                "wake: nothing is carried, and all that come before the handler runs are one\n"
                "      call of it: not to be compared with tasks. sockeye and asio have none.\n"
                "there and back: one wake (sockeye, asio: one task) at a time, to a loop that\n"
                "      sleeps in another thread and wakes the first one.\n");
    std::printf("%-22s", "");
    for (const auto& one : all_) {
        std::printf("%11s", one.name.c_str());
    }
    std::printf("\n");
    print_row("task, one thread, CPU", one_thread, "ns");
    print_row("task, across threads", across, "ns");
    print_row("wake, across threads", wake, "ns");
    print_row("wakes per call", merged, "");
    print_row("there and back", back, "us");
}

} // namespace sockeye::micro
