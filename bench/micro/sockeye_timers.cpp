#include "timers.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/timer.hpp>

#include <vector>

namespace sockeye::micro {
namespace {

class ours final : public timers {
public:
    explicit ours(std::size_t count) {
        timers_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            timers_.emplace_back(loop_);
        }
    }

    [[nodiscard]] std::string_view name() const override { return "sockeye"; }

    void insert(std::span<const nanoseconds> delays) override {
        const auto now = loop_.now();
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            timers_[i].start_at(now + delays[i], [this] { ++fired_; });
        }
    }

    void reset(std::span<const nanoseconds> delays) override {
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            timers_[i].restart(delays[i]);
        }
    }

    void cancel() override {
        for (auto& one : timers_) {
            one.cancel();
        }
    }

    std::size_t fire() override {
        fired_ = 0;
        const auto now = std::chrono::steady_clock::now();
        // A turn may fire none, and only bring order into those that are due.
        for (auto due = loop_.next_deadline(); due && *due <= now; due = loop_.next_deadline()) {
            static_cast<void>(loop_.run_once(nanoseconds(0)));
        }
        return fired_;
    }

private:
    loop loop_;
    std::vector<timer> timers_;
    std::size_t fired_ = 0;
};

} // namespace

std::unique_ptr<timers> sockeye_timers(std::size_t count) {
    return std::make_unique<ours>(count);
}

} // namespace sockeye::micro
