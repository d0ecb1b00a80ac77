#pragma once

#include <sockeye/bytes.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>

namespace sockeye {

/// The small writes of one turn, side by side in memory that stays warm. Emptied at its end.
class output_arena {
public:
    static constexpr std::uint32_t capacity = 256 * 1024;

    output_arena() : memory_(std::make_unique_for_overwrite<std::byte[]>(capacity)) {}

    /// The place of a copy of `data`, or nothing where it does not fit.
    [[nodiscard]] std::optional<std::uint16_t> begin(bytes data) noexcept {
        used_ = (used_ + unit - 1) / unit * unit;
        if (data.size() > capacity - used_) {
            return {};
        }
        const auto place = static_cast<std::uint16_t>(used_ / unit);
        add(data);
        return place;
    }
    /// Adds to the `size` bytes at `place`; false where it does not fit or others lie behind them.
    [[nodiscard]] bool append(bytes data, std::uint16_t place, std::uint32_t size) noexcept {
        if (place * unit + size != used_ || data.size() > capacity - used_) {
            return false;
        }
        add(data);
        return true;
    }

    /// What surely fits.
    [[nodiscard]] std::size_t room() const noexcept {
        return capacity - (used_ + unit - 1) / unit * unit;
    }
    [[nodiscard]] bytes view(std::uint16_t place, std::uint32_t size) const noexcept {
        return {memory_.get() + place * unit, size};
    }
    void clear() noexcept { used_ = 0; }

private:
    /// Places are counted in these, so that they fit into 16 bits.
    static constexpr std::uint32_t unit = capacity >> 16;

    void add(bytes data) noexcept {
        std::memcpy(memory_.get() + used_, data.data(), data.size());
        used_ += static_cast<std::uint32_t>(data.size());
    }

    std::unique_ptr<std::byte[]> memory_;
    std::uint32_t used_ = 0;
};

} // namespace sockeye
