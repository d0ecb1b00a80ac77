#include "guarded_queue.hpp"
#include "posts.hpp"

#include <event2/event.h>
#include <event2/thread.h>

namespace sockeye::micro {
namespace {

class libevent final : public posts {
public:
    libevent() : base_(event_base_new()), user_(event_new(base_, -1, 0, on_active, this)) {}
    ~libevent() override {
        event_free(user_);
        event_base_free(base_);
    }

    [[nodiscard]] std::string_view name() const override { return "libevent"; }
    [[nodiscard]] bool coalesces() const override { return true; }

    void run() override { event_base_loop(base_, EVLOOP_NO_EXIT_ON_EMPTY); }
    void turn() override { event_base_loop(base_, EVLOOP_NONBLOCK); }
    void stop() override { event_base_loopbreak(base_); }

    void wake(std::size_t times) override {
        for (std::size_t i = 0; i < times; ++i) {
            event_active(user_, 0, 0);
        }
    }

    void post(std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            queue_.push([&to = tally_, data = payload{i, 1, 2}] { to.take(data); });
            event_active(user_, 0, 0);
        }
    }

private:
    static void on_active(evutil_socket_t, short, void* context) {
        auto& self = *static_cast<libevent*>(context);
        self.queue_.run_all();
        self.handle_wake();
    }

    event_base* base_;
    event* user_;
    guarded_queue queue_;
};

} // namespace

std::unique_ptr<posts> libevent_posts() {
    // Those made before would have no locks: the first of all calls, then.
    static const int threads = evthread_use_pthreads();
    static_cast<void>(threads);
    return std::make_unique<libevent>();
}

} // namespace sockeye::micro
