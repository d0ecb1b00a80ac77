#pragma once

#include <sockeye/interest.hpp>
#include <sockeye/loop_counters.hpp>
#include <sockeye/result.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

namespace sockeye {

class loop;
class loop_core;
class stream;
class stream_ref;
struct mailbox;
struct watch_state;

/// What loop_options::on_slow_handler is told.
struct slow_handler {
    std::string_view object; ///< "timer", "connection from 127.0.0.1:4711", ...: until it returns
    duration took;
};

/// What a loop is made with.
struct loop_options {
    /// `automatic` takes what SOCKEYE_BACKEND names, or else the best one of this machine.
    backend_kind backend = backend_kind::automatic;
    /// Hears of exceptions that left a handler. Without it they leave run(), which may be called
    /// again; of several in one turn the first.
    unique_function<void(std::exception_ptr)> on_exception = {};
    /// Hears of each handler that took longer than slow_handler_time, right after it: all that was
    /// ready had to wait for that. Costs a read of the clock for each handler.
    unique_function<void(const slow_handler&)> on_slow_handler = {};
    duration slow_handler_time = std::chrono::milliseconds(10);
    /// Posted tasks that wait; above it post() says false.
    std::size_t posted_tasks_max = std::size_t{1} << 21;
    /// Bytes in all send queues of the loop; above it nothing is read and nothing accepted.
    std::size_t queued_bytes_max = std::size_t{256} << 20;
};

/// A copyable mailbox of a loop: the one thing of it that other threads may use.
///
/// Threads: any. Lifetime: outlives the loop.
class remote {
public:
    /// Runs `task` on the loop thread, after the handlers of a turn.
    ///
    /// Each task runs exactly once, in the order posted, and never inside this call. Returns
    /// false when the loop is gone, has posted_tasks_max tasks waiting, or there is no memory to
    /// keep the task.
    /// Threads: any. Thousands of posts cost one wake-up.
    /// Lifetime: `task` is destroyed on the loop thread, or with the loop if it never ran; a
    /// refused one in the call.
    bool post(unique_function<void()> task) const;

    /// The same, with the loop.
    bool post(unique_function<void(loop&)> task) const;

    /// Makes run() return after the turn, as loop::stop(). It is never refused for want of room or
    /// memory; false when the loop is gone. Threads: any.
    bool stop() const noexcept;

    /// Runs `task` with the stream if that connection still lives when its turn comes.
    bool post(const stream_ref& target, unique_function<void(stream&)> task) const;

private:
    friend class loop;
    explicit remote(std::shared_ptr<mailbox> box) : box_(std::move(box)) {}

    std::shared_ptr<mailbox> box_;
};

/// What is ready of a watched foreign descriptor. Hangup and error are
/// hints beside the directions: the next read or write finds out what happened.
struct readiness {
    bool readable = false;
    bool writable = false;
    bool hangup = false;
    bool error = false;
};

/// Owns the watching of a foreign descriptor, not the descriptor. Its destructor stops it.
///
/// Requires: destroyed before the descriptor is closed, and before the loop.
class watch {
public:
    watch() = default;
    watch(watch&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    watch& operator=(watch&& other) noexcept;
    ~watch();

    /// Replaces what is wanted. Errors: as loop::watch.
    [[nodiscard]] std::error_code modify(interest wanted);
    /// Stops watching; no handler runs after it.
    void cancel() noexcept;

    [[nodiscard]] bool is_active() const noexcept { return state_ != nullptr; }

private:
    friend class loop;
    explicit watch(watch_state* state) noexcept : state_(state) {}

    watch_state* state_ = nullptr;
};

/// Keeps run() going while it lives, for those who wait for posts.
class hold_guard {
public:
    hold_guard(hold_guard&& other) noexcept : core_(std::exchange(other.core_, nullptr)) {}
    hold_guard& operator=(hold_guard&& other) noexcept {
        std::swap(core_, other.core_);
        return *this;
    }
    ~hold_guard();

private:
    friend class loop;
    explicit hold_guard(loop_core& core) noexcept;

