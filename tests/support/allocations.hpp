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

/// While it lives, the nth call of operator new that this thread makes fails, and `times - 1`
/// after it: by bad_alloc, or by null where that is asked for. One at a time.
class failing_allocations {
public:
    explicit failing_allocations(std::size_t nth, std::size_t times = 1) noexcept;
    failing_allocations(const failing_allocations&) = delete;
    failing_allocations& operator=(const failing_allocations&) = delete;
    ~failing_allocations();

    /// The calls that it saw, those that failed among them.
    [[nodiscard]] std::size_t seen() const noexcept;
    [[nodiscard]] std::size_t failed() const noexcept;
};

/// While it lives, what this thread allocates is the test's own: it does not fail.
class spared_allocations {
public:
    spared_allocations() noexcept;
    spared_allocations(const spared_allocations&) = delete;
    spared_allocations& operator=(const spared_allocations&) = delete;
    ~spared_allocations();

private:
    bool was_spared_;
};

/// Within spared ones: what is allocated is the library's again.
class risked_allocations {
public:
    risked_allocations() noexcept;
    risked_allocations(const risked_allocations&) = delete;
    risked_allocations& operator=(const risked_allocations&) = delete;
    ~risked_allocations();

private:
    bool was_spared_;
};

} // namespace support
