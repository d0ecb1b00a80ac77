#include "reactor/slot_table.hpp"

namespace sockeye {

slot& slot_table::allocate(const slot_operations& operations) {
    if (free_ == none) {
        if (size_ == chunks_.size() * chunk_slots) {
            chunks_.push_back(std::make_unique<chunk>());
        }
        const auto fresh = size_++;
        at(fresh).index = fresh;
        free_ = fresh;
        next(slot_mark::in_ring, fresh) = none;
    }
    auto& place = at(free_);
    free_ = next(slot_mark::in_ring, free_);
    place.operations = &operations;
    ++used_;
    return place;
}

void slot_table::release(slot& place) noexcept {
    assert(place.earlier == 0);
    place.operations = nullptr;
    place.fd = -1;
    place.wanted = interest::none;
    place.clear(slot_mark::watched);
    place.flags = 0;
    ++place.generation;
    --used_;
    put_back(place);
}

/// Generation 0 comes after the last one.
void slot_table::put_back(slot& place) noexcept {
    if (place.marks == 0 && place.generation != 0) {
        next(slot_mark::in_ring, place.index) = std::exchange(free_, place.index);
    }
}

} // namespace sockeye
