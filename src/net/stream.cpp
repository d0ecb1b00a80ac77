#include <sockeye/stream.hpp>

#include "base/memory.hpp"
#include "net/connection.hpp"

#include <sockeye/error.hpp>

#include <cassert>
#include <memory>
#include <new>

namespace sockeye {
namespace {

/// Calls `verb` with the connection where it still lives.
template <typename Verb>
void with(const stream& handle, Verb&& verb) {
    if (auto* place = stream_access::place(handle)) {
        verb(connection(*place));
    }
}

/// True for the object that a session sees; it is the slot's and owns nothing.
bool is_session_view(const stream& handle) noexcept {
    auto* place = stream_access::place(handle);
    return place != nullptr && &place->as<stream_state>().self == &handle;
}

} // namespace

stream::stream(loop_core& core, slot& place) noexcept
    : core_(&core), index_(place.index), generation_(place.generation) {
    place.as<stream_state>().owner = this;
}

stream::stream(stream&& other) noexcept
    : core_(other.core_), index_(other.index_), generation_(other.generation_) {
    auto* const place = stream_access::place(other);
    const bool is_view = is_session_view(other);
    if (is_view && !connection(*place).take_over()) {
        core_ = nullptr;
        return;
    }
    if (place != nullptr && (is_view || place->as<stream_state>().owner == &other)) {
        place->as<stream_state>().owner = this;
    }
    if (!is_view) {
        other.core_ = nullptr;
    }
}

stream& stream::operator=(stream&& other) noexcept {
    assert(!is_session_view(*this));
    if (this != &other) {
        give_up();
        ::new (static_cast<void*>(this)) stream(std::move(other));
    }
    return *this;
}

stream::~stream() {
    give_up();
}

void stream::give_up() noexcept {
    auto* const place = stream_access::place(*this);
    if (place != nullptr && place->as<stream_state>().owner == this) {
        connection(*place).give_up();
    }
    if (!is_session_view(*this)) {
        core_ = nullptr;
    }
}

write_status stream::write(bytes data) {
    auto* place = stream_access::place(*this);
    return place == nullptr ? write_status::refused : connection(*place).write(data);
}

write_status stream::write(bytes data, std::vector<unique_fd> descriptors) {
    auto* place = stream_access::place(*this);
    return place == nullptr ? write_status::refused
                            : connection(*place).write(data, std::move(descriptors));
}

void stream::shutdown() {
    with(*this, [](connection link) { link.shutdown(); });
}

void stream::close() {
    with(*this, [](connection link) { link.close(); });
}

void stream::abort() {
    with(*this, [](connection link) { link.abort(); });
}

void stream::pause() {
    with(*this, [](connection link) { link.pause(); });
}

void stream::resume() {
    with(*this, [](connection link) { link.resume(); });
}

void stream::detach() noexcept {
    auto* const place = stream_access::place(*this);
    if (place != nullptr && place->as<stream_state>().owner == this) {
        place->as<stream_state>().owner = nullptr;
    }
    if (!is_session_view(*this)) {
        core_ = nullptr;
    }
}

result<unique_fd> stream::release() {
    auto* place = stream_access::place(*this);
    if (place == nullptr) {
        return std::errc::not_connected;
    }
    return connection(*place).release();
}

void stream::attach_session(const session_table& table, void* session) {
    auto* place = stream_access::place(*this);
    if (place != nullptr) {
        connection(*place).attach(table, session);
    } else if (core_ != nullptr) {
        connection::tell_of_end(*core_, table, session);
    } else {
        table.destroy(session);
    }
}

bool stream::is_open() const noexcept {
    auto* place = stream_access::place(*this);
    return place != nullptr && !connection(*place).is(flag_terminal | flag_closing);
}

bool stream::is_connecting() const noexcept {
    return is_open() && connection(*stream_access::place(*this)).is(flag_connecting);
}

std::size_t stream::queued_bytes() const noexcept {
    auto* place = stream_access::place(*this);
    return place == nullptr ? 0 : connection(*place).unsent();
}

result<endpoint> stream::local_endpoint() const {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0) {
        return std::errc::not_connected;
    }
    return core_->system().local_endpoint(place->fd, place->as<stream_state>().carrier);
}

result<endpoint> stream::peer_endpoint() const {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0) {
        return std::errc::not_connected;
    }
    return core_->system().peer_endpoint(place->fd, place->as<stream_state>().carrier);
}

sockeye::loop& stream::loop() const noexcept {
    return core_->handle();
}

namespace {

result<slot*> start_adopted(loop_core& core, unique_fd fd, const stream_limits& limits) {
    if (!core.system().is_real()) {
        return std::errc::not_supported;
    }
    const auto carrier = core.system().transport_of(fd.get());
    if (!carrier) {
        return carrier.error();
    }
    if (*carrier != transport::tcp && *carrier != transport::unix_stream) {
        return errc::service_mismatch;
    }
    if (const auto peer = core.system().peer_endpoint(fd.get(), *carrier); !peer) {
        return peer.error();
    }
    if (const auto error = core.system().prepare(fd.get())) {
        return error;
    }
    std::unique_ptr<stream_kind, void (*)(stream_kind*)> kind(
        new stream_kind{connection::operations(), core, nullptr, limits, nullptr, false, 1},
        [](stream_kind* held) { drop_reference(*held); });
    return connection::begin(*kind, *carrier, owned_fd(core.system(), fd.release()));
}

} // namespace

result<stream> adopt(sockeye::loop& owner, unique_fd fd, const stream_limits& limits) {
    auto& core = core_of(owner);
    const auto place = without_throwing([&] { return start_adopted(core, std::move(fd), limits); });
    if (!place) {
        return place.error();
    }
    return stream_access::make(core, **place);
}

stream* loop::find(const stream_ref& ref) noexcept {
    auto* place = core_->io().find(make_slot_key(ref.index_, ref.generation_));
    const bool is_stream =
        place != nullptr && place->operations->finish == connection::operations().finish;
    return is_stream ? &place->as<stream_state>().self : nullptr;
}

bool remote::post(const stream_ref& target, unique_function<void(stream&)> task) const {
    auto for_stream = [box = box_.get(), target, task = std::move(task)]() mutable {
        if (auto* found = box->core->handle().find(target)) {
            task(*found);
        }
    };
    try {
        return post(std::move(for_stream));
    } catch (const std::bad_alloc&) {
        return false;
    }
}

} // namespace sockeye
