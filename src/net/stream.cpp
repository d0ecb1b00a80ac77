#include <sockeye/stream.hpp>

#include "base/memory.hpp"
#include "net/connection.hpp"
#include "net/socket_options.hpp"

#include <sockeye/error.hpp>
#include <sockeye/standard_streams.hpp>

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

/// Where what is to be sent comes in; null where the connection is gone.
slot* place_to_send(const stream& handle) noexcept {
    auto* const place = stream_access::place(handle);
    assert(place == nullptr || may_begin(*stream_access::core(handle), "a stream"));
    return place;
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
    auto* place = place_to_send(*this);
    return place == nullptr ? write_status::refused : connection(*place).write(data);
}

write_status stream::write(std::span<const bytes> parts) {
    auto* place = place_to_send(*this);
    return place == nullptr ? write_status::refused : connection(*place).write(parts);
}

write_status stream::write(owned_bytes data) {
    auto* place = place_to_send(*this);
    return place == nullptr ? write_status::refused : connection(*place).write(std::move(data));
}

write_status stream::send_file(unique_fd file, const file_part& part) {
    auto* place = place_to_send(*this);
    return place == nullptr ? write_status::refused
                            : connection(*place).send_file(std::move(file), part);
}

result<std::size_t> stream::try_write(bytes data) {
    auto* place = place_to_send(*this);
    if (place == nullptr) {
        return std::errc::not_connected;
    }
    return connection(*place).try_write(data);
}

write_status stream::write(bytes data, std::vector<unique_fd> descriptors) {
    auto* place = place_to_send(*this);
    return place == nullptr ? write_status::refused
                            : connection(*place).write(data, std::move(descriptors));
}

void stream::shutdown() {
    if (auto* const place = place_to_send(*this)) {
        connection(*place).shutdown();
    }
}

void stream::close() {
    with(*this, [](connection link) { link.close(); });
}

void stream::abort() {
    with(*this, [](connection link) { link.abort(); });
}

void stream::graceful_close(const graceful_options& options) {
    with(*this, [&](connection link) { link.graceful_close(options); });
}

bool stream::when_sent(unique_function<void(std::error_code)> handler) {
    auto* place = stream_access::place(*this);
    return place != nullptr && connection(*place).when_sent(std::move(handler));
}

void stream::cancel() noexcept {
    with(*this, [](connection link) { link.cancel(); });
}

void stream::set_limits(const stream_limits& limits) {
    with(*this, [&](connection link) { link.set_limits(limits); });
}

stream_limits stream::limits() const noexcept {
    auto* place = stream_access::place(*this);
    return place == nullptr ? stream_limits{} : connection(*place).limits();
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

result<sockeye::peer_credentials> stream::peer_credentials() const {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0 || connection(*place).is(flag_connecting)) {
        return std::errc::not_connected;
    }
    return connection(*place).credentials();
}

result<stream_info> stream::info() const {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0) {
        return std::errc::not_connected;
    }
    if (place->as<stream_state>().carrier != transport::tcp) {
        return std::errc::not_supported;
    }
    return core_->system().info(place->fd);
}

result<stream_options> stream::options() const {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0) {
        return std::errc::not_connected;
    }
    return read_options(core_->system(), place->fd, place->as<stream_state>().carrier);
}

std::error_code stream::set_options(const stream_options& wanted) {
    auto* place = stream_access::place(*this);
    if (place == nullptr || place->fd < 0) {
        return make_error_code(std::errc::not_connected);
    }
    const auto error = check_options(wanted, place->as<stream_state>().carrier, false);
    return error ? error : apply_options(core_->system(), place->fd, wanted);
}

sockeye::loop& stream::loop() const noexcept {
    assert(core_ != nullptr || misuse("a stream", "of no loop is asked for it"));
    assert(may_use(*core_, "a stream"));
    return core_->handle();
}

namespace {

using held_kind = std::unique_ptr<stream_kind, void (*)(stream_kind*)>;

held_kind make_kind(loop_core& core, const stream_limits& limits) {
    return {new stream_kind{connection::operations(), core, nullptr, limits, nullptr, false, 1},
            [](stream_kind* held) { drop_reference(*held); }};
}

result<slot*> start_socket(loop_core& core, reopened_file socket, const stream_limits& limits) {
    const int fd = socket.fd.get();
    const auto carrier = core.system().transport_of(fd);
    if (!carrier) {
        return carrier.error();
    }
    if (*carrier == transport::udp || *carrier == transport::unix_datagram) {
        return errc::service_mismatch;
    }
    if (const auto peer = core.system().peer_endpoint(fd, *carrier); !peer) {
        return peer.error();
    }
    const auto lingers = core.system().get_option(fd, socket_option::linger);
    if (!lingers || *lingers != 0) {
        return lingers ? make_error_code(std::errc::invalid_argument) : lingers.error();
    }
    const auto kind = make_kind(core, limits);
    auto place = connection::begin(*kind, *carrier, std::move(socket.fd));
    if (place && socket.is_shared) {
        connection(**place).restore_at_end();
    }
    return place;
}

/// Requires: close-on-exec, and non-blocking where it waits at all.
result<slot*> start_descriptor(loop_core& core, reopened_file file, const stream_limits& limits) {
    const auto facts = core.system().describe(file.fd.get());
    if (!facts) {
        return facts.error();
    }
    if (facts->is_socket) {
        return start_socket(core, std::move(file), limits);
    }
    const auto kind = make_kind(core, limits);
    return connection::begin_file(*kind, *facts, std::move(file));
}

result<stream> owned_by_handle(loop_core& core, const result<slot*>& place) {
    if (!place) {
        return place.error();
    }
    return stream_access::make(core, **place);
}

result<stream> open_standard(sockeye::loop& owner, int number, const stream_limits& limits) {
    auto& core = core_of(owner);
    return owned_by_handle(core, without_throwing([&]() -> result<slot*> {
                               auto file = core.system().reopen(number);
                               return file ? start_descriptor(core, std::move(file.value()), limits)
                                           : file.error();
                           }));
}

} // namespace

result<stream> adopt(sockeye::loop& owner, unique_fd fd, const stream_limits& limits) {
    auto& core = core_of(owner);
    return owned_by_handle(core, without_throwing([&]() -> result<slot*> {
                               if (!core.system().is_real()) {
                                   return std::errc::not_supported;
                               }
                               if (const auto error = core.system().prepare(fd.get())) {
                                   return error;
                               }
                               owned_fd taken(core.system(), fd.release());
                               return start_descriptor(core, {std::move(taken), false}, limits);
                           }));
}

result<stream> standard_input(sockeye::loop& owner, const stream_limits& limits) {
    return open_standard(owner, 0, limits);
}

result<stream> standard_output(sockeye::loop& owner, const stream_limits& limits) {
    return open_standard(owner, 1, limits);
}

result<stream> standard_error(sockeye::loop& owner, const stream_limits& limits) {
    return open_standard(owner, 2, limits);
}

std::error_code secure_standard_descriptors() {
    return system_kernel().fill_standard_descriptors();
}

stream* loop::find(const stream_ref& ref) noexcept {
    auto* place = core_of(*this).io().find(make_slot_key(ref.index_, ref.generation_));
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
