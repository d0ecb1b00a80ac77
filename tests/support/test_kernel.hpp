#pragma once

#include "support/kernels.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>

namespace support {

/// A kernel with a clock that a test may take over, and with counts.
class test_kernel final : public forwarding_kernel {
public:
    using forwarding_kernel::forwarding_kernel;

    template <typename T>
    using result = sockeye::result<T>;

    sockeye::time_point now() override;
    /// Beside a stopped clock both show its time; the wall clock is ahead by what it was set.
    result<sockeye::duration> read_clock(sockeye::clock_kind which) override;
    /// None beside a stopped clock.
    result<sockeye::owned_fd> make_alarm(sockeye::clock_kind which) override;
    void wake(int write_end) noexcept override;
    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, sockeye::bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const sockeye::bytes> sources) override;
    void close(int fd) noexcept override;
    result<sockeye::wake_channel> make_wake_channel() override;

    /// From now on the clock moves only by advance().
    void stop_clock() { stopped_at_ = forwarding_kernel::now(); }
    void advance(sockeye::duration step) { *stopped_at_ += step; }
    void set_wall_clock(sockeye::duration step) { wall_ahead_ += step; }
    [[nodiscard]] bool has_stopped_clock() const noexcept { return stopped_at_.has_value(); }

    /// The next wake-up channel cannot be made.
    void refuse_wake_channel() noexcept { refuses_channel_ = true; }

    /// How often a loop was woken. Threads: any.
    [[nodiscard]] std::size_t wakes() const noexcept { return wakes_; }
    /// Bytes that receive calls took from `fd` since it was opened.
    [[nodiscard]] std::uint64_t received(int fd) { return received_[fd]; }
    /// Whether a send to `fd` came short since this was last asked.
    [[nodiscard]] bool came_short(int fd) { return short_.erase(fd) != 0; }

private:
    result<std::size_t> note_sent(int fd, std::size_t wanted, result<std::size_t> sent);

    std::optional<sockeye::time_point> stopped_at_;
    sockeye::duration wall_ahead_ = std::chrono::hours(400'000);
    std::atomic<std::size_t> wakes_ = 0;
    bool refuses_channel_ = false;
    std::map<int, std::uint64_t> received_;
    std::set<int> short_;
};

} // namespace support
