#pragma once

#include <sockeye/datagram.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace sockeye {

/// Cuts what came merged into the datagrams that were sent: views into the same memory.
class segments {
public:
    /// What one receive call may bring merged, so that it is no more than a mebibyte.
    static constexpr std::size_t merged_per_call = 16;

    /// Throws bad_alloc.
    segments() : views_(views_max) {}

    void begin(std::span<const datagram> merged) noexcept {
        merged_ = merged;
        offset_ = 0;
    }
    /// Some of those that are left, in order; empty when none is.
    [[nodiscard]] std::span<const datagram> next() noexcept {
        std::size_t count = 0;
        while (count < views_.size() && !merged_.empty()) {
            views_[count++] = cut();
        }
        return std::span(views_).first(count);
    }

private:
    static constexpr std::size_t views_max = 1024;

    datagram cut() noexcept {
        auto view = merged_.front();
        const std::size_t size = view.segment_size;
        const auto left = view.data.size() - offset_;
        const bool is_last = size == 0 || left <= size;
        view.data = view.data.subspan(offset_, is_last ? left : size);
        view.is_truncated = view.is_truncated && is_last;
        offset_ += size;
        if (is_last) {
            merged_ = merged_.subspan(1);
            offset_ = 0;
        }
        return view;
    }

    std::vector<datagram> views_;
    std::span<const datagram> merged_;
    std::size_t offset_ = 0; ///< of the first one that is left
};

} // namespace sockeye
