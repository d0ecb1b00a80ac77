#include <sockeye/process_watch.hpp>

#include "base/memory.hpp"
#include "loop/loop_core.hpp"

#include <sockeye/signal_set.hpp>

#include <cassert>
#include <csignal>
#include <memory>
#include <optional>

namespace sockeye {

/// What a process_watch owns.
struct process_watch_state : retirable {
    process_watch_state(loop_core& owner, int child, unique_function<void(process_end)> told)
        : core(owner), pid(child), handler(std::move(told)) {}

    loop_core& core;
    int pid;
    unique_function<void(process_end)> handler;
    slot_key key = 0; ///< 0 once it is over
    owned_fd process;
    std::optional<signal_set> signals; ///< where the system has no descriptors of processes
};

namespace {

/// Nothing is heard of the child any more.
void leave(process_watch_state& state) noexcept {
    state.signals.reset();
    auto* const place = state.core.io().find(std::exchange(state.key, 0));
    if (place == nullptr) {
        return;
    }
    state.core.io().unwatch(*place);
    place->fd = -1;
    state.core.io().release(*place);
    state.process.reset();
    state.core.drop_life();
}

void destroy(process_watch_state* state) noexcept {
    if (state != nullptr) {
        assert(may_use(state->core, "a process_watch"));
        leave(*state);
        state->core.retire(std::unique_ptr<process_watch_state>(state));
    }
}

void look(process_watch_state& state) {
    if (state.key == 0) {
        return;
    }
    const auto ended = state.core.system().reap_process(state.pid);
    if (!ended && ended.error() == std::errc::operation_would_block) {
        return;
    }
    const auto told =
        ended ? process_end{ended->code, ended->signal, true} : process_end{0, 0, false};
    leave(state);
    state.core.call([&] { state.handler(told); });
}

void on_exit_ready(slot& place, const event&) {
    look(*place.as<process_watch_state*>());
}

void on_resume(slot& place) {
    look(*place.as<process_watch_state*>());
}

void end_with_loop(slot& place) noexcept {
    leave(*place.as<process_watch_state*>());
}

void describe_process(slot& place, std::string& text) {
    text += " pid " + std::to_string(place.as<process_watch_state*>()->pid);
}

constexpr slot_operations process_operations = {.ready = on_exit_ready,
                                                .resume = on_resume,
                                                .flush = {},
                                                .finish = {},
                                                .destroy = end_with_loop,
                                                .relieve = {},
                                                .look = {},
                                                .kind = "process",
                                                .describe = describe_process};

/// It may have ended before SIGCHLD was watched: the first look comes in the next turn.
std::error_code wait_by_signal(loop& owner, process_watch_state& state, slot& place) {
    auto heard = signal_set::open(owner, {SIGCHLD}, [&state](int) { look(state); });
    if (!heard) {
        return heard.error();
    }
    state.signals = std::move(heard.value());
    state.core.io().queue_resume(place);
    return {};
}

result<std::unique_ptr<process_watch_state>> start(loop& owner, int pid,
                                                   unique_function<void(process_end)> handler) {
    auto& core = core_of(owner);
    auto process = core.system().watch_process(pid);
    if (!process && process.error() != std::errc::function_not_supported) {
        return process.error();
    }
    auto state = std::make_unique<process_watch_state>(core, pid, std::move(handler));
    auto& place = core.io().allocate(process_operations);
    place.emplace<process_watch_state*>(state.get());
    std::error_code error;
    if (process) {
        state->process = std::move(process.value());
        place.fd = state->process.get();
        error = core.io().watch(place, interest::readable);
    } else {
        error = without_throwing([&] { return wait_by_signal(owner, *state, place); });
    }
    if (error) {
        place.fd = -1;
        core.io().release(place);
        return error;
    }
    state->key = key_of(place);
    core.add_life();
    return state;
}

} // namespace

result<process_watch> process_watch::open(sockeye::loop& owner, int pid,
                                          unique_function<void(process_end)> handler) {
    auto state = without_throwing([&] { return start(owner, pid, std::move(handler)); });
    if (!state) {
        return state.error();
    }
    return process_watch(state->release());
}

process_watch& process_watch::operator=(process_watch&& other) noexcept {
    if (this != &other) {
        destroy(std::exchange(state_, std::exchange(other.state_, nullptr)));
    }
    return *this;
}

process_watch::~process_watch() {
    destroy(state_);
}

bool process_watch::is_waiting() const noexcept {
    return state_ != nullptr && state_->key != 0;
}

} // namespace sockeye
