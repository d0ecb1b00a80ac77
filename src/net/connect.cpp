#include "net/connecting.hpp"
#include "net/connection.hpp"
#include "net/socket_options.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

namespace sockeye {
namespace {

constexpr duration retry_delay_max = std::chrono::milliseconds(100);

void fail(slot& place, std::error_code error) noexcept {
    connection(place).end(close_reason::connect_failed, error);
}

/// Without memory for it connecting has failed; gives 0 then.
timer_id start_timer(slot& place, duration delay, void (*fire)(void*, std::uint64_t)) noexcept {
    auto& core = *stream_access::core(place.as<stream_state>().self);
    try {
        return core.start_timer(delay, {fire, &core, key_of(place)});
    } catch (const std::bad_alloc&) {
        fail(place, make_error_code(std::errc::not_enough_memory));
        return 0;
    }
}

void on_deadline(void* core, std::uint64_t key) {
    if (auto* place = static_cast<loop_core*>(core)->io().find(key)) {
        auto& state = connection(*place).state();
        state.timer = 0;
        fail(*place, make_error_code(state.connecting->late));
    }
}

void on_retry(void* core, std::uint64_t key) {
    auto* place = static_cast<loop_core*>(core)->io().find(key);
    if (place != nullptr && connection(*place).is(flag_connecting) &&
        !connection(*place).is(flag_terminal)) {
        connecting_state::attempt(*place);
    }
}

/// The listener's backlog is full: a Unix socket is then not connecting at all, so that waiting
/// for it to be writable would be wrong. See: connect(2), EAGAIN.
void try_again_later(slot& place, connecting_state& state) {
    state.late = std::errc::operation_would_block;
    if (!start_timer(place, state.retry_delay, on_retry)) {
        return;
    }
    state.retry_delay = std::min(state.retry_delay * 2, retry_delay_max);
}

/// What is to be done to the socket before it connects.
std::error_code prepare(kernel& system, int fd, transport carrier, const connect_options& options) {
    if (const auto error = check_options(options.socket, carrier, false)) {
        return error;
    }
    if (options.fast_open) {
        if (carrier != transport::tcp) {
            return make_error_code(std::errc::not_supported);
        }
        if (const auto error = system.set_option(fd, socket_option::fast_open_connect, 1)) {
            return error;
        }
    }
    if (carrier == transport::tcp && !options.socket.no_delay) {
        static_cast<void>(system.set_option(fd, socket_option::no_delay, 1));
    }
    return apply_options(system, fd, options.socket);
}

void begin(loop_core& core, slot& place, const result<endpoint>& peer,
           const connect_options& options) {
    if (!peer || !peer->is_stream()) {
        fail(place, peer ? make_error_code(errc::service_mismatch) : peer.error());
        return;
    }
    auto fd = core.system().socket(peer->kind(), peer->family());
    if (!fd) {
        fail(place, fd.error());
        return;
    }
    place.fd = fd->release();
    if (const auto error = prepare(core.system(), place.fd, peer->kind(), options)) {
        fail(place, error);
        return;
    }
    connecting_state::attempt(place);
}

bool is_connected_to_itself(kernel& system, int fd, const endpoint& peer) {
    const auto local = system.local_endpoint(fd, transport::tcp);
    return local && *local == peer;
}

} // namespace

stream start_connect(sockeye::loop& owner, const endpoint_argument& peer,
                     const connect_options& options, const session_table& table, void* session) {
    auto& core = core_of(owner);
    const auto& where = peer.get();
    std::unique_ptr<stream_kind> kind(
        new stream_kind{connection::operations(), core, &table, options.limits});
    std::unique_ptr<connecting_state> connecting(
        new connecting_state{.peer = where ? *where : endpoint(), .sends_syn = options.fast_open});
    auto& place = connection::make(*kind, where ? where->kind() : transport::tcp);
    kind.release();
    connection link(place);
    link.set(flag_connecting);
    link.state().session = session;
    link.state().connecting = connecting.release();
    if (options.deadline > duration::zero()) {
        link.state().timer = start_timer(place, options.deadline, on_deadline);
    }
    if (!link.is(flag_terminal)) {
        begin(core, place, where, options);
    }
    return stream_access::make(core, place);
}

void connecting_state::attempt(slot& place) {
    connection link(place);
    auto& core = *stream_access::core(link.state().self);
    auto& state = *link.state().connecting;
    const auto error = core.system().connect(place.fd, state.peer);
    if (error == std::errc::operation_would_block && link.state().carrier != transport::tcp) {
        try_again_later(place, state);
        return;
    }
    if (error && error != std::errc::operation_in_progress) {
        fail(place, error);
        return;
    }
    state.late = std::errc::timed_out;
    if (const auto refused = link.watch()) {
        fail(place, refused);
    } else if (!error) {
        core.io().queue_resume(place);
    }
}

void connecting_state::check(slot& place) {
    connection link(place);
    auto& state = link.state();
    auto& system = stream_access::core(state.self)->system();
    if (const auto error = system.pending_error(place.fd)) {
        fail(place, error);
        return;
    }
    const auto peer = system.peer_endpoint(place.fd, state.carrier);
    if (!peer) {
        if (peer.error() != std::errc::not_connected) {
            fail(place, peer.error());
        } else if (std::exchange(state.connecting->sends_syn, false)) {
            link.send_with_syn();
        }
        return; // told too early: wait on
    }
    if (state.carrier == transport::tcp && is_connected_to_itself(system, place.fd, *peer)) {
        fail(place, make_error_code(std::errc::connection_refused));
        return;
    }
    link.come_up();
}

} // namespace sockeye
