#include "net/connection.hpp"

#include "base/probes.hpp"
#include "net/shortage.hpp"
#include "net/stream_extra.hpp"

#include <sockeye/error.hpp>

#include <cassert>
#include <new>

namespace sockeye {
namespace {

/// The last words to a session that has no connection any more, or never had one.
struct farewell_state {
    loop_core& core;
    stream nobody;
    const session_table* table;
    void* session;
    bool session_is_shared;
    close_reason reason;
    std::error_code error;
};

void say_farewell(slot& place) {
    auto& state = place.as<farewell_state>();
    const close_info info = {.reason = state.reason, .error = state.error};
    if (state.table->on_close != nullptr) {
        state.core.call([&] { state.table->on_close(state.session, state.nobody, info); });
    }
    place.operations->destroy(place);
}

void end_farewell(slot& place) noexcept {
    auto& state = place.as<farewell_state>();
    if (!state.session_is_shared) {
        state.table->destroy(state.session);
    }
    state.core.io().release(place);
}

constexpr slot_operations farewell_operations = {.ready = {},
                                                 .resume = {},
                                                 .flush = {},
                                                 .finish = say_farewell,
                                                 .destroy = end_farewell,
                                                 .relieve = {},
                                                 .look = {},
                                                 .kind = "connection that ends"};

/// Requires: a slot of farewell_operations.
void queue_farewell(slot& place, loop_core& core, const session_table& table, void* session,
                    bool is_shared, close_reason reason, std::error_code error = {}) noexcept {
    auto& farewell =
        place.emplace<farewell_state>(core, stream(), &table, session, is_shared, reason, error);
    stream_access::identify(farewell.nobody, core);
    core.io().queue_finish(place);
}

} // namespace

std::error_code stream_state::failure() const noexcept {
    switch (failure_origin) {
    case error_origin::generic:
        return {failure_value, std::generic_category()};
    case error_origin::sockeye:
        return {failure_value, sockeye_category()};
    case error_origin::system:
        break;
    }
    return {failure_value, std::system_category()};
}

void stream_state::fail_with(std::error_code error) noexcept {
    const auto& from = error.category();
    assert(from == std::generic_category() || from == sockeye_category() ||
           from == std::system_category());
    failure_value = error.value();
    failure_origin = from == std::generic_category() ? error_origin::generic
                     : from == sockeye_category()    ? error_origin::sockeye
                                                     : error_origin::system;
}

void connection::describe(slot& place, std::string& text) {
    const auto& self = place.as<stream_state>().self;
    if (self.is_connecting()) {
        text += " still connecting";
    } else if (const auto peer = self.peer_endpoint()) {
        text += " with " + peer->to_string();
    }
    text += ", " + std::to_string(self.queued_bytes()) + " bytes queued";
}

const slot_operations& connection::operations() noexcept {
    static constexpr slot_operations all = {.ready = on_ready,
                                            .resume = on_resume,
                                            .flush = on_flush,
                                            .finish = on_finish,
                                            .destroy = on_loop_end,
                                            .relieve = on_relief,
                                            .look = on_look,
                                            .kind = "connection",
                                            .describe = describe};
    return all;
}

slot& connection::make(stream_kind& kind, transport carrier) {
    auto& io = kind.core.io();
    auto& place = io.allocate(kind.operations);
    auto& state = place.emplace<stream_state>();
    stream_access::identify(state.self, kind.core, place);
    state.carrier = carrier;
    kind.traits = traits_of(carrier);
    ++kind.references;
    kind.core.add_life();
    if (kind.group != nullptr) {
        kind.group->insert(io, place);
    }
    return place;
}

result<slot*> connection::begin(stream_kind& kind, transport carrier, owned_fd fd) {
    auto& place = make(kind, carrier);
    connection link(place);
    place.fd = fd.release();
    link.note_opened();
    if (const auto error = kind.core.io().watch(place, link.wanted())) {
        link.set(flag_terminal);
        link.free();
        return error;
    }
    link.begin_time();
    return &place;
}

void connection::note_opened() noexcept {
    ++core_.io().counters().opened;
    probes::opened(&core_.io(), place_.fd);
}

void connection::open() {
    if (kind_.table != nullptr && kind_.table->on_open != nullptr && !is(flag_terminal)) {
        deliver([&] { kind_.table->on_open(state_.session, state_.self); });
    }
}

void connection::come_up() {
    clear(flag_connecting);
    state_.extra->connecting.reset();
    begin_time();
    if (state_.queue != nullptr) {
        begin_waiting();
    }
    if (is_waiter_due()) {
        core_.io().queue_resume(place_);
    } else {
        drop_idle_extra();
    }
    note_opened();
    update_interest();
    open();
    if (is(flag_terminal)) {
        return;
    }
    // A new view: on_open may have given the connection another owner.
    connection now(place_);
    if (state_.queue != nullptr) {
        now.drain_queue();
    } else if (unsent() == 0) {
        now.output_sent();
    }
    if (!is(flag_terminal) && is(flag_readable)) {
        core_.io().queue_resume(place_);
    }
}

void connection::attach(const session_table& table, void* session) {
    assert(state_.session == nullptr);
    if (kind_.references == 1) {
        kind_.table = &table;
    } else {
        auto* const own = new stream_kind{operations(), core_, &table, kind_.limits,
                                          kind_.group,  false, 1,      kind_.traits};
        place_.operations = &own->operations;
        drop_reference(kind_);
    }
    state_.session = session;
    if (is(flag_read_ended) && !has(trait_write_only)) {
        // The end was read before there was a session: it is read again, to tell this one.
        clear(flag_read_ended);
        set(flag_readable);
    }
    // This view still looks at the former kind.
    connection(place_).resume_reading();
}

void connection::read_above_mark() {
    assert(kind_.references == 1);
    kind_.reads_above_mark = true;
    resume_reading();
}

void connection::tell_of_end(loop_core& core, const session_table& table, void* session) {
    queue_farewell(core.io().allocate(farewell_operations), core, table, session, false,
                   close_reason::failed, make_error_code(std::errc::not_connected));
}

void connection::shutdown() {
    if (is(flag_terminal | flag_closing | flag_shut_wanted)) {
        return;
    }
    set(flag_shut_wanted);
    if (unsent() == 0 && !is(flag_connecting)) {
        output_sent();
    }
}

void connection::close(close_reason reason) {
    if (is(flag_terminal | flag_closing)) {
        return;
    }
    if (is(flag_connecting)) {
        end(close_reason::connect_failed, make_error_code(std::errc::operation_canceled));
        return;
    }
    set(flag_closing);
    state_.reason = reason;
    if (unsent() == 0) {
        end(reason);
        return;
    }
    begin_phase(kind_.limits.linger);
    update_interest();
}

void connection::abort() {
    if (is(flag_terminal)) {
        return;
    }
    if (is(flag_connecting)) {
        end(close_reason::connect_failed, make_error_code(std::errc::operation_canceled));
        return;
    }
    if (place_.fd >= 0 && !has(trait_file)) {
        static_cast<void>(core_.system().set_option(place_.fd, socket_option::linger_reset, 1));
    }
    end(close_reason::aborted);
}

void connection::pause() {
    set(flag_paused_by_user);
    update_interest();
}

void connection::resume() {
    clear(flag_paused_by_user);
    resume_reading();
}

void connection::give_up() noexcept {
    set(flag_silent);
    close();
    if (is(flag_in_handler)) {
        set(flag_doomed);
    } else {
        destroy_session();
    }
}

bool connection::take_over() noexcept {
    if (is(flag_terminal | flag_closing)) {
        return false;
    }
    stream_kind* own = nullptr;
    slot* farewell = nullptr;
    try {
        auto made = std::unique_ptr<stream_kind>(new stream_kind{
            operations(), core_, nullptr, kind_.limits, nullptr, false, 1, kind_.traits});
        if (state_.session != nullptr) {
            farewell = &core_.io().allocate(farewell_operations);
        }
        own = made.release();
    } catch (const std::bad_alloc&) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return false;
    }
    if (farewell != nullptr) {
        queue_farewell(*farewell, core_, *kind_.table, std::exchange(state_.session, nullptr),
                       kind_.sessions_are_shared, close_reason::taken);
    }
    place_.operations = &own->operations;
    connection(place_).update_interest();
    if (kind_.group != nullptr) {
        kind_.group->erase(core_.io(), place_);
    }
    drop_reference(kind_);
    return true;
}

