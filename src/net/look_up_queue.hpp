#pragma once

#include "kernel/kernel.hpp"

#include <sockeye/loop.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>

namespace sockeye {

/// A name that a thread looks up, shared by that thread and the loop that waits for it.
struct look_up_job {
    look_up_job(kernel& made_on, host_query query, remote told_there)
        : system(made_on), wanted(std::move(query)), loop(std::move(told_there)) {}

    kernel& system;
    const host_query wanted;
    remote loop;
    /// Runs on the loop thread once there is an answer, unless nobody waits any more.
    void (*on_answer)(look_up_job&) = nullptr;
    loop_core* core = nullptr; ///< the loop thread's own, as the next two
    std::uint64_t key = 0;
    std::uint16_t port = 0;

    /// Whether anybody still waits. Set on the loop thread, seen by the others sooner or later.
    std::atomic<bool> is_wanted = true;
    /// Written before the loop is told.
    std::optional<result<std::vector<endpoint>>> answer;
};

/// The names that wait to be looked up, and the threads that do it: one for all loops of the
/// process. A thread is started where a name comes and fewer than four run; it ends when nothing
/// waits, so that an idle process has none. A call that hangs keeps its thread, and its answer is
/// dropped; more than four can never hang.
///
/// Threads: any.
class look_up_queue {
public:
    static constexpr std::size_t threads_max = 4;
    static constexpr std::size_t waiting_max = 1024;

    /// That of this process. It is never destroyed: a thread may come back from a call at any
    /// time. A child made by fork(2) has none of its parent's threads, and gets a new one.
    static look_up_queue& of_process(unsigned forks);

    /// Errors: errc::look_up_queue_full; what start_thread says where no thread runs at all.
    /// Throws bad_alloc, and then nothing has changed.
    [[nodiscard]] std::error_code enter(const std::shared_ptr<look_up_job>& job);
    /// Nobody waits for it any more.
    static void leave(look_up_job& job) noexcept;

private:
    look_up_queue(unsigned forks, look_up_queue* before) noexcept
        : forks_(forks), before_(before) {}

    void work() noexcept;
    [[nodiscard]] std::error_code give_up(const std::shared_ptr<look_up_job>& own,
                                          std::error_code error);
    void remove(const look_up_job& job) noexcept;

    static std::atomic<look_up_queue*> current;

    std::mutex guard_; // of the next two
    std::deque<std::shared_ptr<look_up_job>> waiting_;
    std::size_t threads_ = 0;
    const unsigned forks_;
    look_up_queue* const before_; ///< that of the parent process: kept, never touched
};

} // namespace sockeye
