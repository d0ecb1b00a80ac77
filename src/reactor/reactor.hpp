#pragma once

#include "kernel/backend.hpp"
#include "kernel/kernel.hpp"
#include "reactor/output_arena.hpp"
#include "reactor/slot_table.hpp"
#include "reactor/slot_wheel.hpp"

#include <sockeye/loop_counters.hpp>
#include <sockeye/unique_function.hpp>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <thread>

namespace sockeye {

/// The heart: takes a batch of ready events, drops the stale ones by generation, hands each live
/// one to its owner, and keeps the ring of those that have work left.
///
/// It never counts on being told twice: what an owner leaves unread it puts into the ready ring.
/// Slots are released only in finish(), so that whoever is being called stays where it is.
/// Queueing needs no memory: nothing that a slot once allocated is owed can be lost for want of it.
class reactor {
public:
    reactor(kernel& system, std::unique_ptr<backend> source, backend_features features);
    reactor(const reactor&) = delete;
    reactor& operator=(const reactor&) = delete;

    /// Frees what lives in the slots, in silence. Call before the reactor goes.
    void destroy_all() noexcept;

    /// Waits, then hands out what is ready and what the ring holds.
    [[nodiscard]] std::error_code dispatch(std::optional<duration> timeout);
    /// Sends what was written between turns: it must not wait for the next event.
    void flush_early();
    /// Sends the output of the turn.
    void flush();
    /// Closes what asked for it; what handlers ask for meanwhile waits for the next turn.
    void finish();
    /// Call after each handler, for the counter of the longest one, with what its object is called.
    void handler_ran(const char* kind, slot_key key = 0);
    /// Call when the handlers of a turn are through.
    void end_handlers();
    /// From now on each handler is measured, and `told` hears of those that took longer than
    /// `limit`: of what kind their objects are, and by which key to find them.
    void report_slow(duration limit,
                     unique_function<void(const char*, slot_key, duration)> told) noexcept {
        slow_limit_ = limit;
        slow_told_ = std::move(told);
    }
    /// True where the next turn has work without waiting.
    [[nodiscard]] bool has_work() const noexcept {
        return !ring_.empty() || !output_.empty() || !finish_.empty();
    }

    /// Says which thread turns the loop from now on; none between turns.
    void runs_on(std::thread::id thread) noexcept { thread_ = thread; }
    /// Whether no other thread is turning the loop: what is no post from there is a bug.
    [[nodiscard]] bool is_own_thread() const noexcept {
        const auto running = thread_.load();
        return running == std::thread::id() || running == std::this_thread::get_id();
    }

    /// Throws bad_alloc, and then nothing has changed.
    slot& allocate(const slot_operations& operations) { return slots_.allocate(operations); }
    /// Requires: no descriptor in it.
    void release(slot& place) noexcept;
    [[nodiscard]] slot* find(slot_key key) noexcept { return slots_.find(key); }
    /// Requires: an index that allocate once gave.
    [[nodiscard]] slot& slot_at(std::uint32_t index) noexcept { return slots_.at(index); }
    [[nodiscard]] const slot_table& slots() const noexcept { return slots_; }

    /// Starts watching place.fd. Errors: as backend::add, not_enough_memory, errc::loop_forked.
    [[nodiscard]] std::error_code watch(slot& place, interest wanted);
    [[nodiscard]] std::error_code change(slot& place, interest wanted);
    /// As change, for one that may be unwatched. Where it fails the slot is not watched any more:
    /// in the wrong way it would be ready again and again. Call again later.
    [[nodiscard]] std::error_code change_or_unwatch(slot& place, interest wanted);
    void unwatch(slot& place) noexcept;
    /// Removed from the backend first, closed second.
    void close(slot& place) noexcept;

    void queue_resume(slot& place) noexcept { queue(place, ring_); }
    void queue_output(slot& place) noexcept { queue(place, output_); }
    void queue_finish(slot& place) noexcept { queue(place, finish_); }

