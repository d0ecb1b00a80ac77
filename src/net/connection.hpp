#pragma once

#include "loop/loop_core.hpp"
#include "net/unsent_output.hpp"

#include <sockeye/error.hpp>
#include <sockeye/stream.hpp>

#include <cassert>
#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <span>
#include <utility>
#include <vector>

namespace sockeye {

class connection_group;
struct stream_extra;
struct server_core;

/// What many connections have in common: those of one server share one, others have their own.
struct stream_kind {
    slot_operations operations; ///< first: a slot's pointer to it is the way to the rest
    loop_core& core;
    const session_table* table = nullptr; ///< null while there is no session
    stream_limits limits;
    connection_group* group = nullptr; ///< who counts and owns them; null when on their own
    bool sessions_are_shared = false;  ///< one callable for all: never destroyed from here
    std::size_t references = 0;
    std::uint8_t traits = 0;       ///< 0 for TCP: nothing to look at before a call
    bool reads_above_mark = false; ///< a long queue does not pause reading: the session does
};

/// Bits of slot::flags.
enum stream_flag : std::uint16_t {
    flag_connecting = 1 << 0,
    flag_paused_by_user = 1 << 1,
    flag_paused_by_queue = 1 << 2,
    flag_paused_by_memory = 1 << 3,
    flag_readable = 1 << 4,    ///< told, and not yet read until it would block
    flag_read_ended = 1 << 5,  ///< the peer's FIN was read
    flag_shut_wanted = 1 << 6, ///< FIN once all is sent
    flag_shut_done = 1 << 7,
    flag_closing = 1 << 8,    ///< closes once all is sent; nothing is read
    flag_write_dead = 1 << 9, ///< a send failed; what had arrived is still read
    flag_terminal = 1 << 10,  ///< over; only the last words are left
    flag_in_handler = 1 << 11,
    flag_doomed = 1 << 12,     ///< the session goes when its handler has returned
    flag_silent = 1 << 13,     ///< its owner is gone: on_close is not called
    flag_end_hinted = 1 << 14, ///< the backend hinted that a short read is not the last one
    flag_send_later = 1 << 15, ///< the system had no memory for a send; a timer tries again
};

/// Bits of stream_kind::traits.
enum stream_trait : std::uint8_t {
    trait_local = 1 << 0,        ///< no TCP
    trait_messages = 1 << 1,     ///< one call, one message
    trait_file = 1 << 2,         ///< no socket: read and written, not received and sent
    trait_write_only = 1 << 3,   ///< never read; flag_read_ended is set all the time
    trait_always_ready = 1 << 4, ///< a regular file: not watched, takes its turns in the ring
    trait_restored = 1 << 5,     ///< made blocking again when it is closed
};

[[nodiscard]] constexpr std::uint8_t traits_of(transport carrier) noexcept {
    switch (carrier) {
    case transport::tcp:
        return 0;
    case transport::unix_seqpacket:
        return trait_local | trait_messages;
    default:
        return trait_local;
    }
}

/// When the last byte came or went, and whether one ever came. A message stores it and does no
/// more: the look at the connection finds out whether a deadline has passed.
class stream_activity {
public:
    static constexpr tick mask = 0x7fff'ffff;

    void heard(tick now) noexcept { value_ = static_cast<std::uint32_t>(now << 1) | 1; }
    void said(tick now) noexcept { value_ = static_cast<std::uint32_t>(now << 1) | (value_ & 1); }
    [[nodiscard]] bool is_heard() const noexcept { return (value_ & 1) != 0; }
    /// The tick of the last byte. Requires: it is less than mask ticks ago.
    [[nodiscard]] tick last(tick now) const noexcept {
        return now - ((now - (value_ >> 1)) & mask);
    }

private:
    std::uint32_t value_ = 0;
};

/// The category of an error, in a byte.
enum class error_origin : std::uint8_t { generic, system, sockeye };

/// What a connection keeps in its slot. With the slot's header, everything up to `queue` lies in
/// the first 64 bytes. What few connections need is in `extra`.
struct stream_state {
    stream self; ///< the one that the session sees
    void* session = nullptr;
    std::uint16_t pending_place = 0; ///< in the output arena
    std::uint16_t pending_size = 0;
    stream_activity activity;
    unsent_output* queue = nullptr; ///< set while the kernel takes no more

