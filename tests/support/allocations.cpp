#include "support/allocations.hpp"

#include <algorithm>
#include <cstdlib>
#include <new>

namespace support {
namespace {

thread_local std::size_t allocated = 0;
thread_local std::size_t freed = 0;

void* allocate(std::size_t size) noexcept {
    ++allocated;
    return std::malloc(std::max<std::size_t>(size, 1));
}

void* allocate(std::size_t size, std::align_val_t alignment) noexcept {
    ++allocated;
    void* room = nullptr;
    const std::size_t wanted = std::max(static_cast<std::size_t>(alignment), sizeof(void*));
    return ::posix_memalign(&room, wanted, std::max<std::size_t>(size, 1)) == 0 ? room : nullptr;
}

void* or_throw(void* room) {
    if (room == nullptr) {
        throw std::bad_alloc();
    }
    return room;
}

void release(void* room) noexcept {
    freed += room != nullptr ? 1 : 0;
    std::free(room);
}

} // namespace

std::size_t allocations() noexcept {
    return allocated;
}

std::size_t deallocations() noexcept {
    return freed;
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

void operator delete(void* room, std::align_val_t) noexcept {
    support::release(room);
}

void operator delete(void* room, std::size_t, std::align_val_t) noexcept {
    support::release(room);
}

void operator delete(void* room, const std::nothrow_t&) noexcept {
    support::release(room);
}