    /// Looks at `place` no later than `when` begins. Needs no memory.
    void look_at(slot& place, tick when) noexcept { wheel_.join(place, when); }
    void look_no_more(slot& place) noexcept { wheel_.leave(place); }
    /// When the next look is due.
    [[nodiscard]] std::optional<time_point> next_look() const noexcept {
        const auto next = wheel_.next();
        return next ? std::optional(begin_of(*next)) : std::nullopt;
    }
    /// Looks at those whose time has come.
    void look_around() { wheel_.advance(tick_of(now_), looks_per_turn); }

    /// Waits for relieve_memory(): too many bytes are queued.
    void queue_for_memory(slot& place) noexcept { queue(place, short_of_memory_); }
    /// Waits for relieve_descriptors(): the system has none left.
    void queue_for_descriptor(slot& place) noexcept { queue(place, short_of_descriptors_); }
    void relieve_memory() noexcept { relieve(short_of_memory_); }
    void relieve_descriptors() noexcept { relieve(short_of_descriptors_); }

    /// Lent to whoever is reading. Its size is the budget of one object in one turn.
    [[nodiscard]] std::span<std::byte> receive_buffer() noexcept {
        return {receive_buffer_.get(), receive_buffer_size};
    }
    /// The same for datagrams. Requires: provide_datagrams() was called.
    [[nodiscard]] datagram_batch& datagrams() noexcept { return *datagrams_; }
    /// Throws bad_alloc.
    void provide_datagrams();
    [[nodiscard]] output_arena& arena() noexcept { return arena_; }

    [[nodiscard]] kernel& system() noexcept { return system_; }
    [[nodiscard]] const backend& source() const noexcept { return *source_; }
    [[nodiscard]] const backend_features& features() const noexcept { return features_; }
    /// In a child made by fork(2): what it told the backend would be told to the parent's as well.
    [[nodiscard]] bool is_forked() const noexcept { return system_.fork_count() != forks_; }
    [[nodiscard]] loop_counters& counters() noexcept { return counters_; }
    [[nodiscard]] const loop_counters& counters() const noexcept { return counters_; }
    /// When this turn began.
    [[nodiscard]] time_point now() const noexcept { return now_; }
    /// The tick in which this turn began; between turns that of the real now.
    [[nodiscard]] tick tick_now() const noexcept {
        const bool is_turning = thread_.load(std::memory_order_relaxed) != std::thread::id();
        return tick_of(is_turning ? now_ : system_.now());
    }

private:
    static constexpr std::size_t receive_buffer_size = 64 * 1024;
    static constexpr std::size_t events_max = 512;
    static constexpr std::size_t looks_per_turn = 1024;

    void measure_handlers();
    void queue(slot& place, slot_line& line) noexcept;
    void relieve(slot_line& waiting) noexcept;
    void hand_out(std::span<const event> ready);
    template <typename Act>
    static void work_off(slot_line& line, std::size_t count, Act&& act);

    kernel& system_;
    std::unique_ptr<backend> source_;
    backend_features features_;
    slot_table slots_;
    slot_line ring_{slots_, slot_mark::in_ring};
    slot_line output_{slots_, slot_mark::in_output};
    slot_line finish_{slots_, slot_mark::in_finish};
    slot_line short_of_memory_{slots_, slot_mark::waits_for_memory};
    slot_line short_of_descriptors_{slots_, slot_mark::waits_for_descriptor};
    std::array<event, events_max> events_;
    std::unique_ptr<std::byte[]> receive_buffer_;
    std::unique_ptr<datagram_batch> datagrams_;
    output_arena arena_;
    loop_counters counters_;
    time_point now_;
    slot_wheel wheel_;
    time_point measured_;
    unsigned unmeasured_ = 0;
    duration slow_limit_ = std::chrono::milliseconds(10);
    unique_function<void(const char*, slot_key, duration)> slow_told_;
    unsigned forks_;
    std::atomic<std::thread::id> thread_;
};

} // namespace sockeye
