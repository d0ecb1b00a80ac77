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

    /// Where a copy of `data` begins, or nothing where it does not fit.
    [[nodiscard]] std::optional<std::uint32_t> append(bytes data) noexcept {
        if (data.size() > capacity - used_) {
            return {};
        }
        const auto offset = used_;
        std::memcpy(memory_.get() + offset, data.data(), data.size());
        used_ += static_cast<std::uint32_t>(data.size());
        return offset;
    }

    [[nodiscard]] std::uint32_t end() const noexcept { return used_; }
    [[nodiscard]] std::size_t room() const noexcept { return capacity - used_; }
    [[nodiscard]] bytes view(std::uint32_t offset, std::uint32_t size) const noexcept {
        return {memory_.get() + offset, size};
    }
    void clear() noexcept { used_ = 0; }

private:
    std::unique_ptr<std::byte[]> memory_;
    std::uint32_t used_ = 0;
};

} // namespace sockeye
