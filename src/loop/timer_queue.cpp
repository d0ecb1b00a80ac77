#include "loop/timer_queue.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <bit>
#include <limits>
#include <utility>

namespace sockeye {
namespace {

/// Of a timer that fires soon: what its target reads first.
void prefetch_owner(const void* owner) noexcept {
    constexpr std::size_t cache_line = 64;
    platform::prefetch(owner);
    platform::prefetch(static_cast<const std::byte*>(owner) + cache_line);
}

} // namespace

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
    const bool was_armed = found->where != unarmed;
    if (was_armed && !moves_within_list(records_[index], deadline.time_since_epoch().count())) {
        disarm(index);
        arm(index, deadline);
    } else if (!was_armed) {
        arm(index, deadline);
    }
    return was_armed;
}

/// A list has no order: who stays in the same one does not move. False where it has to.
bool timer_queue::moves_within_list(record& armed, std::int64_t deadline) noexcept {
    if (armed.where >= no_list || armed.where != list_of(deadline)) {
        return false;
    }
    is_earliest_known_ = is_earliest_known_ && armed.deadline != earliest_;
    earliest_ = std::min(earliest_, deadline);
    armed.deadline = deadline;
    armed.order = order_++;
    return true;
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
    return found != nullptr && found->where != unarmed;
}

std::optional<time_point> timer_queue::next() noexcept {
    if (due_done_ != due_.size()) {
        return time_point();
    }
    if (size_ == 0) {
        return {};
    }
    find_earliest();
    if (heap_leads()) {
        return time_point(duration(heap_.front().deadline));
    }
    const auto tick_begins = static_cast<std::int64_t>(tick_ << tick_bits);
    return time_point(duration(is_earliest_known_ ? earliest_ : tick_begins));
}

std::size_t timer_queue::fire_due(time_point now, std::size_t budget, lag_histogram* lag) {
    if (due_done_ == due_.size()) {
        take_due(now, budget, lag);
    }
    std::size_t fired = 0;
    while (due_done_ != due_.size()) {
        const auto index = due_[due_done_++];
        if (index == none) {
            continue;
        }
        const auto target = targets_[index];
        --size_;
        now_idle(index);
        ++fired;
        target.fire(target.owner, target.key);
    }
    return fired;
}

void timer_queue::take_due(time_point now, std::size_t budget, lag_histogram* lag) noexcept {
    const auto ends = now.time_since_epoch().count();
    const auto last_tick = static_cast<std::uint64_t>(std::max<std::int64_t>(ends, 0) >> tick_bits);
    auto moves = moves_per_call + budget * moves_per_timer;
    due_.clear();
    due_done_ = 0;
    while (fill_heap(last_tick, moves) && due_.size() < budget && heap_.front().deadline <= ends) {
        const auto index = heap_.front().index;
        remove_from_heap(0);
        prefetch_owner(targets_[index].owner);
        auto& due = records_[index];
        if (lag != nullptr) {
            lag->add(now - std::max(time_point(), time_point(duration(due.deadline))));
        }
        due.where = is_due;
        due.place = static_cast<std::uint32_t>(due_.size());
        due_.push_back(index);
    }
}

/// Whether the first of the heap is before all of the wheel.
bool timer_queue::heap_leads() const noexcept {
    return !heap_.empty() && heap_.front().deadline >> tick_bits < static_cast<std::int64_t>(tick_);
}

/// Brings the first of the wheel into the heap where that has no earlier ones, as far as they may
/// be due before the end of `last_tick`. False where there are none, and then the wheel stands
/// there, or where `moves` did not suffice.
bool timer_queue::fill_heap(std::uint64_t last_tick, std::size_t& moves) noexcept {
    while (!heap_leads()) {
        if (opened_ == no_list) {
            const auto list = first_list();
            if (list == no_list || first_tick_of(list) > last_tick) {
                tick_ = std::max(tick_, last_tick);
                return false;
            }
            open_first();
        }
        if (!work_off_opened(moves)) {
            return false;
        }
    }
    return true;
}

