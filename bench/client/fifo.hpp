#pragma once

#include <bit>
#include <cstddef>
#include <vector>

namespace sockeye::bench {

/// A queue in one block of memory, which grows and never shrinks: no allocation once it has been
/// as long as it gets.
template <typename T>
class fifo {
public:
    explicit fifo(std::size_t capacity = 1) : room_(std::bit_ceil(capacity > 0 ? capacity : 1)) {}

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool is_empty() const noexcept { return size_ == 0; }
    /// Requires: index < size(); 0 is the oldest.
    [[nodiscard]] T& operator[](std::size_t index) noexcept {
        return room_[(begin_ + index) & (room_.size() - 1)];
    }
    void push_back(const T& value) {
        if (size_ == room_.size()) {
            grow();
        }
        ++size_;
        (*this)[size_ - 1] = value;
    }
    /// Requires: not empty.
    void pop_front() noexcept {
        begin_ = (begin_ + 1) & (room_.size() - 1);
        --size_;
    }

private:
    void grow() {
        std::vector<T> larger(room_.size() * 2);
        for (std::size_t i = 0; i < size_; ++i) {
            larger[i] = (*this)[i];
        }
        room_ = std::move(larger);
        begin_ = 0;
    }

    std::vector<T> room_; ///< as many as a power of two
    std::size_t begin_ = 0;
    std::size_t size_ = 0;
};

} // namespace sockeye::bench
