#include "base/memory.hpp"
#include "net/server_core.hpp"
#include "net/socket_options.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <chrono>
#include <utility>

// How a listening socket is come by, and how it is given up.

namespace sockeye {
namespace {

/// Whole ones, at least that long.
int seconds_of(duration time) noexcept {
    constexpr duration longest = std::chrono::hours(24);
    return static_cast<int>(
        std::chrono::ceil<std::chrono::seconds>(std::min(time, longest)).count());
}

} // namespace

result<std::unique_ptr<server_core>> open_server(sockeye::loop& owner, listen_argument local,
                                                 const listen_options& options) {
    return without_throwing([&]() -> result<std::unique_ptr<server_core>> {
        auto made = std::make_unique<server_core>(core_of(owner), options);
        if (const auto error = made->listen_on(std::move(local))) {
            return error;
        }
        return made;
    });
}

std::error_code server_core::listen_on(listen_argument local) {
    if (const auto* const named = local.local()) {
        if (!*named) {
            return named->error();
        }
        if (!(*named)->is_stream()) {
            return make_error_code(errc::service_mismatch);
        }
        carrier = (*named)->kind();
        return listen_with([&] { return listening_socket(**named); });
    }
    auto adopted = local.take_socket();
    if (!core.system().is_real()) {
        return make_error_code(std::errc::not_supported);
    }
    const auto found = core.system().transport_of(adopted.get());
    if (!found) {
        return found.error();
    }
    carrier = *found;
    return listen_with([&] { return adopted_socket(std::move(adopted)); });
}

template <typename Make>
std::error_code server_core::listen_with(Make&& make) {
    // What may throw comes before the first call that leaves something behind.
    if (const auto error = limit_sources()) {
        return error;
    }
    auto& place = core.io().allocate(listening_operations);
    place.emplace<server_core*>(this);
    auto fd = make();
    auto error = fd ? std::error_code() : fd.error();
    if (!error) {
        place.fd = fd->get();
        error = core.io().watch(place, is_exclusive ? interest::readable | interest::exclusive
                                                    : interest::readable);
    }
    if (error) {
        file.remove(core.system());
        core.io().release(place);
        return error;
    }
    static_cast<void>(fd->release());
    listening = key_of(place);
    core.add_life();
    core.hold_reserve();
    return {};
}

/// What the sockets that are accepted inherit, so that it costs nothing there.
std::error_code server_core::set_stream_options(int fd) {
    auto& system = core.system();
    if (const auto error = check_options(options.socket, carrier, true)) {
        return error;
    }
    if (carrier == transport::tcp && !options.socket.no_delay) {
        static_cast<void>(system.set_option(fd, socket_option::no_delay, 1));
    }
    if (options.fast_open_queue != 0) {
        const auto error =
            carrier == transport::tcp
                ? system.set_option(fd, socket_option::fast_open_queue, options.fast_open_queue)
                : make_error_code(std::errc::not_supported);
        if (error) {
            return error;
        }
    }
    return apply_options(system, fd, options.socket);
}

/// Best efforts are silent; what the user asked for by name is not.
std::error_code server_core::set_options(int fd, int family) {
    auto& system = core.system();
    if (const auto error = set_stream_options(fd)) {
        return error;
    }
    if (carrier != transport::tcp) {
        return options.reuse_port || options.defer_accept > duration::zero()
                   ? make_error_code(std::errc::not_supported)
                   : std::error_code();
    }
    static_cast<void>(system.set_option(fd, socket_option::reuse_address, 1));
    if (family == AF_INET6) {
        static_cast<void>(system.set_option(fd, socket_option::ipv6_only, 1));
    }
    if (options.reuse_port) {
        if (const auto error = system.set_option(fd, port_sharing, 1)) {
            return error;
        }
    }
    if (options.defer_accept > duration::zero()) {
        return system.set_option(fd, socket_option::defer_accept, seconds_of(options.defer_accept));
    }
    return {};
}

result<owned_fd> server_core::listening_socket(const endpoint& local) {
    auto& system = core.system();
    auto fd = system.socket(carrier, local.family());
    if (!fd) {
        return fd;
    }
    if (const auto error = set_options(fd->get(), local.family())) {
        return error;
    }
    if (const auto error = bind_listening(system, fd->get(), local, options)) {
        return error;
    }
    file = socket_file(system, local);
    if (const auto error = system.listen(fd->get(), options.backlog)) {
        return error;
    }
    return fd;
}

/// Its name, its backlog and its file are somebody else's; of the options only those that may
/// still be set are.
result<owned_fd> server_core::adopted_socket(unique_fd adopted) {
    auto& system = core.system();
    if (carrier == transport::udp || carrier == transport::unix_datagram) {
        return errc::service_mismatch;
    }
    const auto listens = system.get_option(adopted.get(), socket_option::is_listening);
    if (!listens) {
        return listens.error();
    }
    if (*listens == 0 || options.reuse_port) {
        return std::errc::invalid_argument;
    }
    if (const auto error = system.prepare(adopted.get())) {
        return error;
    }
    if (const auto error = set_options(adopted.get(), AF_UNSPEC)) {
        return error;
    }
    return owned_fd(system, adopted.release());
}

std::error_code server_core::limit_sources() {
    if (options.connections_per_source_max == 0 || sources) {
        return {};
    }
    if (carrier != transport::tcp) {
        return make_error_code(std::errc::not_supported);
    }
    const auto first = core.system().random_bits();
    const auto second = core.system().random_bits();
    if (!first || !second) {
        return first ? second.error() : first.error();
    }
    sources = std::make_shared<source_table>(options.connections_per_source_max,
                                             keyed_hash(*first, *second));
    return {};
}

void server_core::stop_listening() noexcept {
    core.timers().cancel(std::exchange(retry, 0));
    if (auto* const where = place()) {
        core.io().close(*where);
        core.io().release(*where);
        core.drop_life();
        if (!core.io().is_forked()) {
            file.remove(core.system());
        }
        listening = 0;
        core.io().relieve_descriptors();
    }
    listening = 0;
}

result<unique_fd> server_core::release_listening() {
    auto* const where = place();
    if (where == nullptr) {
        return std::errc::not_connected;
    }
    if (!core.system().is_real()) {
        return std::errc::not_supported;
    }
    core.io().unwatch(*where);
    unique_fd given(std::exchange(where->fd, -1));
    file = {};
    stop_listening();
    return given;
}

} // namespace sockeye
