#include <sockeye/datagram_socket.hpp>

#include "base/memory.hpp"
#include "loop/loop_core.hpp"
#include "net/shortage.hpp"
#include "net/socket_file.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <cassert>
#include <deque>
#include <memory>
#include <new>
#include <optional>
#include <vector>

namespace sockeye {
namespace {

/// A datagram that the system did not take yet.
struct waiting_datagram {
    endpoint peer;
    bool has_peer;
    std::vector<std::byte> data;

    [[nodiscard]] datagram view() const noexcept {
        return {.data = data, .peer = has_peer ? &peer : nullptr, .is_truncated = false};
    }
};

/// What every entry costs beside its bytes, so that a queue of empty ones is bounded too.
constexpr std::size_t entry_bytes = sizeof(waiting_datagram);
constexpr duration retry_delay_min = std::chrono::milliseconds(1);
constexpr duration retry_delay_max = std::chrono::milliseconds(100);
/// A Unix peer that has not read for so long loses its datagrams, so that others get theirs.
constexpr duration unread_max = std::chrono::seconds(1);

/// Errors of the socket itself. All others are what the network reports of one peer, in more kinds
/// than std::errc has names, and never end it.
bool is_about_the_socket(std::error_code error) noexcept {
    return error == std::errc::bad_file_descriptor || error == std::errc::not_a_socket;
}

} // namespace

/// What a datagram socket owns beside its slot.
struct datagram_core : retirable {
    datagram_core(loop_core& owner, const datagram_options& wanted,
                  datagram_socket::handler handler, transport kind)
        : core(owner), options(wanted), on_datagrams(std::move(handler)), carrier(kind) {}

