#include "base/probes.hpp"
#include "net/connecting.hpp"
#include "net/connection.hpp"
#include "net/sending.hpp"
#include "net/shortage.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <new>

namespace sockeye {
namespace {

constexpr duration send_retry_delay_max = std::chrono::milliseconds(100);
/// A send for which the system has had no memory for so long has failed.
constexpr duration send_shortage_max = std::chrono::seconds(10);

} // namespace

interest connection::wanted() const noexcept {
    if (uses_edge()) {
        // TCP tells of room only after it was short of it, so both directions are watched from
        // the start and never changed.
        return interest::readable | interest::writable | interest::edge;
    }
    const bool is_full = state_.queue != nullptr && !state_.queue->is_ready && !is(flag_send_later);
    const bool is_stuck = is_full || is(flag_connecting);
    return (can_read() ? interest::readable : interest::none) |
           (is_stuck ? interest::writable : interest::none);
}

/// Where each change is told once, a short read must mean that nothing is left. A Unix socket also
/// reads short behind a descriptor that was sent along; TCP before urgent data, which the backend
/// has to tell of. See: unix(7), tcp(7).
bool connection::uses_edge() const noexcept {
    const auto& features = core_.io().features();
    return features.edge && features.early_close && state_.carrier == transport::tcp;
}

bool connection::can_read() const noexcept {
    if (is(flag_closing)) {
        return is_discarding() && !is(flag_paused_by_memory | flag_read_ended | flag_terminal);
    }
    constexpr unsigned obstacles = flag_connecting | flag_paused_by_user | flag_paused_by_memory |
                                   flag_read_ended | flag_terminal;
    const unsigned mark = kind_.reads_above_mark ? 0 : flag_paused_by_queue;
    return !is(obstacles | mark) && state_.session != nullptr;
}

void connection::update_interest() noexcept {
    if (is(flag_terminal)) {
        return;
    }
    if (const auto error = core_.io().change(place_, wanted())) {
        end(close_reason::failed, error);
    }
}

void connection::on_ready(slot& place, const event& told) {
    connection link(place);
    if (link.is(flag_terminal)) {
        return;
    }
    link.note(told);
    if (link.is(flag_connecting)) {
        connecting_state::check(place);
        return;
    }
    if (told.writable && link.state_.queue != nullptr && !link.is(flag_send_later)) {
        link.drain_queue();
    }
    // A new view: on_writable may have given the connection another owner.
    connection now(place);
    if (now.is(flag_read_ended)) {
        if ((told.hangup || told.error) && !now.is(flag_terminal)) {
            now.look_for_reset();
        }
    } else if (now.is(flag_readable) && now.can_read() && !place.has(slot_mark::in_ring)) {
        now.read_once();
    }
}

/// Remembers that there is something to read, for when it may be read.
void connection::note(const event& told) noexcept {
    if (told.read_closed || told.hangup || told.error) {
        set(flag_readable | flag_end_hinted);
    } else if (told.readable) {
        set(flag_readable);
    }
}

void connection::on_resume(slot& place) {
    connection link(place);
    if (link.is(flag_terminal)) {
        return;
    }
    if (link.is(flag_connecting)) {
        if (place.fd >= 0) {
            connecting_state::check(place);
        }
    } else {
        link.go_on();
    }
    if (link.state_.extra != nullptr && !link.is(flag_terminal)) {
        tell_waiters(place);
    }
}

/// Its turn in the ring has come.
void connection::go_on() {
    if (state_.queue != nullptr && state_.queue->is_ready && !is(flag_send_later)) {
        drain_queue();
    }
    // A new view: on_writable may have given the connection another session.
    connection now(place_);
    if (now.is(flag_readable) && now.can_read()) {
        now.read_once();
    }
}

/// One receive call. A short read means that nothing is left, unless the backend hinted at an end
/// behind the data, of which an edge-triggered one tells no second time.
void connection::read_once() {
    auto& io = core_.io();
    auto& counters = io.counters();
    if (counters.queued_bytes > core_.queued_bytes_max()) {
        wait_for_memory();
        return;
    }
    const auto buffer = io.receive_buffer();
    ++counters.reads;
    std::vector<unique_fd> descriptors;
    const auto got = receive(buffer, descriptors);
    if (!got) {
        if (is_memory_shortage(got.error())) {
            read_later();
            return;
        }
        if (got.error() != std::errc::operation_would_block) {
            end(close_reason::failed, got.error());
            return;
        }
        ++counters.would_blocks;
        clear(flag_readable | flag_end_hinted);
        if (is(flag_write_dead)) {
            end(close_reason::failed, state_.failure());
        }
        return;
    }
    if (*got == 0) {
        if (is(flag_write_dead)) {
            end(close_reason::failed, state_.failure());
        } else {
            read_end();
        }
        return;
    }
    counters.bytes_read += *got;
    probes::received(&io, place_.fd, *got);
    state_.activity.heard(io.tick_now());
    if (*got < buffer.size() && !is(flag_end_hinted | flag_write_dead)) {
        clear(flag_readable);
    }
    if (is(flag_closing)) {
        discard(*got);
        return;
    }
    const bytes data = buffer.first(*got);
    deliver([&] {
        if (descriptors.empty()) {
            kind_.table->on_data(state_.session, state_.self, data);
        } else {
            kind_.table->on_data_with_descriptors(state_.session, state_.self, data,
                                                  std::move(descriptors));
        }
    });
    // A new view: on_data may have given the connection another owner.
    connection now(place_);
    if (now.is(flag_readable) && now.can_read()) {
        io.queue_resume(place_);
    }
}

void connection::wait_for_memory() {
    set(flag_paused_by_memory);
    update_interest();
    core_.io().queue_for_memory(place_);
}

/// The system had no memory for it: what has arrived waits.
void connection::read_later() {
    set(flag_paused_by_memory);
    update_interest();
    start_timer(shortage_pause, on_read_again);
}

void connection::on_read_again(void* core, std::uint64_t key) {
    auto* const place = static_cast<loop_core*>(core)->io().find(key);
    if (place != nullptr && !connection(*place).is(flag_terminal)) {
        on_relief(*place);
    }
}

void connection::on_relief(slot& place) {
    connection link(place);
    link.clear(flag_paused_by_memory);
    link.resume_reading();
}

write_status connection::write(bytes data) {
    if (is_refusing()) {
        return write_status::refused;
    }
    if (data.empty()) {
        return write_status::ok;
    }
    if (has(trait_messages)) {
        return write_unit(data, {});
    }
    if (must_queue()) {
        if (is_queue_full()) {
            return write_status::refused;
        }
        if (!queue_rest(data)) {
            // Whoever ignores the refusal must not leave a hole in the stream.
            end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
            return write_status::refused;
        }
    } else if (!keep_for_end_of_turn(data)) {
        send_now(data);
    }
    return after_write();
}

/// A queue that is past its limit ends the connection.
bool connection::is_queue_full() noexcept {
    if (weight() <= kind_.limits.queue_max) {
        return false;
    }
    probes::queue_full(&core_.io(), place_.fd, weight());
    end(close_reason::failed, make_error_code(errc::send_queue_full));
    return true;
}

/// Pauses reading above the high mark.
write_status connection::after_write() {
    if (weight() > kind_.limits.queue_high) {
        if (state_.queue == nullptr && state_.pending_size != 0) {
            send_now({});
        }
        if (weight() > kind_.limits.queue_high && !is(flag_terminal | flag_paused_by_queue)) {
            set(flag_paused_by_queue);
            update_interest();
        }
    }
    return is(flag_paused_by_queue) ? write_status::above_high_mark : write_status::ok;
}

/// Copies a small write behind what this turn has written before; false where there is no room
/// or another connection's bytes lie between.
bool connection::keep_for_end_of_turn(bytes data) {
    auto& arena = core_.io().arena();
    const auto size = state_.pending_size + data.size();
    if (data.size() > copied_bytes_max || size > pending_bytes_max) {
        return false;
    }
    if (state_.pending_size == 0) {
        const auto place = arena.begin(data);
        if (!place) {
            return false;
        }
        state_.pending_place = *place;
        core_.io().queue_output(place_);
    } else if (!arena.append(data, state_.pending_place, state_.pending_size)) {
        return false;
    }
    state_.pending_size = static_cast<std::uint16_t>(size);
    return true;
}

void connection::on_flush(slot& place) {
    connection link(place);
    if (link.state_.pending_size != 0) {
        link.send_now({});
    }
}

/// Sends what waits for the end of the turn, then `data`; what the kernel does not take is
/// queued.
void connection::send_now(bytes data) {
    auto& io = core_.io();
    const bytes pending = io.arena().view(state_.pending_place, state_.pending_size);
    state_.pending_size = 0;
    const std::array both = {pending, data};
    const std::size_t skipped = pending.empty() ? 1 : 0;
    const std::size_t count_of_parts = pending.empty() || data.empty() ? 1 : 2;
    ++io.counters().writes;
    const auto sent = transmit(std::span(both).subspan(skipped, count_of_parts));
    const auto shortage = shortage_of(sent);
    if (!sent && !shortage && sent.error() != std::errc::operation_would_block) {
        state_.dropped_bytes += pending.size() + data.size();
        write_failed(sent.error());
        return;
    }
    const auto count = sent ? *sent : 0;
    note_sent(count);
    if (count == pending.size() + data.size()) {
        output_sent();
        return;
    }
    io.counters().would_blocks += sent || shortage ? 0 : 1;
    const auto of_pending = std::min(count, pending.size());
    if (!queue_rest(pending.subspan(of_pending)) || !queue_rest(data.subspan(count - of_pending))) {
        // What is lost here would be a hole in the stream.
        state_.dropped_bytes += pending.size() + data.size() - count - unsent();
        write_failed(make_error_code(std::errc::not_enough_memory));
    } else if (shortage) {
        send_later(shortage);
    } else {
        update_interest();
    }
}

/// False where there is no memory for it; what was queued before stays.
bool connection::queue_rest(bytes data) noexcept {
    return data.empty() || queue_piece(data);
}

/// The kernel took that many bytes, or none.
void connection::note_sent(std::size_t count) noexcept {
    if (count != 0) {
        auto& io = core_.io();
        io.counters().bytes_written += count;
        state_.activity.said(io.tick_now());
        probes::sent(&io, place_.fd, count);
    }
}

/// The kernel took that many bytes of the queue, which goes with its last one.
void connection::take_from_queue(std::size_t count) noexcept {
    auto& queue = *state_.queue;
    const auto before = queue.weight();
    queue.consume(count);
    note_drained(count);
    note_sent(count);
    core_.io().counters().queued_bytes -= before - queue.weight();
    queue.retry_delay = unsent_output::retry_delay_min;
    queue.waited = duration::zero();
    if (queue.empty()) {
        delete std::exchange(state_.queue, nullptr);
    }
}

void connection::send_with_syn() {
    std::array<bytes, 1> front;
    if (state_.queue != nullptr) {
        static_cast<void>(state_.queue->gather(front));
    }
    ++core_.io().counters().writes;
    const auto sent = core_.system().send(place_.fd, front[0]);
    if (sent) {
        if (*sent != 0) {
            take_from_queue(*sent);
        }
    } else if (sent.error() != std::errc::operation_in_progress &&
               sent.error() != std::errc::operation_would_block) {
        end(close_reason::connect_failed, sent.error());
    }
}

/// The kernel has room again.
void connection::drain_queue() {
    if (state_.queue->file_to_read() != nullptr) {
        drain_file();
        return;
    }
    std::size_t asked = 0;
    const auto sent = send_front(asked);
    queue_sent(sent, asked);
}

/// A send of `asked` bytes of the queue is over.
void connection::queue_sent(const result<std::size_t>& sent, std::size_t asked) {
    state_.queue->is_ready = false;
    if (const auto shortage = shortage_of(sent)) {
        send_later(shortage);
        return;
    }
    if (!sent && sent.error() != std::errc::operation_would_block) {
        write_failed(sent.error());
        return;
    }
    if (!sent) {
        ++core_.io().counters().would_blocks;
        update_interest();
        return;
    }
    take_from_queue(*sent);
    if (state_.queue == nullptr) {
        update_interest();
        output_sent();
    } else {
        if (*sent == asked || has(trait_always_ready)) {
            state_.queue->is_ready = true;
            core_.io().queue_resume(place_);
        }
        update_interest();
    }
    if (weight() <= kind_.limits.queue_low && is(flag_paused_by_queue) && !is(flag_terminal)) {
        clear(flag_paused_by_queue);
        resume_reading();
        if (state_.session != nullptr && kind_.table->on_writable != nullptr && !is(flag_closing)) {
            deliver([&] { kind_.table->on_writable(state_.session, state_.self); });
        }
    }
}

/// The system has no memory for what is to be sent: tries again, later and later. Being writable
/// says nothing now, and is not asked for.
void connection::send_later(std::error_code shortage) {
    auto& output = *state_.queue;
    if (output.waited >= send_shortage_max) {
        write_failed(shortage);
        return;
    }
    if (start_timer(output.retry_delay, on_send_again) == 0) {
        return;
    }
    output.waited += output.retry_delay;
    output.retry_delay = std::min(output.retry_delay * 2, send_retry_delay_max);
    set(flag_send_later);
    update_interest();
}

void connection::on_send_again(void* core, std::uint64_t key) {
    auto* const place = static_cast<loop_core*>(core)->io().find(key);
    if (place == nullptr) {
        return;
    }
    connection link(*place);
    link.clear(flag_send_later);
    if (link.state_.queue != nullptr) {
        link.drain_queue();
        // A new view: on_writable may have given the connection another session.
        connection(*place).update_interest();
    }
}

void connection::resume_reading() {
    update_interest();
    if (is(flag_readable)) {
        core_.io().queue_resume(place_);
    }
}

/// Nothing is unsent any more: what waited for that happens now.
void connection::output_sent() {
    if (is(flag_closing) && is_discarding()) {
        if (!is(flag_shut_done)) {
            set(flag_shut_done);
            static_cast<void>(core_.system().shutdown_write(place_.fd));
        }
        if (is(flag_read_ended)) {
            end(state_.reason);
        }
    } else if (is(flag_closing)) {
        end(state_.reason);
    } else if (is(flag_shut_wanted) && !is(flag_shut_done)) {
        set(flag_shut_done);
        // A failure means that the peer is gone, which the next read will say.
        if (!has(trait_file)) {
            static_cast<void>(core_.system().shutdown_write(place_.fd));
        }
        if (is(flag_read_ended)) {
            end(close_reason::ended);
        } else if (kind_.limits.shutdown > duration::zero()) {
            begin_phase(kind_.limits.shutdown);
        }
    }
}

/// What had arrived before is still read; then the connection ends with this error.
void connection::write_failed(std::error_code error) {
    drop_output();
    clear(flag_paused_by_queue);
    if (!can_read()) {
        end(close_reason::failed, error);
        return;
    }
    state_.fail_with(error);
    set(flag_write_dead | flag_readable);
    core_.io().queue_resume(place_);
}

void connection::drop_output() noexcept {
    auto dropped = std::size_t{state_.pending_size};
    state_.pending_size = 0;
    if (auto* const queue = std::exchange(state_.queue, nullptr)) {
        dropped += queue->size();
        core_.io().counters().queued_bytes -= queue->weight();
        delete queue;
    }
    state_.dropped_bytes += dropped;
}

} // namespace sockeye
