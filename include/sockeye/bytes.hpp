#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace sockeye {

/// Bytes that somebody else owns. A handler's are lent to it until it returns.
using bytes = std::span<const std::byte>;

[[nodiscard]] inline bytes as_bytes(std::string_view text) noexcept {
    return std::as_bytes(std::span(text.data(), text.size()));
}

[[nodiscard]] inline std::string_view as_text(bytes data) noexcept {
    return {reinterpret_cast<const char*>(data.data()), data.size()};
}

} // namespace sockeye
