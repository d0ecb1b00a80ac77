#pragma once

#include "base/misuse.hpp"
#include "loop/mailbox.hpp"
#include "loop/timer_queue.hpp"
#include "reactor/reactor.hpp"

#include <sockeye/loop.hpp>

#include <array>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace sockeye {

struct signal_state;
class clock_timers;

/// What handlers may still be using when its owner goes: loop_core::retire keeps it.
struct retirable {
    void (*destroy)(retirable*) noexcept = nullptr;
    retirable* next_retired = nullptr;
};

/// What is inside a loop: the reactor, the timers, the posted tasks, and the order of a turn.
class loop_core {
public:
    /// `system` and `source` are the two seams: the real ones, or a test's.
    loop_core(kernel& system, std::unique_ptr<backend> source, const backend_entry& row,
              loop_options options);
    loop_core(const loop_core&) = delete;
    loop_core& operator=(const loop_core&) = delete;
    ~loop_core();

    static result<std::unique_ptr<loop_core>> open(loop_options options);
    /// The part of opening that can fail: the wake-up channel.
    [[nodiscard]] std::error_code start();

    [[nodiscard]] std::error_code run();
    result<std::size_t> run_once(std::optional<duration> timeout);
    void stop() noexcept { is_stopping_ = true; }

    [[nodiscard]] reactor& io() noexcept { return reactor_; }
    [[nodiscard]] const reactor& io() const noexcept { return reactor_; }
    [[nodiscard]] kernel& system() noexcept { return reactor_.system(); }
    [[nodiscard]] timer_queue& timers() noexcept { return timers_; }
    [[nodiscard]] const std::shared_ptr<mailbox>& box() const noexcept { return box_; }
    [[nodiscard]] backend_kind kind() const noexcept { return kind_; }
    [[nodiscard]] std::size_t queued_bytes_max() const noexcept { return queued_bytes_max_; }

    /// The timers of another clock, for one more user; drop_clock() ends that.
    /// Errors: as clock_timers::start. Throws bad_alloc.
    result<clock_timers*> use_clock(clock_kind which);
    void drop_clock(clock_timers& used) noexcept;

    /// See loop::dump. Throws bad_alloc.
    [[nodiscard]] std::string dump();

    /// Starts a timer at `delay` from the real now, which is a little later than the turn's.
    /// Throws bad_alloc, and then there is none.
    timer_id start_timer(duration delay, const timer_target& target);
    /// For who has no memory even for a timer: relieved in a moment, without one.
    void wait_without_timer(slot& place) noexcept;

    /// What run() waits for.
    void add_life() noexcept { ++lives_; }
    void drop_life() noexcept { --lives_; }
    [[nodiscard]] std::size_t lives() const noexcept { return lives_; }
    /// A held guard, which is a life as well.
    void add_guard() noexcept { ++lives_, ++guards_; }
    void drop_guard() noexcept { --lives_, --guards_; }

    /// Calls a handler of the user. False when it threw: the exception is kept for on_exception or
    /// for run(), and the caller closes its object.
    template <typename Handler>
    bool call(Handler&& handler) {
        ++handlers_run_;
        try {
            handler();
            return true;
        } catch (...) {
            caught(std::current_exception());
            return false;
        }
    }

    /// Frees `object` when no handler runs any more: at the end of the turn, or at once between
    /// turns.
    template <typename Object>
    void retire(std::unique_ptr<Object> object) noexcept {
        if (is_turning_) {
            object->destroy = [](retirable* self) noexcept { delete static_cast<Object*>(self); };
            object->next_retired = std::exchange(retired_, object.get());
            object.release();
        }
    }

    [[nodiscard]] std::optional<time_point> next_deadline() noexcept;

    /// Throws bad_alloc.
    void add_signal_state(signal_state& state) { signals_.push_back(&state); }
    void remove_signal_state(signal_state& state) noexcept;
    [[nodiscard]] std::atomic<std::uint64_t>& pending_signals() noexcept {
        return pending_signals_;
    }
    [[nodiscard]] int write_end() const noexcept { return channel_.write_end(); }

    /// Keeps one descriptor back, to shed a connection with when there is no other left.
    void hold_reserve() {
        if (!reserve_) {
            if (auto held = system().reserve()) {
                reserve_ = std::move(held.value());
            }
        }
    }
    void release_reserve() noexcept { reserve_.reset(); }
    /// The loop object that owns this; follows its moves.
    void belongs_to(loop& owner) noexcept;
    [[nodiscard]] loop& handle() noexcept { return *handle_; }

private:
    [[nodiscard]] std::error_code check_callable() const;
    [[nodiscard]] std::error_code turn(std::optional<duration> timeout);
    [[nodiscard]] std::error_code work(std::optional<duration> timeout);
    [[nodiscard]] std::optional<duration> time_to_wait(std::optional<duration> timeout);
    void run_timers();
    [[nodiscard]] std::string describe(const char* kind, slot_key key);
    void run_posts();
    void run_signals();
    void caught(std::exception_ptr problem);
    void rethrow_kept();
    void free_retired() noexcept;
    [[nodiscard]] std::optional<time_point> next_due() noexcept;

    static void on_wake(slot& place, const event& told);
    static void free_wake(slot& place) noexcept;

    life_mark life_{this};
    loop* handle_ = nullptr;
    backend_kind kind_;
    reactor reactor_;
    timer_queue timers_;
    std::array<std::unique_ptr<clock_timers>, 2> clocks_; ///< null: nobody uses that
    std::shared_ptr<mailbox> box_;
    wake_channel channel_;
    owned_fd reserve_;
    std::vector<unique_function<void()>> posted_; ///< being worked off
    std::size_t posted_done_ = 0;
    std::vector<signal_state*> signals_; ///< null: went while they were told
    bool is_telling_signals_ = false;
    std::atomic<std::uint64_t> pending_signals_ = 0;
    retirable* retired_ = nullptr; ///< the last one
    unique_function<void(std::exception_ptr)> on_exception_;
    std::exception_ptr kept_;
    std::error_code broken_; ///< what became of the wake-up channel; every turn reports it
    std::size_t queued_bytes_max_;
    std::optional<time_point> relief_at_; ///< for those who wait without a timer
    std::size_t lives_ = 0;
    std::size_t guards_ = 0;
    std::size_t handlers_run_ = 0;
    bool is_turning_ = false;
    bool is_stopping_ = false;
};

/// The way from the public object to what is inside.
struct loop_access {
    static loop_core& core(loop& owner) noexcept { return *owner.core_; }
    /// Null where it was moved from.
    static const std::unique_ptr<loop_core>& owned(loop& owner) noexcept { return owner.core_; }
    static loop make(std::unique_ptr<loop_core> core) noexcept { return loop(std::move(core)); }
};

[[nodiscard]] loop_core& core_of(loop& owner) noexcept;

/// For asserts where verbs of users come in: true where this thread may use an object of that loop
/// now. Else it is misuse(), of what `object` calls it. The loop may be gone.
bool may_use(const loop_core& core, const char* object) noexcept;
/// The same for what would only begin: in a forked child no turn of that loop ever comes, and what
/// is sent there mixes with what the parent sends.
bool may_begin(loop_core& core, const char* object) noexcept;

} // namespace sockeye