/// A short list is looked through; a long one is spread over the levels below, which cannot come
/// too early for anybody: nothing is before it.
void timer_queue::find_earliest() noexcept {
    auto moves = moves_per_call;
    while (!heap_leads() && !is_earliest_known_) {
        if (opened_ == no_list) {
            const auto& list = lists_[first_list()];
            const auto& items = chunks_[list.first];
            if (items.next == none) {
                earliest_ = std::numeric_limits<std::int64_t>::max();
                for (std::uint32_t item = 0; item < list.count; ++item) {
                    const auto index = items.items[item];
                    earliest_ =
                        index == none ? earliest_ : std::min(earliest_, records_[index].deadline);
                }
                is_earliest_known_ = true;
                return;
            }
            open_first();
        }
        if (!work_off_opened(moves)) {
            return;
        }
    }
}

/// `no_list` where the wheel is empty. A level has only digits that are still to come, and all of
/// it is due before the levels above.
std::uint32_t timer_queue::first_list() const noexcept {
    for (std::uint32_t level = 0; level < levels; ++level) {
        if (occupied_[level] != 0) {
            return level * lists_per_level +
                   static_cast<std::uint32_t>(std::countr_zero(occupied_[level]));
        }
    }
    return no_list;
}

std::uint64_t timer_queue::first_tick_of(std::uint32_t list) const noexcept {
    const auto level = list / lists_per_level;
    const auto above = tick_ >> (level + 1) * digit_bits << (level + 1) * digit_bits;
    return above | std::uint64_t{list % lists_per_level} << level * digit_bits;
}

/// Requires: no list is open, and the wheel is not empty.
void timer_queue::open_first() noexcept {
    opened_ = first_list();
    tick_ = first_tick_of(opened_);
    is_earliest_known_ = is_earliest_known_ && opened_ >= lists_per_level;
}

/// Moves what the opened list has to where it belongs by now. False where `moves` did not suffice.
bool timer_queue::work_off_opened(std::size_t& moves) noexcept {
    const bool is_last_level = opened_ < lists_per_level;
    while (lists_[opened_].first != none) {
        if (moves == 0) {
            return false;
        }
        const auto index = take_last(opened_);
        if (index == none) {
            continue;
        }
        --moves;
        ++moves_;
        if (is_last_level) {
            platform::prefetch(&targets_[index]);
            push_heap(index);
        } else {
            place(index);
        }
    }
    opened_ = no_list;
    if (is_last_level) {
        move_to(tick_ + 1);
    }
    return true;
}

