#include "base/memory.hpp"
#include "net/datagram_core.hpp"

#include <sockeye/error.hpp>

#include <utility>

// How datagram sockets are made, connected and told what to do.

namespace sockeye {
namespace {

/// Sets one option after another, up to the first that the system refuses.
class datagram_option_setter {
public:
    datagram_option_setter(kernel& system, int fd, int family) noexcept
        : system_(system), fd_(fd), family_(family) {}

    void set(socket_option option, int value) {
        if (!error) {
            error = system_.set_option(fd_, option, value);
        }
    }
    void set(datagram_option option, int value) {
        if (!error) {
            error = system_.set_datagram_option(fd_, family_, option, value);
        }
    }
    void set_if(bool is_wanted, datagram_option option, int value = 1) {
        if (is_wanted) {
            set(option, value);
        }
    }
    void set_in_range(const std::optional<int>& value, int least, datagram_option option) {
        if (value && (*value < least || *value > 255)) {
            error = make_error_code(std::errc::invalid_argument);
        }
        set_if(value.has_value(), option, value.value_or(0));
    }

    std::error_code error;

private:
    kernel& system_;
    int fd_;
    int family_;
};

bool has_details(const datagram_options& options) noexcept {
    return options.tells_local || options.tells_ecn || options.tells_ttl || options.tells_time ||
           options.tells_overflow || options.offload;
}

/// What must be set before a socket is bound.
void set_before_bind(datagram_option_setter& to, const endpoint& where,
                     const datagram_options& options) {
    const bool is_ip6_alone = where.kind() == transport::raw; // and may not be told so
    if (where.family() == AF_INET6 && !is_ip6_alone) {
        to.set(socket_option::ipv6_only, options.dual_stack ? 0 : 1);
    } else if (options.dual_stack) {
        to.error = make_error_code(std::errc::invalid_argument);
    }
    if (options.reuse_address) {
        to.set(socket_option::reuse_address, 1);
    }
    if (options.reuse_port && !to.error) {
        to.set(socket_option::reuse_port_balanced, 1);
        if (to.error == std::errc::not_supported) {
            to.error.clear();
            to.set(socket_option::reuse_port, 1); // then one of them gets all
        }
    }
}

void set_at_any_time(datagram_option_setter& to, const datagram_options& options) {
    if (options.receive_buffer != 0) {
        to.set(socket_option::receive_buffer, options.receive_buffer);
    }
    if (options.send_buffer != 0) {
        to.set(socket_option::send_buffer, options.send_buffer);
    }
    to.set_if(options.broadcast, datagram_option::broadcast);
    to.set_if(options.tells_local, datagram_option::tell_local);
    to.set_if(options.tells_ecn, datagram_option::tell_mark);
    to.set_if(options.tells_ttl, datagram_option::tell_ttl);
    to.set_if(options.tells_time, datagram_option::tell_time);
    to.set_if(options.tells_overflow, datagram_option::tell_overflow);
    to.set_in_range(options.ttl, 1, datagram_option::ttl);
    to.set_in_range(options.multicast_ttl, 0, datagram_option::multicast_ttl);
    if (options.discovery) {
        to.set(datagram_option::path_mtu_discovery, static_cast<int>(*options.discovery));
    }
    if (options.multicast_loop) {
        to.set(datagram_option::multicast_loop, *options.multicast_loop ? 1 : 0);
    }
    to.set_if(options.multicast_interface != 0, datagram_option::multicast_interface,
              static_cast<int>(options.multicast_interface));
}

/// A socket that nobody handles yet.
struct fresh_socket {
    owned_fd fd;
    transport kind;
    int family;
};

result<fresh_socket> make_socket(loop_core& core, const endpoint& where,
                                 const datagram_options& options) {
    auto& system = core.system();
    auto fd = where.kind() == transport::raw ? system.raw_socket(where.family(), where.port())
                                             : system.socket(where.kind(), where.family());
    if (!fd) {
        return fd.error();
    }
    datagram_option_setter setter(system, fd->get(), where.family());
    set_before_bind(setter, where, options);
    set_at_any_time(setter, options);
    if (setter.error) {
        return setter.error;
    }
    return fresh_socket{std::move(fd.value()), where.kind(), where.family()};
}

/// What a socket is told where it is bound by now. One of every address says which of them it was
/// asked at, so that its answers leave from there, wherever the system can tell.
receive_wishes wishes_for(loop_core& core, const fresh_socket& it, const datagram_options& options,
                          bool& is_everywhere) {
    receive_wishes wishes;
    wishes.datagrams_max = options.offload ? segments::merged_per_call : datagrams_per_call;
    wishes.has_details = has_details(options);
    if (it.kind == transport::unix_datagram) {
        return wishes;
    }
    const auto local = core.system().local_endpoint(it.fd.get(), it.kind);
    is_everywhere = local && local->is_unspecified();
    if (is_everywhere && !options.tells_local) {
        wishes.has_details = !core.system().set_datagram_option(it.fd.get(), it.family,
                                                                datagram_option::tell_local, 1) ||
                             wishes.has_details;
    }
    wishes.port = local ? local->port() : std::uint16_t{0};
    return wishes;
}

result<datagram_socket> start(loop_core& core, fresh_socket it, const datagram_options& options,
                              datagram_socket::handler on_datagrams,
                              const std::optional<endpoint>& peer, const socket_file& file) {
    auto made =
        std::make_unique<datagram_core>(core, options, std::move(on_datagrams), it.kind, it.family);
    if (options.offload && it.kind == transport::udp) {
        // What cannot be merged on the way in may still be cut on the way out.
        static_cast<void>(core.system().set_datagram_option(it.fd.get(), it.family,
                                                            datagram_option::merge_received, 1));
    }
    made->wishes = wishes_for(core, it, options, made->is_everywhere);
    made->peer = peer;
    made->file = file;
    return datagram_access::start(std::move(made), std::move(it.fd));
}

std::error_code check(const endpoint_argument& where) {
    if (!where.get()) {
        return where.get().error();
    }
    return where.get()->is_stream() ? make_error_code(errc::service_mismatch) : std::error_code();
}

std::error_code closed() noexcept {
    return make_error_code(std::errc::bad_file_descriptor);
}

result<fresh_socket> take_over(loop_core& core, unique_fd fd, const datagram_options& options) {
    auto& system = core.system();
    if (!system.is_real()) {
        return std::errc::not_supported;
    }
    const auto kind = system.transport_of(fd.get());
    if (!kind) {
        return kind.error();
    }
    if (*kind == transport::tcp || *kind == transport::unix_stream ||
        *kind == transport::unix_seqpacket) {
        return errc::service_mismatch;
    }
    const auto local = system.local_endpoint(fd.get(), *kind);
    if (!local) {
        return local.error();
    }
    if (const auto error = system.prepare(fd.get())) {
        return error;
    }
    datagram_option_setter setter(system, fd.get(), local->family());
    set_at_any_time(setter, options);
    if (setter.error) {
        return setter.error;
    }
    return fresh_socket{owned_fd(system, fd.release()), *kind, local->family()};
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
    auto it = make_socket(core, where, options);
    if (!it) {
        return it.error();
    }
    if (const auto error = core.system().bind(it->fd.get(), where)) {
        return error;
    }
    socket_file file(core.system(), where);
    auto made = without_throwing([&] {
        return start(core, std::move(it.value()), options, std::move(on_datagrams), {}, file);
    });
    if (!made) {
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
    auto it = make_socket(core, where, options);
    if (!it) {
        return it.error();
    }
    if (where.kind() == transport::unix_datagram) {
        // A name chosen by the system, so that the peer can answer; only Linux has it.
        const auto unnamed = endpoint::parse("unix-dgram:@");
        if (unnamed) {
            static_cast<void>(core.system().bind(it->fd.get(), *unnamed));
        }
    }
    const auto error = core.system().connect(it->fd.get(), where);
    if (error && error != std::errc::operation_in_progress) {
        return error;
    }
    const auto name = core.system().peer_endpoint(it->fd.get(), where.kind());
    return without_throwing([&] {
        return start(core, std::move(it.value()), options, std::move(on_datagrams),
                     name ? *name : where, {});
    });
}

result<datagram_socket> datagram_socket::adopt(sockeye::loop& owner, unique_fd fd,
                                               const datagram_options& options,
                                               handler on_datagrams) {
    auto& core = core_of(owner);
    auto it = take_over(core, std::move(fd), options);
    if (!it) {
        return it.error();
    }
    const auto name = core.system().peer_endpoint(it->fd.get(), it->kind);
    return without_throwing([&] {
        return start(core, std::move(it.value()), options, std::move(on_datagrams),
                     name ? std::optional(*name) : std::nullopt, {});
    });
}

std::error_code datagram_socket::on_error(error_handler called) {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return closed();
    }
    auto& self = *datagram_access::core(*this);
    const bool is_wanted = static_cast<bool>(called);
    return without_throwing([&]() -> std::error_code {
        struct replaced : retirable {
            std::unique_ptr<error_handler> last;
        };
        auto old = std::make_unique<replaced>(); // it may be the one that is running
        auto next = is_wanted ? std::make_unique<error_handler>(std::move(called)) : nullptr;
        if (is_wanted != (self.on_error != nullptr)) {
            const auto error = self.core.system().set_datagram_option(
                place->fd, self.family, datagram_option::report_errors, is_wanted ? 1 : 0);
            if (error) {
                return error;
            }
        }
        old->last = std::exchange(self.on_error, std::move(next));
        self.core.retire(std::move(old));
        return {};
    });
}

std::error_code datagram_socket::connect(const endpoint_argument& peer) {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return closed();
    }
    auto& self = *datagram_access::core(*this);
    if (const auto error = check(peer)) {
        return error;
    }
    const auto& where = *peer.get();
    if (self.peer) {
        return make_error_code(std::errc::already_connected);
    }
    if (where.kind() != self.carrier) {
        return make_error_code(errc::service_mismatch);
    }
    if (const auto error = self.core.system().connect(place->fd, where)) {
        return error;
    }
    const auto name = self.core.system().peer_endpoint(place->fd, self.carrier);
    self.peer = name ? *name : where;
    datagram_access::change_queue(self, [&](datagram_queue& queue) {
        datagram_access::count_lost(self, queue.erase_if([&](const waiting_datagram& one) {
            return one.peer.is_known() && one.peer != *self.peer;
        }));
        for (auto& one : queue) {
            one.peer = {};
        }
    });
    return {};
}

namespace {

/// A port that the system had chosen is gone with the peer: it is asked for again.
std::error_code keep_port(datagram_core& self, int fd, const endpoint& name) {
    auto& system = self.core.system();
    auto left = system.local_endpoint(fd, self.carrier);
    if (!left || name.is_local() || left->port() == name.port()) {
        return {};
    }
    if (!self.is_everywhere) {
        *left = name;
    }
    left->set_port(name.port());
    return system.bind(fd, *left);
}

} // namespace

std::error_code datagram_socket::disconnect() {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return closed();
    }
    auto& self = *datagram_access::core(*this);
    if (!self.peer) {
        return make_error_code(std::errc::not_connected);
    }
    if (self.carrier == transport::raw) {
        return make_error_code(std::errc::not_supported); // it would lose its protocol
    }
    const auto name = local_endpoint();
    if (const auto error = self.core.system().disconnect(place->fd)) {
        return error;
    }
    for (auto& one : self.queue) {
        one.peer = *self.peer;
    }
    self.peer.reset();
    return name ? keep_port(self, place->fd, *name) : std::error_code();
}

