#include "base/misuse.hpp"

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

namespace sockeye {
namespace {

std::atomic<misuse_listener> told_instead = nullptr;

/// A table of addresses, each as near behind its hash as there was room. Null was never used.
constexpr std::size_t marks_max = 4096;
constinit std::array<std::atomic<const void*>, marks_max> living = {};
constinit std::atomic<bool> is_overfull = false;
constinit const char gone = 0; // its address stands where one has gone

std::size_t spot_of(const void* address, std::size_t step) noexcept {
    const auto number = std::uint64_t{reinterpret_cast<std::uintptr_t>(address)};
    return (static_cast<std::size_t>(number * 0x9e37'79b9'7f4a'7c15 >> 32) + step) % marks_max;
}

} // namespace

bool misuse(std::string_view object, std::string_view mistake) noexcept {
    if (const auto listener = told_instead.load()) {
        listener(object, mistake);
        return true;
    }
    std::fprintf(stderr, "sockeye: misuse: %.*s %.*s\n", static_cast<int>(object.size()),
                 object.data(), static_cast<int>(mistake.size()), mistake.data());
    std::abort();
}

misuse_listener listen_to_misuse(misuse_listener listener) noexcept {
    return told_instead.exchange(listener);
}

life_mark::life_mark(const void* place) noexcept : place_(place) {
    for (std::size_t step = 0; step < marks_max; ++step) {
        auto& entry = living[spot_of(place, step)];
        const void* found = entry.load();
        while (found == nullptr || found == &gone) {
            if (entry.compare_exchange_weak(found, place)) {
                return;
            }
        }
    }
    is_overfull = true;
}

life_mark::~life_mark() {
    for (std::size_t step = 0; step < marks_max; ++step) {
        const void* expected = place_;
        if (living[spot_of(place_, step)].compare_exchange_strong(expected, &gone)) {
            return;
        }
    }
}

bool life_mark::is_at(const void* place) noexcept {
    for (std::size_t step = 0; step < marks_max; ++step) {
        const void* const found = living[spot_of(place, step)].load();
        if (found == place) {
            return true;
        }
        if (found == nullptr) {
            break;
        }
    }
    return is_overfull;
}

} // namespace sockeye
