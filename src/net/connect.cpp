#include "net/connection.hpp"
#include "net/look_up.hpp"
#include "net/socket_options.hpp"
#include "net/stream_extra.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <memory>
#include <new>
#include <utility>

namespace sockeye {
namespace {

constexpr duration connect_retry_delay_max = std::chrono::milliseconds(100);

/// Without memory for it connecting has failed; gives 0 then.
timer_id start_timer(slot& place, duration delay, void (*fire)(void*, std::uint64_t)) noexcept {
    auto& core = *stream_access::core(place.as<stream_state>().self);
    try {
        return core.start_timer(delay, {fire, &core, key_of(place)});
    } catch (const std::bad_alloc&) {
        connecting_state::fail(place, make_error_code(std::errc::not_enough_memory));
        return 0;
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
    state.retry_delay = std::min(state.retry_delay * 2, connect_retry_delay_max);
}

transport carrier_of(const endpoint_argument& peer) noexcept {
    if (peer.host() != nullptr) {
        return peer.host()->kind;
    }
    return peer.get() ? peer.get()->kind() : transport::tcp;
}

void begin(slot& place, const endpoint_argument& peer, const connect_options& options) {
    const auto carrier = carrier_of(peer);
    if (carrier == transport::udp || carrier == transport::unix_datagram) {
        connecting_state::fail(place, make_error_code(errc::service_mismatch));
    } else if (peer.host() != nullptr) {
        auto& race = connection(place).state().extra->connecting->race;
        race = std::make_unique<connect_race>(place, options);
        // A deadline of the whole is one of the look-up as well.
        const bool is_limited = options.deadline > duration::zero();
        race->look_up(peer, is_limited ? duration::zero() : look_up_options().deadline);
    } else if (peer.get()) {
        connecting_state::begin(place, *peer.get(), options);
    } else {
        connecting_state::fail(place, peer.get().error());
    }
}

bool is_connected_to_itself(kernel& system, int fd, const endpoint& peer) {
    const auto local = system.local_endpoint(fd, transport::tcp);
    return local && *local == peer;
}

} // namespace

stream start_connect(sockeye::loop& owner, const endpoint_argument& peer,
                     const connect_options& options, const session_table& table, void* session) {
    auto& core = core_of(owner);
    std::unique_ptr<stream_kind> kind(
        new stream_kind{connection::operations(), core, &table, options.limits});
    auto extra = std::make_unique<stream_extra>();
    extra->connecting = std::make_unique<connecting_state>(core);
    auto& place = connection::make(*kind, carrier_of(peer));
    kind.release();
    connection link(place);
    link.set(flag_connecting);
    link.state().session = session;
    link.state().extra = extra.release();
    if (options.deadline > duration::zero()) {
        link.begin_phase(options.deadline);
    }
    try {
        begin(place, peer, options);
    } catch (const std::bad_alloc&) {
        connecting_state::fail(place, make_error_code(std::errc::not_enough_memory));
    }
    return stream_access::make(core, place);
}

void connecting_state::fail(slot& place, std::error_code error) noexcept {
    connection(place).end(close_reason::connect_failed, error);
}

void connecting_state::begin(slot& place, const endpoint& peer, const connect_options& options) {
    auto& state = *connection(place).state().extra->connecting;
    state.only.peer = peer;
    state.began = state.core.system().now();
    auto fd = open_socket(state.core.system(), peer, options);
    if (!fd) {
        fail(place, fd.error());
        return;
    }
    place.fd = fd->release();
    if (options.fast_open) {
        const auto error =
            state.core.system().set_option(place.fd, socket_option::fast_open_connect, 1);
        if (error) {
            fail(place, error);
            return;
        }
        state.sends_syn = true;
    }
    attempt(place);
}

void connecting_state::attempt(slot& place) {
    connection link(place);
    auto& state = *link.state().extra->connecting;
    const auto error = state.core.system().connect(place.fd, state.only.peer);
    if (error == std::errc::operation_would_block && link.state().carrier != transport::tcp) {
        try_again_later(place, state);
        return;
    }
    if (error && error != std::errc::operation_in_progress) {
        fail(place, error);
        return;
    }
    state.late = std::errc::timed_out;
    state.sends_syn = state.sends_syn && !error;
    if (const auto refused = link.watch()) {
        fail(place, refused);
    } else if (!error) {
        state.core.io().queue_resume(place);
    }
}

void connecting_state::check(slot& place) {
    if (place.fd < 0) {
        return; // a race is on
    }
    connection link(place);
    auto& system = stream_access::core(link.state().self)->system();
    const auto outcome = outcome_of(system, place.fd, link.state().carrier);
    if (!outcome) {
        if (std::exchange(link.state().extra->connecting->sends_syn, false)) {
            link.send_with_syn();
        }
        return; // told too early: wait on
    }
    if (*outcome) {
        fail(place, *outcome);
    } else {
        link.come_up();
    }
}

std::span<const connect_attempt> connecting_state::report(std::error_code reason) noexcept {
    if (race != nullptr) {
        return race->report(reason);
    }
    if (!only.peer.is_known()) {
        return {};
    }
    only.error = reason;
    only.took = core.system().now() - began;
    return {&only, 1};
}

result<owned_fd> open_socket(kernel& system, const endpoint& peer, const connect_options& options) {
    const auto& local = options.local;
    if (local.is_known() && local.family() != peer.family()) {
        return std::errc::address_family_not_supported;
    }
    if (const auto error = check_options(options.socket, peer.kind(), false)) {
        return error;
    }
    auto fd = system.socket(peer.kind(), peer.family());
    if (!fd) {
        return fd;
    }
    if (peer.kind() == transport::tcp && !options.socket.no_delay) {
        static_cast<void>(system.set_option(fd->get(), socket_option::no_delay, 1));
    }
    if (const auto error = apply_options(system, fd->get(), options.socket)) {
        return error;
    }
    if (local.is_known()) {
        if (const auto error = system.bind(fd->get(), local)) {
            return error;
        }
    }
    return fd;
}

std::optional<std::error_code> outcome_of(kernel& system, int fd, transport carrier) {
    if (const auto error = system.pending_error(fd)) {
        return error;
    }
    const auto peer = system.peer_endpoint(fd, carrier);
    if (!peer) {
        return peer.error() == std::errc::not_connected ? std::optional<std::error_code>()
                                                        : peer.error();
    }
    const bool is_echo = carrier == transport::tcp && is_connected_to_itself(system, fd, *peer);
    return is_echo ? make_error_code(std::errc::connection_refused) : std::error_code();
}

} // namespace sockeye
