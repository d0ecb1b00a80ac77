#pragma once

#include "kernel/kernel.hpp"

#include <sockeye/unique_function.hpp>

#include <atomic>
#include <cstddef>
#include <mutex>
#include <vector>

namespace sockeye {

class loop_core;

/// The tasks that other threads posted, and the wake-up of the loop that runs them. Shared by
/// the loop and its remotes; closed when the loop goes.
struct mailbox {
    explicit mailbox(std::size_t limit) : tasks_max(limit) {}

    std::mutex guard; // of all but `is_pending`
    std::vector<unique_function<void()>> tasks;
    std::size_t tasks_max;
    bool is_open = true;
    bool wants_stop = false;
    kernel* system = nullptr;
    int write_end = -1;
    loop_core* core = nullptr; ///< used on the loop thread only

    /// Something was posted since the loop last looked, so a wake-up is under way already.
    std::atomic<bool> is_pending = false;
};

} // namespace sockeye