/// Requires: nothing in the wheel is before `tick`.
void timer_queue::move_to(std::uint64_t tick) noexcept {
    const auto changed = tick ^ std::exchange(tick_, tick);
    for (std::uint32_t level = 1; level < levels && changed >> level * digit_bits != 0; ++level) {
        const auto digit = digit_of(tick, level);
        if ((occupied_[level] >> digit & 1) != 0) {
            opened_ = level * lists_per_level + digit; // of one level only: those below are empty
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
    const auto list = list_of(deadline);
    if (list == no_list) {
        push_heap(index);
        return;
    }
    link(index, list);
    earliest_ = std::min(earliest_, deadline);
}

/// `no_list` for what belongs into the heap.
std::uint32_t timer_queue::list_of(std::int64_t deadline) const noexcept {
    const auto signed_tick = deadline >> tick_bits;
    if (signed_tick < static_cast<std::int64_t>(tick_)) {
        return no_list;
    }
    const auto tick = static_cast<std::uint64_t>(signed_tick);
    const auto highest = static_cast<unsigned>(std::bit_width((tick ^ tick_) | 1)) - 1;
    const auto level = highest / digit_bits;
    return level * lists_per_level + digit_of(tick, level);
}

/// From wherever it stands.
void timer_queue::disarm(std::uint32_t index) noexcept {
    const auto& armed = records_[index];
    --size_;
    if (armed.where == in_heap) {
        remove_from_heap(armed.place);
    } else if (armed.where == is_due) {
        due_[armed.place] = none;
    } else {
        unlink(armed);
        is_earliest_known_ = is_earliest_known_ && armed.deadline != earliest_;
    }
}

void timer_queue::link(std::uint32_t index, std::uint32_t list) noexcept {
    auto& head = lists_[list];
    if (head.count == items_per_chunk) {
        add_chunk(list);
    }
    auto& first = chunks_[head.first];
    auto& linked = records_[index];
    linked.where = list;
    linked.place = head.first * places_per_chunk + head.count;
    first.items[head.count++] = index;
    ++first.live;
}

void timer_queue::unlink(const record& old) noexcept {
    const auto left = old.place / places_per_chunk;
    chunks_[left].items[old.place % places_per_chunk] = none;
    if (--chunks_[left].live == 0) {
        drop_chunk(left, old.where);
    }
}

/// Takes away the last item of the first chunk, and says what that was. Requires: there is one.
std::uint32_t timer_queue::take_last(std::uint32_t list) noexcept {
    auto& head = lists_[list];
    auto& first = chunks_[head.first];
    const auto index = first.items[--head.count];
    if (index != none && --first.live == 0) {
        drop_chunk(head.first, list);
        prefetch_behind(head.first);
    }
    return index;
}

/// Requires: room for it, which there is for one for every record.
void timer_queue::add_chunk(std::uint32_t list) noexcept {
    auto& head = lists_[list];
    auto fresh = free_chunk_;
    if (fresh != none) {
        free_chunk_ = chunks_[fresh].next;
        if (const auto one_of_the_next = chunks_[fresh].previous; one_of_the_next != none) {
            platform::prefetch(&chunks_[one_of_the_next]);
        }
    } else {
        fresh = static_cast<std::uint32_t>(chunks_.size());
        chunks_.emplace_back();
    }
    if (head.first != none) {
        chunks_[head.first].previous = fresh;
    }
    chunks_[fresh].next = std::exchange(head.first, fresh);
    chunks_[fresh].previous = none;
    chunks_[fresh].live = 0;
    head.count = 0;
    occupied_[list / lists_per_level] |= std::uint64_t{1} << list % lists_per_level;
}

/// Requires: nobody is left in it.
void timer_queue::drop_chunk(std::uint32_t dropped, std::uint32_t list) noexcept {
    const auto [next, previous] = std::pair(chunks_[dropped].next, chunks_[dropped].previous);
    chunks_[dropped].previous = free_chunk_ == none ? none : chunks_[free_chunk_].next;
    chunks_[dropped].next = std::exchange(free_chunk_, dropped);
    if (next != none) {
        chunks_[next].previous = previous;
    }
    if (previous != none) {
        chunks_[previous].next = next;
        return;
    }
    lists_[list] = {next, items_per_chunk};
    if (next == none) {
        occupied_[list / lists_per_level] &= ~(std::uint64_t{1} << list % lists_per_level);
    }
}

/// What is needed when that chunk and the one behind it have been worked off: memory is slow.
void timer_queue::prefetch_behind(std::uint32_t first) const noexcept {
    const auto second = first == none ? none : chunks_[first].next;
    const auto third = second == none ? none : chunks_[second].next;
    if (third == none) {
        return;
    }
    for (const auto index : chunks_[third].items) {
        if (index != none) {
            platform::prefetch(&records_[index]);
        }
    }
    if (const auto fourth = chunks_[third].next; fourth != none) {
        platform::prefetch(&chunks_[fourth]);
    }
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

std::uint32_t timer_queue::take_record(const timer_target& target) {
    auto index = free_;
    if (index != none) {
        free_ = records_[index].place;
    } else {
        if (records_.size() == records_.capacity()) {
            constexpr std::size_t few = 16;
            reserve(records_.capacity() * 2 + few);
        }
        index = static_cast<std::uint32_t>(records_.size());
        records_.emplace_back();
        targets_.emplace_back();
    }
    ++records_[index].generation;
    targets_[index] = target;
    return index;
}

/// Room for that many, wherever they will be.
void timer_queue::reserve(std::size_t room) {
    heap_.reserve(room);
    due_.reserve(room);
    chunks_.reserve(room);
    targets_.reserve(room);
    records_.reserve(room);
}

/// Requires: not armed.
void timer_queue::free_record(std::uint32_t index) noexcept {
    auto& old = records_[index];
    old.generation = (old.generation + 1) & ~is_kept;
    old.place = std::exchange(free_, index);
}

/// It is not armed any more.
void timer_queue::now_idle(std::uint32_t index) noexcept {
    records_[index].where = unarmed;
    if ((records_[index].generation & is_kept) == 0) {
        free_record(index);
    }
}

/// Requires: room for it, which every record has.
void timer_queue::push_heap(std::uint32_t index) noexcept {
    auto& pushed = records_[index];
    pushed.where = in_heap;
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
    records_[moved.index].place = position;
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
