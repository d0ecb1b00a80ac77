#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>
#include <utility>

namespace sockeye::micro {

/// What a task carries: with a reference to a tally 32 bytes.
using payload = std::array<std::uint64_t, 3>;

/// What tasks do. Loop thread only.
struct tally {
    void take(const payload& data) {
        sum += data[0] + data[1] + data[2];
        ++ran;
    }
    std::uint64_t sum = 0;
    std::size_t ran = 0;
};

/// A loop of one library, as other threads reach it.
///
/// Threads: made, used and destroyed on the loop thread; wake() and post() are for any.
class posts {
public:
    posts() = default;
    posts(const posts&) = delete;
    posts& operator=(const posts&) = delete;
    virtual ~posts() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;
    /// Whether wakes that come before the handler ran are one call of it; else each is one.
    [[nodiscard]] virtual bool coalesces() const = 0;

    /// Before any wake.
    void on_wake(std::function<void()> handler) { handler_ = std::move(handler); }
    /// Turns until stop() is called in a handler, whatever there is to do.
    virtual void run() = 0;
    /// Does what is ready, and does not wait.
    virtual void turn() = 0;
    virtual void stop() = 0;

    /// Has the handler called, so many times where wakes do not coalesce.
    virtual void wake(std::size_t times) = 0;
    /// Has so many tasks run, each once. Where a post is a wake and a queue, the handler runs too.
    virtual void post(std::size_t count) = 0;
    [[nodiscard]] const tally& tasks() const { return tally_; }

protected:
    void handle_wake() { handler_(); }

    tally tally_;

private:
    std::function<void()> handler_ = [] {};
};

using make_posts = std::unique_ptr<posts>();

make_posts sockeye_posts;
// Each is there where its library is: see contenders.hpp.in.
make_posts libev_posts;
make_posts libuv_posts;
make_posts libevent_posts;
make_posts asio_posts;

} // namespace sockeye::micro
