#include "loop/timer_queue.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace sockeye {

timer_queue::timer_queue() {
    firsts_.fill(none);
}

timer_id timer_queue::start(time_point deadline, const timer_target& target) {
    const auto index = take_record(target);
    arm(index, deadline);
    return id_of(index);
}

timer_id timer_queue::keep(const timer_target& target) {
    const auto index = take_record(target);
    records_[index].generation |= is_kept;
    return id_of(index);
}

void timer_queue::release(timer_id id) noexcept {
    cancel(id);
    free_record(static_cast<std::uint32_t>(id));
}

bool timer_queue::restart(timer_id id, time_point deadline) noexcept {
    const auto* found = find(id);
    if (found == nullptr) {
        return false;
    }
    const auto index = static_cast<std::uint32_t>(id);
    const bool was_armed = found->next != unarmed;
    if (was_armed) {
        disarm(index);
    }
    arm(index, deadline);
    return was_armed;
}

bool timer_queue::cancel(timer_id id) noexcept {
    if (!is_armed(id)) {
        return false;
    }
    const auto index = static_cast<std::uint32_t>(id);
    disarm(index);
    now_idle(index);
    return true;
}

bool timer_queue::is_armed(timer_id id) const noexcept {
    const auto* found = find(id);
    return found != nullptr && found->next != unarmed;
}

std::optional<time_point> timer_queue::next() noexcept {
    if (firsts_[due_list] != none) {
        return time_point();
    }
    if (size_ == 0) {
        return {};
    }
    find_earliest();
    return time_point(duration(heap_.empty() ? earliest_ : heap_.front().deadline));
}

std::size_t timer_queue::fire_due(time_point now, std::size_t budget, lag_histogram* lag) {
    if (firsts_[due_list] == none) {
        take_due(now, budget, lag);
    }
    std::size_t fired = 0;
    while (firsts_[due_list] != none) {
        const auto index = firsts_[due_list];
        const auto target = records_[index].target;
        unlink(records_[index]);
        --size_;
        now_idle(index);
        ++fired;
        target.fire(target.owner, target.key);
    }
    return fired;
}

void timer_queue::take_due(time_point now, std::size_t budget, lag_histogram* lag) noexcept {
    auto last = none;
    for (std::size_t taken = 0; fill_heap(now) && taken < budget; ++taken) {
        if (heap_.front().deadline > now.time_since_epoch().count()) {
            break;
        }
        const auto index = heap_.front().index;
        remove_from_heap(0);
        auto& due = records_[index];
        platform::prefetch(due.target.owner);
        if (lag != nullptr) {
            lag->add(now - std::max(time_point(), time_point(duration(due.deadline))));
        }
        if (last == none) {
            link(index, due_list);
        } else {
            due.next = none;
            due.previous = last;
            records_[last].next = index;
        }
        last = index;
    }
}

/// Brings the first of the wheel into the heap where that is empty, as far as they may be due at
/// `now`. False where there are none; then the wheel stands at `now`.
bool timer_queue::fill_heap(time_point now) noexcept {
    const auto last_tick = now.time_since_epoch().count() >> tick_bits;
    while (heap_.empty()) {
        const auto list = first_list();
        if (list == due_list || static_cast<std::int64_t>(first_tick_of(list)) > last_tick) {
            if (static_cast<std::int64_t>(tick_) < last_tick) {
                move_to(static_cast<std::uint64_t>(last_tick));
            }
            return false;
        }
        open(list);
    }
    return true;
}

/// A short list is looked through; a long one is spread over the levels below, which cannot come
/// too early for anybody: nothing is before it.
void timer_queue::find_earliest() noexcept {
    constexpr int looked_at_max = 16;
    while (heap_.empty() && !is_earliest_known_) {
        const auto list = first_list();
        auto index = firsts_[list];
        earliest_ = records_[index].deadline;
        for (int looked_at = 0; index != none && looked_at < looked_at_max; ++looked_at) {
            earliest_ = std::min(earliest_, records_[index].deadline);
            index = records_[index].next;
        }
        if (index == none) {
            is_earliest_known_ = true;
        } else {
            open(list);
        }
    }
}

/// `due_list` where the wheel is empty. A level has only digits that are still to come, and all of
/// it is due before the levels above.
std::uint32_t timer_queue::first_list() const noexcept {
    for (std::uint32_t level = 0; level < levels; ++level) {
        if (occupied_[level] != 0) {
            return level * lists_per_level +
                   static_cast<std::uint32_t>(std::countr_zero(occupied_[level]));
        }
    }
    return due_list;
}

std::uint64_t timer_queue::first_tick_of(std::uint32_t list) const noexcept {
    const auto level = list / lists_per_level;
    const auto above = tick_ >> (level + 1) * digit_bits << (level + 1) * digit_bits;
    return above | std::uint64_t{list % lists_per_level} << level * digit_bits;
}

/// Requires: the first list.
void timer_queue::open(std::uint32_t list) noexcept {
    const auto tick = first_tick_of(list);
    if (list >= lists_per_level) {
        move_to(tick);
        return;
    }
    for (auto index = take_list(list); index != none;) {
        push_heap(std::exchange(index, records_[index].next));
    }
    is_earliest_known_ = false;
    move_to(tick + 1);
}

/// Requires: nothing in the wheel is before `tick`.
void timer_queue::move_to(std::uint64_t tick) noexcept {
    const auto changed = tick ^ std::exchange(tick_, tick);
    for (std::uint32_t level = 1; level < levels && changed >> level * digit_bits != 0; ++level) {
        const auto digit = digit_of(tick, level);
        if ((occupied_[level] >> digit & 1) == 0) {
            continue;
        }
        for (auto index = take_list(level * lists_per_level + digit); index != none;) {
            place(std::exchange(index, records_[index].next));
        }
    }
}

