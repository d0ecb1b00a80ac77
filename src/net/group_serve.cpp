#include "base/memory.hpp"
#include "net/datagram_core.hpp"
#include "net/loop_group_core.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <future>
#include <utility>
#include <vector>

// How the loops of a group come to serve one endpoint together.

namespace sockeye {

template <typename Task>
std::error_code loop_group_core::call(group_member& on, Task&& task) {
    std::promise<std::error_code> said;
    auto answer = said.get_future();
    const bool is_told = on.to->post([&task, said = std::move(said)](loop& owner) mutable {
        said.set_value(without_throwing([&] { return task(owner); }));
    });
    if (is_told) {
        try {
            return answer.get();
        } catch (const std::future_error&) {
            // The loop ended before.
        }
    }
    return make_error_code(std::errc::operation_canceled);
}

namespace {

bool accepts_for_all(spread how) noexcept {
    return how == spread::least_connections || how == spread::round_robin;
}

bool shares_port(spread how) noexcept {
    return how == spread::reuse_port || how == spread::reuse_port_by_cpu;
}

/// What is being made, on whichever thread makes it.
struct making {
    making(listen_argument where, const group_serve_options& wanted, spreader& all)
        : local(std::move(where)), options(wanted.listen), parts(all), how(wanted.spread) {}

    listen_argument local;
    serve_options options;
    spreader& parts;
    spread how;
    std::vector<session_source> sources; ///< one for each loop

