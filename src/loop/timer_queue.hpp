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
/// Those of the current tick (16 us) and before stand in a heap of 16-byte entries, four children
/// each, by the nanosecond. All later ones lie in a timing wheel of 9 levels with 64 lists each: in
/// the level of the first digit, to the base of 64, in which their tick and the current one differ.
/// When that digit is reached, the list is opened: spread over the levels below, or brought into
/// the heap. So start, restart and cancel are O(1), and each timer moves a few times before it
/// fires. A call moves no more than the two bounds below allow; what is left of a list waits for
/// the next call, and so does all that is not before it.
///
/// A list is a chain of cache lines with the numbers of 13 records each: so what is moved next is
/// known before it is needed, and can be fetched meanwhile. Who goes leaves a hole, and the last
/// one of a line the line.
/// No allocation in steady state. Equal deadlines fire in the order they were started.
/// See: Varghese and Lauck, "Hashed and hierarchical timing wheels", 1987.
class timer_queue {
public:
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

    /// When the first one is due, exactly; earlier where an opened list has more timers than one
    /// call moves.
    [[nodiscard]] std::optional<time_point> next() noexcept;

    /// Fires what is due at `now`, at most `budget`, and returns how many. A timer started
    /// meanwhile waits for the next call, one cancelled meanwhile does not fire. What a target
    /// throws leaves the rest to the next call. `lag` is told how late each of them is.
    std::size_t fire_due(time_point now, std::size_t budget, lag_histogram* lag = nullptr);

    /// Calls `visit` with the deadline and target of each armed one, in no order.
    template <typename Visit>
    void for_each(Visit&& visit) const {
        for (const auto& one : records_) {
            if (one.where != unarmed) {
                const auto index = static_cast<std::size_t>(&one - records_.data());
                visit(time_point(duration(one.deadline)), targets_[index]);
            }
        }
    }

    /// How many are armed.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    /// How often one was moved on in the wheel or from there into the heap, since the beginning.
    [[nodiscard]] std::uint64_t moves() const noexcept { return moves_; }

    static constexpr std::size_t moves_per_call = 1024;
    /// In addition, for each that a call may fire.
    static constexpr std::size_t moves_per_timer = 9;

private:
    struct entry {
        std::int64_t deadline; ///< nanoseconds
        std::uint32_t order;   ///< of the start; wraps round
        std::uint32_t index;   ///< of the record
    };
    /// What moving it touches; the target lies apart.
    struct record {
        std::int64_t deadline = 0;
        std::uint32_t order = 0;
        std::uint32_t generation = 0;  ///< odd: in use; with `is_kept`: until released
        std::uint32_t where = unarmed; ///< its list, or one of the three marks
        /// In the heap or among the due; in its list: 16 times the chunk, and the item. The next
        /// free record.
        std::uint32_t place = none;
    };
    static constexpr std::uint32_t items_per_chunk = 13;
    static constexpr std::uint32_t places_per_chunk = 16; ///< as a number that divides fast
    struct chunk {
        std::uint32_t next = none; ///< in its list, or of the free ones
        std::uint32_t previous = none;
        std::uint32_t live = 0;                           ///< items that are no holes
        std::array<std::uint32_t, items_per_chunk> items; ///< numbers of records, or `none`
    };
    struct list_head {
        std::uint32_t first = none; ///< chunk
        /// Of its items, holes too; the others have all. Without any chunk as if that were full.
        std::uint32_t count = items_per_chunk;
    };
    static constexpr std::uint32_t none = 0xffff'ffff;
    static constexpr std::uint32_t unarmed = 0xffff'fffe;
    static constexpr std::uint32_t in_heap = 0xffff'fffd;
    static constexpr std::uint32_t is_due = 0xffff'fffc;
    static constexpr std::uint32_t is_kept = 0x8000'0000;

    static constexpr unsigned tick_bits = 14; ///< of a deadline in nanoseconds
    static constexpr unsigned digit_bits = 6; ///< of a tick
    static constexpr std::uint32_t levels = 9;
    static constexpr std::uint32_t lists_per_level = 1U << digit_bits;
    static constexpr std::uint32_t no_list = levels * lists_per_level;

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
    void reserve(std::size_t room);
    void free_record(std::uint32_t index) noexcept;
    void now_idle(std::uint32_t index) noexcept;

    void arm(std::uint32_t index, time_point deadline) noexcept;
    void disarm(std::uint32_t index) noexcept;
    bool moves_within_list(record& armed, std::int64_t deadline) noexcept;
    [[nodiscard]] std::uint32_t list_of(std::int64_t deadline) const noexcept;
    void place(std::uint32_t index) noexcept;
    void link(std::uint32_t index, std::uint32_t list) noexcept;
    void unlink(const record& old) noexcept;
    [[nodiscard]] std::uint32_t take_last(std::uint32_t list) noexcept;
    void add_chunk(std::uint32_t list) noexcept;
    void drop_chunk(std::uint32_t dropped, std::uint32_t list) noexcept;
    void prefetch_behind(std::uint32_t first) const noexcept;

    [[nodiscard]] std::uint32_t first_list() const noexcept;
    [[nodiscard]] std::uint64_t first_tick_of(std::uint32_t list) const noexcept;
    void open_first() noexcept;
    bool work_off_opened(std::size_t& moves) noexcept;
    void move_to(std::uint64_t tick) noexcept;
    void find_earliest() noexcept;
    [[nodiscard]] bool heap_leads() const noexcept;
    bool fill_heap(std::uint64_t last_tick, std::size_t& moves) noexcept;
    void take_due(time_point now, std::size_t budget, lag_histogram* lag) noexcept;

    void push_heap(std::uint32_t index) noexcept;
    void remove_from_heap(std::uint32_t position) noexcept;
    void settle(std::uint32_t position, const entry& moved) noexcept;
    void sift_up(std::uint32_t position, const entry& moved) noexcept;
    void sift_down(std::uint32_t position, const entry& moved) noexcept;

    std::vector<record> records_;
    std::vector<timer_target> targets_; ///< of each record
    std::uint32_t free_ = none;         ///< the first free record; they are linked by `place`
    std::uint32_t order_ = 0;
    std::size_t size_ = 0;

    std::vector<entry> heap_; ///< has room for every record
    /// Everything before this tick is in the heap, nothing of it in the wheel. Of this tick itself
    /// some may be in the heap, while its list is open.
    std::uint64_t tick_ = 0;
    std::uint32_t opened_ = no_list; ///< of which some are moved
    std::uint64_t moves_ = 0;
    std::int64_t earliest_ = 0; ///< deadline in the wheel, where known
    bool is_earliest_known_ = false;
    std::array<std::uint64_t, levels> occupied_ = {}; ///< a bit for each list that has timers
    std::array<list_head, no_list> lists_;
    std::vector<chunk> chunks_; ///< has room for one for every record
    std::uint32_t free_chunk_ = none;

    /// Those about to fire, and what one left behind that threw; `none` for who was cancelled. Has
    /// room for every record.
    std::vector<std::uint32_t> due_;
    std::size_t due_done_ = 0;
};

} // namespace sockeye