result<unique_fd> connection::release() {
    if (is(flag_terminal | flag_closing | flag_connecting)) {
        return std::errc::not_connected;
    }
    if (!core_.system().is_real()) {
        return std::errc::not_supported;
    }
    if (state_.pending_size != 0) {
        send_now({});
    }
    if (is(flag_terminal | flag_write_dead)) {
        return state_.failure();
    }
    if (unsent() != 0) {
        return std::errc::operation_in_progress;
    }
    core_.io().unwatch(place_);
    restore_file();
    unique_fd given(std::exchange(place_.fd, -1));
    end(close_reason::taken);
    return given;
}

void connection::end(close_reason reason, std::error_code error) noexcept {
    if (is(flag_terminal)) {
        return;
    }
    set(flag_terminal);
    state_.reason = reason;
    state_.fail_with(error);
    drop_output();
    if (reason == close_reason::failed && state_.dropped_bytes != 0 && place_.fd >= 0 &&
        !has(trait_file)) {
        // The peer must not take what it got for all there was: a reset, and no end.
        static_cast<void>(core_.system().set_option(place_.fd, socket_option::linger_reset, 1));
    }
    core_.io().look_no_more(place_);
    core_.io().unwatch(place_);
    core_.io().queue_finish(place_);
}

void connection::on_finish(slot& place) {
    connection link(place);
    auto& state = link.state_;
    const auto* table = link.kind_.table;
    if (!link.is(flag_silent)) {
        link.set(flag_in_handler);
        tell_last_waiters(place);
        link.clear(flag_in_handler);
    }
    if (table != nullptr && table->on_close != nullptr && state.session != nullptr &&
        !link.is(flag_silent)) {
        const auto* const rest = state.extra;
        const bool has_tried = rest != nullptr && rest->connecting != nullptr;
        const close_info info = {.reason = state.reason,
                                 .error = state.failure(),
                                 .deadline = state.passed,
                                 .dropped_bytes = state.dropped_bytes,
                                 .discarded_bytes = link.is_discarding() ? rest->discard->bytes : 0,
                                 .attempts = has_tried ? rest->connecting->report(state.failure())
                                                       : std::span<const connect_attempt>()};
        link.set(flag_in_handler);
        link.core_.call([&] { table->on_close(state.session, state.self, info); });
        link.clear(flag_in_handler);
    }
    link.free();
}