void timer_queue::arm(std::uint32_t index, time_point deadline) noexcept {
    auto& armed = records_[index];
    armed.deadline = deadline.time_since_epoch().count();
    armed.order = order_++;
    ++size_;
    place(index);
}

/// Into the heap or the wheel, by its deadline.
void timer_queue::place(std::uint32_t index) noexcept {
    const auto deadline = records_[index].deadline;
    const auto tick = static_cast<std::uint64_t>(deadline >> tick_bits);
    if (deadline < 0 || tick < tick_) {
        push_heap(index);
        return;
    }
    const auto highest = static_cast<unsigned>(std::bit_width((tick ^ tick_) | 1)) - 1;
    const auto level = highest / digit_bits;
    link(index, level * lists_per_level + digit_of(tick, level));
    earliest_ = std::min(earliest_, deadline);
}

/// From wherever it stands.
void timer_queue::disarm(std::uint32_t index) noexcept {
    const auto& armed = records_[index];
    --size_;
    if (armed.next == in_heap) {
        remove_from_heap(armed.previous);
        return;
    }
    unlink(armed);
    is_earliest_known_ = is_earliest_known_ && armed.deadline != earliest_;
}

void timer_queue::link(std::uint32_t index, std::uint32_t list) noexcept {
    auto& fresh = records_[index];
    fresh.previous = is_first | list;
    fresh.next = std::exchange(firsts_[list], index);
    if (fresh.next != none) {
        records_[fresh.next].previous = index;
    }
    occupied_[list / lists_per_level] |= std::uint64_t{1} << list % lists_per_level;
}

void timer_queue::unlink(const record& old) noexcept {
    if (old.next != none) {
        records_[old.next].previous = old.previous;
    }
    if ((old.previous & is_first) == 0) {
        records_[old.previous].next = old.next;
        return;
    }
    const auto list = old.previous & ~is_first;
    firsts_[list] = old.next;
    if (old.next == none) {
        occupied_[list / lists_per_level] &= ~(std::uint64_t{1} << list % lists_per_level);
    }
}

/// The first one of a list that is now empty; the others hang behind it.
std::uint32_t timer_queue::take_list(std::uint32_t list) noexcept {
    occupied_[list / lists_per_level] &= ~(std::uint64_t{1} << list % lists_per_level);
    return std::exchange(firsts_[list], none);
}

/// The record of that name, armed or kept. Free ones have even generations.
const timer_queue::record* timer_queue::find(timer_id id) const noexcept {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= records_.size()) {
        return nullptr;
    }
    const auto& found = records_[index];
    const auto generation = static_cast<std::uint32_t>(id >> 32);
    return found.generation == generation && generation % 2 != 0 ? &found : nullptr;
}

/// With room for it in the heap as well.
std::uint32_t timer_queue::take_record(const timer_target& target) {
    auto index = free_;
    if (index != none) {
        free_ = records_[index].previous;
    } else {
        if (records_.size() == records_.capacity()) {
            constexpr std::size_t few = 16;
            const auto room = records_.capacity() * 2 + few;
            heap_.reserve(room);
            records_.reserve(room);
        }
        index = static_cast<std::uint32_t>(records_.size());
        records_.emplace_back();
    }
    auto& fresh = records_[index];
    ++fresh.generation;
    fresh.target = target;
    return index;
}

/// Requires: not armed.
void timer_queue::free_record(std::uint32_t index) noexcept {
    auto& old = records_[index];
    old.generation = (old.generation + 1) & ~is_kept;
    old.previous = std::exchange(free_, index);
}

/// It is not armed any more.
void timer_queue::now_idle(std::uint32_t index) noexcept {
    records_[index].next = unarmed;
    if ((records_[index].generation & is_kept) == 0) {
        free_record(index);
    }
}

/// Requires: room for it, which every record has.
void timer_queue::push_heap(std::uint32_t index) noexcept {
    auto& pushed = records_[index];
    pushed.next = in_heap;
    heap_.emplace_back();
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1), {pushed.deadline, pushed.order, index});
}

void timer_queue::remove_from_heap(std::uint32_t position) noexcept {
    const auto last = heap_.back();
    heap_.pop_back();
    if (position == heap_.size()) {
        return;
    }
    const bool goes_up = position > 0 && is_before(last, heap_[(position - 1) / 4]);
    if (goes_up) {
        sift_up(position, last);
    } else {
        sift_down(position, last);
    }
}

void timer_queue::settle(std::uint32_t position, const entry& moved) noexcept {
    heap_[position] = moved;
    records_[moved.index].previous = position;
}

void timer_queue::sift_up(std::uint32_t position, const entry& moved) noexcept {
    while (position > 0) {
        const auto parent = (position - 1) / 4;
        if (!is_before(moved, heap_[parent])) {
            break;
        }
        settle(position, heap_[parent]);
        position = parent;
    }
    settle(position, moved);
}

void timer_queue::sift_down(std::uint32_t position, const entry& moved) noexcept {
    const auto size = static_cast<std::uint32_t>(heap_.size());
    for (;;) {
        const auto first = position * 4 + 1;
        if (first >= size) {
            break;
        }
        auto least = first;
        for (auto child = first + 1; child < std::min(first + 4, size); ++child) {
            if (is_before(heap_[child], heap_[least])) {
                least = child;
            }
        }
        if (!is_before(heap_[least], moved)) {
            break;
        }
        settle(position, heap_[least]);
        position = least;
    }
    settle(position, moved);
}

} // namespace sockeye
