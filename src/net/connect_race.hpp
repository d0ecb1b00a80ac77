#pragma once

#include "loop/loop_core.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/session.hpp>
#include <sockeye/stream.hpp>

#include <cstddef>
#include <span>
#include <system_error>
#include <vector>

namespace sockeye {

/// Connecting to a host by its name: looks it up, and tries its addresses one beside the other
/// until one answers. Each attempt has a slot of its own; the winner's socket moves to that of the
/// connection. See: RFC 8305 (Happy Eyeballs version 2).
class connect_race {
public:
    /// Attempts at the same time. Where the next one is due the oldest makes room for it.
    static constexpr std::size_t attempts_max = 8;

    connect_race(slot& owner, const connect_options& options);
    connect_race(const connect_race&) = delete;
    connect_race& operator=(const connect_race&) = delete;
    /// Ends whatever is under way, in silence.
    ~connect_race();

    /// Leads to an opened or a failed connection. Throws bad_alloc.
    void look_up(const endpoint_argument& host, duration deadline);
    /// What was tried so far; `reason` is the error of those that are under way.
    [[nodiscard]] std::span<const connect_attempt> report(std::error_code reason) noexcept;

private:
    static void on_answer(loop_core& core, slot_key owner,
                          const result<std::vector<endpoint>>& found);
    static void on_delay(void* core, std::uint64_t owner);
    static void on_ready(slot& attempt, const event& told);
    static void on_resume(slot& attempt);
    static void retire(slot& attempt) noexcept;
    static void close(slot& attempt) noexcept;
    static const slot_operations operations;

    void start(std::vector<endpoint> found);
    void start_next();
    [[nodiscard]] std::error_code start_one(std::size_t number);
    void wait_for_next();
    void give_up(slot& attempt, std::error_code error) noexcept;
    static void win(slot& attempt);

    loop_core& core_;
    slot& owner_;
    const connect_options options_;
    slot_key look_up_ = 0;
    timer_id next_due_ = 0;
    std::vector<connect_attempt> attempts_; ///< those to come as well
    std::size_t started_ = 0;
    std::error_code last_error_;
    std::vector<slot_key> running_; ///< oldest first
};

} // namespace sockeye