    loop_core* core_;
};

/// An event loop: waits for its descriptors, timers and posted tasks, and calls their handlers.
///
/// One turn does, in this order: ready descriptors, due timers, posted tasks, the output that all
/// of them wrote, closes. A handler never runs inside a call that a user made, and may destroy
/// anything but the loop.
/// Memory: what a loop is to do, it does not forget for want of memory, and its turns throw no
/// bad_alloc of their own. A connection that needs some and gets none ends with not_enough_memory;
/// calls that give a result say so; constructors and calls that start something say that they
/// throw, and then nothing has changed.
/// Threads: all calls from one thread, the loop thread; remote() is for the others.
/// Lifetime: outlives everything made with it. Its destructor closes what is left and is silent.
/// Where the library was built with asserts (without NDEBUG), breaking one of these two rules ends
/// the process, and so do closing a descriptor under its watch, and sending or starting a timer in
/// a forked child: one line on stderr says what was wrong with which object.
class loop {
public:
    /// Errors: throws std::system_error where open() gives an error.
    explicit loop(loop_options options = {});
    /// Errors: errc::backend_unavailable, errc::backend_unknown (in SOCKEYE_BACKEND), and what
    /// the system says where it has no descriptors or memory left.
    static result<loop> open(loop_options options = {});
    loop(loop&& other) noexcept;
    loop& operator=(loop&& other) = delete;
    ~loop();

    /// Turns until stop() is called or nothing is left that could call a handler.
    ///
    /// Servers, connections, watches, armed timers, signal sets and held guards count; a remote
    /// does not. Errors: errc::loop_running inside a handler, errc::loop_forked in a forked
    /// child, io_error when somebody else closed the loop's own descriptors, and what the
    /// backend's wait reports. Throws what a handler threw, where there is no on_exception.
    [[nodiscard]] std::error_code run();

    /// Waits for events once, at most for `timeout`, and returns how many handlers ran.
    ///
    /// No timeout waits for ever. Timeouts round up, so that a timer is never early.
    /// Errors: as run(); EINTR is none: the wait goes on for the time left.
    /// See: epoll_wait(2), kevent(2), poll(2).
    result<std::size_t> run_once(std::optional<duration> timeout = {});

    /// Makes run() return after the current turn; before run(), at its start.
    void stop() noexcept;

    /// Calls `handler` when a descriptor from elsewhere is ready, as long as the watch lives.
    ///
    /// The descriptor stays as it is: neither made non-blocking nor closed.
    /// Errors: file_exists when already watched here, errc::not_pollable, bad_file_descriptor,
    /// errc::too_many_descriptors, invalid_argument (interest::edge where not offered),
    /// not_enough_memory.
    result<sockeye::watch> watch(int fd, interest wanted, unique_function<void(readiness)> handler);

    [[nodiscard]] sockeye::remote remote() const;
    [[nodiscard]] hold_guard hold();

    /// The stream that `ref` names, or null when its connection is gone.
    [[nodiscard]] stream* find(const stream_ref& ref) noexcept;

    /// When the current turn began. Costs no system call.
    [[nodiscard]] time_point now() const noexcept;
    [[nodiscard]] backend_kind backend() const noexcept;
    [[nodiscard]] const loop_counters& counters() const noexcept;

    /// Why the loop is still alive: a line for each server, connection, watch, timer, signal set
    /// and other object, with its address, deadline or queued bytes. At most a few kilobytes:
    /// where there are many of a kind, the rest of them is only counted.
    ///
    /// Throws bad_alloc. Asks the system for addresses: not for every turn.
    [[nodiscard]] std::string dump() const;

    /// For a loop inside another one: a descriptor that is readable when run_once(0) has work;
    /// -1 on poll and select, which have none.
    [[nodiscard]] int native_handle() const noexcept;
    /// When run_once(0) is due next, whatever the descriptors do; nothing where never.
    [[nodiscard]] std::optional<time_point> next_deadline() const noexcept;

private:
    friend struct loop_access;
    explicit loop(std::unique_ptr<loop_core> core) noexcept;

    std::unique_ptr<loop_core> core_;
};

} // namespace sockeye
