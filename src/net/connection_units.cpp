#include "net/connection.hpp"
#include "net/sending.hpp"
#include "net/shortage.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

namespace sockeye {
namespace {

/// A longer one would not fit into the buffer that we read into.
constexpr std::size_t message_bytes_max = 64 * 1024;
constexpr std::size_t bytes_per_write = 64 * 1024;

/// Why `carrier` cannot send `descriptors` with `data`; nothing where it can.
std::error_code obstacle_to(transport carrier, bytes data,
                            const std::vector<unique_fd>& descriptors) noexcept {
    if (!descriptors.empty() && (data.empty() || descriptors.size() > descriptors_per_message)) {
        return make_error_code(std::errc::invalid_argument);
    }
    if (carrier == transport::unix_seqpacket && data.size() > message_bytes_max) {
        return make_error_code(std::errc::message_size);
    }
    return {};
}

result<std::size_t> send_along(kernel& system, int fd, bytes data,
                               const std::vector<unique_fd>& descriptors) {
    std::array<int, descriptors_per_message> numbers;
    std::ranges::transform(descriptors, numbers.begin(), &unique_fd::get);
    return system.send_with_descriptors(fd, data, std::span(numbers).first(descriptors.size()));
}

/// The table of an older program ends before it.
bool wants_descriptors(const session_table& table) noexcept {
    return table.size > offsetof(session_table, on_data_with_descriptors) &&
           table.on_data_with_descriptors != nullptr;
}

} // namespace

write_status connection::write(bytes data, std::vector<unique_fd> descriptors) {
    if (descriptors.empty()) {
        return write(data);
    }
    if (is_refusing()) {
        return write_status::refused;
    }
    if (!has(trait_local) || has(trait_file)) {
        end(close_reason::failed, make_error_code(std::errc::not_supported));
        return write_status::refused;
    }
    return write_unit(data, std::move(descriptors));
}

/// Writes what has to be handed over by a call of its own. Requires: writing is possible.
write_status connection::write_unit(bytes data, std::vector<unique_fd> descriptors) {
    // Whoever ignores a refusal must not leave a hole in the stream.
    if (const auto error = obstacle_to(state_.carrier, data, descriptors)) {
        end(close_reason::failed, error);
        return write_status::refused;
    }
    if (state_.queue == nullptr && state_.pending_size != 0) {
        send_now({}); // what was written before goes before
        if (is(flag_terminal | flag_write_dead)) {
            return write_status::refused;
        }
    }
    if (state_.queue == nullptr && !is(flag_connecting)) {
        send_unit(data, std::move(descriptors));
        return after_write();
    }
    if (is_queue_full()) {
        return write_status::refused;
    }
    if (state_.queue != nullptr && state_.queue->descriptor_count() >= descriptors_per_message) {
        end(close_reason::failed, make_error_code(errc::send_queue_full));
        return write_status::refused;
    }
    if (!queue_piece(data, std::move(descriptors))) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return write_status::refused;
    }
    return after_write();
}

/// Sends `data` by a call of its own; what the kernel does not take is queued. Requires: nothing
/// is queued or waits for the end of the turn.
void connection::send_unit(bytes data, std::vector<unique_fd> descriptors) {
    auto& counters = core_.io().counters();
    ++counters.writes;
    const auto sent = descriptors.empty()
                          ? core_.system().send(place_.fd, data)
                          : send_along(core_.system(), place_.fd, data, descriptors);
    const auto shortage = shortage_of(sent);
    if (!sent && !shortage && sent.error() != std::errc::operation_would_block) {
        state_.dropped_bytes += data.size();
        write_failed(sent.error());
        return;
    }
    const auto count = sent ? *sent : 0;
    note_sent(count);
    if (count == data.size()) {
        output_sent();
        return;
    }
    counters.would_blocks += sent || shortage ? 0 : 1;
    const bool is_queued =
        count == 0 ? queue_piece(data, std::move(descriptors)) : queue_rest(data.subspan(count));
    if (!is_queued) {
        state_.dropped_bytes += data.size() - count - unsent();
        write_failed(make_error_code(std::errc::not_enough_memory));
    } else if (shortage) {
        send_later(shortage);
    } else {
        update_interest();
    }
}

