#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

namespace sockeye::micro {

/// Pairs of connections that send each other messages of 64 bytes, in one loop.
class messages {
public:
    /// Each connection has that idle deadline; 0 is none. Null where the system refuses.
    static std::unique_ptr<messages> open(std::chrono::nanoseconds idle);
    virtual ~messages() = default;

    /// Receives and answers at least `count` of them: the processor time of one.
    virtual std::chrono::duration<double, std::nano> exchange(std::size_t count) = 0;
};

} // namespace sockeye::micro
