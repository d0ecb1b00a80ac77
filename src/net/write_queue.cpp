#include "net/write_queue.hpp"

#include <algorithm>
#include <cassert>
#include <cstring>

namespace sockeye {

void write_queue::append(bytes data) {
    if (data.empty()) {
        return; // there may be no memory yet that memcpy could be given
    }
    if (data.size() > capacity_ - end_) {
        make_room(data.size());
    }
    std::memcpy(memory_.get() + end_, data.data(), data.size());
    end_ += data.size();
}

void write_queue::consume(std::size_t count) noexcept {
    assert(count <= size());
    begin_ += count;
    if (begin_ == end_) {
        *this = {};
    }
}

/// Moves the bytes to the front where that frees at least half of the memory, so that moving
/// costs no more than what was consumed before; else doubles the memory.
void write_queue::make_room(std::size_t count) {
    const auto held = size();
    if (begin_ >= capacity_ / 2 && held + count <= capacity_) {
        std::memmove(memory_.get(), memory_.get() + begin_, held);
    } else {
        const auto grown = std::max({held + count, capacity_ * 2, std::size_t{4096}});
        auto fresh = std::make_unique_for_overwrite<std::byte[]>(grown);
        if (held != 0) {
            std::memcpy(fresh.get(), memory_.get() + begin_, held);
        }
        memory_ = std::move(fresh);
        capacity_ = grown;
    }
    begin_ = 0;
    end_ = held;
}

} // namespace sockeye
