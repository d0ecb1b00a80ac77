#include "net/output_queue.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace sockeye {

std::size_t output_queue::size_of(const piece& of) noexcept {
    if (const auto* const copied = std::get_if<queued_copy>(&of)) {
        return copied->data.size();
    }
    if (const auto* const buffer = std::get_if<queued_buffer>(&of)) {
        return buffer->data.size() - buffer->sent;
    }
    return std::get_if<queued_file>(&of)->left;
}

std::size_t output_queue::weight_of(const piece& of) noexcept {
    const auto size = size_of(of);
    if (const auto* const copied = std::get_if<queued_copy>(&of)) {
        return size + (copied->is_unit ? sizeof(piece) : 0);
    }
    const bool is_file = std::holds_alternative<queued_file>(of);
    return sizeof(piece) + (is_file ? std::min(size, file_weight_max) : size);
}

/// What of it lies in memory.
bytes output_queue::view_of(const piece& of) noexcept {
    if (const auto* const copied = std::get_if<queued_copy>(&of)) {
        return copied->data.front();
    }
    if (const auto* const buffer = std::get_if<queued_buffer>(&of)) {
        return buffer->data.view().subspan(buffer->sent);
    }
    const auto& file = *std::get_if<queued_file>(&of);
    return {file.chunk.get() + file.begin, file.end - file.begin};
}

void output_queue::consume_from(piece& from, std::size_t count) noexcept {
    if (auto* const copied = std::get_if<queued_copy>(&from)) {
        copied->data.consume(count);
        descriptor_count_ -= copied->descriptors.size();
        copied->descriptors.clear();
    } else if (auto* const buffer = std::get_if<queued_buffer>(&from)) {
        buffer->sent += count;
    } else {
        auto& file = *std::get_if<queued_file>(&from);
        file.offset += count;
        file.left -= count;
        file.begin = std::min(file.begin + count, file.end);
    }
}

template <typename Piece>
void output_queue::push(Piece&& added) {
    pieces_.emplace_back(std::forward<Piece>(added));
    size_ += size_of(pieces_.back());
    weight_ += weight_of(pieces_.back());
}

void output_queue::append(bytes data) {
    auto* const last =
        first_ == pieces_.size() ? nullptr : std::get_if<queued_copy>(&pieces_.back());
    if (last != nullptr) {
        last->data.append(data);
        size_ += data.size();
        weight_ += data.size();
        return;
    }
    queued_copy copied;
    copied.data.append(data);
    push(std::move(copied));
}

void output_queue::append(bytes data, std::vector<unique_fd>&& descriptors) {
    assert(!data.empty());
    const auto count = descriptors.size();
    queued_copy copied;
    copied.data.append(data);
    copied.descriptors = std::move(descriptors);
    copied.is_unit = true;
    push(std::move(copied));
    descriptor_count_ += count;
}

void output_queue::append(owned_bytes&& data, std::size_t sent) {
    assert(sent < data.size());
    push(queued_buffer{std::move(data), sent});
}

void output_queue::append(unique_fd&& file, std::uint64_t offset, std::size_t length) {
    assert(length != 0);
    queued_file added;
    added.file = std::move(file);
    added.offset = offset;
    added.left = length;
    push(std::move(added));
}

void output_queue::consume(std::size_t count) noexcept {
    assert(count <= size_);
    size_ -= count;
    while (count > 0) {
        auto& front = pieces_[first_];
        const auto part = std::min(count, size_of(front));
        weight_ -= weight_of(front);
        consume_from(front, part);
        count -= part;
        if (size_of(front) == 0) {
            drop_first();
        } else {
            weight_ += weight_of(front);
        }
    }
}

/// Its memory goes at once; its place when no more are behind it than before it, so that moving
/// those costs no more than what was dropped.
void output_queue::drop_first() noexcept {
    pieces_[first_++] = queued_copy();
    if (first_ * 2 >= pieces_.size()) {
        pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<std::ptrdiff_t>(first_));
        first_ = 0;
    }
}

std::size_t output_queue::gather(std::span<bytes> parts) const noexcept {
    std::size_t count = 0;
    for (auto at = first_; at < pieces_.size() && count < parts.size(); ++at) {
        const auto* const copied = std::get_if<queued_copy>(&pieces_[at]);
        if (copied != nullptr && !copied->descriptors.empty() && at != first_) {
            break;
        }
        const auto part = view_of(pieces_[at]);
        if (!part.empty()) {
            parts[count++] = part;
        }
        if (part.size() != size_of(pieces_[at])) {
            break; // the rest is still in its file
        }
    }
    return count;
}

const std::vector<unique_fd>* output_queue::descriptors() const noexcept {
    const auto* const copied =
        first_ == pieces_.size() ? nullptr : std::get_if<queued_copy>(&pieces_[first_]);
    return copied != nullptr && !copied->descriptors.empty() ? &copied->descriptors : nullptr;
}

queued_file* output_queue::file_to_read() noexcept {
    if (first_ == pieces_.size()) {
        return nullptr;
    }
    auto* const file = std::get_if<queued_file>(&pieces_[first_]);
    return file != nullptr && file->begin == file->end ? file : nullptr;
}

} // namespace sockeye
