#include "reactor/slot_table.hpp"

#include <limits>

namespace sockeye {

slot& slot_table::allocate(const slot_operations& operations) {
    if (free_.empty()) {
        if (size_ == chunks_.size() * chunk_slots) {
            // Room for every slot, so that release never has to allocate.
            free_.reserve((chunks_.size() + 1) * chunk_slots);
            chunks_.push_back(std::make_unique<slot[]>(chunk_slots));
        }
        auto& fresh = chunks_[size_ / chunk_slots][size_ % chunk_slots];
        fresh.index = size_++;
        fresh.operations = &operations;
        return fresh;
    }
    auto& place = at(free_.back());
    free_.pop_back();
    place.operations = &operations;
    return place;
}

void slot_table::release(slot& place) noexcept {
    place.operations = nullptr;
    place.fd = -1;
    place.wanted = interest::none;
    place.marks = 0;
    place.flags = 0;
    if (place.generation == std::numeric_limits<std::uint32_t>::max()) {
        ++retired_;
        return;
    }
    ++place.generation;
    free_.push_back(place.index);
}

} // namespace sockeye
