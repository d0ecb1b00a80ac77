#include "base/memory.hpp"
#include "loop/loop_core.hpp"

#include <sockeye/error.hpp>

#include <cassert>
#include <memory>
#include <string>

namespace sockeye {

/// What a watch owns.
struct watch_state : retirable {
    loop_core& core;
    unique_function<void(readiness)> handler;
    slot_key key = 0;
    bool is_alive = true;                   ///< false once its handler threw
    std::optional<file_identity> file = {}; ///< what is watched; known where there are asserts
};

namespace {

[[maybe_unused]] bool note_file(watch_state& state, int fd) noexcept {
    if (const auto found = state.core.system().identify_descriptor(fd)) {
        state.file = *found;
    }
    return true;
}

/// For asserts: true where the descriptor still leads to what was watched.
[[maybe_unused]] bool leads_there_still(const watch_state& state, int fd) noexcept {
    const auto found = state.core.system().identify_descriptor(fd);
    const bool is_unknown = !found && found.error() != std::errc::bad_file_descriptor;
    if (!state.file || is_unknown || (found && *found == *state.file)) {
        return true;
    }
    const auto name = "a watch of descriptor " + std::to_string(fd);
    return misuse(name, found ? "outlived it: the number is another file's by now"
                              : "outlived it: somebody has closed it");
}

void cancel_watch(watch_state* state) noexcept {
    if (state == nullptr) {
        return;
    }
    auto& core = state->core;
    assert(may_use(core, "a watch"));
    if (auto* place = core.io().find(state->key)) {
        assert(!place->has(slot_mark::watched) || leads_there_still(*state, place->fd));
        core.io().unwatch(*place);
        core.io().release(*place);
    }
    if (state->is_alive) {
        core.drop_life();
    }
    core.retire(std::unique_ptr<watch_state>(state));
}

void on_ready(slot& place, const event& told) {
    auto& state = *place.as<watch_state*>();
    const readiness what = {told.readable, told.writable, told.hangup, told.error};
    if (!state.core.call([&] { state.handler(what); })) {
        // Its handler threw: nothing is heard of it again, as if it had been cancelled.
        if (auto* still = state.core.io().find(state.key)) {
            state.core.io().unwatch(*still);
            state.core.drop_life();
            state.is_alive = false;
        }
    }
}

void on_loop_end(slot& place) noexcept {
    auto& io = place.as<watch_state*>()->core.io();
    io.unwatch(place);
    io.release(place);
}

void describe(slot& place, std::string& text) {
    text += " of descriptor " + std::to_string(place.fd);
}

constexpr slot_operations operations = {.ready = on_ready,
                                        .resume = {},
                                        .flush = {},
                                        .finish = {},
                                        .destroy = on_loop_end,
                                        .relieve = {},
                                        .look = {},
                                        .kind = "watch",
                                        .describe = describe};

result<std::unique_ptr<watch_state>> start_watch(loop_core& core, int fd, interest wanted,
                                                 unique_function<void(readiness)> handler) {
    auto& io = core.io();
    auto state = std::unique_ptr<watch_state>(new watch_state{{}, core, std::move(handler)});
    auto& place = io.allocate(operations);
    place.emplace<watch_state*>(state.get());
    place.fd = fd;
    state->key = key_of(place);
    if (const auto error = io.watch(place, wanted)) {
        io.release(place);
        return error;
    }
    assert(note_file(*state, fd));
    core.add_life();
    return state;
}

} // namespace

result<watch> loop::watch(int fd, interest wanted, unique_function<void(readiness)> handler) {
    auto state = without_throwing(
        [&] { return start_watch(core_of(*this), fd, wanted, std::move(handler)); });
    if (!state) {
        return state.error();
    }
    return sockeye::watch(state->release());
}

std::error_code watch::modify(interest wanted) {
    assert(state_ == nullptr || may_use(state_->core, "a watch"));
    auto* place = state_ == nullptr ? nullptr : state_->core.io().find(state_->key);
    if (place == nullptr || !place->has(slot_mark::watched)) {
        return make_error_code(std::errc::no_such_file_or_directory);
    }
    assert(leads_there_still(*state_, place->fd));
    return state_->core.io().change(*place, wanted);
}

void watch::cancel() noexcept {
    cancel_watch(std::exchange(state_, nullptr));
}

watch& watch::operator=(watch&& other) noexcept {
    if (this != &other) {
        cancel_watch(std::exchange(state_, std::exchange(other.state_, nullptr)));
    }
    return *this;
}

watch::~watch() {
    cancel_watch(state_);
}

} // namespace sockeye
