#pragma once

#include <cstddef>
#include <memory>

namespace sockeye::micro {

/// Connections of one loop that are looked up by their stream_ref.
class lookups {
public:
    /// That many live connections on Unix socket pairs. Null where the system refuses, which it
    /// does where a process may not have as many descriptors.
    static std::unique_ptr<lookups> open(std::size_t connections);
    virtual ~lookups() = default;

    /// The processor time of one look-up in nanoseconds: all are looked up in a new random order.
    virtual double find_in_random_order() = 0;
    /// The same in the order in which they were made.
    virtual double find_in_order() = 0;
};

} // namespace sockeye::micro
