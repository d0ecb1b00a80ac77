#pragma once

#include <sockeye/bytes.hpp>

#include <cstddef>
#include <memory>

namespace sockeye {

/// Copied bytes that the kernel did not take yet, side by side in order. Holds memory only while it
/// holds bytes.
class write_queue {
public:
    /// Copies `data` to the end.
    void append(bytes data);
    /// Drops the first `count` bytes: they are sent. Requires: count <= size().
    void consume(std::size_t count) noexcept;

    [[nodiscard]] bytes front() const noexcept { return {memory_.get() + begin_, size()}; }
    [[nodiscard]] std::size_t size() const noexcept { return end_ - begin_; }
    [[nodiscard]] bool empty() const noexcept { return begin_ == end_; }

private:
    void make_room(std::size_t count);

    std::unique_ptr<std::byte[]> memory_;
    std::size_t capacity_ = 0;
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
};

} // namespace sockeye
