#include "net/server_core.hpp"

#include <utility>

namespace sockeye {

// A slot of its own calls on_drained: it is there before anything ends, so that telling of the end
// needs no memory, and it keeps run() going until it was told.
const slot_operations server_core::drained_operations = {.ready = {},
                                                         .resume = {},
                                                         .flush = {},
                                                         .finish = tell_drained,
                                                         .destroy = free_drained,
                                                         .relieve = {},
                                                         .look = {},
                                                         .kind = "drain of a server"};

void server_core::start_drain(duration deadline, unique_function<void()> handler) {
    // What may throw comes first.
    slot* teller = core.io().find(drained);
    const bool is_new = handler && teller == nullptr;
    if (is_new) {
        teller = &core.io().allocate(drained_operations);
        teller->emplace<server_core*>(this);
    }
    core.timers().cancel(std::exchange(drain, 0));
    if (group.count() != 0) {
        try {
            drain = core.start_timer(deadline, {on_drain_over, this, 0});
        } catch (...) {
            if (is_new) {
                core.io().release(*teller);
            }
            throw;
        }
    }
    if (is_new) {
        drained = key_of(*teller);
        core.add_life();
    }
    if (handler) {
        on_drained = std::move(handler);
    } else {
        forget_drained();
        teller = nullptr;
    }
    stop_listening();
    if (group.count() == 0 && teller != nullptr) {
        core.io().queue_finish(*teller);
    }
}

void server_core::on_drain_over(void* server, std::uint64_t) {
    auto& self = *static_cast<server_core*>(server);
    self.drain = 0;
    self.group.for_each(self.core.io(), [](slot& place) { connection(place).abort(); });
}

void server_core::tell_drained(slot& place) {
    auto& self = *place.as<server_core*>();
    auto handler = std::move(self.on_drained);
    self.forget_drained();
    self.core.call(handler);
    if (self.is_detached) {
        give_up(&self);
    }
}

void server_core::free_drained(slot& place) noexcept {
    auto& self = *place.as<server_core*>();
    self.forget_drained();
    if (self.is_detached && self.listening == 0 && self.group.count() == 0) {
        give_up(&self);
    }
}

void server_core::forget_drained() noexcept {
    on_drained = nullptr;
    if (auto* const teller = core.io().find(std::exchange(drained, 0))) {
        core.drop_life();
        core.io().release(*teller);
    }
}

} // namespace sockeye