    std::uint32_t previous = 0; ///< in the group's list; indices plus one
    std::uint32_t next = 0;
    std::uint32_t opened = 0; ///< the tick, without its higher bits
    /// The tick for what its phase waits for, without its higher bits; 0 where that is nothing:
    /// the connect deadline, the linger deadline, the look at a half-closed one.
    std::uint32_t phase_ends = 0;
    std::int32_t failure_value = 0;
    error_origin failure_origin = error_origin::system;
    close_reason reason = close_reason::closed;
    deadline_kind passed = deadline_kind::none;
    transport carrier = transport::tcp;
    stream_extra* extra = nullptr;
    const stream* owner = nullptr; ///< the handle whose end closes it; null after detach
    std::size_t dropped_bytes = 0;

    [[nodiscard]] std::error_code failure() const noexcept;
    void fail_with(std::error_code error) noexcept;
};

static_assert(offsetof(slot, state) + offsetof(stream_state, queue) + sizeof(void*) <= 64);

/// The way from handles to what they stand for.
class stream_access {
public:
    /// The owner of the connection. Returned as it is made, so that it need not move.
    static stream make(loop_core& core, slot& place) noexcept { return {core, place}; }
    /// Makes `view` name `place`, without owning it.
    static void identify(stream& view, loop_core& core, const slot& place) noexcept {
        view.core_ = &core;
        view.index_ = place.index;
        view.generation_ = place.generation;
    }
    /// Makes `view` name nothing, of that loop.
    static void identify(stream& view, loop_core& core) noexcept { view.core_ = &core; }
    static loop_core* core(const stream& handle) noexcept { return handle.core_; }
    static slot* place(const stream& handle) noexcept {
        assert(handle.core_ == nullptr || may_use(*handle.core_, "a stream"));
        return handle.core_ == nullptr
                   ? nullptr
                   : handle.core_->io().find(make_slot_key(handle.index_, handle.generation_));
    }
};

/// The connections of one server: a list through their slots, and a count.
class connection_group {
public:
    void insert(reactor& io, slot& place) noexcept;
    /// Leads to on_erase, which may destroy the group.
    void erase(reactor& io, slot& place) noexcept;
    /// Its connections go on without it. Call before the group goes.
    void disband(reactor& io) noexcept;
    [[nodiscard]] std::size_t count() const noexcept { return count_; }
    /// Calls `verb` with each slot; it may erase the one it was given.
    template <typename Verb>
    void for_each(reactor& io, Verb&& verb);

    /// Told when a connection has left: closed, or taken over.
    void (*on_erase)(connection_group&, const slot&) = nullptr;
    server_core* owner = nullptr;

private:
    std::uint32_t first_ = 0; ///< index plus one
    std::size_t count_ = 0;
};

/// What a connection does: a view of its slot, made where it is needed.
class connection {
public:
    explicit connection(slot& place) noexcept
        : place_(place), state_(place.as<stream_state>()),
          kind_(*reinterpret_cast<stream_kind*>(const_cast<slot_operations*>(place.operations))),
          core_(kind_.core) {}

    /// A slot for a connection of `kind`; nothing watched yet. Throws bad_alloc, and then nothing
    /// has changed.
    static slot& make(stream_kind& kind, transport carrier);
    /// Takes `fd` over and watches it. Errors: as reactor::watch; the slot is released then.
    /// Throws bad_alloc, and then `fd` is closed.
    static result<slot*> begin(stream_kind& kind, transport carrier, owned_fd fd);
    /// The same with a descriptor that is no socket.
    static result<slot*> begin_file(stream_kind& kind, const file_facts& facts, reopened_file file);
    static const slot_operations& operations() noexcept;

    // Verbs of the user. Where one of them wants for memory, the connection ends with that.
    write_status write(bytes data);
    write_status write(bytes data, std::vector<unique_fd> descriptors);
    write_status write(std::span<const bytes> parts);
    write_status write(owned_bytes data);
    write_status send_file(unique_fd file, const file_part& part);
    result<std::size_t> try_write(bytes data);
    void shutdown();
    void close(close_reason reason = close_reason::closed);
    void abort();
    void pause();
    void resume();
    /// Throws bad_alloc, and then nothing has changed.
    void attach(const session_table& table, void* session);
    /// From now on its own queue does not keep it from being read. Requires: attached.
    void read_above_mark();
    /// Instead of attaching, where there is no connection any more: leads to on_close all the same.
    /// Throws as attach.
    static void tell_of_end(loop_core& core, const session_table& table, void* session);
    /// The owner is gone: no handler runs again, the session goes, what was taken is still sent.
    void give_up() noexcept;
    /// Leaves the group and the session; the connection goes on under a new owner. False where it
    /// is over, or ends because there is no memory: then everything stays as it is.
    [[nodiscard]] bool take_over() noexcept;
    /// Its group goes.
    void forget_group() noexcept { kind_.group = nullptr; }
    result<unique_fd> release();
    /// Each of these throws bad_alloc, and then nothing has changed.
    bool when_sent(unique_function<void(std::error_code)> handler);
    void set_limits(const stream_limits& limits);
    void cancel() noexcept;
    void graceful_close(const graceful_options& options);

