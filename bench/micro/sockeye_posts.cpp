#include "posts.hpp"

#include <sockeye/loop.hpp>

#include <thread>

namespace sockeye::micro {
namespace {

class ours final : public posts {
public:
    [[nodiscard]] std::string_view name() const override { return "sockeye"; }
    [[nodiscard]] bool coalesces() const override { return false; }

    void run() override {
        const auto held = loop_.hold();
        static_cast<void>(loop_.run());
    }
    void turn() override { static_cast<void>(loop_.run_once(duration(0))); }
    void stop() override { loop_.stop(); }

    void wake(std::size_t times) override {
        for (std::size_t i = 0; i < times; ++i) {
            send([this] { handle_wake(); });
        }
    }

    void post(std::size_t count) override {
        for (std::size_t i = 0; i < count; ++i) {
            send([&to = tally_, data = payload{i, 1, 2}] { to.take(data); });
        }
    }

private:
    /// Refused are those for which there is no room yet.
    template <typename Task>
    void send(const Task& task) {
        while (!remote_.post(task)) {
            std::this_thread::yield();
        }
    }

    loop loop_;
    remote remote_ = loop_.remote();
};

} // namespace

std::unique_ptr<posts> sockeye_posts() {
    return std::make_unique<ours>();
}

} // namespace sockeye::micro
