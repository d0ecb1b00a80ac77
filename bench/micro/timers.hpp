#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace sockeye::micro {

using nanoseconds = std::chrono::nanoseconds;

/// Many timers of one library. Each call works on all of them, one after the other.
class timers {
public:
    virtual ~timers() = default;
    [[nodiscard]] virtual std::string_view name() const = 0;

    /// Starts timer i to fire in `delays[i]`.
    virtual void insert(std::span<const nanoseconds> delays) = 0;
    /// Moves timer i, which is armed, to `delays[i]` from now.
    virtual void reset(std::span<const nanoseconds> delays) = 0;
    virtual void cancel() = 0;
    /// Fires all that are due, and says how many did.
    virtual std::size_t fire() = 0;
};

using make_timers = std::unique_ptr<timers>(std::size_t count);

make_timers sockeye_timers;
/// An array of {time, number} with four children each, and of the way back: no library around it.
make_timers heap_timers;
// Each is there where its library is: see contenders.hpp.in.
make_timers libev_timers;
make_timers libuv_timers;
make_timers libevent_timers;
make_timers asio_timers;

} // namespace sockeye::micro
