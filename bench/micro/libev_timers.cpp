#include "timers.hpp"

#include <vector>

#include <ev.h>

namespace sockeye::micro {
namespace {

class libev final : public timers {
public:
    explicit libev(std::size_t count) : loop_(ev_loop_new(EVFLAG_AUTO)), timers_(count) {
        for (auto& one : timers_) {
            ev_init(&one, on_timer);
            one.data = this;
        }
    }
    ~libev() override { ev_loop_destroy(loop_); }

    [[nodiscard]] std::string_view name() const override { return "libev"; }

    void insert(std::span<const nanoseconds> delays) override {
        ev_now_update(loop_);
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            ev_timer_set(&timers_[i], seconds(delays[i]), 0.);
            ev_timer_start(loop_, &timers_[i]);
        }
    }

    void reset(std::span<const nanoseconds> delays) override {
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            timers_[i].repeat = seconds(delays[i]);
            ev_timer_again(loop_, &timers_[i]);
        }
    }

    void cancel() override {
        for (auto& one : timers_) {
            ev_timer_stop(loop_, &one);
        }
    }

    std::size_t fire() override {
        fired_ = 0;
        for (std::size_t before = 1; fired_ != before;) {
            before = fired_;
            ev_run(loop_, EVRUN_NOWAIT);
        }
        return fired_;
    }

private:
    static double seconds(nanoseconds time) { return static_cast<double>(time.count()) * 1e-9; }
    static void on_timer(struct ev_loop*, ev_timer* one, int) {
        ++static_cast<libev*>(one->data)->fired_;
    }

    struct ev_loop* loop_;
    std::vector<ev_timer> timers_;
    std::size_t fired_ = 0;
};

} // namespace

std::unique_ptr<timers> libev_timers(std::size_t count) {
    return std::make_unique<libev>(count);
}

} // namespace sockeye::micro
