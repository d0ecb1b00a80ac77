#include "net/connection.hpp"
#include "net/shortage.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

namespace sockeye {
namespace {

/// Why `carrier` cannot send `descriptors` with `data`; nothing where it can.
std::error_code obstacle_to(transport carrier, bytes data,
                            const std::vector<unique_fd>& descriptors) noexcept {
    if (carrier != transport::unix_stream) {
        return make_error_code(std::errc::not_supported);
    }
    const bool fits = !data.empty() && descriptors.size() <= descriptors_per_message;
    return fits ? std::error_code() : make_error_code(std::errc::invalid_argument);
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
    if (is(flag_terminal | flag_closing | flag_shut_wanted | flag_write_dead)) {
        return write_status::refused;
    }
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
    if (!queue_unit(data, std::move(descriptors))) {
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
    const auto sent = send_along(core_.system(), place_.fd, data, descriptors);
    const auto shortage = shortage_of(sent);
    if (!sent && !shortage && sent.error() != std::errc::operation_would_block) {
        state_.dropped_bytes += data.size();
        write_failed(sent.error());
        return;
    }
    const auto count = sent ? *sent : 0;
    counters.bytes_written += count;
    if (count == data.size()) {
        output_sent();
        return;
    }
    counters.would_blocks += sent || shortage ? 0 : 1;
    const bool is_queued =
        count == 0 ? queue_unit(data, std::move(descriptors)) : queue_rest(data.subspan(count));
    if (!is_queued) {
        state_.dropped_bytes += data.size() - count - unsent();
        write_failed(make_error_code(std::errc::not_enough_memory));
    } else if (shortage) {
        send_later(shortage);
    } else {
        update_interest();
    }
}

/// False where there is no memory for it; what was queued before stays.
bool connection::queue_unit(bytes data, std::vector<unique_fd> descriptors) noexcept {
    try {
        if (state_.queue == nullptr) {
            state_.queue = new unsent_output;
        }
        state_.queue->begin_unit(std::move(descriptors));
    } catch (const std::bad_alloc&) {
        return false;
    }
    return queue_rest(data);
}

/// Sends the queue, unit by unit, until the kernel takes no more.
result<std::size_t> connection::send_front() {
    auto& counters = core_.io().counters();
    auto& queue = *state_.queue;
    std::size_t all = 0;
    for (;;) {
        const auto part = queue.next();
        const auto* const along = queue.descriptors();
        ++counters.writes;
        const auto sent = along == nullptr ? core_.system().send(place_.fd, part)
                                           : send_along(core_.system(), place_.fd, part, *along);
        if (!sent || *sent == 0) {
            return all == 0 ? sent : all;
        }
        all += *sent;
        counters.bytes_written += *sent;
        counters.queued_bytes -= *sent;
        queue.consume(*sent);
        if (*sent < part.size() || queue.empty()) {
            return all;
        }
    }
}

result<std::size_t> connection::receive(std::span<std::byte> target,
                                        std::vector<unique_fd>& descriptors) {
    auto& system = core_.system();
    if (state_.carrier != transport::unix_stream || !wants_descriptors(*kind_.table)) {
        return system.receive(place_.fd, target);
    }
    const auto got = system.receive_with_descriptors(place_.fd, target, descriptors);
    if (descriptors.size() > kind_.limits.descriptors_max) {
        descriptors.clear();
        return errc::descriptor_limit;
    }
    return got;
}

} // namespace sockeye
