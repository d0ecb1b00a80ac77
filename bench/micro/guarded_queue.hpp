#pragma once

#include <functional>
#include <mutex>
#include <utility>
#include <vector>

namespace sockeye::micro {

/// The queue that users of a library write themselves where it only wakes. After each push they
/// wake the loop, and then it runs all.
class guarded_queue {
public:
    /// Threads: any.
    void push(std::function<void()> task) {
        const std::lock_guard lock(mutex_);
        waiting_.push_back(std::move(task));
    }

    void run_all() {
        {
            const std::lock_guard lock(mutex_);
            waiting_.swap(running_);
        }
        for (auto& task : running_) {
            task();
        }
        running_.clear();
    }

private:
    std::mutex mutex_;
    std::vector<std::function<void()>> waiting_;
    std::vector<std::function<void()>> running_;
};

} // namespace sockeye::micro
