#pragma once

#include "net/write_queue.hpp"

#include <sockeye/time.hpp>
#include <sockeye/unique_fd.hpp>

#include <chrono>
#include <cstdint>
#include <vector>

namespace sockeye {

/// What the kernel did not take yet, and how long it has had no memory for it.
///
/// Where bytes have to be handed over by a call that begins with them, as those do that
/// descriptors go with, a unit begins.
class unsent_output : public write_queue {
public:
    static constexpr duration retry_delay_min = std::chrono::milliseconds(1);

    duration retry_delay = retry_delay_min;
    duration waited = duration::zero();

    /// What is appended next begins a unit. Throws bad_alloc, and then nothing has changed.
    void begin_unit(std::vector<unique_fd> descriptors);
    /// As write_queue::consume; descriptors that go with the first byte are closed.
    void consume(std::size_t count) noexcept;
    /// What one call may send: all bytes up to the next unit.
    [[nodiscard]] bytes next() const noexcept;
    /// What goes with the first byte of next(); null where nothing does.
    [[nodiscard]] const std::vector<unique_fd>* descriptors() const noexcept;
    [[nodiscard]] std::size_t descriptor_count() const noexcept { return descriptor_count_; }
    /// Bytes that units cost beside their own.
    [[nodiscard]] std::size_t overhead() const noexcept {
        return (units_.size() - first_) * sizeof(unit);
    }

private:
    struct unit {
        std::uint64_t begin = 0; ///< as consumed_ counts
        std::vector<unique_fd> descriptors;
    };

    [[nodiscard]] bool is_at_unit() const noexcept {
        return first_ < units_.size() && units_[first_].begin == consumed_;
    }

    std::vector<unit> units_;
    std::size_t first_ = 0; ///< of units_ that has not begun to be sent
    std::uint64_t consumed_ = 0;
    std::size_t descriptor_count_ = 0;
};

} // namespace sockeye
