#include "reactor/slot_wheel.hpp"

#include <algorithm>
#include <utility>

namespace sockeye {

void slot_wheel::join(slot& place, tick when) noexcept {
    leave(place);
    if (when <= now_) {
        push(place, due);
        return;
    }
    const auto level = static_cast<unsigned>(std::bit_width(when ^ now_) - 1) / level_bits;
    const auto at = static_cast<std::uint32_t>(when >> level * level_bits) % level_size;
    push(place, level * level_size + at);
    used_[level] |= std::uint64_t{1} << at;
    used_levels_ |= 1U << level;
}

void slot_wheel::push(slot& place, std::uint32_t list) noexcept {
    place.later = first_[list];
    if (place.later != 0) {
        slots_.at(place.later - 1).earlier = place.index + 1;
    }
    place.earlier = is_first | list;
    first_[list] = place.index + 1;
}

void slot_wheel::leave(slot& place) noexcept {
    if (place.earlier == 0) {
        return;
    }
    if (place.later != 0) {
        slots_.at(place.later - 1).earlier = place.earlier;
    }
    if ((place.earlier & is_first) == 0) {
        slots_.at(place.earlier - 1).later = place.later;
    } else {
        const auto list = place.earlier & ~is_first;
        first_[list] = place.later;
        if (place.later == 0 && list != due) {
            const auto level = list / level_size;
            used_[level] &= ~(std::uint64_t{1} << list % level_size);
            used_levels_ &= ~(used_[level] == 0 ? 1U << level : 0U);
        }
    }
    place.earlier = 0;
    place.later = 0;
}

/// What stands in a lower level comes before all that stands in a higher one.
std::optional<tick> slot_wheel::next() const noexcept {
    if (first_[due] != 0) {
        return now_;
    }
    if (used_levels_ == 0) {
        return {};
    }
    const auto level = static_cast<unsigned>(std::countr_zero(used_levels_));
    const auto shift = level * level_bits;
    const auto at = static_cast<tick>(std::countr_zero(used_[level]));
    const auto higher = now_ >> shift >> level_bits << level_bits;
    return (higher | at) << shift;
}

/// Moves on to the next list, or to `now` where there is none before.
void slot_wheel::take_due(tick now) noexcept {
    const auto coming = next();
    if (!coming || *coming > now) {
        now_ = std::max(now_, now);
        return;
    }
    now_ = *coming;
    const auto level = static_cast<unsigned>(std::countr_zero(used_levels_));
    const auto at = static_cast<unsigned>(std::countr_zero(used_[level]));
    auto& first = first_[level * level_size + at];
    slots_.at(first - 1).earlier = is_first | due;
    first_[due] = std::exchange(first, 0);
    used_[level] &= used_[level] - 1;
    used_levels_ &= ~(used_[level] == 0 ? 1U << level : 0U);
}

void slot_wheel::advance(tick now, std::size_t budget) {
    while (budget > 0 && (first_[due] != 0 || now_ < now)) {
        if (first_[due] == 0) {
            take_due(now);
            continue;
        }
        --budget;
        auto& place = slots_.at(first_[due] - 1);
        leave(place);
        place.operations->look(place);
    }
}

} // namespace sockeye
