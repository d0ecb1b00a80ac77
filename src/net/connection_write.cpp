#include "net/connection.hpp"
#include "net/sending.hpp"
#include "net/shortage.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <array>
#include <new>
#include <vector>

// Writes of several parts, of buffers that are given away, and those that never queue.

namespace sockeye {
namespace {

/// Fills `given` with parts from `next` on, behind the `count` that it holds; moves `next`.
std::span<const bytes> fill(std::span<bytes> given, std::size_t count, std::span<const bytes> parts,
                            std::size_t& next) noexcept {
    while (next < parts.size() && count < given.size()) {
        given[count++] = parts[next++];
    }
    return given.first(count);
}

} // namespace

/// Sends what waits for the end of the turn, then `parts`, in as many calls as it takes. Of what
/// waited the rest is queued; that of the parts is the caller's.
connection::sending connection::send_parts(std::span<const bytes> parts) {
    auto& counters = core_.io().counters();
    const bytes pending = core_.io().arena().view(state_.pending_place, state_.pending_size);
    state_.pending_size = 0;
    const auto all = pending.size() + size_of(parts);
    std::array<bytes, parts_per_call> room;
    room[0] = pending;
    std::size_t next = 0;
    std::size_t sent_bytes = 0;
    std::error_code shortage;
    auto given = fill(room, pending.empty() ? 0 : 1, parts, next);
    while (!given.empty()) {
        const auto asked = size_of(given);
        ++counters.writes;
        const auto sent = transmit(given);
        shortage = asked == 0 ? std::error_code() : shortage_of(sent);
        if (!sent && !shortage && sent.error() != std::errc::operation_would_block) {
            state_.dropped_bytes += all - sent_bytes;
            write_failed(sent.error());
            return {.taken = 0, .shortage = {}, .has_failed = true};
        }
        counters.would_blocks += sent || shortage ? 0 : 1;
        note_sent(sent ? *sent : 0);
        sent_bytes += sent ? *sent : 0;
        if (!sent || *sent < asked) {
            break;
        }
        given = fill(room, 0, parts, next);
    }
    const auto of_pending = std::min(sent_bytes, pending.size());
    if (!queue_rest(pending.subspan(of_pending))) {
        lose(all - sent_bytes);
        return {.taken = 0, .shortage = {}, .has_failed = true};
    }
    return {.taken = sent_bytes - of_pending, .shortage = shortage};
}

/// What the kernel did not take is queued: when to go on.
void connection::after_sending(const sending& outcome) {
    if (unsent() == 0) {
        output_sent();
    } else if (outcome.shortage) {
        send_later(outcome.shortage);
    } else {
        update_interest();
    }
}

/// There was no memory for `count` bytes, in whose place would be a hole in the stream.
void connection::lose(std::size_t count) {
    state_.dropped_bytes += count - unsent();
    write_failed(make_error_code(std::errc::not_enough_memory));
}

/// Copies small parts behind what this turn has written before; false where one of them has no
/// room, and then none is copied.
bool connection::keep_parts(std::span<const bytes> parts, std::size_t total) {
    if (total > copied_bytes_max || total > core_.io().arena().room() ||
        state_.pending_size + total > pending_bytes_max) {
        return false;
    }
    // Where the first one can be kept, so can the others.
    return std::ranges::all_of(
        parts, [&](bytes part) { return part.empty() || keep_for_end_of_turn(part); });
}

/// Queues what is left of `parts` behind the first `taken` bytes; false without memory.
bool connection::queue_parts(std::span<const bytes> parts, std::size_t taken) noexcept {
    return std::ranges::all_of(parts, [&](bytes part) {
        const auto skipped = std::min(taken, part.size());
        taken -= skipped;
        return queue_rest(part.subspan(skipped));
    });
}

write_status connection::write(std::span<const bytes> parts) {
    const auto total = size_of(parts);
    if (is_refusing()) {
        return write_status::refused;
    }
    if (total == 0) {
        return write_status::ok;
    }
    if (has(trait_messages)) {
        return write_message(parts);
    }
    if (must_queue()) {
        if (is_queue_full()) {
            return write_status::refused;
        }
        if (!queue_parts(parts, 0)) {
            end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
            return write_status::refused;
        }
    } else if (!keep_parts(parts, total)) {
        const auto outcome = send_parts(parts);
        if (!outcome.has_failed) {
            const auto rest = total - outcome.taken + unsent();
            if (queue_parts(parts, outcome.taken)) {
                after_sending(outcome);
            } else {
                lose(rest);
            }
        }
    }
    return after_write();
}

/// All parts are one message.
write_status connection::write_message(std::span<const bytes> parts) {
    std::vector<std::byte> whole;
    try {
        whole.reserve(size_of(parts));
        for (const auto part : parts) {
            whole.insert(whole.end(), part.begin(), part.end());
        }
    } catch (const std::bad_alloc&) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return write_status::refused;
    }
    return write_unit(whole, {});
}

write_status connection::write(owned_bytes data) {
    if (has(trait_messages) || (!must_queue() && data.size() <= copied_bytes_max)) {
        return write(data.view());
    }
    if (is_refusing()) {
        return write_status::refused;
    }
    if (data.empty()) {
        return write_status::ok;
    }
    if (must_queue()) {
        if (is_queue_full()) {
            return write_status::refused;
        }
        if (!queue_piece(std::move(data), std::size_t{0})) {
            end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
            return write_status::refused;
        }
        return after_write();
    }
    const std::array parts = {data.view()};
    const auto outcome = send_parts(parts);
    if (!outcome.has_failed) {
        const auto rest = data.size() - outcome.taken + unsent();
        if (outcome.taken == data.size() || queue_piece(std::move(data), outcome.taken)) {
            after_sending(outcome);
        } else {
            lose(rest);
        }
    }
    return after_write();
}

result<std::size_t> connection::try_write(bytes data) {
    if (is(flag_terminal | flag_closing)) {
        return std::errc::not_connected;
    }
    if (is_refusing()) {
        return std::errc::broken_pipe;
    }
    if (must_queue()) {
        return std::errc::operation_would_block;
    }
    if (data.empty()) {
        return std::size_t{0};
    }
    const std::array parts = {data};
    const auto outcome = send_parts(parts);
    if (outcome.has_failed) {
        return state_.failure();
    }
    after_sending(outcome);
    if (outcome.taken == 0) {
        return outcome.shortage ? outcome.shortage
                                : make_error_code(std::errc::operation_would_block);
    }
    return outcome.taken;
}

} // namespace sockeye
