#pragma once

#include "net/output_age.hpp"
#include "net/output_queue.hpp"

#include <sockeye/time.hpp>

#include <chrono>

namespace sockeye {

/// What the kernel did not take yet, and how long it has had no memory for it.
struct unsent_output : output_queue {
    static constexpr duration retry_delay_min = std::chrono::milliseconds(1);

    /// The kernel took all that it was given last: the next goes without its being asked for.
    bool is_ready = false;
    duration retry_delay = retry_delay_min;
    duration waited = duration::zero();
    output_age age;
};

} // namespace sockeye