namespace {

std::error_code change(kernel& system, int fd, int family, const endpoint_argument& group,
                       const group_options& options, bool joins) {
    if (!group.get()) {
        return group.get().error();
    }
    const auto& where = *group.get();
    if (where.family() != family || family == AF_UNIX ||
        (options.source && options.source->family() != family)) {
        return make_error_code(std::errc::invalid_argument);
    }
    return system.change_membership(fd, {.group = &where,
                                         .source = options.source ? &*options.source : nullptr,
                                         .interface_index = options.interface_index,
                                         .joins = joins});
}

} // namespace

std::error_code datagram_socket::join(const endpoint_argument& group,
                                      const group_options& options) {
    auto* const place = datagram_access::place(*this);
    return place == nullptr ? closed()
                            : change(core_->system(), place->fd,
                                     datagram_access::core(*this)->family, group, options, true);
}

std::error_code datagram_socket::leave(const endpoint_argument& group,
                                       const group_options& options) {
    auto* const place = datagram_access::place(*this);
    return place == nullptr ? closed()
                            : change(core_->system(), place->fd,
                                     datagram_access::core(*this)->family, group, options, false);
}

result<int> datagram_socket::path_mtu() const {
    auto* const place = datagram_access::place(*this);
    if (place == nullptr) {
        return closed();
    }
    return core_->system().get_datagram_option(place->fd, datagram_access::core(*this)->family,
                                               datagram_option::path_mtu);
}

} // namespace sockeye