    /// Over: `reason` and `error` are what on_close will say. The first call counts.
    void end(close_reason reason, std::error_code error = {}) noexcept;
    void open();
    /// The outcome of connecting: from now on it is a connection like any other.
    void come_up();
    /// Connect left the SYN to the first send: what is queued travels with it.
    void send_with_syn();
    /// Starts watching the descriptor.
    [[nodiscard]] std::error_code watch() { return core_.io().watch(place_, wanted()); }
    /// Makes the descriptor blocking again when it is closed or given away.
    void restore_at_end() noexcept;
    /// Who made the other end.
    [[nodiscard]] result<peer_credentials> credentials();

    [[nodiscard]] bool is(unsigned flags) const noexcept { return (place_.flags & flags) != 0; }
    [[nodiscard]] std::size_t unsent() const noexcept {
        return state_.pending_size + (state_.queue == nullptr ? 0 : state_.queue->size());
    }
    /// The same as the marks count it.
    [[nodiscard]] std::size_t weight() const noexcept {
        return state_.pending_size + (state_.queue == nullptr ? 0 : state_.queue->weight());
    }
    [[nodiscard]] slot& place() noexcept { return place_; }
    [[nodiscard]] const stream_limits& limits() const noexcept { return kind_.limits; }
    [[nodiscard]] stream_state& state() noexcept { return state_; }

    void set(unsigned flags) noexcept { place_.flags |= static_cast<std::uint16_t>(flags); }
    void clear(unsigned flags) noexcept { place_.flags &= static_cast<std::uint16_t>(~flags); }
    /// Tells the backend what is wanted now, where that changed.
    void update_interest() noexcept;
    /// The phase that begins now ends after `limit`; the former one is over.
    void begin_phase(duration limit) noexcept;
    /// It is up: its time begins to run.
    void begin_time() noexcept;
    /// Has the connection looked at when the first of its deadlines may have passed. Call where one
    /// has come nearer; one that moves away is found out then.
    void watch_deadlines() noexcept;

private:
    static void describe(slot& place, std::string& text);
    static void on_ready(slot& place, const event& told);
    static void on_resume(slot& place);
    static void on_flush(slot& place);
    static void on_finish(slot& place);
    static void on_loop_end(slot& place) noexcept;
    static void on_relief(slot& place);
    static void on_look(slot& place);
    static void on_send_again(void* core, std::uint64_t key);
    static void on_read_again(void* core, std::uint64_t key);

