#include "loop/timer_queue.hpp"

#include <algorithm>
#include <new>

namespace sockeye {

timer_id timer_queue::start(time_point deadline, const timer_target& target) {
    make_room();
    const auto index = take_record();
    auto& fresh = records_[index];
    fresh.target = target;
    heap_.emplace_back();
    sift_up(static_cast<std::uint32_t>(heap_.size() - 1),
            {deadline.time_since_epoch().count(), order_++, index});
    return std::uint64_t{fresh.generation} << 32 | index;
}

/// Room for one more than are armed or due: in the heap, and for a record that can be freed
/// without memory. A few due ones can always be taken.
void timer_queue::make_room() {
    constexpr std::size_t few = 16;
    const auto needed = records_.size() - free_.size() + 1;
    if (needed > heap_.capacity()) {
        const auto room = heap_.capacity() * 2 + few;
        due_.reserve(few);
        records_.reserve(room);
        free_.reserve(room);
        heap_.reserve(room);
    }
}

bool timer_queue::cancel(timer_id id) noexcept {
    const auto* armed = find(id);
    if (armed == nullptr) {
        return false;
    }
    if (armed->position != taken) {
        remove_at(armed->position);
    }
    free_record(static_cast<std::uint32_t>(id));
    return true;
}

bool timer_queue::is_armed(timer_id id) const noexcept {
    return find(id) != nullptr;
}

std::optional<time_point> timer_queue::next() const noexcept {
    if (due_done_ != due_.size()) {
        return time_point();
    }
    if (heap_.empty()) {
        return {};
    }
    return time_point(duration(heap_.front().deadline));
}

std::size_t timer_queue::fire_due(time_point now, std::size_t budget) {
    if (due_done_ == due_.size()) {
        take_due(now, budget);
    }
    std::size_t fired = 0;
    while (due_done_ < due_.size()) {
        const auto id = due_[due_done_++];
        if (const auto* due = find(id)) {
            const auto target = due->target;
            free_record(static_cast<std::uint32_t>(id));
            ++fired;
            target.fire(target.owner, target.key);
        }
    }
    return fired;
}

/// Without memory for all of them it takes as many as there is room for: the others are due in the
/// next turn.
void timer_queue::take_due(time_point now, std::size_t budget) noexcept {
    due_.clear();
    due_done_ = 0;
    budget = std::min(budget, heap_.capacity());
    if (budget > due_.capacity()) {
        try {
            due_.reserve(budget);
        } catch (const std::bad_alloc&) {
            budget = due_.capacity();
        }
    }
    while (!heap_.empty() && heap_.front().deadline <= now.time_since_epoch().count() &&
           due_.size() < budget) {
        const auto index = heap_.front().index;
        due_.push_back(std::uint64_t{records_[index].generation} << 32 | index);
        remove_at(0);
        records_[index].position = taken;
    }
}

const timer_queue::record* timer_queue::find(timer_id id) const noexcept {
    const auto index = static_cast<std::uint32_t>(id);
    if (index >= records_.size()) {
        return nullptr;
    }
    const auto& found = records_[index];
    const bool lives =
        found.generation == static_cast<std::uint32_t>(id >> 32) && found.position != unarmed;
    return lives ? &found : nullptr;
}

/// Requires: room for it.
std::uint32_t timer_queue::take_record() noexcept {
    if (free_.empty()) {
        records_.emplace_back();
        return static_cast<std::uint32_t>(records_.size() - 1);
    }
    const auto index = free_.back();
    free_.pop_back();
    return index;
}

void timer_queue::free_record(std::uint32_t index) noexcept {
    auto& old = records_[index];
    old.position = unarmed;
    if (++old.generation == 0) {
        old.generation = 1; // 0 is the id that names none
    }
    free_.push_back(index);
}

void timer_queue::remove_at(std::uint32_t position) noexcept {
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

void timer_queue::place(std::uint32_t position, const entry& moved) noexcept {
    heap_[position] = moved;
    records_[moved.index].position = position;
}

void timer_queue::sift_up(std::uint32_t position, const entry& moved) noexcept {
    while (position > 0) {
        const auto parent = (position - 1) / 4;
        if (!is_before(moved, heap_[parent])) {
            break;
        }
        place(position, heap_[parent]);
        position = parent;
    }
    place(position, moved);
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
        place(position, heap_[least]);
        position = least;
    }
    place(position, moved);
}

} // namespace sockeye
