#include "net/server_core.hpp"

#include <sockeye/error.hpp>
#include <sockeye/listener.hpp>
#include <sockeye/serve.hpp>

#include <cassert>

namespace sockeye {
namespace {

/// Where verbs come in. Null where the handle owns nothing.
server_core* used(server_core* self) noexcept {
    assert(self == nullptr || may_use(self->core, self->on_accept ? "a listener" : "a server"));
    return self;
}

result<endpoint> endpoint_of(server_core* self) {
    auto* const place = self == nullptr ? nullptr : self->place();
    if (place == nullptr) {
        return std::errc::not_connected;
    }
    return self->core.system().local_endpoint(place->fd, self->carrier);
}

void set_paused(server_core* self, bool is_paused) {
    if (self != nullptr) {
        self->is_paused_by_user = is_paused;
        self->update_interest();
    }
}

result<unique_fd> released(server_core* self) {
    return self == nullptr ? std::errc::not_connected : self->release_listening();
}

} // namespace

void server_core::serve_with(session_source made) {
    kind->table = made.table;
    kind->sessions_are_shared = made.is_shared;
    source = std::move(made);
}

void server_core::close() {
    stop_listening();
    group.for_each(core.io(), [](slot& place) { connection(place).close(); });
}

result<server> start_server(sockeye::loop& owner, listen_argument local,
                            const serve_options& options, session_source source) {
    auto made = open_server(owner, std::move(local), options);
    if (!made) {
        return made.error();
    }
    auto& core = *made.value();
    core.serve_with(std::move(source));
    return server(made.value().release());
}

server& server::operator=(server&& other) noexcept {
    if (this != &other) {
        server_core::give_up(used(std::exchange(core_, std::exchange(other.core_, nullptr))));
    }
    return *this;
}

server::~server() {
    server_core::give_up(used(core_));
}

void server::close() {
    if (auto* const core = used(core_)) {
        core->close();
    }
}

void server::drain(duration deadline, unique_function<void()> on_drained) {
    if (auto* const core = used(core_)) {
        core->start_drain(deadline, std::move(on_drained));
    }
}

result<unique_fd> server::release_listener() {
    return released(used(core_));
}

void server::pause() {
    set_paused(used(core_), true);
}

void server::resume() {
    set_paused(used(core_), false);
}

void server::detach() noexcept {
    if (auto* const core = used(std::exchange(core_, nullptr))) {
        core->is_detached = true;
        if (core->listening == 0 && core->group.count() == 0 && core->drained == 0) {
            server_core::give_up(core);
        }
    }
}

std::size_t server::connection_count() const noexcept {
    return used(core_) == nullptr ? 0 : core_->group.count();
}

bool server::is_listening() const noexcept {
    return used(core_) != nullptr && core_->listening != 0;
}

result<endpoint> server::local_endpoint() const {
    return endpoint_of(used(core_));
}

result<listener> listener::open(sockeye::loop& owner, listen_argument local,
                                const listen_options& options, handler on_accept) {
    auto made = open_server(owner, std::move(local), options);
    if (!made) {
        return made.error();
    }
    made.value()->on_accept = std::move(on_accept);
    return listener(made.value().release());
}

listener& listener::operator=(listener&& other) noexcept {
    if (this != &other) {
        server_core::let_go(used(std::exchange(core_, std::exchange(other.core_, nullptr))));
    }
    return *this;
}

listener::~listener() {
    server_core::let_go(used(core_));
}

void listener::close() noexcept {
    if (auto* const core = used(core_)) {
        core->stop_listening();
    }
}

result<unique_fd> listener::release() {
    return released(used(core_));
}

void listener::pause() {
    set_paused(used(core_), true);
}

void listener::resume() {
    set_paused(used(core_), false);
}

bool listener::is_listening() const noexcept {
    return used(core_) != nullptr && core_->listening != 0;
}

result<endpoint> listener::local_endpoint() const {
    return endpoint_of(used(core_));
}

} // namespace sockeye
