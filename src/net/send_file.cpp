#include "net/connection.hpp"
#include "net/sending.hpp"
#include "net/shortage.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <new>

namespace sockeye {
namespace {

/// Of a file in one turn, so that one that is in the cache does not keep the others waiting.
constexpr std::size_t file_bytes_per_turn = 256 * 1024;

/// The system does not send this file, or no file, by itself: it can be read and sent.
bool needs_copy(std::error_code error) noexcept {
    return error == std::errc::not_supported || error == std::errc::invalid_argument ||
           error == std::errc::function_not_supported;
}

} // namespace

write_status connection::send_file(unique_fd file, const file_part& part) {
    if (is_refusing()) {
        return write_status::refused;
    }
    if (part.length == 0) {
        return write_status::ok;
    }
    if (has(trait_messages)) {
        // A file has no messages, and whoever ignores a refusal must not leave a hole.
        end(close_reason::failed, make_error_code(std::errc::not_supported));
        return write_status::refused;
    }
    if (must_queue() && is_queue_full()) {
        return write_status::refused;
    }
    if (!must_queue() && state_.pending_size != 0) {
        send_now({});
        if (is_refusing()) {
            return write_status::ok; // as a write whose send fails: taken, and counted as dropped
        }
    }
    const bool is_first = !must_queue();
    if (!queue_piece(std::move(file), part.offset, part.length)) {
        end(close_reason::failed, make_error_code(std::errc::not_enough_memory));
        return write_status::refused;
    }
    if (is_first) {
        state_.queue->is_ready = true;
        core_.io().queue_resume(place_);
    }
    return after_write();
}

/// A file is next: the system sends a part of it, or it is read for the next send.
void connection::drain_file() {
    auto& next = *state_.queue->file_to_read();
    if (next.is_copied) {
        read_chunk();
        return;
    }
    const auto asked = std::min(next.left, file_bytes_per_turn);
    ++core_.io().counters().writes;
    const auto sent = core_.system().send_file(place_.fd, next.file.get(), next.offset, asked);
    if (!sent && needs_copy(sent.error())) {
        next.is_copied = true;
        read_chunk();
    } else if (sent && *sent == 0) {
        write_failed(make_error_code(errc::file_truncated));
    } else {
        // Short may mean that the kernel is full, or that the file ends: the next call tells.
        queue_sent(sent, sent ? *sent : asked);
    }
}

void connection::read_chunk() {
    auto& next = *state_.queue->file_to_read();
    try {
        if (next.chunk == nullptr) {
            next.chunk = std::make_unique_for_overwrite<std::byte[]>(queued_file::chunk_bytes);
        }
    } catch (const std::bad_alloc&) {
        write_failed(make_error_code(std::errc::not_enough_memory));
        return;
    }
    const auto wanted = std::min(next.left, queued_file::chunk_bytes);
    const auto got =
        core_.system().read_at(next.file.get(), {next.chunk.get(), wanted}, next.offset);
    if (!got || *got == 0) {
        write_failed(got ? make_error_code(errc::file_truncated) : got.error());
        return;
    }
    next.begin = 0;
    next.end = *got;
    drain_queue();
}

} // namespace sockeye
