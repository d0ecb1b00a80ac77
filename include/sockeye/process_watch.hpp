#pragma once

#include <sockeye/result.hpp>
#include <sockeye/unique_function.hpp>

#include <utility>

namespace sockeye {

class loop;
struct process_watch_state;

/// How a child process ended.
struct process_end {
    int code = 0;   ///< what it returned, where no signal ended it
    int signal = 0; ///< the signal that ended it; 0 where none did
    /// False where somebody else took its end, with waitpid(-1) for example, or by ignoring
    /// SIGCHLD: then nobody here can know.
    bool is_known = true;
};

/// Calls a handler once, when a child process has ended; that child is reaped then, and no other
/// is ever touched. Its destructor stops waiting; the child goes on, and stays a zombie when it
/// ends until somebody waits for it.
///
/// By a descriptor of the process where the system has them (Linux 5.3 and later), else by
/// SIGCHLD, which is caught while such a watch lives.
/// Lifetime: dies before its loop. Its handler may destroy it.
/// See: pidfd_open(2), waitid(2).
class process_watch {
public:
    /// Errors: no_child_process where `pid` is no child of this process, not_enough_memory,
    /// too_many_files_open, not_supported in a simulation.
    static result<process_watch> open(loop& owner, int pid,
                                      unique_function<void(process_end)> handler);
    process_watch(process_watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    process_watch& operator=(process_watch&& other) noexcept;
    ~process_watch();

    /// False once its handler was called.
    [[nodiscard]] bool is_waiting() const noexcept;

private:
    explicit process_watch(process_watch_state* state) noexcept : state_(state) {}

    process_watch_state* state_;
};

} // namespace sockeye
