#include "guarded_queue.hpp"
#include "posts.hpp"

#include <uv.h>

namespace sockeye::micro {
namespace {

class libuv final : public posts {
public:
    libuv() {
        uv_loop_init(&loop_);
        uv_async_init(&loop_, &async_, on_async);
        async_.data = this;
    }
    ~libuv() override {
        uv_close(reinterpret_cast<uv_handle_t*>(&async_), nullptr);
        uv_run(&loop_, UV_RUN_DEFAULT);
        uv_loop_close(&loop_);
    }

    [[nodiscard]] std::string_view name() const override { return "libuv"; }
    [[nodiscard]] bool coalesces() const override { return true; }

    void run() override { uv_run(&loop_, UV_RUN_DEFAULT); }
    void turn() override { uv_run(&loop_, UV_RUN_NOWAIT); }
    void stop() override { uv_stop(&loop_); }

    void wake(std::size_t times) override {
        for (std::size_t i = 0; i < times; ++i) {
            uv_async_send(&async_);
        }
    }

    void post(std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            queue_.push([&to = tally_, data = payload{i, 1, 2}] { to.take(data); });
            uv_async_send(&async_);
        }
    }

private:
    static void on_async(uv_async_t* async) {
        auto& self = *static_cast<libuv*>(async->data);
        self.queue_.run_all();
        self.handle_wake();
    }

    uv_loop_t loop_ = {};
    uv_async_t async_ = {};
    guarded_queue queue_;
};

} // namespace

std::unique_ptr<posts> libuv_posts() {
    return std::make_unique<libuv>();
}

} // namespace sockeye::micro
