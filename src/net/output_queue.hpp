#pragma once

#include "net/write_queue.hpp"

#include <sockeye/bytes.hpp>
#include <sockeye/owned_bytes.hpp>
#include <sockeye/unique_fd.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>
#include <vector>

namespace sockeye {

/// Part of a file that waits to be sent.
struct queued_file {
    static constexpr std::size_t chunk_bytes = 64 * 1024;

    unique_fd file;
    std::uint64_t offset = 0; ///< of the first byte that is not sent
    std::size_t left = 0;     ///< not sent
    bool is_copied = false;   ///< the system does not send it by itself: it goes through `chunk`
    std::unique_ptr<std::byte[]> chunk;
    std::size_t begin = 0; ///< what of the chunk was read and not sent
    std::size_t end = 0;
};

/// What the kernel did not take yet, in order: copied bytes, with descriptors or without, buffers
/// that were given away, parts of files. Holds each only until it is sent.
class output_queue {
public:
    /// A file is not in memory: towards the marks it counts as so much, or as what is left of it.
    static constexpr std::size_t file_weight_max = 128 * 1024;

    /// Copies `data` to the end. Each append throws bad_alloc, and then the queue is as before.
    void append(bytes data);
    /// The same, and `descriptors` go with its first byte: it is the beginning of a call.
    void append(bytes data, std::vector<unique_fd>&& descriptors);
    /// Keeps `data`, of which the first `sent` bytes are sent already. Requires: not all of it.
    void append(owned_bytes&& data, std::size_t sent);
    /// Requires: `length` is not 0.
    void append(unique_fd&& file, std::uint64_t offset, std::size_t length);
    /// Drops the first `count` bytes: they are sent, and what went with them is closed.
    /// Requires: count <= size().
    void consume(std::size_t count) noexcept;

    /// Fills `parts` with what comes first, lies in memory and may go by one call; says how many.
    [[nodiscard]] std::size_t gather(std::span<bytes> parts) const noexcept;
    /// What has to go with the first byte; null where nothing does.
    [[nodiscard]] const std::vector<unique_fd>* descriptors() const noexcept;
    [[nodiscard]] std::size_t descriptor_count() const noexcept { return descriptor_count_; }
    /// The file that comes first, where none of it lies in memory; else null.
    [[nodiscard]] queued_file* file_to_read() noexcept;

    /// Bytes that are not sent.
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    /// The same as the marks count them: with the cost of entries, and little of files.
    [[nodiscard]] std::size_t weight() const noexcept { return weight_; }

private:
    struct queued_copy {
        write_queue data;
        std::vector<unique_fd> descriptors;
        bool is_unit = false; ///< it was begun with descriptors
    };
    struct queued_buffer {
        owned_bytes data;
        std::size_t sent = 0;
    };
    using piece = std::variant<queued_copy, queued_buffer, queued_file>;

    static std::size_t size_of(const piece& of) noexcept;
    static std::size_t weight_of(const piece& of) noexcept;
    static bytes view_of(const piece& of) noexcept;
    void consume_from(piece& from, std::size_t count) noexcept;
    template <typename Piece>
    void push(Piece&& added);
    void drop_first() noexcept;

    std::vector<piece> pieces_;
    std::size_t first_ = 0; ///< those before it are sent
    std::size_t size_ = 0;
    std::size_t weight_ = 0;
    std::size_t descriptor_count_ = 0;
};

} // namespace sockeye
