#pragma once

#include "bench/client/client.hpp"

#include <sockeye/stream.hpp>

#include <vector>

namespace sockeye::bench {

class churn_client;

/// One short connection: a message, its answer, the end.
class churn_session {
public:
    churn_session(churn_client& client, std::size_t index) noexcept
        : client_(client), index_(index) {}

    void on_open(stream& link);
    void on_data(stream& link, bytes in);
    void on_close(stream& link, const close_info& info);

private:
    churn_client& client_;
    const std::size_t index_;
    std::size_t received_ = 0;
};

/// Connections that come and go: each of as many places as the load has connections connects,
/// sends one message, takes its answer, closes, and begins again. What is counted is connections,
/// and their time from the begin of connecting to the last byte of the answer.
class churn_client : public client {
public:
    explicit churn_client(const client_setup& setup);

    void open(const endpoint& server, duration deadline) override;
    [[nodiscard]] bool is_open() const noexcept override { return true; }
    [[nodiscard]] bool has_failed() const noexcept override { return false; }
    [[nodiscard]] std::size_t alive() const noexcept override;
    [[nodiscard]] std::size_t on_way() const noexcept override { return on_way_; }

    void start(time_point now) override;
    time_point work(time_point now) override;
    void stop_sending(time_point) override { is_running_ = false; }
    void close() override;

private:
    friend class churn_session;

    struct place {
        stream link;
        time_point begun;           ///< to connect
        std::uint64_t sequence = 0; ///< of its connections
        std::size_t size = 0;       ///< of this one's message
        bool is_answered = false;
    };

    void begin(std::size_t index);
    [[nodiscard]] bytes message_of(std::size_t index) const noexcept;
    [[nodiscard]] std::uint64_t number_of(std::size_t index) const noexcept {
        return setup_.first_connection + index;
    }

    client_setup setup_;
    const load& what_;
    endpoint server_;
    connect_options options_;
    std::vector<place> places_;
    std::vector<std::size_t> ended_; ///< places whose connection has ended
    std::size_t failures_ = 0;       ///< since the last one that was answered
    std::size_t on_way_ = 0;
    bool is_running_ = false;
    bool is_closing_ = false;
};

} // namespace sockeye::bench
