#include "base/memory.hpp"
#include "base/probes.hpp"
#include "net/server_core.hpp"
#include "net/shortage.hpp"
#include "net/spreader.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <new>
#include <utility>

namespace sockeye {
namespace {

constexpr int told_in_vain_max = 64;
constexpr duration back_off_min = std::chrono::milliseconds(10);
constexpr duration back_off_max = std::chrono::seconds(1);

server_core& server_of(slot& place) noexcept {
    return *place.as<server_core*>();
}

bool is_shortage(std::error_code error) noexcept {
    return error == std::errc::too_many_files_open ||
           error == std::errc::too_many_files_open_in_system || is_memory_shortage(error);
}

} // namespace

void server_core::describe(slot& place, std::string& text) {
    const auto& self = *place.as<server_core*>();
    if (const auto local = self.core.system().local_endpoint(place.fd, self.carrier)) {
        text += " on " + local->to_string();
    }
    text += ", " + std::to_string(self.group.count()) + " connections";
}

const slot_operations server_core::listening_operations = {.ready = on_ready,
                                                           .resume = on_resume,
                                                           .flush = {},
                                                           .finish = {},
                                                           .destroy = on_loop_end,
                                                           .relieve = on_relief,
                                                           .look = {},
                                                           .kind = "server",
                                                           .describe = describe};

server_core::server_core(loop_core& owner, const listen_options& wanted)
    : core(owner), kind(new stream_kind{connection::operations(), owner, nullptr, wanted.limits,
                                        &group, false, 1}),
      options(wanted) {
    group.owner = this;
    group.on_erase = on_connection_gone;
}

server_core::~server_core() {
    drop_reference(*kind);
}

void server_core::on_ready(slot& place, const event& told) {
    if (told.hangup || told.error) {
        // Shut down by somebody else: where accept says would-block, it would be ready for ever.
        server_of(place).stop_listening();
    } else if (!place.has(slot_mark::in_ring)) {
        server_of(place).accept_some();
    }
}

void server_core::on_resume(slot& place) {
    server_of(place).accept_some();
}

void server_core::accept_some() {
    const auto most = std::max<std::size_t>(options.accepts_per_turn, 1);
    for (std::size_t count = 0; count < most; ++count) {
        auto* const where = place();
        if (where == nullptr || is_paused_by_user || is_paused_by_shortage) {
            return;
        }
        if (is_full()) {
            is_paused_by_limit = true;
            update_interest();
            return;
        }
        if (core.io().counters().queued_bytes > core.queued_bytes_max()) {
            wait_for_memory();
            return;
        }
        endpoint peer;
        auto fd = core.system().accept(where->fd, carrier, peer);
        if (fd) {
            told_in_vain = 0;
            back_off = duration::zero();
            accepted(std::move(fd.value()), peer);
        } else if (!may_accept_on(fd.error())) {
            return;
        }
    }
    if (auto* const where = place()) {
        core.io().queue_resume(*where);
    }
}

bool server_core::is_full() noexcept {
    return spread_by == nullptr ? group.count() >= options.connections_max
                                : !spread_by->wait_for_room();
}

void server_core::accepted(owned_fd fd, const endpoint& peer) {
    const auto from = sources ? source_of(peer) : no_source;
    if (spread_by == nullptr) {
        welcome(std::move(fd), from);
    } else if (!spread_by->hand_over(unique_fd(fd.release()), from)) {
        ++core.io().counters().accept_errors;
    }
}

void server_core::take_in(unique_fd fd, source_id from) {
    auto* const place = std::exchange(counted, nullptr);
    welcome(owned_fd(core.system(), fd.release()), from);
    counted = place;
    place->note(group.count(), 1);
    part_of->left(*place);
}

void server_core::note_count() noexcept {
    if (counted != nullptr) {
        counted->note(group.count());
    }
}

void server_core::welcome(owned_fd fd, source_id from) {
    auto& counters = core.io().counters();
    const auto made = without_throwing([&] { return begin(std::move(fd), from); });
    note_count();
    if (!made) {
        if (made.error() == std::errc::connection_refused) {
            ++counters.refused;
            return;
        }
        ++counters.accept_errors;
        if (listening != 0) {
            wait_for_descriptors();
        }
        return;
    }
    ++counters.accepted;
    probes::accepted(&core.io(), (*made)->fd);
    connection link(**made);
    if (on_accept) {
        if (!core.call([&] { on_accept(stream_access::make(core, **made)); })) {
            link.end(close_reason::failed, make_error_code(errc::handler_threw));
        }
        return;
    }
    if (const auto error = make_session(link)) {
        link.end(close_reason::failed, error);
        return;
    }
    link.update_interest();
    link.open();
}

/// Errors: connection_refused where its source has its share. Throws bad_alloc.
result<slot*> server_core::begin(owned_fd fd, source_id from) {
    if (from == no_source) {
        return connection::begin(*kind, carrier, std::move(fd));
    }
    // Room for one more slot than there ever was.
    source_of_slots.resize(
        std::max<std::size_t>(source_of_slots.size(), core.io().slots().size() + 1), no_source);
    if (!sources->enter(from)) {
        return std::errc::connection_refused;
    }
    const auto made =
        without_throwing([&] { return connection::begin(*kind, carrier, std::move(fd)); });
    if (made) {
        source_of_slots[(*made)->index] = from;
    } else {
        sources->leave(from);
    }
    return made;
}

void server_core::leave_source(const slot& place) noexcept {
    if (place.index < source_of_slots.size()) {
        const auto from = std::exchange(source_of_slots[place.index], no_source);
        if (from != no_source) {
            sources->leave(from);
        }
    }
}

std::error_code server_core::make_session(connection link) {
    std::error_code error;
    const bool returned = core.call([&] {
        // No memory is nobody's mistake: this connection ends, and nothing else.
        error = without_throwing([&] {
            link.state().session = source.make(source.context.get());
            return std::error_code();
        });
    });
    core.io().counters().accept_errors += error ? 1 : 0;
    return returned ? error : make_error_code(errc::handler_threw);
}

/// What accept(2) reports of a connection that died in the queue concerns that one only; a
/// shortage concerns all of them.
bool server_core::may_accept_on(std::error_code error) {
    if (error == std::errc::operation_would_block) {
        // Now and then where others accept from the same socket; for ever where it is a Unix one
        // that somebody shut down, of which select has no hint.
        if (++told_in_vain > told_in_vain_max) {
            retry_later();
            update_interest();
        }
        return false;
    }
    ++core.io().counters().accept_errors;
    if (is_shortage(error)) {
        shed_one();
        wait_for_descriptors();
        return false;
    }
    // Shut down or closed by somebody else: it would be ready for ever.
    if (error == std::errc::invalid_argument || error == std::errc::bad_file_descriptor) {
        stop_listening();
        return false;
    }
    return true;
}

/// Gives up the reserve to accept one and to close it, so that a client is told at once.
void server_core::shed_one() {
    core.release_reserve();
    endpoint peer;
    if (core.system().accept(place()->fd, carrier, peer)) {
        ++core.io().counters().shed;
        probes::shed(&core.io(), place()->fd);
    }
    core.hold_reserve();
}

void server_core::wait_for_descriptors() {
    retry_later();
    core.io().queue_for_descriptor(*place());
    update_interest();
}

void server_core::retry_later() {
    is_paused_by_shortage = true;
    back_off = std::clamp(back_off * 2, back_off_min, back_off_max);
    core.timers().cancel(std::exchange(retry, 0));
    try {
        retry = core.start_timer(back_off, {on_retry, this, 0});
    } catch (const std::bad_alloc&) {
        core.wait_without_timer(*place());
    }
}

void server_core::wait_for_memory() {
    is_paused_by_shortage = true;
    core.io().queue_for_memory(*place());
    update_interest();
}

void server_core::go_on() {
    is_paused_by_shortage = false;
    core.timers().cancel(std::exchange(retry, 0));
    update_interest();
    if (auto* const where = place()) {
        core.io().queue_resume(*where);
    }
}

void server_core::on_retry(void* server, std::uint64_t) {
    static_cast<server_core*>(server)->go_on();
}

void server_core::on_relief(slot& place) {
    server_of(place).go_on();
}

void server_core::update_interest() {
    if (auto* const where = place()) {
        const bool is_paused = is_paused_by_user || is_paused_by_limit || is_paused_by_shortage;
        const auto wanted = is_paused ? interest::none : interest::readable;
        const auto mode = is_exclusive ? interest::exclusive : interest::none;
        const bool waits = core.timers().is_armed(retry) || where->has(slot_mark::waits_for_memory);
        if (core.io().change_or_unwatch(*where, wanted | mode) && !waits) {
            retry_later();
        }
    }
}

void server_core::limit_is_over() {
    if (std::exchange(is_paused_by_limit, false)) {
        update_interest();
        if (auto* const where = place()) {
            core.io().queue_resume(*where);
        }
    }
}

void server_core::on_connection_gone(connection_group& group, const slot& gone) {
    auto& self = *group.owner;
    self.leave_source(gone);
    if (self.counted != nullptr) {
        self.note_count();
        self.part_of->left(*self.counted);
    }
    if (group.count() < self.options.connections_max) {
        self.limit_is_over();
    }
    if (group.count() == 0 && self.listening == 0) {
        self.core.timers().cancel(std::exchange(self.drain, 0));
        if (auto* const teller = self.core.io().find(self.drained)) {
            self.core.io().queue_finish(*teller);
        } else if (self.is_detached) {
            give_up(&self);
        }
    }
}

void server_core::on_loop_end(slot& place) noexcept {
    auto& self = server_of(place);
    self.stop_listening();
    if (self.is_detached) {
        give_up(&self);
    }
}

void server_core::give_up(server_core* server) noexcept {
    if (server != nullptr) {
        server->group.for_each(server->core.io(), [](slot& place) { connection(place).give_up(); });
        let_go(server);
    }
}

void server_core::let_go(server_core* server) noexcept {
    if (server == nullptr) {
        return;
    }
    auto& self = *server;
    self.stop_listening();
    self.core.timers().cancel(std::exchange(self.drain, 0));
    self.forget_drained();
    self.group.disband(self.core.io());
    self.note_count();
    self.kind->group = nullptr;
    self.core.retire(std::unique_ptr<server_core>(server));
}

} // namespace sockeye
