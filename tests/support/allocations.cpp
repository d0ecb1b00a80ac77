#include "support/allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <new>
#include <utility>

namespace support {
namespace {

thread_local std::size_t allocated = 0;
thread_local std::size_t freed = 0;
thread_local std::size_t held = 0;

/// What is to fail, of the calls that are at risk.
struct failure_plan {
    bool is_active = false;
    bool is_spared = false;
    std::size_t first = 0;
    std::size_t last = 0;
    std::size_t seen = 0;
    std::size_t failed = 0;
};
thread_local failure_plan plan;

bool has_to_fail() noexcept {
    if (!plan.is_active || plan.is_spared) {
        return false;
    }
    ++plan.seen;
    const bool fails = plan.seen >= plan.first && plan.seen <= plan.last;
    plan.failed += fails ? 1 : 0;
    return fails;
}

/// Before each block lies its size, in as much room as keeps the block aligned. That is also about
/// what an allocator spends on a block.
constexpr std::size_t header_size = 16;

std::size_t header_for(std::align_val_t alignment) noexcept {
    return std::max(static_cast<std::size_t>(alignment), header_size);
}

void* begin_block(void* room, std::size_t header, std::size_t size) noexcept {
    if (room == nullptr) {
        return nullptr;
    }
    ++allocated;
    held += size + header;
    auto* const block = static_cast<std::byte*>(room) + header;
    std::memcpy(block - sizeof size, &size, sizeof size);
    return block;
}

void* allocate(std::size_t size) noexcept {
    if (has_to_fail()) {
        return nullptr;
    }
    return begin_block(std::malloc(size + header_size), header_size, size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
    if (has_to_fail()) {
        return nullptr;
    }
    const auto header = header_for(alignment);
    void* room = nullptr;
    const bool is_made = ::posix_memalign(&room, header, size + header) == 0;
    return begin_block(is_made ? room : nullptr, header, size);
}

void* or_throw(void* room) {
    if (room == nullptr) {
        throw std::bad_alloc();
    }
    return room;
}

void release(void* block, std::size_t header) noexcept {
    if (block == nullptr) {
        return;
    }
    ++freed;
    std::size_t size = 0;
    std::memcpy(&size, static_cast<std::byte*>(block) - sizeof size, sizeof size);
    held -= size + header;
    std::free(static_cast<std::byte*>(block) - header);
}

void release(void* block) noexcept {
    release(block, header_size);
}

void release(void* block, std::align_val_t alignment) noexcept {
    release(block, header_for(alignment));
}

} // namespace

std::size_t allocations() noexcept {
    return allocated;
}

std::size_t deallocations() noexcept {
    return freed;
}

std::size_t allocated_bytes() noexcept {
    return held;
}

failing_allocations::failing_allocations(std::size_t nth, std::size_t times) noexcept {
    constexpr auto most = std::numeric_limits<std::size_t>::max();
    plan.is_active = true;
    plan.first = nth;
    plan.last = nth - 1 + std::min(times, most - nth);
}

failing_allocations::~failing_allocations() {
    plan = {};
}

std::size_t failing_allocations::seen() const noexcept {
    return plan.seen;
}

std::size_t failing_allocations::failed() const noexcept {
    return plan.failed;
}

spared_allocations::spared_allocations() noexcept
    : was_spared_(std::exchange(plan.is_spared, true)) {}

spared_allocations::~spared_allocations() {
    plan.is_spared = was_spared_;
}

risked_allocations::risked_allocations() noexcept
    : was_spared_(std::exchange(plan.is_spared, false)) {}

risked_allocations::~risked_allocations() {
    plan.is_spared = was_spared_;
}

} // namespace support

void* operator new(std::size_t size) {
    return support::or_throw(support::allocate(size));
}

void* operator new(std::size_t size, std::align_val_t alignment) {
    return support::or_throw(support::allocate(size, alignment));
}

void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
    return support::allocate(size);
}

void* operator new(std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return support::allocate(size, alignment);
}

void operator delete(void* room) noexcept {
    support::release(room);
}

void operator delete(void* room, std::size_t) noexcept {
    support::release(room);
}

void operator delete(void* room, std::align_val_t alignment) noexcept {
    support::release(room, alignment);
}

void operator delete(void* room, std::size_t, std::align_val_t alignment) noexcept {
    support::release(room, alignment);
}

void operator delete(void* room, const std::nothrow_t&) noexcept {
    support::release(room);
}

// Sanitizers bring array forms of their own, which would not come here.
void* operator new[](std::size_t size) {
    return support::or_throw(support::allocate(size));
}

void* operator new[](std::size_t size, std::align_val_t alignment) {
    return support::or_throw(support::allocate(size, alignment));
}

void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
    return support::allocate(size);
}

void* operator new[](std::size_t size, std::align_val_t alignment, const std::nothrow_t&) noexcept {
    return support::allocate(size, alignment);
}

void operator delete[](void* room) noexcept {
    support::release(room);
}

void operator delete[](void* room, std::size_t) noexcept {
    support::release(room);
}

void operator delete[](void* room, std::align_val_t alignment) noexcept {
    support::release(room, alignment);
}

void operator delete[](void* room, std::size_t, std::align_val_t alignment) noexcept {
    support::release(room, alignment);
}

void operator delete[](void* room, const std::nothrow_t&) noexcept {
    support::release(room);
}