    loop_core& core;
    datagram_options options;
    datagram_socket::handler on_datagrams;
    transport carrier;
    socket_file file;
    std::optional<endpoint> peer; ///< the one that it is connected to
    std::deque<waiting_datagram> queue;
    std::size_t queued_bytes = 0;
    timer_id retry = 0;
    duration retry_delay = retry_delay_min;
    duration retried = duration::zero(); ///< how long the first one has waited
    /// The Unix peer that last did not read for unread_max: as long as it does not, what is for it
    /// is dropped at once and holds nobody up.
    std::optional<endpoint> deaf;
    bool is_paused = false;
    bool is_readable = false;
    bool is_short_of_memory = false;
    timer_id pause = 0; ///< after which what the system refused is asked for again
};

/// What is in the slot.
struct datagram_state {
    datagram_socket self;          ///< the one that the handler sees
    datagram_core* core = nullptr; ///< null once it is closed
};

/// The way from handles to what they stand for, and what a socket does.
class datagram_access {
public:
    static slot* place(const datagram_socket& handle) noexcept {
        return handle.core_ == nullptr
                   ? nullptr
                   : find(*handle.core_, make_slot_key(handle.index_, handle.generation_));
    }
    static slot* find(loop_core& core, slot_key key) noexcept {
        auto* const found = core.io().find(key);
        return found == nullptr || found->as<datagram_state>().core == nullptr ? nullptr : found;
    }
    static datagram_core* core(const datagram_socket& handle) noexcept {
        auto* const found = place(handle);
        return found == nullptr ? nullptr : found->as<datagram_state>().core;
    }
    /// Also of one that is closed.
    static loop_core& core_of(slot& place) noexcept {
        return *place.as<datagram_state>().self.core_;
    }
    static bool is_handler_view(const datagram_socket& handle) noexcept {
        if (handle.core_ == nullptr) {
            return false;
        }
        auto* const found =
            handle.core_->io().find(make_slot_key(handle.index_, handle.generation_));
        return found != nullptr && &found->as<datagram_state>().self == &handle;
    }
    static result<datagram_socket> start(loop_core& core, const endpoint& where, owned_fd fd,
                                         const datagram_options& options,
                                         datagram_socket::handler on_datagrams);
    static void stop(slot& place) noexcept;
    static std::size_t send(slot& place, std::span<const datagram> out);
    static std::size_t send_to_peer(slot& place, std::span<const datagram> out);
    static void update_interest(slot& place) noexcept;

private:
    static void on_ready(slot& place, const event& told);
    static void on_resume(slot& place);
    static void on_finish(slot& place);
    static void on_loop_end(slot& place) noexcept;
    static void on_retry(void* core, std::uint64_t key);
    static void on_pause_over(void* core, std::uint64_t key);
    static void on_relief(slot& place);
    static void ask_later(slot& place) noexcept;
    static void retry_later(slot& place) noexcept;
    static void receive_once(slot& place);
    static void drain(slot& place);
    struct progress {
        std::size_t tried = 0; ///< sent or dropped
        std::size_t sent = 0;
        bool is_full = false;
    };
    static progress send_now(datagram_core& self, int fd, std::span<const datagram> out);
    static bool is_deaf(const datagram_core& self, const datagram& one) noexcept;
    static void drop_deaf(datagram_core& self);
    static bool enqueue(datagram_core& self, const datagram& one);
    static void dequeue(datagram_core& self);
    static interest wanted(const datagram_core& self) noexcept;
    static bool waits_by_timer(const datagram_core& self) noexcept {
        // A Unix socket is writable while the peer's queue is full: asking would spin.
        return self.carrier == transport::unix_datagram;
    }
    static const slot_operations operations;
};

const slot_operations datagram_access::operations = {.ready = on_ready,
                                                     .resume = on_resume,
                                                     .flush = {},
                                                     .finish = on_finish,
                                                     .destroy = on_loop_end,
                                                     .relieve = on_relief};

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

void datagram_access::retry_later(slot& place) noexcept {
    auto& self = *place.as<datagram_state>().core;
    if (self.retry != 0) {
        return;
    }
    try {
        self.retry = self.core.start_timer(self.retry_delay, {on_retry, &self.core, key_of(place)});
    } catch (const std::bad_alloc&) {
        self.core.wait_without_timer(place);
    }
}

/// In place of the timer for which there was no memory.
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

result<datagram_socket> datagram_access::start(loop_core& core, const endpoint& where, owned_fd fd,
                                               const datagram_options& options,
                                               datagram_socket::handler on_datagrams) {
    core.io().provide_datagrams();
    auto made =
        std::make_unique<datagram_core>(core, options, std::move(on_datagrams), where.kind());
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
    core.io().counters().queued_bytes -= self->queued_bytes;
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

void datagram_access::on_ready(slot& place, const event& told) {
    auto* const self = place.as<datagram_state>().core;
    if (self == nullptr) {
        return;
    }
    if (told.writable && !self->queue.empty()) {
        drain(place);
    }
    if (told.readable || told.error) {
        self->is_readable = true;
        if (!place.has(slot_mark::in_ring)) {
            receive_once(place);
        }
    }
}

void datagram_access::on_resume(slot& place) {
    auto* const self = place.as<datagram_state>().core;
    if (self == nullptr) {
        return;
    }
    if (!self->queue.empty() && !waits_by_timer(*self)) {
        drain(place);
    }
    receive_once(place);
}

/// One receive call: at most 64 datagrams. Fewer mean that nothing is left.
void datagram_access::receive_once(slot& place) {
    auto& state = place.as<datagram_state>();
    auto& self = *state.core;
    if (!self.is_readable || self.is_paused || self.is_short_of_memory) {
        return;
    }
    auto& io = self.core.io();
    auto& batch = io.datagrams();
    ++io.counters().reads;
    const auto got = self.core.system().receive_datagrams(place.fd, self.carrier, batch);
    if (!got) {
        const bool is_drained = got.error() == std::errc::operation_would_block;
        io.counters().would_blocks += is_drained ? 1 : 0;
        self.is_readable = !is_drained;
        if (is_drained) {
            return;
        }
        if (is_about_the_socket(got.error())) {
            stop(place);
        } else if (is_memory_shortage(got.error())) {
            self.is_short_of_memory = true;
            update_interest(place);
            ask_later(place);
        } else {
            ++io.counters().datagram_errors;
            io.queue_resume(place);
        }
        return;
    }
    io.counters().datagrams_read += *got;
    self.is_readable = *got == datagrams_per_call;
    const auto filled = batch.filled();
    for (const auto& one : filled) {
        io.counters().bytes_read += one.data.size();
    }
    const bool returned = self.core.call([&] { self.on_datagrams(state.self, filled); });
    if (state.core == nullptr) {
        return;
    }
    if (!returned) {
        stop(place);
    } else if (self.is_readable) {
        io.queue_resume(place);
    }
}

std::size_t datagram_access::send(slot& place, std::span<const datagram> out) {
    auto& self = *place.as<datagram_state>().core;
    progress made;
    if (self.queue.empty()) {
        made = send_now(self, place.fd, out);
        if (!made.is_full) {
            return made.sent;
        }
    }
    auto taken = made.sent;
    for (const auto& one : out.subspan(made.tried)) {
        taken += enqueue(self, one) ? 1 : 0;
    }
    if (waits_by_timer(self)) {
        retry_later(place);
    } else {
        update_interest(place);
    }
    return taken;
}

/// A connected socket has one peer. Its name is left out, because some systems refuse it; what is
/// for others is dropped, because others would send it.
std::size_t datagram_access::send_to_peer(slot& place, std::span<const datagram> out) {
    auto& self = *place.as<datagram_state>().core;
    std::size_t taken = 0;
    while (!out.empty()) {
        std::array<datagram, datagrams_per_call> unnamed;
        const auto chunk = out.first(std::min(out.size(), unnamed.size()));
        out = out.subspan(chunk.size());
        std::size_t count = 0;
        for (const auto& one : chunk) {
            if (one.peer == nullptr || *one.peer == *self.peer) {
                unnamed[count++].data = one.data;
            }
        }
        self.core.io().counters().datagrams_dropped += chunk.size() - count;
        taken += send(place, {unnamed.data(), count});
    }
    return taken;
}

/// Sends in calls of 64 until the system is full. One that the system refuses for its own sake is
/// dropped and counted, and does not hold up the others.
datagram_access::progress datagram_access::send_now(datagram_core& self, int fd,
                                                    std::span<const datagram> all) {
    auto& counters = self.core.io().counters();
    bool is_second_try = false;
    progress made;
    while (made.tried < all.size() && !made.is_full) {
        const auto out = all.subspan(made.tried);
        ++counters.writes;
        const auto sent = self.core.system().send_datagrams(fd, out);
        if (sent) {
            counters.datagrams_written += *sent;
            for (const auto& one : out.first(*sent)) {
                counters.bytes_written += one.data.size();
                if (is_deaf(self, one)) {
                    self.deaf.reset();
                }
            }
            made.sent += *sent;
            made.tried += *sent;
            is_second_try = false;
        } else if (sent.error() == std::errc::operation_would_block) {
            ++counters.would_blocks;
            made.is_full = !is_deaf(self, out.front());
            counters.datagrams_dropped += made.is_full ? 0 : 1;
            made.tried += made.is_full ? 0 : 1;
        } else if (sent.error() == std::errc::connection_refused && !is_second_try) {
            // The answer to an earlier datagram: this one was not sent, and the next try is.
            ++counters.datagram_errors;
            is_second_try = true;
        } else {
            ++counters.datagrams_dropped;
            ++made.tried;
            is_second_try = false;
        }
    }
    return made;
}

bool datagram_access::enqueue(datagram_core& self, const datagram& one) {
    const auto cost = one.data.size() + entry_bytes;
    const auto error = without_throwing([&] {
        if (self.queued_bytes + cost > self.options.queue_max) {
            return make_error_code(std::errc::no_buffer_space);
        }
        self.queue.push_back({.peer = one.peer == nullptr ? endpoint() : *one.peer,
                              .has_peer = one.peer != nullptr,
                              .data = {one.data.begin(), one.data.end()}});
        return std::error_code();
    });
    if (error) {
        ++self.core.io().counters().datagrams_dropped;
        return false;
    }
    self.queued_bytes += cost;
    self.core.io().counters().queued_bytes += cost;
    return true;
}

void datagram_access::dequeue(datagram_core& self) {
    const auto cost = self.queue.front().data.size() + entry_bytes;
    self.queued_bytes -= cost;
    self.core.io().counters().queued_bytes -= cost;
    self.queue.pop_front();
}

bool datagram_access::is_deaf(const datagram_core& self, const datagram& one) noexcept {
    return self.deaf && one.peer != nullptr && *one.peer == *self.deaf;
}

/// The first one has waited too long: its peer loses all that waits for it.
void datagram_access::drop_deaf(datagram_core& self) {
    self.deaf = self.queue.front().peer;
    self.retried = duration::zero();
    std::erase_if(self.queue, [&](const waiting_datagram& one) {
        if (one.peer != *self.deaf) {
            return false;
        }
        const auto cost = one.data.size() + entry_bytes;
        self.queued_bytes -= cost;
        self.core.io().counters().queued_bytes -= cost;
        ++self.core.io().counters().datagrams_dropped;
        return true;
    });
}

void datagram_access::drain(slot& place) {
    auto& self = *place.as<datagram_state>().core;
    for (std::size_t budget = datagrams_per_call; budget > 0 && !self.queue.empty(); --budget) {
        const auto first = self.queue.front().view();
        if (send_now(self, place.fd, {&first, 1}).is_full) {
            return;
        }
        dequeue(self);
        self.retried = duration::zero();
    }
    update_interest(place);
    if (!self.queue.empty() && !waits_by_timer(self)) {
        // There may be room left, which an edge-triggered backend tells no second time.
        self.core.io().queue_resume(place);
    }
}

void datagram_access::on_retry(void* core, std::uint64_t key) {
    auto* const place = find(*static_cast<loop_core*>(core), key);
    if (place == nullptr) {
        return;
    }
    auto& self = *place->as<datagram_state>().core;
    self.retry = 0;
    self.retried += self.retry_delay;
    const auto before = self.queue.size();
    drain(*place);
    if (self.queue.size() == before && self.retried > unread_max) {
        drop_deaf(self);
    }
    self.retry_delay = self.queue.size() < before ? retry_delay_min
                                                  : std::min(self.retry_delay * 2, retry_delay_max);
    if (!self.queue.empty()) {
        retry_later(*place);
    }
}

namespace {

result<owned_fd> make_socket(loop_core& core, const endpoint& where,
                             const datagram_options& options) {
    auto& system = core.system();
    auto fd = system.socket(where.kind(), where.family());
    if (!fd) {
        return fd;
    }
    const std::pair<socket_option, int> wanted[] = {
        {socket_option::receive_buffer, options.receive_buffer},
        {socket_option::send_buffer, options.send_buffer},
        {socket_option::ipv6_only, where.family() == AF_INET6 ? 1 : 0}};
    for (const auto& [option, value] : wanted) {
        if (value != 0) {
            if (const auto error = system.set_option(fd->get(), option, value)) {
                return error;
            }
        }
    }
    return fd;
}

std::error_code check(const endpoint_argument& where) {
    if (!where.get()) {
        return where.get().error();
    }
    return where.get()->is_stream() ? make_error_code(errc::service_mismatch) : std::error_code();
}

} // namespace

result<datagram_socket> datagram_socket::open(sockeye::loop& owner, const endpoint_argument& local,
                                              const datagram_options& options,
                                              handler on_datagrams) {
    if (const auto error = check(local)) {
        return error;
    }
    auto& core = core_of(owner);
    const auto& where = *local.get();
    auto fd = make_socket(core, where, options);
    if (!fd) {
        return fd.error();
    }
    if (const auto error = core.system().bind(fd->get(), where)) {
        return error;
    }
    socket_file file(core.system(), where);
    auto made = without_throwing([&] {
        return datagram_access::start(core, where, std::move(fd.value()), options,
                                      std::move(on_datagrams));
    });
    if (made) {
        datagram_access::core(*made)->file = file;
    } else {
        file.remove(core.system());
    }
    return made;
}

result<datagram_socket> datagram_socket::connect(sockeye::loop& owner,
                                                 const endpoint_argument& peer,
                                                 const datagram_options& options,
                                                 handler on_datagrams) {
    if (const auto error = check(peer)) {
        return error;
    }
    auto& core = core_of(owner);
    const auto& where = *peer.get();
    auto fd = make_socket(core, where, options);
    if (!fd) {
        return fd.error();
    }
    if (where.kind() == transport::unix_datagram) {
        // A name chosen by the system, so that the peer can answer; only Linux has it.
        const auto unnamed = endpoint::parse("unix-dgram:@");
        if (unnamed) {
            static_cast<void>(core.system().bind(fd->get(), *unnamed));
        }
    }
    const auto error = core.system().connect(fd->get(), where);
    if (error && error != std::errc::operation_in_progress) {
        return error;
    }
    auto name = core.system().peer_endpoint(fd->get(), where.kind());
    auto made = without_throwing([&] {
        return datagram_access::start(core, where, std::move(fd.value()), options,
                                      std::move(on_datagrams));
    });
    if (made) {
        datagram_access::core(*made)->peer = name ? *name : where;
    }
    return made;
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
    const bool has_names =
        std::ranges::any_of(out, [](const datagram& one) { return one.peer != nullptr; });
    return has_names && datagram_access::core(*this)->peer
               ? datagram_access::send_to_peer(*place, out)
               : datagram_access::send(*place, out);
}

bool datagram_socket::send(bytes data, const endpoint& peer) {
    const datagram one = {.data = data, .peer = &peer, .is_truncated = false};
    return send({&one, 1}) == 1;
}

bool datagram_socket::send(bytes data) {
    const datagram one = {.data = data, .peer = nullptr, .is_truncated = false};
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
        return std::errc::not_connected;
    }
    return core_->system().local_endpoint(place->fd, datagram_access::core(*this)->carrier);
}

std::size_t datagram_socket::queued_bytes() const noexcept {
    auto* const self = datagram_access::core(*this);
    return self == nullptr ? 0 : self->queued_bytes;
}

} // namespace sockeye
