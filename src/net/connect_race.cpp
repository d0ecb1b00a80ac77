#include "net/connect_race.hpp"

#include "base/memory.hpp"
#include "net/connecting.hpp"
#include "net/connection.hpp"
#include "net/look_up.hpp"
#include "net/stream_extra.hpp"

#include <algorithm>
#include <new>

namespace sockeye {
namespace {

/// One attempt, in a slot of its own.
struct attempt_state {
    loop_core& core;
    slot_key owner; ///< the connection
    std::size_t number;
    time_point began;
};

/// Families in turn, beginning with that of the first one; the order within each stays.
/// See: RFC 8305 section 4.
std::vector<connect_attempt> in_turn(const std::vector<endpoint>& found) {
    std::vector<connect_attempt> ordered(found.size());
    auto first = found.begin();
    auto other = found.begin();
    const auto family = found.front().family();
    const auto next = [&](auto& at, bool is_first) {
        at = std::find_if(at, found.end(), [&](const endpoint& one) {
            return (one.family() == family) == is_first;
        });
        return at != found.end();
    };
    for (auto& one : ordered) {
        const bool is_turn_of_first = (&one - ordered.data()) % 2 == 0;
        const bool has_first = next(first, true);
        const bool has_other = next(other, false);
        one.peer = has_first && (is_turn_of_first || !has_other) ? *first++ : *other++;
    }
    return ordered;
}

/// The connection that `attempt` is for, as long as it may come up.
slot* owner_of(slot& attempt) noexcept {
    const auto& state = attempt.as<attempt_state>();
    auto* const owner = state.core.io().find(state.owner);
    return owner != nullptr && !connection(*owner).is(flag_terminal) ? owner : nullptr;
}

connect_race& race_of(slot& owner) noexcept {
    return *connection(owner).state().extra->connecting->race;
}

/// Gives up, where that finds no memory.
template <typename Act>
void with_memory(slot& owner, Act&& act) {
    try {
        act();
    } catch (const std::bad_alloc&) {
        connecting_state::fail(owner, make_error_code(std::errc::not_enough_memory));
    }
}

} // namespace

const slot_operations connect_race::operations = {
    .ready = on_ready, .resume = on_resume, .flush = {}, .finish = close, .destroy = close};

connect_race::connect_race(slot& owner, const connect_options& options)
    : core_(*stream_access::core(owner.as<stream_state>().self)), owner_(owner), options_(options) {
}

connect_race::~connect_race() {
    drop_look_up(core_, look_up_);
    core_.timers().cancel(next_due_);
    for (const auto key : running_) {
        if (auto* const attempt = core_.io().find(key)) {
            retire(*attempt);
        }
    }
}

void connect_race::look_up(const endpoint_argument& host, duration deadline) {
    const look_up_options options = {.deadline = deadline, .family = options_.family};
    look_up_ = start_look_up(core_, host, options,
                             [&core = core_, owner = key_of(owner_)](const auto& found) {
                                 on_answer(core, owner, found);
                             });
}

/// The look-up goes with the connection, so that there is one here.
void connect_race::on_answer(loop_core& core, slot_key owner,
                             const result<std::vector<endpoint>>& found) {
    auto& place = *core.io().find(owner);
    if (connection(place).is(flag_terminal)) {
        return;
    }
    if (!found) {
        connecting_state::fail(place, found.error());
    } else if (found->size() == 1) {
        auto& state = *connection(place).state().extra->connecting;
        const auto race = std::move(state.race);
        connecting_state::begin(place, found->front(), race->options_);
    } else {
        with_memory(place, [&] { race_of(place).start(*found); });
    }
}

void connect_race::start(std::vector<endpoint> found) {
    attempts_ = in_turn(found);
    running_.reserve(attempts_max);
    start_next();
}

/// The next attempt that the system does not refuse at once; where there is none, and none is
/// under way, nothing is left to wait for.
void connect_race::start_next() {
    core_.timers().cancel(std::exchange(next_due_, 0));
    while (started_ < attempts_.size()) {
        if (running_.size() == attempts_max) {
            give_up(*core_.io().find(running_.front()), make_error_code(std::errc::timed_out));
        }
        const auto number = started_++;
        const auto error = without_throwing([&] { return start_one(number); });
        if (!error) {
            wait_for_next();
            return;
        }
        attempts_[number].error = error;
        last_error_ = error;
    }
    if (running_.empty()) {
        connecting_state::fail(owner_, last_error_);
    }
}

void connect_race::wait_for_next() {
    if (started_ < attempts_.size()) {
        next_due_ = core_.start_timer(options_.attempt_delay, {on_delay, &core_, key_of(owner_)});
    }
}

std::error_code connect_race::start_one(std::size_t number) {
    auto& system = core_.system();
    const auto& peer = attempts_[number].peer;
    auto fd = open_socket(system, peer, options_);
    if (!fd) {
        return fd.error();
    }
    auto& io = core_.io();
    auto& attempt = io.allocate(operations);
    attempt.emplace<attempt_state>(core_, key_of(owner_), number, system.now());
    attempt.fd = fd->release();
    auto error = system.connect(attempt.fd, peer);
    const bool is_up = !error;
    if (is_up || error == std::errc::operation_in_progress) {
        error = io.watch(attempt, interest::writable);
    }
    if (error) {
        retire(attempt);
        return error;
    }
    running_.push_back(key_of(attempt));
    if (is_up) {
        io.queue_resume(attempt);
    }
    return {};
}

void connect_race::on_delay(void* core, std::uint64_t owner) {
    auto* const place = static_cast<loop_core*>(core)->io().find(owner);
    if (place == nullptr || connection(*place).is(flag_terminal)) {
        return;
    }
    auto& race = race_of(*place);
    race.next_due_ = 0;
    with_memory(*place, [&] { race.start_next(); });
}

void connect_race::on_ready(slot& attempt, const event&) {
    on_resume(attempt);
}

void connect_race::on_resume(slot& attempt) {
    auto* const owner = owner_of(attempt);
    if (owner == nullptr || !attempt.has(slot_mark::watched)) {
        return; // given up in this turn
    }
    auto& race = race_of(*owner);
    const auto outcome = outcome_of(race.core_.system(), attempt.fd, transport::tcp);
    if (!outcome) {
        return; // told too early: wait on
    }
    if (!*outcome) {
        win(attempt);
        return;
    }
    race.give_up(attempt, *outcome);
    with_memory(*owner, [&] { race.start_next(); });
}

void connect_race::give_up(slot& attempt, std::error_code error) noexcept {
    const auto& state = attempt.as<attempt_state>();
    auto& report = attempts_[state.number];
    report.error = error;
    report.took = core_.system().now() - state.began;
    last_error_ = error;
    std::erase(running_, key_of(attempt));
    retire(attempt);
}

/// Its socket moves to the connection, which then is one like any other; the race goes.
void connect_race::win(slot& attempt) {
    auto& owner = *owner_of(attempt);
    auto& io = attempt.as<attempt_state>().core.io();
    io.unwatch(attempt);
    owner.fd = std::exchange(attempt.fd, -1);
    connection link(owner);
    if (const auto error = link.watch()) {
        connecting_state::fail(owner, error);
    } else {
        link.come_up();
    }
}

/// Over: closed when the events of this turn are through.
void connect_race::retire(slot& attempt) noexcept {
    auto& io = attempt.as<attempt_state>().core.io();
    io.unwatch(attempt);
    io.queue_finish(attempt);
}

void connect_race::close(slot& attempt) noexcept {
    auto& io = attempt.as<attempt_state>().core.io();
    io.close(attempt);
    io.release(attempt);
}

std::span<const connect_attempt> connect_race::report(std::error_code reason) noexcept {
    while (!running_.empty()) {
        give_up(*core_.io().find(running_.back()), reason);
    }
    return std::span(attempts_).first(started_);
}

} // namespace sockeye