    struct coming_deadline {
        tick when;
        deadline_kind which; ///< none: the end of its phase
    };
    [[nodiscard]] coming_deadline first_deadline() const noexcept;
    void end_phase();
    void look_again() noexcept;
    void pass_deadline(deadline_kind passed, std::errc error = std::errc::timed_out) noexcept;
    [[nodiscard]] interest wanted() const noexcept;
    [[nodiscard]] bool uses_edge() const noexcept;
    [[nodiscard]] bool can_read() const noexcept;
    void note(const event& told) noexcept;
    void go_on();
    void read_once();
    void read_end();
    void look_for_reset();
    void drain_queue();
    void drain_file();
    void read_chunk();
    void queue_sent(const result<std::size_t>& sent, std::size_t asked);
    void take_from_queue(std::size_t count) noexcept;
    void note_opened() noexcept;
    void note_sent(std::size_t count) noexcept;
    /// What became of one or more send calls.
    struct sending {
        std::size_t taken = 0;    ///< by the kernel, of the parts given
        std::error_code shortage; ///< the system had no memory for more
        bool has_failed = false;  ///< and the connection ends with that
    };
    [[nodiscard]] sending send_parts(std::span<const bytes> parts);
    void after_sending(const sending& outcome);
    void lose(std::size_t count);
    [[nodiscard]] bool is_refusing() const noexcept {
        return is(flag_terminal | flag_closing | flag_shut_wanted | flag_write_dead);
    }
    [[nodiscard]] bool must_queue() const noexcept {
        return state_.queue != nullptr || is(flag_connecting);
    }
    template <typename... Piece>
    [[nodiscard]] bool queue_piece(Piece&&... added) noexcept;
    [[nodiscard]] bool queue_parts(std::span<const bytes> parts, std::size_t taken) noexcept;
    [[nodiscard]] bool keep_parts(std::span<const bytes> parts, std::size_t total);
    [[nodiscard]] bool keep_for_end_of_turn(bytes data);
    void send_now(bytes data);
    void send_unit(bytes data, std::vector<unique_fd> descriptors);
    [[nodiscard]] result<std::size_t> transmit(std::span<const bytes> parts);
    [[nodiscard]] result<std::size_t> send_front(std::size_t& asked);
    [[nodiscard]] write_status write_message(std::span<const bytes> parts);
    [[nodiscard]] write_status write_unit(bytes data, std::vector<unique_fd> descriptors);
    [[nodiscard]] bool has(stream_trait trait) const noexcept {
        return (kind_.traits & trait) != 0;
    }
    void look_for_hangup();
    void restore_file() noexcept;
    [[nodiscard]] bool is_queue_full() noexcept;
    [[nodiscard]] write_status after_write();
    [[nodiscard]] result<std::size_t> receive(std::span<std::byte> target,
                                              std::vector<unique_fd>& descriptors);
    void write_failed(std::error_code error);
    [[nodiscard]] bool queue_rest(bytes data) noexcept;
    void output_sent();
    void wait_for_memory();
    void send_later(std::error_code shortage);
    void read_later();
    void resume_reading();
    void drop_output() noexcept;
    void destroy_session() noexcept;
    void free() noexcept;
    [[nodiscard]] stream_extra& extra();
    void drop_idle_extra() noexcept;
    [[nodiscard]] bool is_waiter_due() const noexcept;
    static void tell_waiters(slot& place);
    static void tell_last_waiters(slot& place);
    [[nodiscard]] bool was_sent(std::uint64_t until) const noexcept;
    [[nodiscard]] bool is_discarding() const noexcept;
    void discard(std::size_t count);
    void note_queued(std::size_t count) noexcept;
    void note_drained(std::size_t count) noexcept;
    void begin_waiting() noexcept;
    [[nodiscard]] bool keeps_rate() noexcept;
    timer_id start_timer(duration delay, void (*fire)(void*, std::uint64_t)) noexcept;

    template <typename Handler>
    void deliver(Handler&& handler);

    slot& place_;
    stream_state& state_;
    stream_kind& kind_;
    loop_core& core_;
};

/// Calls a handler of the session, and does afterwards what it must not do to itself.
template <typename Handler>
void connection::deliver(Handler&& handler) {
    set(flag_in_handler);
    const bool returned = core_.call(handler);
    // A new view: the connection may have been taken over and have another session by now.
    connection now(place_);
    now.clear(flag_in_handler);
    if (now.is(flag_doomed)) {
        now.destroy_session();
    }
    if (!returned) {
        now.end(close_reason::failed, make_error_code(errc::handler_threw));
    }
}

/// Queues what output_queue::append takes; false where there is no memory for it, and then what was
/// queued before stays.
template <typename... Piece>
bool connection::queue_piece(Piece&&... added) noexcept {
    const auto before = state_.queue == nullptr ? 0 : state_.queue->weight();
    const auto size_before = unsent() - state_.pending_size;
    try {
        if (state_.queue == nullptr) {
            state_.queue = new unsent_output;
        }
        state_.queue->append(std::forward<Piece>(added)...);
    } catch (const std::bad_alloc&) {
        return false;
    }
    core_.io().counters().queued_bytes += state_.queue->weight() - before;
    note_queued(state_.queue->size() - size_before);
    if (has(trait_always_ready)) {
        state_.queue->is_ready = true;
        core_.io().queue_resume(place_);
    }
    return true;
}

/// The kind goes with the last of its connections and its server.
void drop_reference(stream_kind& kind) noexcept;

template <typename Verb>
void connection_group::for_each(reactor& io, Verb&& verb) {
    for (auto at = first_; at != 0;) {
        auto& place = io.slot_at(at - 1);
        at = place.as<stream_state>().next;
        verb(place);
    }
}

} // namespace sockeye
