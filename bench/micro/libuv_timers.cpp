#include "timers.hpp"

#include <vector>

#include <uv.h>

namespace sockeye::micro {
namespace {

/// Its timers count milliseconds.
class libuv final : public timers {
public:
    explicit libuv(std::size_t count) : timers_(count) {
        uv_loop_init(&loop_);
        for (auto& one : timers_) {
            uv_timer_init(&loop_, &one);
            one.data = this;
        }
    }
    ~libuv() override {
        for (auto& one : timers_) {
            uv_close(reinterpret_cast<uv_handle_t*>(&one), nullptr);
        }
        uv_run(&loop_, UV_RUN_DEFAULT);
        uv_loop_close(&loop_);
    }

    [[nodiscard]] std::string_view name() const override { return "libuv"; }

    void insert(std::span<const nanoseconds> delays) override {
        uv_update_time(&loop_);
        reset(delays);
    }

    void reset(std::span<const nanoseconds> delays) override {
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            uv_timer_start(&timers_[i], on_timer, milliseconds(delays[i]), 0);
        }
    }

    void cancel() override {
        for (auto& one : timers_) {
            uv_timer_stop(&one);
        }
    }

    std::size_t fire() override {
        fired_ = 0;
        for (std::size_t before = 1; fired_ != before;) {
            before = fired_;
            uv_run(&loop_, UV_RUN_NOWAIT);
        }
        return fired_;
    }

private:
    static std::uint64_t milliseconds(nanoseconds time) {
        return static_cast<std::uint64_t>(time.count()) / 1'000'000;
    }
    static void on_timer(uv_timer_t* one) { ++static_cast<libuv*>(one->data)->fired_; }

    uv_loop_t loop_ = {};
    std::vector<uv_timer_t> timers_;
    std::size_t fired_ = 0;
};

} // namespace

std::unique_ptr<timers> libuv_timers(std::size_t count) {
    return std::make_unique<libuv>(count);
}

} // namespace sockeye::micro
