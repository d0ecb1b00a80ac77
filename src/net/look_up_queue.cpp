#include "net/look_up_queue.hpp"

#include "base/memory.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <chrono>
#include <thread>
#include <utility>

namespace sockeye {
namespace {

/// How long a thread waits for a mailbox that is full.
constexpr duration full_mailbox_pause = std::chrono::milliseconds(1);

/// False where the loop's mailbox is full.
bool tell_loop(const std::shared_ptr<look_up_job>& job) {
    return job->loop.post([job] {
        if (job->is_wanted) {
            job->on_answer(*job);
        }
    });
}

} // namespace

std::atomic<look_up_queue*> look_up_queue::current = nullptr;

look_up_queue& look_up_queue::of_process(unsigned forks) {
    auto* queue = current.load();
    while (queue == nullptr || queue->forks_ != forks) {
        std::unique_ptr<look_up_queue> made(new look_up_queue(forks, queue));
        if (current.compare_exchange_strong(queue, made.get())) {
            queue = made.release();
        }
    }
    return *queue;
}

std::error_code look_up_queue::enter(const std::shared_ptr<look_up_job>& job) {
    {
        const std::lock_guard lock(guard_);
        if (waiting_.size() >= waiting_max) {
            return make_error_code(errc::look_up_queue_full);
        }
        waiting_.push_back(job);
        if (threads_ == threads_max) {
            return {};
        }
        ++threads_;
    }
    const auto error = job->system.start_thread([this] { work(); });
    return error ? give_up(job, error) : error;
}

/// A thread could not be started. Where none runs nobody would ever come for those who wait.
std::error_code look_up_queue::give_up(const std::shared_ptr<look_up_job>& own,
                                       std::error_code error) {
    std::deque<std::shared_ptr<look_up_job>> left;
    {
        const std::lock_guard lock(guard_);
        if (--threads_ != 0) {
            return {};
        }
        left.swap(waiting_);
    }
    bool is_own_left = false;
    for (const auto& job : left) {
        is_own_left = is_own_left || job == own;
        if (job != own) {
            // A mailbox that is full now may be this very thread's: then the deadline tells.
            job->answer = error;
            static_cast<void>(tell_loop(job));
        }
    }
    return is_own_left ? error : std::error_code();
}

void look_up_queue::work() noexcept {
    for (;;) {
        std::shared_ptr<look_up_job> job;
        {
            const std::lock_guard lock(guard_);
            if (waiting_.empty()) {
                --threads_;
                return;
            }
            job = std::move(waiting_.front());
            waiting_.pop_front();
        }
        job->answer = without_throwing([&] { return job->system.resolve(job->wanted); });
        while (job->is_wanted && !tell_loop(job)) {
            std::this_thread::sleep_for(full_mailbox_pause);
        }
    }
}

void look_up_queue::leave(look_up_job& job) noexcept {
    job.is_wanted = false;
    auto* const queue = current.load();
    // What a child got from its parent stands in no queue of its own.
    if (queue != nullptr && queue->forks_ == job.system.fork_count()) {
        queue->remove(job);
    }
}

void look_up_queue::remove(const look_up_job& job) noexcept {
    const std::lock_guard lock(guard_);
    std::erase_if(waiting_, [&](const auto& one) { return one.get() == &job; });
}

} // namespace sockeye
