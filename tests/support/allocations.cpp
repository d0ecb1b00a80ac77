#include "support/allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <new>

namespace support {
namespace {

thread_local std::size_t allocated = 0;
thread_local std::size_t freed = 0;
thread_local std::size_t held = 0;

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
    return begin_block(std::malloc(size + header_size), header_size, size);
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
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
