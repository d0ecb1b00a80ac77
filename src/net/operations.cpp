#include "net/connection.hpp"
#include "net/stream_extra.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

namespace sockeye {

// What a connection is asked to tell of once, and the close that waits for the peer's.

stream_extra& connection::extra() {
    if (state_.extra == nullptr) {
        state_.extra = new stream_extra;
    }
    return *state_.extra;
}

void connection::drop_idle_extra() noexcept {
    if (state_.extra != nullptr && !state_.extra->is_needed()) {
        delete std::exchange(state_.extra, nullptr);
    }
}

bool connection::when_sent(unique_function<void(std::error_code)> handler) {
    if (is(flag_terminal | flag_write_dead)) {
        return false;
    }
    auto& rest = extra();
    rest.waiters.push_back({0, false, std::move(handler)});
    if (state_.queue == nullptr && state_.pending_size != 0) {
        send_now({}); // only a queue is counted
    }
    rest.waiters.back().after = rest.drained + unsent();
    if (is_waiter_due()) {
        core_.io().queue_resume(place_);
    }
    return true;
}

void connection::cancel() noexcept {
    if (state_.extra != nullptr && !state_.extra->waiters.empty()) {
        for (auto& waiter : state_.extra->waiters) {
            waiter.is_cancelled = true;
        }
        core_.io().queue_resume(place_);
    }
}

/// Whether the first waiter may be told now, and not only at the end.
bool connection::is_waiter_due() const noexcept {
    const auto* const rest = state_.extra;
    if (rest == nullptr || rest->waiters.empty()) {
        return false;
    }
    const auto& first = rest->waiters.front();
    const bool is_sent =
        first.after <= rest->drained && !is(flag_connecting | flag_write_dead | flag_terminal);
    return first.is_cancelled || is_sent;
}

/// Those that are here now. Who waits again in its handler is told in the next turn, or the loop
/// would be with one connection for as long as its peer keeps up.
void connection::tell_waiters(slot& place) {
    auto left = connection(place).state_.extra->waiters.size();
    for (; left > 0 && connection(place).is_waiter_due(); --left) {
        connection link(place);
        auto& waiters = link.state_.extra->waiters;
        auto first = std::move(waiters.front());
        waiters.pop_front();
        const auto error = make_error_code(std::errc::operation_canceled);
        link.deliver([&] { first.handler(first.is_cancelled ? error : std::error_code()); });
    }
    connection(place).drop_idle_extra();
}

/// The connection is over: each of them hears what became of its bytes. No more can join.
void connection::tell_last_waiters(slot& place) {
    while (auto* const rest = connection(place).state_.extra) {
        if (rest->waiters.empty()) {
            return;
        }
        connection link(place);
        auto first = std::move(rest->waiters.front());
        rest->waiters.pop_front();
        const bool is_sent = !first.is_cancelled && link.was_sent(first.after);
        const bool is_failure = !first.is_cancelled && link.state_.failure() &&
                                link.state_.passed != deadline_kind::linger;
        const auto error = is_sent      ? std::error_code()
                           : is_failure ? link.state_.failure()
                                        : make_error_code(std::errc::operation_canceled);
        link.core_.call([&] { first.handler(error); });
    }
}

bool connection::was_sent(std::uint64_t until) const noexcept {
    return until <= state_.extra->drained && !is(flag_connecting | flag_write_dead);
}

/// So much of the queue went to the kernel.
void connection::note_drained(std::size_t count) noexcept {
    state_.queue->age.sent(count);
    if (auto* const rest = state_.extra) {
        rest->drained += count;
        if (is_waiter_due()) {
            core_.io().queue_resume(place_);
        }
    }
}

void connection::graceful_close(const graceful_options& options) {
    if (is(flag_terminal | flag_closing)) {
        return;
    }
    if (is(flag_connecting)) {
        close();
        return;
    }
    try {
        extra().discard = discarding{options.discard_max};
    } catch (const std::bad_alloc&) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return;
    }
    set(flag_closing);
    state_.reason = is(flag_read_ended) ? close_reason::ended : close_reason::closed;
    begin_phase(options.deadline);
    if (unsent() == 0) {
        output_sent();
    }
    resume_reading();
}

bool connection::is_discarding() const noexcept {
    return state_.extra != nullptr && state_.extra->discard;
}

/// What comes during a graceful close.
void connection::discard(std::size_t count) {
    auto& dropped = *state_.extra->discard;
    dropped.bytes += count;
    if (dropped.bytes > dropped.bytes_max) {
        end(close_reason::failed, make_error_code(errc::discard_limit));
    } else if (is(flag_readable)) {
        core_.io().queue_resume(place_);
    }
}

void connection::set_limits(const stream_limits& limits) {
    if (kind_.references == 1) {
        kind_.limits = limits;
    } else {
        auto own = std::make_unique<stream_kind>(kind_);
        own->limits = limits;
        own->references = 1;
        place_.operations = &own.release()->operations;
        drop_reference(kind_);
    }
    // This view may still look at the former kind.
    connection now(place_);
    if (state_.queue != nullptr && !is(flag_connecting)) {
        now.begin_waiting();
    }
    now.watch_deadlines();
}

} // namespace sockeye
