#pragma once

#include "support/faulty_kernel.hpp"

#include <sockeye/sockeye.hpp>

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace support {

/// What a scenario plays on: a loop over seams that may fail, and what is noted meanwhile.
class stage {
public:
    /// Throws where a planned fault does not let the loop be made.
    stage(ground& on, const std::vector<fault>& planned = {});
    stage(const stage&) = delete;
    stage& operator=(const stage&) = delete;

    faulty_loop& machine() noexcept { return at_; }
    sockeye::loop& loop() noexcept { return at_.loop; }
    /// The calls of the ground, which never fail as planned.
    sockeye::kernel& system() noexcept { return on_.system(); }
    /// Where to serve.
    [[nodiscard]] std::string local(sockeye::transport kind) const;

    /// Turns until `fact` holds; where it never does, the run has stalled.
    bool until(const std::function<bool()>& fact);
    void settle() { at_.settle(); }

    [[nodiscard]] bool has_stalled() const noexcept { return has_stalled_; }
    /// What must not be.
    void note(const char* wrong);

    /// Whatever happened, what must hold when all owners are gone. Where those went before their
    /// time, their sessions are silent. Says what does not hold.
    [[nodiscard]] std::vector<std::string> check_end(bool is_silent);

    int made = 0;      ///< sessions
    int closed = 0;    ///< of these, those that heard on_close
    int destroyed = 0; ///< of these, those that are gone
    int threw = 0;     ///< handlers

private:
    ground& on_;
    unsigned run_;
    bool has_stalled_ = false;
    std::vector<std::string> wrongs_;
    faulty_loop at_; ///< last, so that the sessions that go with it find the rest
};

/// What the sessions of one side are to do, and what they heard.
struct party {
    std::function<void(sockeye::stream&)> on_open;
    std::function<void(sockeye::stream&)> on_data; ///< after `heard` has grown
    std::function<void(sockeye::stream&)> on_end;  ///< else: closes
    std::function<void(sockeye::stream&)> on_writable;

    std::string heard; ///< by all of them
    int made = 0;
    int opened = 0;
    int ended = 0;
    int closed = 0;
    sockeye::close_info info; ///< of the last one
};

/// A session that holds the library to the order of its calls.
class actor {
public:
    actor(stage& on, party& side) : on_(on), side_(side) {
        ++on_.made;
        ++side_.made;
    }
    actor(const actor&) = delete;
    actor& operator=(const actor&) = delete;
    ~actor() { ++on_.destroyed; }

    void on_open(sockeye::stream& link);
    void on_data(sockeye::stream& link, sockeye::bytes in);
    void on_end(sockeye::stream& link);
    void on_writable(sockeye::stream& link);
    void on_close(sockeye::stream& link, sockeye::close_info info);

private:
    void expect(bool is_right, const char* wrong);

    stage& on_;
    party& side_;
    bool is_open_ = false;
    bool has_ended_ = false;
    bool is_closed_ = false;
};

/// One use of the library, from the first object to the last.
struct scenario {
    std::string_view name;
    /// False where it did not come to what it was to bring about. It ends all the same: of
    /// whatever it waits for, it waits for the failure too.
    bool (*play)(stage&);
    bool needs_real_system = false; ///< descriptors of the process, or signals
    bool leaves_in_silence = false; ///< owners go while their sessions live
    bool adopts = false;            ///< a socket from elsewhere
    bool sets_options = false;      ///< that are no hints: their failure is the scenario's
};

[[nodiscard]] std::span<const scenario> scenarios() noexcept;

} // namespace support
