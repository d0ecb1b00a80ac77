#include <sockeye/datagram_socket.hpp>

#include "net/datagram_core.hpp"
#include "net/shortage.hpp"

#include <algorithm>
#include <cassert>
#include <new>

namespace sockeye {

void datagram_access::describe(slot& place, std::string& text) {
    auto* const self = place.as<datagram_state>().core;
    if (self == nullptr) {
        return;
    }
    if (const auto local = self->core.system().local_endpoint(place.fd, self->carrier)) {
        text += " on " + local->to_string();
    }
    text += ", " + std::to_string(self->queue.bytes()) + " bytes queued";
}

const slot_operations datagram_access::operations = {.ready = on_ready,
                                                     .resume = on_resume,
                                                     .flush = {},
                                                     .finish = on_finish,
                                                     .destroy = on_loop_end,
                                                     .relieve = on_relief,
                                                     .look = {},
                                                     .kind = "datagram socket",
                                                     .describe = describe};

bool datagram_access::is_handler_view(const datagram_socket& handle) noexcept {
    if (handle.core_ == nullptr) {
        return false;
    }
    assert(may_use(*handle.core_, "a datagram_socket"));
    auto* const found = handle.core_->io().find(make_slot_key(handle.index_, handle.generation_));
    return found != nullptr && &found->as<datagram_state>().self == &handle;
}

interest datagram_access::wanted(const datagram_core& self) noexcept {
    const bool is_stuck = !self.queue.empty() && !waits_by_timer(self);
    const auto out = is_stuck ? interest::writable : interest::none;
    const auto& features = self.core.io().features();
    if (features.edge && features.early_close) {
        return interest::readable | interest::edge | out;
    }
    const bool is_waiting = self.is_paused || self.is_short_of_memory;
    return out | (is_waiting ? interest::none : interest::readable);
}

void datagram_access::update_interest(slot& place) noexcept {
    auto& self = *place.as<datagram_state>().core;
    if (self.core.io().change_or_unwatch(place, wanted(self))) {
        ask_later(place);
    }
}

/// What is watched could not be changed, or the system had no memory for a receive call.
void datagram_access::ask_later(slot& place) noexcept {
    auto& self = *place.as<datagram_state>().core;
    if (self.pause != 0) {
        return;
    }
    try {
        self.pause =
            self.core.start_timer(shortage_pause, {on_pause_over, &self.core, key_of(place)});
    } catch (const std::bad_alloc&) {
        self.core.wait_without_timer(place);
    }
}

/// There is memory again, or time to do without the timer for which there was none.
void datagram_access::on_relief(slot& place) {
    auto* const self = place.as<datagram_state>().core;
    if (self == nullptr) {
        return;
    }
    const auto key = key_of(place);
    if (self->pause == 0) {
        on_pause_over(&self->core, key);
    }
    if (self->retry == 0 && waits_by_timer(*self)) {
        on_retry(&self->core, key);
    }
}

void datagram_access::on_pause_over(void* core, std::uint64_t key) {
    if (auto* const place = find(*static_cast<loop_core*>(core), key)) {
        auto& self = *place->as<datagram_state>().core;
        self.pause = 0;
        self.is_short_of_memory = false;
        update_interest(*place);
        self.core.io().queue_resume(*place);
    }
}

result<datagram_socket> datagram_access::start(std::unique_ptr<datagram_core> made, owned_fd fd) {
    auto& core = made->core;
    core.io().provide_datagrams();
    auto& place = core.io().allocate(operations);
    auto& state = place.emplace<datagram_state>();
    // Written over and not assigned: this one object is the slot's identity, not an owner.
    ::new (static_cast<void*>(&state.self)) datagram_socket(core, place.index, place.generation);
    place.fd = fd.get();
    if (const auto error = core.io().watch(place, wanted(*made))) {
        core.io().release(place);
        return error;
    }
    static_cast<void>(fd.release());
    state.core = made.release();
    core.add_life();
    return datagram_socket(core, place.index, place.generation);
}

/// Closes at once. The slot stays until the end of the turn: a handler that is running still has a
/// reference to the socket in it.
void datagram_access::stop(slot& place) noexcept {
    auto* const self = std::exchange(place.as<datagram_state>().core, nullptr);
    auto& core = self->core;
    core.timers().cancel(self->retry);
    core.timers().cancel(self->pause);
    core.io().counters().queued_bytes -= self->queue.bytes();
    core.io().counters().datagrams_dropped += self->queue.size();
    core.io().close(place);
    core.io().queue_finish(place);
    if (!core.io().is_forked()) {
        self->file.remove(core.system());
    }
    core.drop_life();
    core.io().relieve_descriptors();
    core.retire(std::unique_ptr<datagram_core>(self));
}

void datagram_access::on_finish(slot& place) {
    core_of(place).io().release(place);
}

void datagram_access::on_loop_end(slot& place) noexcept {
    if (place.as<datagram_state>().core != nullptr) {
        stop(place);
    }
    on_finish(place);
}

datagram_socket::datagram_socket(datagram_socket&& other) noexcept {
    if (!datagram_access::is_handler_view(other)) {
        core_ = std::exchange(other.core_, nullptr);
        index_ = other.index_;
        generation_ = other.generation_;
    }
}

datagram_socket& datagram_socket::operator=(datagram_socket&& other) noexcept {
    assert(!datagram_access::is_handler_view(*this));
    if (this != &other && !datagram_access::is_handler_view(*this)) {
        close();
        ::new (static_cast<void*>(this)) datagram_socket(std::move(other));
    }
    return *this;
}

datagram_socket::~datagram_socket() {
    if (!datagram_access::is_handler_view(*this)) {
        close();
    }
}

std::size_t datagram_socket::send(std::span<const datagram> out) {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return 0;
    }
    assert(may_begin(*core_, "a datagram_socket"));
    const bool has_names =
        std::ranges::any_of(out, [](const datagram& one) { return one.peer != nullptr; });
    return has_names && datagram_access::core(*this)->peer
               ? datagram_access::send_to_peer(*place, out)
               : datagram_access::send(*place, out);
}

