#include "timers.hpp"

#include <vector>

#include <event2/event.h>

namespace sockeye::micro {
namespace {

/// Its timers are those of a program of one thread, whatever else is measured here.
event_base* base_without_locks() {
    auto* const settings = event_config_new();
    event_config_set_flag(settings, EVENT_BASE_FLAG_NOLOCK);
    auto* const base = event_base_new_with_config(settings);
    event_config_free(settings);
    return base;
}

class libevent final : public timers {
public:
    explicit libevent(std::size_t count) : base_(base_without_locks()), timers_(count) {
        for (auto& one : timers_) {
            one = event_new(base_, -1, 0, on_timer, this);
        }
    }
    ~libevent() override {
        for (auto* one : timers_) {
            event_free(one);
        }
        event_base_free(base_);
    }

    [[nodiscard]] std::string_view name() const override { return "libevent"; }

    void insert(std::span<const nanoseconds> delays) override { reset(delays); }

    void reset(std::span<const nanoseconds> delays) override {
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            const auto time = interval(delays[i]);
            event_add(timers_[i], &time);
        }
    }

    void cancel() override {
        for (auto* one : timers_) {
            event_del(one);
        }
    }

    std::size_t fire() override {
        fired_ = 0;
        for (std::size_t before = 1; fired_ != before;) {
            before = fired_;
            event_base_loop(base_, EVLOOP_NONBLOCK);
        }
        return fired_;
    }

private:
    static timeval interval(nanoseconds time) {
        const auto microseconds = time.count() / 1000;
        return {static_cast<time_t>(microseconds / 1'000'000),
                static_cast<suseconds_t>(microseconds % 1'000'000)};
    }
    static void on_timer(evutil_socket_t, short, void* self) {
        ++static_cast<libevent*>(self)->fired_;
    }

    event_base* base_;
    std::vector<event*> timers_;
    std::size_t fired_ = 0;
};

} // namespace

std::unique_ptr<timers> libevent_timers(std::size_t count) {
    return std::make_unique<libevent>(count);
}

} // namespace sockeye::micro