/// Gives `parts` to the kernel, by one call where the descriptor is a socket. Requires: not empty.
result<std::size_t> connection::transmit(std::span<const bytes> parts) {
    auto& system = core_.system();
    if (!has(trait_file)) {
        return parts.size() == 1 ? system.send(place_.fd, parts[0])
                                 : system.send_gathered(place_.fd, parts);
    }
    const bool is_regular = has(trait_always_ready);
    std::size_t all = 0;
    for (const auto part : parts) {
        const auto most = is_regular ? std::min(part.size(), bytes_per_write) : part.size();
        const auto sent = system.write(place_.fd, part.first(most));
        if (!sent) {
            return all == 0 ? sent : all;
        }
        all += *sent;
        if (is_regular || *sent < part.size()) {
            break;
        }
    }
    return all;
}

/// Sends what one call may take of the front of the queue: `asked` bytes.
result<std::size_t> connection::send_front(std::size_t& asked) {
    std::array<bytes, parts_per_call> room;
    const auto most = std::span(room).first(has(trait_messages) ? 1 : room.size());
    const auto parts = std::span<const bytes>(room).first(state_.queue->gather(most));
    asked = size_of(parts);
    ++core_.io().counters().writes;
    if (const auto* const along = state_.queue->descriptors()) {
        asked = parts[0].size();
        return send_along(core_.system(), place_.fd, parts[0], *along);
    }
    return transmit(parts);
}

result<std::size_t> connection::receive(std::span<std::byte> target,
                                        std::vector<unique_fd>& descriptors) {
    auto& system = core_.system();
    if (kind_.traits == 0) {
        return system.receive(place_.fd, target);
    }
    if (has(trait_file)) {
        return system.read(place_.fd, target);
    }
    if (!wants_descriptors(*kind_.table)) {
        return has(trait_messages) ? system.receive_message(place_.fd, target)
                                   : system.receive(place_.fd, target);
    }
    const auto got = system.receive_with_descriptors(place_.fd, target, descriptors);
    if (descriptors.size() > kind_.limits.descriptors_max) {
        descriptors.clear();
        return errc::descriptor_limit;
    }
    return got;
}

result<slot*> connection::begin_file(stream_kind& kind, const file_facts& facts,
                                     reopened_file file) {
    auto& place = make(kind, transport::unix_stream);
    connection link(place);
    kind.traits |= trait_file;
    link.set(facts.can_write ? 0U : flag_shut_wanted | flag_shut_done);
    if (!facts.can_read) {
        kind.traits |= trait_write_only;
        link.set(flag_read_ended);
    }
    if (file.is_shared) {
        link.restore_at_end();
    }
    place.fd = file.fd.release();
    link.note_opened();
    const auto error = facts.is_regular ? make_error_code(errc::not_pollable) : link.watch();
    if (error == errc::not_pollable) {
        // Files, and devices such as /dev/null: they never wait.
        kind.traits |= trait_always_ready;
        link.set(flag_readable | flag_end_hinted); // until a read says that this was the end
    } else if (error) {
        link.set(flag_terminal);
        link.free();
        return error;
    }
    link.begin_time();
    if (link.is(flag_read_ended) && !error) {
        link.look_again(); // for the reader that goes
    }
    return &place;
}

/// Whether anybody is left who could read, where nothing is read that would say so.
void connection::look_for_hangup() {
    if (core_.system().is_hung_up(place_.fd)) {
        end(close_reason::failed, make_error_code(has(trait_file) ? std::errc::broken_pipe
                                                                  : std::errc::connection_reset));
    }
}

void connection::restore_at_end() noexcept {
    kind_.traits |= trait_restored;
}

void connection::restore_file() noexcept {
    if (place_.fd >= 0 && has(trait_restored)) {
        core_.system().make_blocking(place_.fd);
    }
}

result<peer_credentials> connection::credentials() {
    if (!has(trait_local) || has(trait_file)) {
        return std::errc::not_supported;
    }
    return core_.system().credentials(place_.fd);
}

} // namespace sockeye
