#include <sockeye/signal_set.hpp>

#include "base/memory.hpp"
#include "kernel/signal_hub.hpp"
#include "loop/loop_core.hpp"
#include "loop/signal_state.hpp"

#include <algorithm>
#include <cassert>
#include <memory>
#include <utility>

namespace sockeye {
namespace {

void stop_listening(signal_state& state) noexcept {
    if (std::exchange(state.is_cancelled, true)) {
        return;
    }
    auto& core = state.core;
    for (const int signal : state.signals) {
        core.system().remove_signal(signal, core.pending_signals());
    }
    core.remove_signal_state(state);
    core.drop_life();
}

void cancel(signal_state* state) noexcept {
    if (state != nullptr) {
        assert(may_use(state->core, "a signal_set"));
        stop_listening(*state);
        state->core.retire(std::unique_ptr<signal_state>(state));
    }
}

result<std::unique_ptr<signal_state>> make_state(loop_core& core,
                                                 std::initializer_list<int> signals,
                                                 unique_function<void(int)> handler) {
    auto state = std::unique_ptr<signal_state>(new signal_state{{}, core, {}, std::move(handler)});
    state->signals.reserve(signals.size());
    core.add_signal_state(*state);
    return state;
}

} // namespace

void tell_signals(signal_state& listener, std::uint64_t told) {
    for (const int signal : listener.signals) {
        if (listener.is_cancelled || (told & signal_bit(signal)) == 0) {
            continue;
        }
        if (!listener.core.call([&] { listener.handler(signal); })) {
            stop_listening(listener);
        }
        listener.core.io().handler_ran("signal set");
    }
}

result<signal_set> signal_set::open(sockeye::loop& owner, std::initializer_list<int> signals,
                                    unique_function<void(int)> handler) {
    auto& core = core_of(owner);
    auto state = without_throwing([&] { return make_state(core, signals, std::move(handler)); });
    if (!state) {
        return state.error();
    }
    core.add_life();
    signal_set made(state->release());
    for (const int signal : signals) {
        if (std::ranges::find(made.state_->signals, signal) != made.state_->signals.end()) {
            continue;
        }
        if (const auto error =
                core.system().add_signal(signal, core.pending_signals(), core.write_end())) {
            return error;
        }
        made.state_->signals.push_back(signal);
    }
    return made;
}

signal_set& signal_set::operator=(signal_set&& other) noexcept {
    if (this != &other) {
        cancel(std::exchange(state_, std::exchange(other.state_, nullptr)));
    }
    return *this;
}

signal_set::~signal_set() {
    cancel(state_);
}

} // namespace sockeye
