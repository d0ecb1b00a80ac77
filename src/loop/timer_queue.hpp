#pragma once

#include <sockeye/time.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace sockeye {

/// Who is called when a timer is due.
struct timer_target {
    void (*fire)(void* owner, std::uint64_t key) = nullptr;
    void* owner = nullptr;
    std::uint64_t key = 0;
};

/// Names an armed timer; 0 names none. Stale ones are harmless.
using timer_id = std::uint64_t;

/// Deadlines in order: a heap of 16-byte entries with four children each, and a table that says
/// where in it each timer is. Is told the time, never asks for it.
///
/// No allocation in steady state; start, cancel and fire cost O(log n). Equal deadlines fire in the
/// order they were started.
class timer_queue {
public:
    /// Throws bad_alloc, and then nothing has changed; never directly after a cancel or at the
    /// beginning of a target's call, because that timer has left its room.
    timer_id start(time_point deadline, const timer_target& target);
    /// False when it has fired or was cancelled before.
    bool cancel(timer_id id) noexcept;
    [[nodiscard]] bool is_armed(timer_id id) const noexcept;

    /// When the first one is due.
    [[nodiscard]] std::optional<time_point> next() const noexcept;

    /// Fires what is due at `now`, at most `budget`, and returns how many. A timer started
    /// meanwhile waits for the next call, one cancelled meanwhile does not fire. What a target
    /// throws leaves the rest to the next call.
    std::size_t fire_due(time_point now, std::size_t budget);

    [[nodiscard]] std::size_t size() const noexcept { return heap_.size(); }

private:
    struct entry {
        std::int64_t deadline; ///< nanoseconds
        std::uint32_t order;   ///< of the start; wraps round
        std::uint32_t index;   ///< of the record
    };
    struct record {
        std::uint32_t generation = 1;
        std::uint32_t position = unarmed;
        timer_target target;
    };
    static constexpr std::uint32_t unarmed = 0xffff'ffff;
    static constexpr std::uint32_t taken = 0xffff'fffe; ///< due, and about to fire

    static bool is_before(const entry& a, const entry& b) noexcept {
        return a.deadline != b.deadline ? a.deadline < b.deadline
                                        : static_cast<std::int32_t>(a.order - b.order) < 0;
    }

    [[nodiscard]] const record* find(timer_id id) const noexcept;
    void make_room();
    void take_due(time_point now, std::size_t budget) noexcept;
    std::uint32_t take_record() noexcept;
    void free_record(std::uint32_t index) noexcept;
    void remove_at(std::uint32_t position) noexcept;
    void place(std::uint32_t position, const entry& moved) noexcept;
    void sift_up(std::uint32_t position, const entry& moved) noexcept;
    void sift_down(std::uint32_t position, const entry& moved) noexcept;

    std::vector<entry> heap_;
    std::vector<record> records_;
    std::vector<std::uint32_t> free_;
    std::vector<timer_id> due_; ///< of the running call, or left by one that threw
    std::size_t due_done_ = 0;
    std::uint32_t order_ = 0;
};

} // namespace sockeye
