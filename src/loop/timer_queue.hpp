#pragma once

#include <sockeye/lag_histogram.hpp>
#include <sockeye/time.hpp>

#include <array>
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

/// Deadlines in order. Is told the time, never asks for it.
///
/// Those of the current tick (65 us) and before stand in a heap of 16-byte entries, four children
/// each, by the nanosecond. All later ones lie in a timing wheel of 8 levels with 64 lists each: in
/// the level of the first digit, to the base of 64, in which their tick and the current one differ.
/// When that digit is reached, the list is spread over the levels below. So start, restart and
/// cancel are O(1), and each timer moves a few times before it fires.
/// No allocation in steady state. Equal deadlines fire in the order they were started.
/// See: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.
class timer_queue {
public:
    timer_queue();

    /// Throws bad_alloc, and then nothing has changed; never directly after a cancel or at the
    /// beginning of a target's call, because that timer has left its room.
    timer_id start(time_point deadline, const timer_target& target);
    /// The name of a timer that is not armed, and keeps its room until release(). Throws bad_alloc,
    /// and then nothing has changed.
    timer_id keep(const timer_target& target);
    /// Requires: a kept one. It may be armed.
    void release(timer_id id) noexcept;

    /// Gives a timer another deadline, as if it were started now, and says whether it was armed. If
    /// not, a kept one is now, and others stay what they are: gone.
    bool restart(timer_id id, time_point deadline) noexcept;
    /// False when it has fired or was cancelled before.
    bool cancel(timer_id id) noexcept;
    [[nodiscard]] bool is_armed(timer_id id) const noexcept;

    /// When the first one is due, exactly.
    [[nodiscard]] std::optional<time_point> next() noexcept;

    /// Fires what is due at `now`, at most `budget`, and returns how many. A timer started
    /// meanwhile waits for the next call, one cancelled meanwhile does not fire. What a target
    /// throws leaves the rest to the next call. `lag` is told how late each of them is.
    std::size_t fire_due(time_point now, std::size_t budget, lag_histogram* lag = nullptr);

    /// Calls `visit` with the deadline and target of each armed one, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& one : records_) {
            if (one.next != unarmed) {
                visit(time_point(duration(one.deadline)), one.target);
            }
        }
    }

    /// How many are armed.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    struct entry {
        std::int64_t deadline; ///< nanoseconds
        std::uint32_t order;   ///< of the start; wraps round
        std::uint32_t index;   ///< of the record
    };
    struct record {
        std::int64_t deadline = 0;
        std::uint32_t order = 0;
        std::uint32_t generation = 0; ///< odd: in use; with `is_kept`: until released
        std::uint32_t next = unarmed; ///< in its list, or one of the three marks
        /// In its list; `is_first` and the list's number in front of the first one. The position
        /// in the heap, or the next free record.
        std::uint32_t previous = none;
        timer_target target;
    };
    static constexpr std::uint32_t none = 0xffff'ffff;
    static constexpr std::uint32_t unarmed = 0xffff'fffe;
    static constexpr std::uint32_t in_heap = 0xffff'fffd;
    static constexpr std::uint32_t is_first = 0x8000'0000;
    static constexpr std::uint32_t is_kept = 0x8000'0000;

    static constexpr unsigned tick_bits = 16; ///< of a deadline in nanoseconds
    static constexpr unsigned digit_bits = 6; ///< of a tick
    static constexpr std::uint32_t levels = 8;
    static constexpr std::uint32_t lists_per_level = 1U << digit_bits;
    /// What is due and about to fire; those that one left which threw.
    static constexpr std::uint32_t due_list = levels * lists_per_level;

    static bool is_before(const entry& a, const entry& b) noexcept {
        return a.deadline != b.deadline ? a.deadline < b.deadline
                                        : static_cast<std::int32_t>(a.order - b.order) < 0;
    }
    [[nodiscard]] static std::uint32_t digit_of(std::uint64_t tick, std::uint32_t level) noexcept {
        return static_cast<std::uint32_t>(tick >> level * digit_bits) % lists_per_level;
    }

    [[nodiscard]] const record* find(timer_id id) const noexcept;
    [[nodiscard]] timer_id id_of(std::uint32_t index) const noexcept {
        return std::uint64_t{records_[index].generation} << 32 | index;
    }
    std::uint32_t take_record(const timer_target& target);
    void free_record(std::uint32_t index) noexcept;
    void now_idle(std::uint32_t index) noexcept;

    void arm(std::uint32_t index, time_point deadline) noexcept;
    void disarm(std::uint32_t index) noexcept;
    void place(std::uint32_t index) noexcept;
    void link(std::uint32_t index, std::uint32_t list) noexcept;
    void unlink(const record& old) noexcept;
    [[nodiscard]] std::uint32_t take_list(std::uint32_t list) noexcept;

    [[nodiscard]] std::uint32_t first_list() const noexcept;
    [[nodiscard]] std::uint64_t first_tick_of(std::uint32_t list) const noexcept;
    void open(std::uint32_t list) noexcept;
    void move_to(std::uint64_t tick) noexcept;
    void find_earliest() noexcept;
    bool fill_heap(time_point now) noexcept;
    void take_due(time_point now, std::size_t budget, lag_histogram* lag) noexcept;

    void push_heap(std::uint32_t index) noexcept;
    void remove_from_heap(std::uint32_t position) noexcept;
    void settle(std::uint32_t position, const entry& moved) noexcept;
    void sift_up(std::uint32_t position, const entry& moved) noexcept;
    void sift_down(std::uint32_t position, const entry& moved) noexcept;

    std::vector<record> records_;
    std::uint32_t free_ = none; ///< the first free record; they are linked by `previous`
    std::uint32_t order_ = 0;
    std::size_t size_ = 0;

    std::vector<entry> heap_; ///< has room for every record
    /// Everything before this tick is in the heap, nothing of it in the wheel.
    std::uint64_t tick_ = 0;
    std::int64_t earliest_ = 0; ///< deadline in the wheel, where known
    bool is_earliest_known_ = false;
    std::array<std::uint64_t, levels + 1> occupied_ = {}; ///< a bit for each list that has timers
    std::array<std::uint32_t, due_list + 1> firsts_;
};

} // namespace sockeye
