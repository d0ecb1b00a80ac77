#include "posts.hpp"

#include <asio.hpp>

namespace sockeye::micro {
namespace {

class asio_kind final : public posts {
public:
    [[nodiscard]] std::string_view name() const override { return "asio"; }
    [[nodiscard]] bool coalesces() const override { return false; }

    void run() override { context_.run(); }
    void turn() override { context_.poll(); }
    void stop() override { context_.stop(); }

    void wake(std::size_t times) override {
        for (std::size_t i = 0; i < times; ++i) {
            asio::post(context_, [this] { handle_wake(); });
        }
    }

    void post(std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            asio::post(context_, [&to = tally_, data = payload{i, 1, 2}] { to.take(data); });
        }
    }

private:
    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> held_ = make_work_guard(context_);
};

} // namespace

std::unique_ptr<posts> asio_posts() {
    return std::make_unique<asio_kind>();
}

} // namespace sockeye::micro