bool datagram_socket::send(bytes data, const endpoint& peer) {
    const datagram one = {.data = data, .peer = &peer};
    return send({&one, 1}) == 1;
}

bool datagram_socket::send(bytes data) {
    const datagram one = {.data = data};
    return send({&one, 1}) == 1;
}

void datagram_socket::pause() {
    if (auto* const place = datagram_access::place(*this)) {
        datagram_access::core(*this)->is_paused = true;
        datagram_access::update_interest(*place);
    }
}

void datagram_socket::resume() {
    if (auto* const place = datagram_access::place(*this)) {
        auto& self = *datagram_access::core(*this);
        self.is_paused = false;
        datagram_access::update_interest(*place);
        if (self.is_readable) {
            self.core.io().queue_resume(*place);
        }
    }
}

void datagram_socket::close() noexcept {
    if (auto* const place = datagram_access::place(*this)) {
        datagram_access::stop(*place);
    }
}

void datagram_socket::detach() noexcept {
    if (!datagram_access::is_handler_view(*this)) {
        core_ = nullptr;
    }
}

bool datagram_socket::is_open() const noexcept {
    return datagram_access::place(*this) != nullptr;
}

result<endpoint> datagram_socket::local_endpoint() const {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return std::errc::bad_file_descriptor;
    }
    return core_->system().local_endpoint(place->fd, datagram_access::core(*this)->carrier);
}

std::size_t datagram_socket::queued_bytes() const noexcept {
    auto* const self = datagram_access::core(*this);
    return self == nullptr ? 0 : self->queue.bytes();
}

sockeye::loop& datagram_socket::loop() const noexcept {
    assert(core_ != nullptr || misuse("a datagram_socket", "of no loop is asked for it"));
    assert(may_use(*core_, "a datagram_socket"));
    return core_->handle();
}

datagram_counters datagram_socket::counters() const noexcept {
    auto* const self = datagram_access::core(*this);
    return self == nullptr ? datagram_counters() : self->counters;
}

} // namespace sockeye
