#pragma once

#include "bench/client/agenda.hpp"
#include "bench/client/client.hpp"
#include "bench/client/fifo.hpp"

#include <sockeye/datagram_socket.hpp>
#include <sockeye/timer.hpp>

#include <optional>
#include <set>
#include <vector>

namespace sockeye::bench {

/// What each datagram begins with; bytes of the ring follow.
struct datagram_header {
    std::uint32_t run = 0; ///< so that strangers are not taken for answers
    std::uint32_t connection = 0;
    std::uint64_t sequence = 0;
    std::int64_t due_ns = 0;
};

inline constexpr std::size_t datagram_header_size = sizeof(datagram_header);
inline constexpr std::size_t datagram_size_max = 65507;

/// Echo over datagrams, between each of many sockets and one server: in a closed loop the same
/// number on their way, in an open loop each one when it is due. Checks every byte of the answers.
/// What is not answered in time counts as lost; in a closed loop the next one goes out in its
/// place.
class datagram_client : public client {
public:
    explicit datagram_client(const client_setup& setup);

    /// Makes the sockets; datagrams have no connection to wait for.
    void open(const endpoint& server, duration deadline) override;
    [[nodiscard]] bool is_open() const noexcept override { return true; }
    [[nodiscard]] std::size_t alive() const noexcept override { return alive_; }
    [[nodiscard]] bool has_failed() const noexcept override { return alive_ < peers_.size(); }
    [[nodiscard]] std::size_t on_way() const noexcept override {
        return on_way_ + (agenda_.is_left() ? 1 : 0);
    }

    void start(time_point now) override;
    time_point work(time_point now) override;
    void stop_sending(time_point end) override;
    void close() override;

private:
    struct message {
        time_point due;
        time_point taken; ///< the call by which it was sent began then
        std::size_t size = 0;
        bool is_waiting = false;
    };
    /// One socket and its messages from the oldest without an answer on.
    struct peer {
        datagram_socket socket;
        fifo<message> messages;
        std::uint64_t first = 0;    ///< the sequence number of messages[0]
        std::uint64_t answered = 0; ///< behind the highest one with an answer
        std::set<std::uint64_t> lost;
    };

    /// A message that was asked for by its number.
    struct match {
        message* found = nullptr;
        std::uint64_t sequence = 0;
    };

    [[nodiscard]] result<datagram_socket> open_socket(std::size_t index, const endpoint& server);
    void on_datagrams(std::size_t index, std::span<const datagram> batch);
    [[nodiscard]] match find(std::size_t index, const datagram& answer);
    void take_answer(peer& from, const match& answered, std::size_t size, time_point now);
    static void forget_finished(peer& from);
    void count_stray(peer& from, std::uint64_t sequence);
    [[nodiscard]] std::optional<std::size_t> difference(const datagram_header& expected,
                                                        std::size_t size, bytes got) const;
    void note_wrong(const datagram_header& expected, std::size_t size, bytes got, std::size_t at);
    [[nodiscard]] std::uint64_t body_position(const datagram_header& header) const noexcept;
    void write_message(const datagram_header& header, std::span<std::byte> target) const;
    [[nodiscard]] std::uint32_t number_of(std::size_t index) const noexcept;
    void stage(std::size_t index, time_point due);
    void flush(peer& to);
    void give_up_old();
    [[nodiscard]] bool is_open_loop() const noexcept { return agenda_.is_open_loop(); }

    client_setup setup_;
    const load& what_;
    timer lost_timer_;
    std::vector<peer> peers_;
    agenda agenda_;
    std::vector<std::byte> scratch_; ///< messages staged for one call
    std::size_t scratch_used_ = 0;
    std::vector<datagram> staged_;
    std::uint32_t run_;
    std::size_t alive_ = 0;
    std::size_t on_way_ = 0;
    bool is_sending_ = false;
};

} // namespace sockeye::bench
