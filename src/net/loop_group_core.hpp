#pragma once

#include "net/server_core.hpp"
#include "net/spreader.hpp"

#include <sockeye/loop_group.hpp>

#include <atomic>
#include <exception>
#include <latch>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace sockeye {

/// How the loops of a group are to end.
struct group_ending {
    bool is_drain = false;
    duration deadline = duration::zero();
};

/// One loop of a group.
struct group_member {
    std::size_t index = 0;
    std::string name;
    std::optional<unsigned> cpu; ///< to stay on
    loop_options options;
    std::thread thread;
    std::optional<remote> to; ///< set before anybody asks; empty where the loop could not be made

    // Of its own thread.
    loop* owner = nullptr;
    std::optional<hold_guard> hold; ///< keeps the loop going until it is to end
    std::vector<server_core*> servers;
    std::vector<datagram_socket> sockets;

    // Of its own thread until that has ended.
    std::error_code error;
    std::exception_ptr problem;
    loop_counters did; ///< in the end
};

/// What is inside a loop_group.
struct loop_group_core {
    ~loop_group_core();

    /// Makes the loops on their threads; where one cannot be made, none is left.
    [[nodiscard]] std::error_code start(loop_group_options options);
    void stop() noexcept;
    void join_all() noexcept;
    [[nodiscard]] bool is_own_thread() const noexcept;

    /// Ends every loop in that way.
    void end(const group_ending& how);

    /// Calls `task` on the thread of `on` and waits for what it says.
    template <typename Task>
    [[nodiscard]] std::error_code call(group_member& on, Task&& task);

    std::vector<std::unique_ptr<group_member>> members;
    std::atomic<bool> is_ending = false;
    bool is_pinned = false;

    mutable std::mutex guard; // of what follows
    std::vector<std::unique_ptr<spreader>> services;

private:
    [[nodiscard]] std::error_code start_threads();
    void run(group_member& self) noexcept;
    void turn(group_member& self);
    void stop_accepting(group_member& first, const group_ending& how);
    void post_end(group_member& to, const group_ending& how);
    static void end_here(group_member& self, const group_ending& how);

    std::unique_ptr<std::latch> are_up_;
    std::unique_ptr<std::latch> may_run_;
    bool is_refused_ = false; ///< set before may_run_: some loop could not be made
};

} // namespace sockeye
