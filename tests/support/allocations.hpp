#pragma once

#include <cstddef>

namespace support {

/// How often this thread has called operator new since it began.
///
/// The test programs replace the global operators by counting ones; nothing else changes.
[[nodiscard]] std::size_t allocations() noexcept;

/// How often this thread has called operator delete with something to free.
[[nodiscard]] std::size_t deallocations() noexcept;

/// The bytes that this thread has allocated and not freed, with 16 more for each block.
[[nodiscard]] std::size_t allocated_bytes() noexcept;

} // namespace support
