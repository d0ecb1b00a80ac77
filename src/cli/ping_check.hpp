#pragma once

#include <sockeye/bytes.hpp>
#include <sockeye/time.hpp>
#include <sockeye/unique_function.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <vector>

namespace sockeye::cli {

/// What became of one answer.
struct ping_verdict {
    enum class kind : std::uint8_t {
        verified,
        late,       ///< right, and too late to count as answered
        duplicate,  ///< right, and there was one already
        wrong,      ///< some byte or the length is not what was sent
        unexpected, ///< nothing was asked
    };

    kind what = kind::verified;
    std::uint64_t sequence = 0;
    std::size_t size = 0;
    duration took = duration::zero();
    /// Of a wrong one: `byte 5 is 0x20 instead of 0x1f`.
    std::string mistake;
};

/// Makes the messages of a ping, no two alike, and knows every byte of each answer.
///
/// Remembers at most requests_max messages, by their number alone.
class ping_check {
public:
    /// Whether an answer is one message, or bytes in order behind those of the message before.
    enum class framing : std::uint8_t { messages, bytes };
    using on_verdict = unique_function<void(const ping_verdict&)>;

    static constexpr std::size_t requests_max = 1024;

    /// `run` tells this ping's messages from those of others. Requires: size > 0.
    ping_check(std::size_t size, framing kind, std::uint64_t run)
        : size_(size), kind_(kind), run_(run), content_(size) {}

    /// The next message, which leaves now. The view is good until the next call.
    /// Requires: has_room().
    [[nodiscard]] bytes next(time_point now);
    [[nodiscard]] std::uint64_t sent() const noexcept { return sent_; }

    /// Judges what came: `tell` is called for each answer that is whole.
    void take(bytes in, time_point now, on_verdict& tell);

    /// Gives up on those that were sent at `before` or earlier; calls `tell` with each number.
    void expire(time_point before, unique_function<void(std::uint64_t)> tell);

    /// Messages that may still be answered in time.
    [[nodiscard]] std::size_t waiting() const noexcept { return waiting_; }
    /// When the oldest of those was sent.
    [[nodiscard]] std::optional<time_point> oldest() const noexcept;
    /// False where so many bytes are owed by a stream, or datagrams on their way, that there
    /// should be no more.
    [[nodiscard]] bool has_room() const noexcept;

private:
    enum class state : std::uint8_t { waiting, given_up, answered };
    struct request {
        std::uint64_t sequence = 0;
        time_point sent_at;
        state now = state::waiting;
    };

    [[nodiscard]] std::byte expected(std::uint64_t sequence, std::size_t offset) const noexcept;
    void take_bytes(bytes in, time_point now, on_verdict& tell);
    void take_message(bytes in, time_point now, on_verdict& tell);
    [[nodiscard]] request* find(bytes in) noexcept;
    [[nodiscard]] request* likely(bytes in) noexcept;
    [[nodiscard]] std::string mistake_in(const request& asked, bytes in) const;
    [[nodiscard]] ping_verdict judge(request& asked, std::string mistake, time_point now);

    std::size_t size_;
    framing kind_;
    std::uint64_t run_;
    std::vector<std::byte> content_;
    std::deque<request> requests_;
    std::uint64_t sent_ = 0;
    std::size_t waiting_ = 0;
    std::size_t taken_ = 0; ///< bytes of the answer that is coming in
    std::string mistake_;   ///< the first one in it
};

} // namespace sockeye::cli