    // What the first server found out for the others.
    server_core* first = nullptr;
    endpoint name;
    transport carrier = transport::tcp;
    std::shared_ptr<source_table> counted;
    std::vector<owned_fd> duplicates; ///< of its socket, where they share it
};

std::unique_ptr<server_core> make_server(making& made, loop& owner) {
    auto server = std::make_unique<server_core>(core_of(owner), made.options);
    server->is_exclusive = made.how == spread::exclusive;
    server->sources = made.counted;
    server->carrier = made.carrier;
    if (shares_port(made.how)) {
        server->options.reuse_port = true;
        server->port_sharing = socket_option::reuse_port_balanced;
    }
    return server;
}

/// Makes it the part of that loop.
void join(making& made, group_member& on, server_core& server) {
    auto& place = *made.parts.places[on.index];
    place.server = &server;
    server.counted = &place;
    server.part_of = &made.parts;
    server.serve_with(std::move(made.sources[on.index]));
}

void keep(group_member& on, std::unique_ptr<server_core> server) {
    on.servers.push_back(server.get());
    static_cast<void>(server.release());
}

/// The one that binds, or adopts. It does not accept before all are there.
std::error_code make_first(making& made, group_member& on, loop& owner) {
    if (made.how == spread::exclusive && !core_of(owner).io().features().exclusive) {
        return make_error_code(std::errc::not_supported);
    }
    auto server = make_server(made, owner);
    server->is_paused_by_user = true;
    if (const auto error = server->listen_on(std::move(made.local))) {
        return error;
    }
    server->update_interest();
    auto& system = server->core.system();
    const int fd = server->place()->fd;
    const auto name = system.local_endpoint(fd, server->carrier);
    if (!name) {
        return name.error();
    }
    for (std::size_t more = 1; server->is_exclusive && more < made.parts.places.size(); ++more) {
        auto duplicate = system.duplicate(fd);
        if (!duplicate) {
            return duplicate.error();
        }
        made.duplicates.push_back(std::move(duplicate.value()));
    }
    made.first = server.get();
    made.name = *name;
    made.carrier = server->carrier;
    made.counted = server->sources;
    if (accepts_for_all(made.how)) {
        server->spread_by = &made.parts;
        made.parts.acceptor = server.get();
    } else {
        join(made, on, *server);
    }
    keep(on, std::move(server));
    return {};
}

/// One of the others; where one accepts for all, the first loop has such a one as well.
std::error_code make_part(making& made, group_member& on, loop& owner) {
    if (made.how == spread::exclusive && !core_of(owner).io().features().exclusive) {
        return make_error_code(std::errc::not_supported);
    }
    auto server = make_server(made, owner);
    if (made.how == spread::exclusive) {
        server->options.reuse_port = false;
        unique_fd shared(made.duplicates[on.index - 1].release());
        if (const auto error = server->listen_on(std::move(shared))) {
            return error;
        }
    } else if (shares_port(made.how)) {
        if (const auto error = server->listen_on(made.name)) {
            return error;
        }
    }
    join(made, on, *server);
    keep(on, std::move(server));
    return {};
}

/// What arrives on the CPU of a loop goes to the socket of that loop, of those that share the port
/// of `fd`.
std::error_code steer_by_cpu(const loop_group_core& group, kernel& system, int fd) {
    std::vector<unsigned> cpus;
    for (const auto& each : group.members) {
        cpus.push_back(*each->cpu);
    }
    return system.steer_by_cpu(fd, cpus);
}

std::error_code begin(making& made, const loop_group_core& group, server_core& first) {
    if (made.how == spread::reuse_port_by_cpu) {
        if (const auto error = steer_by_cpu(group, first.core.system(), first.place()->fd)) {
            return error;
        }
    }
    first.is_paused_by_user = false;
    first.update_interest();
    return {};
}

std::error_code make_all(loop_group_core& group, making& made) {
    auto& first = *group.members.front();
    auto error = group.call(first, [&](loop& owner) { return make_first(made, first, owner); });
    for (const auto& each : group.members) {
        if (!error && (accepts_for_all(made.how) || each->index != 0)) {
            error = group.call(*each, [&](loop& owner) { return make_part(made, *each, owner); });
        }
    }
    if (!error) {
        error = group.call(first, [&](loop&) { return begin(made, group, *made.first); });
    }
    return error;
}

/// Takes back what make_all did. False where a loop could not be told.
bool unmake_all(loop_group_core& group, spreader& parts) {
    bool is_done = true;
    for (const auto& each : group.members) {
        const auto error = group.call(*each, [&](loop&) {
            parts.acceptor = nullptr;
            std::erase_if(each->servers, [&](server_core* server) {
                const bool is_part = server->part_of == &parts || server->spread_by == &parts;
                if (is_part) {
                    server_core::give_up(server);
                }
                return is_part;
            });
            return std::error_code();
        });
        is_done = is_done && !error;
    }
    return is_done;
}

/// Steering by CPU needs a CPU of its own for each loop.
std::error_code check_cpus(const loop_group_core& group, spread how) {
    std::vector<unsigned> cpus;
    for (const auto& each : group.members) {
        cpus.push_back(each->cpu.value_or(0));
    }
    std::ranges::sort(cpus);
    const bool is_made_for_it = group.is_pinned && std::ranges::adjacent_find(cpus) == cpus.end();
    return how == spread::reuse_port_by_cpu && !is_made_for_it
               ? make_error_code(std::errc::invalid_argument)
               : std::error_code();
}

std::error_code check(const loop_group_core& group, const listen_argument& local, spread how) {
    const auto* const named = local.local();
    if (named != nullptr && !*named) {
        return named->error();
    }
    if (shares_port(how)) {
        // One socket cannot be several, and each has to be made to share.
        if (named == nullptr) {
            return make_error_code(std::errc::invalid_argument);
        }
        if ((*named)->kind() == transport::unix_stream) {
            return make_error_code(std::errc::not_supported);
        }
    }
    return check_cpus(group, how);
}

/// The error of a call that comes on a wrong thread, or too late.
std::error_code check_time(const loop_group_core& group) {
    if (group.is_own_thread()) {
        return make_error_code(errc::loop_running);
    }
    return group.is_ending ? make_error_code(std::errc::operation_canceled) : std::error_code();
}

std::error_code check(const loop_group_core& group, const endpoint_argument& local, spread how) {
    if (!local.get()) {
        return local.get().error();
    }
    if (local.get()->is_stream()) {
        return make_error_code(errc::service_mismatch);
    }
    if (!shares_port(how) || local.get()->kind() != transport::udp) {
        return make_error_code(std::errc::not_supported);
    }
    return check_cpus(group, how);
}

/// Keeps a socket that was made; the first one finds out the port of all.
std::error_code add_socket(group_member& on, endpoint& where, result<datagram_socket> made) {
    const auto name = made ? made->local_endpoint() : made.error();
    if (name) {
        where = *name;
        on.sockets.push_back(std::move(made.value()));
    }
    return name.error();
}

/// Whether the system shares a port out among those who share it.
std::error_code check_sharing(kernel& system, const endpoint& where) {
    const auto probe = system.socket(where.kind(), where.family());
    return probe ? system.set_option(probe->get(), socket_option::reuse_port_balanced, 1)
                 : probe.error();
}

} // namespace

result<endpoint> loop_group::start(const endpoint_argument& local,
                                   const group_datagram_options& options, socket_maker make) {
    auto& group = *core_;
    if (const auto error = check_time(group)) {
        return error;
    }
    if (const auto error = check(group, local, options.spread)) {
        return error;
    }
    const auto shares = [&](loop& owner) {
        return check_sharing(core_of(owner).system(), *local.get());
    };
    if (const auto error = group.call(*group.members.front(), shares)) {
        return error;
    }
    endpoint where = *local.get();
    auto each_options = options.socket;
    each_options.reuse_port = true;
    std::error_code error;
    std::size_t count = 0;
    while (!error && count < group.members.size()) {
        auto& on = *group.members[count];
        error = group.call(on, [&](loop& owner) {
            return add_socket(on, where, make(owner, where, each_options));
        });
        count += error ? 0 : 1;
    }
    if (!error && options.spread == spread::reuse_port_by_cpu) {
        auto& first = *group.members.front();
        error = group.call(first, [&](loop& owner) {
            const auto& place = *datagram_access::place(first.sockets.back());
            return steer_by_cpu(group, core_of(owner).system(), place.fd);
        });
    }
    if (!error) {
        return where;
    }
    for (std::size_t index = 0; index < count; ++index) {
        auto& on = *group.members[index];
        static_cast<void>(group.call(on, [&](loop&) {
            on.sockets.pop_back();
            return std::error_code();
        }));
    }
    return error;
}

result<endpoint> loop_group::start(listen_argument local, const group_serve_options& options,
                                   unique_function<session_source()> make) {
    auto& group = *core_;
    if (const auto error = check_time(group)) {
        return error;
    }
    if (const auto error = check(group, local, options.spread)) {
        return error;
    }
    const auto count = group.members.size();
    const auto each_max = (options.listen.connections_max + count - 1) / count;
    auto owned = std::make_unique<spreader>(options.spread, each_max);
    auto* const parts = owned.get();
    making made(std::move(local), options, *parts);
    made.options.connections_max = each_max;
    for (const auto& each : group.members) {
        parts->places.push_back(std::make_unique<spread_place>(*each->to));
        made.sources.push_back(make());
    }
    {
        const std::lock_guard lock(group.guard);
        group.services.push_back(std::move(owned));
    }
    if (const auto error = make_all(group, made)) {
        if (unmake_all(group, *parts)) {
            const std::lock_guard lock(group.guard);
            std::erase_if(group.services, [&](const auto& each) { return each.get() == parts; });
        }
        return error;
    }
    return made.name;
}

} // namespace sockeye
