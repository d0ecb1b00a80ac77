#pragma once

#include <cstddef>
#include <functional>
#include <memory>

namespace sockeye::bench {

/// Threads that do one job after another, all of them at the same time; the first of them is the
/// caller's own.
class crew {
public:
    /// Requires: size > 0.
    explicit crew(std::size_t size);
    crew(const crew&) = delete;
    crew& operator=(const crew&) = delete;
    ~crew();

    /// Calls job(0) here and job(1), job(2), ... in the other threads; returns when all have ended.
    /// Requires: `job` does not throw.
    void run(const std::function<void(std::size_t)>& job);

private:
    struct shared;
    std::unique_ptr<shared> shared_; ///< none where there is one thread
};

} // namespace sockeye::bench
