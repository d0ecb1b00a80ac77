#include "loop/loop_core.hpp"

#include "base/probes.hpp"
#include "loop/clock_timers.hpp"
#include "loop/signal_state.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cassert>

namespace sockeye {
namespace {

constexpr std::size_t timers_per_turn = 256;
constexpr std::size_t tasks_per_turn = 1024;

struct wake_state {
    loop_core* core;
    bool is_left_unread; ///< edge-triggered: nobody has to make it unreadable again
};

constexpr duration forever = duration::max();
constexpr duration relief_pause = std::chrono::milliseconds(10);

} // namespace

result<std::unique_ptr<loop_core>> loop_core::open(loop_options options) {
    const auto row = choose_backend(options.backend);
    if (!row) {
        return row.error();
    }
    auto source = (*row)->make();
    if (!source) {
        return source.error();
    }
    auto core = std::make_unique<loop_core>(system_kernel(), std::move(source.value()), **row,
                                            std::move(options));
    if (const auto error = core->start()) {
        return error;
    }
    return core;
}

loop_core::loop_core(kernel& system, std::unique_ptr<backend> source, const backend_entry& row,
                     loop_options options)
    : kind_(row.kind), reactor_(system, std::move(source), row.features),
      box_(std::make_shared<mailbox>(options.posted_tasks_max)),
      on_exception_(std::move(options.on_exception)), queued_bytes_max_(options.queued_bytes_max) {
    timers_.fire_due(reactor_.now(), 0); // there is where it begins
    if (options.on_slow_handler) {
        reactor_.report_slow(options.slow_handler_time,
                             [this, hook = std::move(options.on_slow_handler)](
                                 const char* kind, slot_key key, duration took) mutable {
                                 call([&] { hook({describe(kind, key), took}); });
                             });
    }
}

std::error_code loop_core::start() {
    auto channel = system().make_wake_channel();
    if (!channel) {
        return channel.error();
    }
    channel_ = std::move(channel.value());
    static constexpr slot_operations operations = {
        .ready = on_wake, .resume = {}, .flush = {}, .finish = {}, .destroy = free_wake};
    auto& place = reactor_.allocate(operations);
    const bool is_eventfd = !channel_.writer;
    const bool is_left_unread = is_eventfd && reactor_.features().edge;
    place.emplace<wake_state>(this, is_left_unread);
    place.fd = channel_.reader.get();
    const auto wanted = is_left_unread ? interest::readable | interest::edge : interest::readable;
    if (const auto error = reactor_.watch(place, wanted)) {
        return error;
    }
    box_->system = &system();
    box_->write_end = channel_.write_end();
    box_->core = this;
    return {};
}

loop_core::~loop_core() {
    std::vector<unique_function<void()>> unrun;
    {
        const std::lock_guard lock(box_->guard);
        box_->is_open = false;
        box_->core = nullptr;
        unrun.swap(box_->tasks);
    }
    // While all the rest still lives: what is left may own timers, signal sets or connections.
    posted_.clear();
    unrun.clear();
    reactor_.destroy_all();
}

void loop_core::belongs_to(loop& owner) noexcept {
    handle_ = &owner;
}

/// The channel breaks only where somebody closed what is not theirs. A loop that hears no posts
/// any more must say so, and must not wake up for it for ever.
void loop_core::on_wake(slot& place, const event& told) {
    const auto& state = place.as<wake_state>();
    if (told.error || told.hangup) {
        state.core->reactor_.unwatch(place);
        state.core->broken_ = make_error_code(std::errc::io_error);
    } else if (!state.is_left_unread) {
        state.core->system().drain(place.fd);
    }
}

void loop_core::free_wake(slot& place) noexcept {
    auto& io = place.as<wake_state>().core->reactor_;
    io.unwatch(place);
    place.fd = -1;
    io.release(place);
}

std::error_code loop_core::check_callable() const {
    if (is_turning_) {
        return make_error_code(errc::loop_running);
    }
    if (reactor_.is_forked()) {
        return make_error_code(errc::loop_forked);
    }
    return {};
}

std::error_code loop_core::run() {
    if (const auto error = check_callable()) {
        return error;
    }
    while (!std::exchange(is_stopping_, false)) {
        if (lives_ == 0 && !reactor_.has_work() && !box_->is_pending.load() &&
            posted_done_ == posted_.size()) {
            break;
        }
        const auto error = turn({});
        rethrow_kept();
        if (error) {
            return error;
        }
    }
    return {};
}

result<std::size_t> loop_core::run_once(std::optional<duration> timeout) {
    if (const auto error = check_callable()) {
        return error;
    }
    if (timeout) {
        timeout = std::clamp<duration>(*timeout, duration::zero(), std::chrono::hours(24 * 365));
    }
    const auto deadline = timeout ? system().now() + *timeout : time_point::max();
    const auto before = handlers_run_;
    for (;;) {
        const auto error = turn(timeout);
        rethrow_kept();
        if (error) {
            return error;
        }
        const bool is_over = timeout && reactor_.now() >= deadline;
        if (handlers_run_ != before || is_over || is_stopping_) {
            return handlers_run_ - before;
        }
        // A wait that a signal ended brings nothing; it goes on for the time that is left.
        if (timeout) {
            timeout = deadline - reactor_.now();
        }
    }
}

std::error_code loop_core::turn(std::optional<duration> timeout) {
    struct turning {
        loop_core& core;
        explicit turning(loop_core& owner) : core(owner) {
            core.is_turning_ = true;
            core.reactor_.runs_on(std::this_thread::get_id());
        }
        ~turning() {
            core.is_turning_ = false;
            core.reactor_.runs_on({});
        }
    };
    std::error_code error;
    {
        const turning guard(*this);
        error = work(timeout);
    }
    free_retired();
    return error;
}

std::error_code loop_core::work(std::optional<duration> timeout) {
    ++reactor_.counters().turns;
    probes::turn_begins(&reactor_);
    reactor_.flush_early();
    auto error = reactor_.dispatch(time_to_wait(timeout));
    if (!error) {
        error = broken_;
        run_timers();
        reactor_.look_around();
        run_signals();
        run_posts();
        reactor_.end_handlers();
        reactor_.flush();
        reactor_.finish();
    }
    const auto enough_free = queued_bytes_max_ - queued_bytes_max_ / 4;
    if (relief_at_ ? *relief_at_ <= reactor_.now()
                   : reactor_.counters().queued_bytes <= enough_free) {
        relief_at_.reset();
        reactor_.relieve_memory();
    }
    probes::turn_ends(&reactor_, reactor_.counters().events);
    return error;
}

/// What goes may let others go.
void loop_core::free_retired() noexcept {
    while (auto* const last = retired_) {
        retired_ = last->next_retired;
        last->destroy(last);
    }
}

std::optional<duration> loop_core::time_to_wait(std::optional<duration> timeout) {
    if (reactor_.has_work() || box_->is_pending.load(std::memory_order_acquire) ||
        posted_done_ != posted_.size()) {
        return duration::zero();
    }
    for (const auto& other : clocks_) {
        if (const auto left = other ? other->time_to_wait() : std::nullopt) {
            timeout = std::min(*left, timeout.value_or(forever));
        }
    }
    const auto due = next_due();
    if (!due) {
        return timeout;
    }
    const auto left = *due - system().now();
    return std::min(std::max(left, duration::zero()), timeout.value_or(forever));
}

result<clock_timers*> loop_core::use_clock(clock_kind which) {
    auto& place = clocks_[static_cast<std::size_t>(which)];
    if (!place) {
        auto made = std::make_unique<clock_timers>(*this, which);
        if (const auto error = made->start()) {
            return error;
        }
        place = std::move(made);
    }
    ++place->users;
    return place.get();
}

void loop_core::drop_clock(clock_timers& used) noexcept {
    if (--used.users == 0) {
        retire(std::move(*std::ranges::find(clocks_, &used, &std::unique_ptr<clock_timers>::get)));
    }
}

timer_id loop_core::start_timer(duration delay, const timer_target& target) {
    assert(reactor_.is_own_thread());
    const auto now = system().now();
    const auto longest = time_point::max() - now;
    return timers_.start(now + std::clamp(delay, duration::zero(), longest), target);
}

void loop_core::wait_without_timer(slot& place) noexcept {
    reactor_.queue_for_memory(place);
    if (!relief_at_) {
        relief_at_ = system().now() + relief_pause;
    }
}

void loop_core::run_timers() {
    auto& counters = reactor_.counters();
    counters.timers_fired += timers_.fire_due(reactor_.now(), timers_per_turn, &counters.timer_lag);
    for (const auto& other : clocks_) {
        if (auto* const timers = other.get()) {
            counters.timers_fired += timers->run(timers_per_turn, counters.timer_lag);
        }
    }
}

void loop_core::run_posts() {
    if (posted_done_ == posted_.size()) {
        if (!box_->is_pending.load(std::memory_order_acquire)) {
            return;
        }
        posted_.clear();
        posted_done_ = 0;
        const std::lock_guard lock(box_->guard);
        posted_.swap(box_->tasks);
        is_stopping_ |= std::exchange(box_->wants_stop, false);
        box_->is_pending.store(false, std::memory_order_release);
    }
    const auto end = std::min(posted_.size(), posted_done_ + tasks_per_turn);
    while (posted_done_ < end) {
        // Moved out first, so that what it captured goes before the next one runs.
        auto running = std::move(posted_[posted_done_++]);
        ++reactor_.counters().posts;
        call(running);
        reactor_.handler_ran("post");
    }
}

void loop_core::run_signals() {
    if (pending_signals_.load(std::memory_order_relaxed) == 0) {
        return;
    }
    const auto told = pending_signals_.exchange(0);
    is_telling_signals_ = true;
    // Who comes meanwhile hears of later ones.
    const auto count = signals_.size();
    for (std::size_t at = 0; at < count; ++at) {
        if (signals_[at] != nullptr) {
            tell_signals(*signals_[at], told);
        }
    }
    is_telling_signals_ = false;
    std::erase(signals_, nullptr);
}

void loop_core::remove_signal_state(signal_state& state) noexcept {
    if (is_telling_signals_) {
        std::ranges::replace(signals_, &state, nullptr);
    } else {
        std::erase(signals_, &state);
    }
}

std::optional<time_point> loop_core::next_deadline() noexcept {
    if (reactor_.has_work() || box_->is_pending.load(std::memory_order_acquire) ||
        posted_done_ != posted_.size()) {
        return reactor_.now();
    }
    auto due = next_due();
    for (const auto& other : clocks_) {
        if (const auto left = other ? other->time_left() : std::nullopt) {
            due = std::min(system().now() + *left, due.value_or(time_point::max()));
        }
    }
    return due;
}

std::optional<time_point> loop_core::next_due() noexcept {
    auto due = timers_.next();
    for (const auto& other : {relief_at_, reactor_.next_look()}) {
        if (other && (!due || *other < *due)) {
            due = other;
        }
    }
    return due;
}

void loop_core::caught(std::exception_ptr problem) {
    if (on_exception_) {
        try {
            on_exception_(std::move(problem));
        } catch (...) {
            kept_ = std::current_exception();
        }
    } else if (!kept_) {
        kept_ = std::move(problem);
    }
}

bool may_use(const loop_core& core, const char* object) noexcept {
    if (!life_mark::is_at(&core)) {
        return misuse(object, "is used after its loop has gone: it must go before its loop");
    }
    return core.io().is_own_thread() ||
           misuse(object, "is used on another thread than that of its loop, which runs: "
                          "only loop::remote() is for that");
}

bool may_begin(loop_core& core, const char* object) noexcept {
    return may_use(core, object) &&
           (!core.io().is_forked() ||
            misuse(object, "of the parent is used in a forked child, which needs a loop of its "
                           "own"));
}

void loop_core::rethrow_kept() {
    if (kept_) {
        std::rethrow_exception(std::exchange(kept_, nullptr));
    }
}

} // namespace sockeye
