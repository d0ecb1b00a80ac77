#include "base/probes.hpp"
#include "net/datagram_core.hpp"
#include "net/shortage.hpp"

namespace sockeye {
namespace {

/// Errors of the socket itself. All others are what the network reports of one peer, in more kinds
/// than std::errc has names, and never end it.
bool is_about_the_socket(std::error_code error) noexcept {
    return error == std::errc::bad_file_descriptor || error == std::errc::not_a_socket;
}

/// Reported errors of one socket in one turn.
constexpr int errors_per_turn = 64;

} // namespace

void datagram_access::on_ready(slot& place, const event& told) {
    const auto& state = place.as<datagram_state>();
    if (state.core == nullptr) {
        return;
    }
    if (told.error && state.core->on_error) {
        take_errors(place);
    }
    if (state.core != nullptr && told.writable && !state.core->queue.empty()) {
        drain(place);
    }
    if (state.core != nullptr && (told.readable || told.error)) {
        state.core->is_readable = true;
        if (!place.has(slot_mark::in_ring)) {
            receive_once(place);
        }
    }
}

void datagram_access::on_resume(slot& place) {
    const auto& state = place.as<datagram_state>();
    if (state.core != nullptr && state.core->has_errors) {
        take_errors(place);
    }
    if (state.core != nullptr && !state.core->queue.empty() && !waits_by_timer(*state.core)) {
        drain(place);
    }
    if (state.core != nullptr) {
        receive_once(place);
    }
}

/// One receive call. Fewer than asked for mean that nothing is left.
void datagram_access::receive_once(slot& place) {
    auto& self = *place.as<datagram_state>().core;
    if (!self.is_readable || self.is_paused || self.is_short_of_memory) {
        return;
    }
    auto& io = self.core.io();
    if (io.counters().queued_bytes > self.core.queued_bytes_max()) {
        self.is_short_of_memory = true;
        update_interest(place);
        io.queue_for_memory(place);
        return;
    }
    auto& batch = io.datagrams();
    batch.wishes = self.wishes;
    ++io.counters().reads;
    const auto got = self.core.system().receive_datagrams(place.fd, self.carrier, batch);
    if (!got) {
        receive_failed(place, got.error());
        return;
    }
    probes::datagrams_received(&io, place.fd, *got);
    self.is_readable = *got == self.wishes.datagrams_max;
    if (batch.overflow() != 0) {
        self.counters.overflowed += batch.overflow() - self.overflow;
        self.overflow = batch.overflow();
    }
    if (self.cutter) {
        deliver_cut(place, batch.filled());
    } else {
        deliver(place, batch.filled());
    }
    auto* const left = place.as<datagram_state>().core;
    if (left != nullptr && left->is_readable) {
        io.queue_resume(place);
    }
}

void datagram_access::receive_failed(slot& place, std::error_code why) {
    auto& self = *place.as<datagram_state>().core;
    auto& io = self.core.io();
    if (why == std::errc::operation_would_block) {
        ++io.counters().would_blocks;
        self.is_readable = false;
        if (self.on_error) {
            take_errors(place); // select and kqueue tell of them as of datagrams
        }
    } else if (is_about_the_socket(why)) {
        stop(place);
    } else if (is_memory_shortage(why)) {
        self.is_short_of_memory = true;
        update_interest(place);
        ask_later(place);
    } else if (self.on_error) {
        self.has_errors = true; // where it is told in full
        io.queue_resume(place);
    } else {
        ++self.counters.errors;
        ++io.counters().datagram_errors;
        io.queue_resume(place);
    }
}

void datagram_access::deliver(slot& place, std::span<const datagram> in) {
    auto& self = *place.as<datagram_state>().core;
    auto& counters = self.core.io().counters();
    self.counters.received += in.size();
    counters.datagrams_read += in.size();
    for (const auto& one : in) {
        counters.bytes_read += one.data.size();
    }
    auto& state = place.as<datagram_state>();
    const bool returned = self.core.call([&] { self.on_datagrams(state.self, in); });
    if (!returned && state.core != nullptr) {
        stop(place);
    }
}

void datagram_access::deliver_cut(slot& place, std::span<const datagram> merged) {
    // Outlives the socket until the end of the turn.
    auto& cutter = *place.as<datagram_state>().core->cutter;
    cutter.begin(merged);
    for (auto in = cutter.next(); !in.empty(); in = cutter.next()) {
        deliver(place, in);
        if (place.as<datagram_state>().core == nullptr) {
            return;
        }
    }
}

/// What the queue of errors holds. It is emptied even while the socket is paused: what is in it
/// keeps the socket ready.
void datagram_access::take_errors(slot& place) {
    auto& state = place.as<datagram_state>();
    state.core->has_errors = false;
    for (int budget = errors_per_turn; state.core != nullptr && state.core->on_error; --budget) {
        auto& self = *state.core;
        if (budget == 0) {
            self.has_errors = true;
            self.core.io().queue_resume(place);
            return;
        }
        const auto told = self.core.system().receive_error(place.fd, self.carrier);
        if (!told) {
            return;
        }
        ++self.counters.errors;
        ++self.core.io().counters().datagram_errors;
        auto& heard = *self.on_error; // outlives the call, whatever it does
        if (!self.core.call([&] { heard(state.self, *told); }) && state.core != nullptr) {
            stop(place);
        }
    }
}

} // namespace sockeye
