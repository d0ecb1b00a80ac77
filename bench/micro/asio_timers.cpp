#include "timers.hpp"

#include <asio.hpp>

#include <vector>

namespace sockeye::micro {
namespace {

/// Waiting once more cancels the wait before it, whose handler is still called: with an error.
class asio_kind final : public timers {
public:
    explicit asio_kind(std::size_t count) : context_(1) {
        timers_.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            timers_.emplace_back(context_);
        }
    }

    [[nodiscard]] std::string_view name() const override { return "asio"; }

    void insert(std::span<const nanoseconds> delays) override {
        const auto now = std::chrono::steady_clock::now();
        for (std::size_t i = 0; i < timers_.size(); ++i) {
            timers_[i].expires_at(now + delays[i]);
            timers_[i].async_wait([this](const asio::error_code& error) { fired_ += !error; });
        }
    }

    void reset(std::span<const nanoseconds> delays) override {
        insert(delays);
        call_handlers();
    }

    void cancel() override {
        for (auto& one : timers_) {
            one.cancel();
        }
        call_handlers();
    }

    std::size_t fire() override {
        fired_ = 0;
        call_handlers();
        return fired_;
    }

private:
    void call_handlers() {
        context_.restart();
        context_.poll();
    }

    asio::io_context context_;
    std::vector<asio::steady_timer> timers_;
    std::size_t fired_ = 0;
};

} // namespace

std::unique_ptr<timers> asio_timers(std::size_t count) {
    return std::make_unique<asio_kind>(count);
}

} // namespace sockeye::micro
