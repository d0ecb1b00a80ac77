#pragma once

#include "bench/client/agenda.hpp"
#include "bench/client/client.hpp"
#include "bench/client/fifo.hpp"

#include <sockeye/stream.hpp>

#include <optional>
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

    /// A message that is due and has no answer yet.
    struct message {
        time_point due;
        time_point taken; ///< the call by which the system took its last byte began then
        std::size_t size = 0;
    };

    [[nodiscard]] bool is_right(bytes in);
    /// Counts the answers that `size` further bytes complete.
    [[nodiscard]] std::size_t take_answers(std::size_t size, time_point now);
    void add_message(time_point due);
    void send(stream& link, time_point now);
    void pretend_sent();
    void note_taken(std::uint64_t position, time_point at);
    void wait_for_room(stream& link, bytes rest);

    stream_client& client_;
    const std::size_t index_;
    const std::uint64_t number_; ///< of the connection, among those of all threads
    fifo<message> messages_;
    std::size_t taken_ = 0;          ///< those of messages_ that the system has taken whole
    std::size_t cut_ = 0;            ///< bytes of the next one that it has taken
    std::uint64_t added_ = 0;        ///< messages so far
    std::uint64_t due_bytes_ = 0;    ///< of all these
    std::uint64_t handed_bytes_ = 0; ///< of them, to the stream
    std::uint64_t taken_bytes_ = 0;  ///< of them, by the system
    std::uint64_t received_ = 0;     ///< bytes of all answers
    std::size_t sent_position_;      ///< of the ring, as the next
    std::size_t got_position_;
    std::size_t missing_ = 0; ///< bytes until the oldest message has its answer
    bool is_blocked_ = false;
};

/// Echo over streams: in a closed loop the same number of messages on their way over each
/// connection, in an open loop each one when it is due. Checks every byte of the answers.
class stream_client : public client {
public:
    explicit stream_client(const client_setup& setup);

    void open(const endpoint& server, duration deadline) override;
    /// Pairs of connected sockets instead of a server: each end takes what the other one sends for
    /// the answers to its own, so that there is nobody to wait for. Errors: as socketpair(2).
    [[nodiscard]] std::error_code open_to_itself();

    [[nodiscard]] bool is_open() const noexcept override { return opened_ == links_.size(); }
    [[nodiscard]] bool has_failed() const noexcept override { return failed_ > 0; }
    [[nodiscard]] std::size_t alive() const noexcept override { return busy_alive_; }
    [[nodiscard]] std::size_t on_way() const noexcept override {
        return on_way_ + (agenda_.is_left() ? 1 : 0);
    }

    void start(time_point now) override;
    time_point work(time_point now) override;
    void stop_sending(time_point end) override;
    void close() override;

private:
    friend class stream_session;

    void connect_more();
    [[nodiscard]] bool is_open_loop() const noexcept { return agenda_.is_open_loop(); }

    client_setup setup_;
    const load& what_;
    endpoint server_;
    connect_options options_;
    std::vector<stream> links_;
    std::vector<stream_session*> sessions_; ///< null once gone
    agenda agenda_;
    std::size_t started_ = 0; ///< connections begun
    std::size_t opened_ = 0;
    std::size_t failed_ = 0;
    std::size_t busy_alive_ = 0;
    std::size_t on_way_ = 0;
    bool is_sending_ = false;
    bool is_closing_ = false;
    bool faces_itself_ = false;
};

/// Limits of a client's stream: reading never pauses, however much is unsent. A client that stops
/// reading because the server does not read, while the server waits for the client to read, would
/// wait for ever.
[[nodiscard]] stream_limits endless_limits() noexcept;

} // namespace sockeye::bench
