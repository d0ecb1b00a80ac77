#pragma once

#include <sockeye/loop.hpp>
#include <sockeye/time.hpp>
#include <sockeye/timer.hpp>

#include <cstdint>
#include <optional>
#include <string>

namespace sockeye::cli {

/// One line on a terminal that says how far a download has come, if it takes more than a second.
class fetch_progress {
public:
    explicit fetch_progress(loop& owner) : timer_(owner) {}
    fetch_progress(const fetch_progress&) = delete;
    fetch_progress& operator=(const fetch_progress&) = delete;
    ~fetch_progress() { stop(); }

    /// `total` is how much will come, where that is known.
    void start(std::optional<std::uint64_t> total);
    void set(std::uint64_t received) { received_ = received; }
    /// Takes the line away.
    void stop();

private:
    void show();

    timer timer_;
    time_point began_;
    std::optional<std::uint64_t> total_;
    std::uint64_t received_ = 0;
    std::size_t shown_ = 0; ///< characters on the terminal
};

/// `1.2 MiB of 5 MiB, 24 %, 3.1 MiB/s`
[[nodiscard]] std::string progress_text(std::uint64_t received, std::optional<std::uint64_t> total,
                                        duration elapsed);

} // namespace sockeye::cli
