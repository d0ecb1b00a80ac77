#pragma once

#include "bench/client/client.hpp"

#include <sockeye/stream.hpp>

#include <vector>

namespace sockeye::bench {

class bulk_client;

/// One connection over which bytes go in one direction only.
class bulk_session {
public:
    bulk_session(bulk_client& client, std::size_t index) noexcept;

    void on_open(stream& link);
    void on_data(stream& link, bytes in);
    void on_close(stream& link, const close_info& info);

private:
    friend class bulk_client;

    bulk_client& client_;
    const std::size_t index_;
    std::uint64_t position_ = 0; ///< of the ring, which each connection begins with
    std::uint64_t taken_ = 0;    ///< upload: bytes that the system has taken
};

/// Upload, as fast as the server takes it, or download, as fast as it sends. A message is as many
/// bytes as the load says; what counts is what the system has taken or given.
class bulk_client : public client {
public:
    explicit bulk_client(const client_setup& setup);

    void open(const endpoint& server, duration deadline) override;
    [[nodiscard]] bool is_open() const noexcept override { return opened_ == links_.size(); }
    [[nodiscard]] bool has_failed() const noexcept override { return failed_ > 0; }
    [[nodiscard]] std::size_t alive() const noexcept override { return alive_; }
    /// Nothing is ever waited for.
    [[nodiscard]] std::size_t on_way() const noexcept override { return 0; }

    void start(time_point now) override;
    time_point work(time_point now) override;
    void stop_sending(time_point) override { is_running_ = false; }
    void close() override;

private:
    friend class bulk_session;

    void connect_more();
    void fill(stream& link, bulk_session& session);
    void count(std::uint64_t size, time_point now);
    void take_download(stream& link, bulk_session& session, bytes in);

    client_setup setup_;
    const load& what_;
    endpoint server_;
    connect_options options_;
    std::vector<stream> links_;
    std::vector<bulk_session*> sessions_; ///< null once gone
    std::uint64_t rest_ = 0;              ///< counted bytes that are no whole message yet
    std::size_t started_ = 0;
    std::size_t opened_ = 0;
    std::size_t failed_ = 0;
    std::size_t alive_ = 0;
    bool is_running_ = false;
    bool is_closing_ = false;
};

} // namespace sockeye::bench