void connection::on_loop_end(slot& place) noexcept {
    connection link(place);
    link.set(flag_terminal);
    link.drop_output();
    link.free();
}

/// Removed from the backend first, closed second; then the session goes, and the slot last.
void connection::free() noexcept {
    auto& io = core_.io();
    restore_file();
    probes::closed(&io, place_.fd, static_cast<int>(state_.reason), state_.failure_value);
    io.close(place_);
    io.counters().closed += is(flag_connecting) ? 0 : 1;
    destroy_session();
    delete std::exchange(state_.extra, nullptr);
    core_.drop_life();
    io.relieve_descriptors();
    if (kind_.group != nullptr) {
        kind_.group->erase(io, place_);
    }
    io.release(place_);
    drop_reference(kind_);
}

void connection::destroy_session() noexcept {
    clear(flag_doomed);
    auto* const session = std::exchange(state_.session, nullptr);
    if (session != nullptr && !kind_.sessions_are_shared) {
        kind_.table->destroy(session);
    }
}

/// Without memory for it the connection ends: it would wait for ever. Gives 0 then.
timer_id connection::start_timer(duration delay, void (*fire)(void*, std::uint64_t)) noexcept {
    try {
        return core_.start_timer(delay, {fire, &core_, key_of(place_)});
    } catch (const std::bad_alloc&) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return 0;
    }
}

/// What the peer's FIN leads to: the session's on_end, or the end once all output is sent.
void connection::read_end() {
    set(flag_read_ended);
    clear(flag_readable);
    if (is(flag_closing)) {
        if (is(flag_shut_done)) {
            end(state_.reason);
        } else {
            update_interest();
        }
        return;
    }
    if (is(flag_shut_done)) {
        end(close_reason::ended);
        return;
    }
    if (kind_.table->on_end == nullptr) {
        close(close_reason::ended);
        return;
    }
    update_interest();
    look_again();
    if (!is(flag_terminal)) {
        deliver([&] { kind_.table->on_end(state_.session, state_.self); });
    }
    // Who is told once was told of a reset together with the end, where both had come by then.
    // A new view: on_end may have given the connection another owner.
    connection now(place_);
    if (now.uses_edge() && now.is(flag_read_ended) && !now.is(flag_terminal | flag_closing)) {
        now.look_for_reset();
    }
}

/// After the peer's FIN, a read says 0 for ever, even when a reset has come; sending nothing tells.
void connection::look_for_reset() {
    if (has(trait_messages) || has(trait_file)) {
        look_for_hangup(); // to send nothing is to send an empty message, or says nothing
        return;
    }
    const auto sent = core_.system().send(place_.fd, {});
    if (!sent && sent.error() != std::errc::operation_would_block &&
        !is_memory_shortage(sent.error())) {
        end(close_reason::failed, sent.error() == std::errc::broken_pipe
                                      ? make_error_code(std::errc::connection_reset)
                                      : sent.error());
    }
}

void drop_reference(stream_kind& kind) noexcept {
    if (--kind.references == 0) {
        delete &kind;
    }
}

void connection_group::insert(reactor& io, slot& place) noexcept {
    auto& state = place.as<stream_state>();
    state.previous = 0;
    state.next = first_;
    if (first_ != 0) {
        io.slot_at(first_ - 1).as<stream_state>().previous = place.index + 1;
    }
    first_ = place.index + 1;
    ++count_;
}

void connection_group::erase(reactor& io, slot& place) noexcept {
    const auto& state = place.as<stream_state>();
    if (state.next != 0) {
        io.slot_at(state.next - 1).as<stream_state>().previous = state.previous;
    }
    if (state.previous != 0) {
        io.slot_at(state.previous - 1).as<stream_state>().next = state.next;
    } else {
        first_ = state.next;
    }
    --count_;
    if (on_erase != nullptr) {
        on_erase(*this, place);
    }
}

void connection_group::disband(reactor& io) noexcept {
    for_each(io, [](slot& place) { connection(place).forget_group(); });
    first_ = 0;
    count_ = 0;
}

} // namespace sockeye
