#include "loop/clock_timers.hpp"

namespace sockeye {

std::error_code clock_timers::start() {
    const auto shown = core_.system().read_clock(which_);
    if (!shown) {
        return shown.error();
    }
    last_ = time_point(*shown);
    queue_.fire_due(last_, 0);
    set_up_alarm();
    return {};
}

void clock_timers::set_up_alarm() {
    static constexpr slot_operations operations = {
        .ready = on_alarm, .resume = {}, .flush = {}, .finish = {}, .destroy = on_loop_end};
    auto alarm = core_.system().make_alarm(which_);
    if (!alarm) {
        return;
    }
    auto& place = core_.io().allocate(operations);
    place.emplace<clock_timers*>(this);
    place.fd = alarm->get();
    alarm_ = std::move(alarm.value());
    key_ = key_of(place);
    if (core_.io().watch(place, interest::readable)) {
        free_slot();
    }
}

clock_timers::~clock_timers() {
    free_slot();
}

void clock_timers::free_slot() noexcept {
    if (auto* const place = core_.io().find(std::exchange(key_, 0))) {
        core_.io().unwatch(*place);
        place->fd = -1;
        core_.io().release(*place);
    }
    alarm_.reset();
}

void clock_timers::on_alarm(slot& place, const event&) {
    auto& self = *place.as<clock_timers*>();
    self.core_.system().drain(place.fd);
    self.set_for_ = duration::max();
}

void clock_timers::on_loop_end(slot& place) noexcept {
    place.as<clock_timers*>()->free_slot();
}

time_point clock_timers::now() noexcept {
    if (const auto shown = core_.system().read_clock(which_)) {
        last_ = time_point(*shown);
    }
    return last_;
}

std::optional<duration> clock_timers::time_to_wait() noexcept {
    if (key_ == 0) {
        return time_left();
    }
    const auto next = queue_.next();
    const auto wanted = next ? next->time_since_epoch() : duration::max();
    if (wanted == set_for_) {
        return {};
    }
    if (core_.system().set_alarm(alarm_.get(), which_, wanted)) {
        return time_left();
    }
    set_for_ = wanted;
    return {};
}

std::optional<duration> clock_timers::time_left() noexcept {
    constexpr duration look_period = std::chrono::seconds(1);
    const auto next = queue_.next();
    if (!next) {
        return {};
    }
    const auto shown = now();
    return *next <= shown ? duration::zero() : std::min(*next - shown, look_period);
}

std::size_t clock_timers::run(std::size_t budget, lag_histogram& lag) {
    return queue_.size() == 0 ? 0 : queue_.fire_due(now(), budget, &lag);
}

} // namespace sockeye
