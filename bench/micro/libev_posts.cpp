#include "guarded_queue.hpp"
#include "posts.hpp"

#include <ev.h>

namespace sockeye::micro {
namespace {

class libev final : public posts {
public:
    libev() : loop_(ev_loop_new(EVFLAG_AUTO)) {
        ev_async_init(&async_, on_async);
        async_.data = this;
        ev_async_start(loop_, &async_);
    }
    ~libev() override {
        ev_async_stop(loop_, &async_);
        ev_loop_destroy(loop_);
    }

    [[nodiscard]] std::string_view name() const override { return "libev"; }
    [[nodiscard]] bool coalesces() const override { return true; }

    void run() override { ev_run(loop_, 0); }
    void turn() override { ev_run(loop_, EVRUN_NOWAIT); }
    void stop() override { ev_break(loop_, EVBREAK_ALL); }

    void wake(std::size_t times) override {
        for (std::size_t i = 0; i < times; ++i) {
            ev_async_send(loop_, &async_);
        }
    }

    void post(std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            queue_.push([&to = tally_, data = payload{i, 1, 2}] { to.take(data); });
            ev_async_send(loop_, &async_);
        }
    }

private:
    static void on_async(struct ev_loop*, ev_async* async, int) {
        auto& self = *static_cast<libev*>(async->data);
        self.queue_.run_all();
        self.handle_wake();
    }

    struct ev_loop* loop_;
    ev_async async_ = {};
    guarded_queue queue_;
};

} // namespace

std::unique_ptr<posts> libev_posts() {
    return std::make_unique<libev>();
}

} // namespace sockeye::micro
