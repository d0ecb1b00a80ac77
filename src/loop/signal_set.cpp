#include "loop/loop_core.hpp"
#include "loop/signal_state.hpp"

#include <sockeye/signal_set.hpp>

#include <memory>

namespace sockeye {
namespace {

void cancel(signal_state* state) noexcept {
    if (state == nullptr) {
        return;
    }
    auto& core = state->core;
    for (const int signal : state->signals) {
        core.system().remove_signal(signal, core.pending_signals());
    }
    core.remove_signal_state(*state);
    core.drop_life();
    state->is_cancelled = true;
    core.retire(std::unique_ptr<signal_state>(state));
}

} // namespace

void tell_signals(signal_state& listener, std::uint64_t told) {
    // The handler may destroy its set; the state itself lives to the end of the turn.
    for (const int signal : std::vector<int>(listener.signals)) {
        if (!listener.is_cancelled && (told >> signal & 1) != 0) {
            listener.core.call([&] { listener.handler(signal); });
        }
    }
}

result<signal_set> signal_set::open(sockeye::loop& owner, std::initializer_list<int> signals,
                                    unique_function<void(int)> handler) {
    auto& core = core_of(owner);
    auto state = std::unique_ptr<signal_state>(new signal_state{core, {}, std::move(handler)});
    core.add_signal_state(*state);
    core.add_life();
    signal_set made(state.release());
    for (const int signal : signals) {
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
