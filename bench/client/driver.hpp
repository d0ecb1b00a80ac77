#pragma once

#include "bench/client/alarm.hpp"
#include "bench/client/client.hpp"
#include "bench/machine/hardware.hpp"
#include "bench/plan.hpp"

#include <sockeye/loop.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>

namespace sockeye::bench {

/// One thread of the load: its loop, its client, and what that has counted.
///
/// Whatever goes wrong ends it: what it is told to do then does nothing, and failure() says why.
/// Threads: that of its construction; what it tells, any, while it does nothing.
class driver {
public:
    /// `what` is the load of all threads, `index` which of them this is.
    driver(const plan& whole, const load& what, const ring& content, std::size_t index);

    void connect(const endpoint& server);
    void start(time_point begin);
    /// Turns the loop until then, or until so many messages are answered, or until all are where
    /// tally::has_overflowed says that no more are sent.
    void run_until(time_point end, std::optional<std::uint64_t> messages = {});
    void begin_window(time_point now) { counted_.begin_window(now); }
    /// Waits for what is on its way, `limit` at most; sends only what was due before `end`.
    void drain(time_point end, duration limit);
    void close();

    /// Calls it between turns from now on, about a hundred times a second.
    void on_tick(std::function<void(time_point)> called) { on_tick_ = std::move(called); }

    [[nodiscard]] tally& counted() noexcept { return counted_; }
    /// Of its thread, since its construction.
    [[nodiscard]] system_counts hardware() const { return hardware_.read(); }
    [[nodiscard]] const std::string& failure() const noexcept { return failure_; }

private:
    /// Turns the loop once, `limit` at most.
    void turn(time_point now, time_point limit);
    [[nodiscard]] bool is_over() const noexcept { return is_interrupted_ || !failure_.empty(); }
    void fail(std::string why);
    /// Whether nothing is on its way and nothing will be.
    [[nodiscard]] bool is_spent() const {
        return counted_.has_overflowed && client_->on_way() == 0;
    }

    const bool has_sources_;
    const bool spins_;
    tally counted_;
    const hardware_counters hardware_ = hardware_counters::of_this_thread();
    loop loop_;
    std::unique_ptr<client> client_;
    std::optional<pace_alarm> alarm_;
    std::function<void(time_point)> on_tick_;
    time_point next_tick_ = {};
    std::string failure_;
    bool is_interrupted_ = false;
};

} // namespace sockeye::bench
