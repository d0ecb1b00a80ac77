#pragma once

#include "net/source_table.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/loop_group.hpp>
#include <sockeye/unique_fd.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace sockeye {

struct server_core;

/// One loop's part in what several loops serve together.
struct spread_place {
    explicit spread_place(remote loop) : to(std::move(loop)) {}

    remote to;
    server_core* server = nullptr; ///< used on its loop's thread only

    // Threads: any.
    [[nodiscard]] std::size_t open() const noexcept {
        return static_cast<std::uint32_t>(state_.load());
    }
    /// Those that are open, and those on their way.
    [[nodiscard]] std::size_t load() const noexcept {
        const auto now = state_.load();
        return static_cast<std::uint32_t>(now) + (now >> 32);
    }
    /// One is on its way to the loop, or did not get there.
    void sent() noexcept { state_ += one_on_its_way; }
    void lost() noexcept { state_ -= one_on_its_way; }
    /// On the loop: so many are open, and so many of those on their way have arrived.
    void note(std::size_t open, unsigned arrived = 0) noexcept {
        auto was = state_.load();
        while (!state_.compare_exchange_weak(was, (((was >> 32) - arrived) << 32) |
                                                      static_cast<std::uint32_t>(open))) {
        }
    }

private:
    static constexpr std::uint64_t one_on_its_way = std::uint64_t{1} << 32;

    /// One number, so that who arrives is never counted twice: above those on their way, below
    /// those that are open.
    std::atomic<std::uint64_t> state_ = 0;
};

/// What several loops serve together: their places, and how one that accepts for all shares out.
/// Outlives the servers of all of them.
class spreader {
public:
    spreader(spread how, std::size_t each_max) : how_(how), each_max_(each_max) {}

    std::vector<std::unique_ptr<spread_place>> places; ///< one for each loop, in their order
    server_core* acceptor = nullptr;                   ///< used on the first loop's thread only

    // Of who accepts for all, on its thread.
    /// Whether somebody has room; if not, the acceptor hears when there is some again.
    [[nodiscard]] bool wait_for_room() noexcept;
    /// Gives a connection to the one whose turn it is: false where that one could not be told, and
    /// it is closed. Requires: somebody has room.
    bool hand_over(unique_fd fd, source_id from);

    /// A connection of that place is gone. Threads: its loop's.
    void left(const spread_place& from);

private:
    [[nodiscard]] bool has_room() const noexcept;
    [[nodiscard]] spread_place& choose() noexcept;

    spread how_;
    std::size_t each_max_;
    std::size_t next_ = 0; ///< whose turn it is
    std::atomic<bool> is_awaited_ = false;
};

} // namespace sockeye
