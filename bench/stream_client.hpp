#pragma once

#include "bench/plan.hpp"
#include "bench/ring.hpp"
#include "bench/tally.hpp"

#include <sockeye/loop.hpp>
#include <sockeye/stream.hpp>

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sockeye::bench {

class stream_client;

/// One connection of the client: what of the endless ring has been sent and has come back.
class stream_session {
public:
    stream_session(stream_client& client, std::size_t index) noexcept;

    void on_open(stream& link);
    void on_data(stream& link, bytes in);
    void on_close(stream& link, const close_info& info);

private:
    friend class stream_client;

    [[nodiscard]] bool is_right(bytes in);
    [[nodiscard]] std::size_t take_answers(std::size_t size, time_point now);
    void send(stream& link, std::size_t count, time_point now);

    stream_client& client_;
    const std::size_t index_;
    std::uint64_t received_ = 0;      ///< bytes of all answers
    std::uint64_t awaited_ = 0;       ///< bytes sent that have not come back
    std::uint64_t sent_position_ = 0; ///< of the ring, as the next
    std::uint64_t got_position_ = 0;
    std::size_t missing_;       ///< bytes until the next answer is whole
    std::size_t send_slot_ = 0; ///< of the client's table of sending times
    std::size_t answer_slot_ = 0;
    std::size_t on_way_ = 0; ///< messages without an answer
};

/// Keeps the same number of messages on their way over each of many connections (closed loop),
/// and checks every byte of the answers.
class stream_client {
public:
    /// Lifetime: all of them outlive the client.
    stream_client(loop& owner, const load& what, const ring& content, tally& result);

    /// Connects them all, a bounded number at a time.
    void open(const endpoint& server, duration deadline);
    /// Every connection is there and can be used.
    [[nodiscard]] bool is_open() const noexcept { return opened_ == links_.size(); }
    /// Connections that are still there, busy ones only.
    [[nodiscard]] std::size_t alive() const noexcept { return busy_alive_; }
    [[nodiscard]] bool has_failed() const noexcept { return failed_ > 0; }

    /// Sends the first messages.
    void start();
    /// From now on answers are taken but cause no further message.
    void stop_sending() noexcept { is_sending_ = false; }
    [[nodiscard]] std::size_t on_way() const noexcept { return on_way_; }

    /// Resets every connection, so that none of them lingers in the kernel.
    void close();

private:
    friend class stream_session;

    void connect_more();
    [[nodiscard]] time_point& sent_at(std::size_t index, std::size_t slot) noexcept {
        return sent_at_[index * what_.pipeline + slot];
    }

    loop& loop_;
    const load what_;
    const ring& content_;
    tally& tally_;
    endpoint server_;
    connect_options options_;
    std::vector<stream> links_;
    std::vector<stream_session*> sessions_; ///< null once gone
    std::vector<time_point> sent_at_;
    std::size_t started_ = 0; ///< connections begun
    std::size_t opened_ = 0;
    std::size_t failed_ = 0;
    std::size_t busy_alive_ = 0;
    std::size_t on_way_ = 0;
    bool is_sending_ = false;
    bool is_closing_ = false;
};

} // namespace sockeye::bench
