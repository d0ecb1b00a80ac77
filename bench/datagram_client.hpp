#pragma once

#include "bench/plan.hpp"
#include "bench/ring.hpp"
#include "bench/tally.hpp"

#include <sockeye/datagram_socket.hpp>
#include <sockeye/loop.hpp>
#include <sockeye/timer.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <vector>

namespace sockeye::bench {

/// What each datagram begins with; bytes of the ring follow.
struct datagram_header {
    std::uint32_t run = 0; ///< so that strangers are not taken for answers
    std::uint32_t connection = 0;
    std::uint64_t sequence = 0;
    std::int64_t sent_ns = 0;
};

inline constexpr std::size_t datagram_header_size = sizeof(datagram_header);
inline constexpr std::size_t datagram_size_max = 65507;

/// Keeps the same number of datagrams on their way between each of many sockets and one server
/// (closed loop), and checks every byte of the answers. What is not answered in time counts as
/// lost, and the next one goes out in its place.
class datagram_client {
public:
    /// Lifetime: all of them outlive the client.
    datagram_client(loop& owner, const load& what, const ring& content, tally& result,
                    duration timeout);

    /// Makes the sockets; datagrams have no connection to wait for.
    void open(const endpoint& server, duration deadline);
    [[nodiscard]] bool is_open() const noexcept { return true; }
    [[nodiscard]] std::size_t alive() const noexcept { return alive_; }
    [[nodiscard]] bool has_failed() const noexcept { return alive_ < what_.connections; }

    /// Sends the first messages.
    void start();
    /// From now on answers are taken but cause no further message.
    void stop_sending() noexcept { is_sending_ = false; }
    [[nodiscard]] std::size_t on_way() const noexcept { return on_way_; }

    void close();

private:
    /// One message on its way, and those after it: their sequence numbers differ by the number
    /// of slots, so that the number of an answer names its slot.
    struct slot {
        std::uint64_t sequence = 0;
        std::int64_t sent_ns = 0;
        bool is_waiting = false;
    };
    struct peer {
        datagram_socket socket;
        std::vector<slot> slots;
        std::set<std::uint64_t> lost; ///< sequence numbers
    };

    void on_datagrams(std::size_t index, std::span<const datagram> batch);
    /// The slot that `answer` is the right answer of; anything else is counted.
    [[nodiscard]] slot* match(std::size_t index, const datagram& answer);
    void count_stray(peer& from, std::uint64_t sequence);
    [[nodiscard]] std::optional<std::size_t> difference(const datagram_header& expected,
                                                        bytes got) const;
    void note_wrong(const datagram_header& expected, bytes got, std::size_t at);
    [[nodiscard]] std::uint64_t body_position(const datagram_header& header) const noexcept;
    void write_message(const datagram_header& header, std::span<std::byte> target) const;
    void stage(std::size_t index, slot& free, std::int64_t now_ns);
    void flush(peer& to);
    void give_up_old();

    loop& loop_;
    const load what_;
    const ring& content_;
    tally& tally_;
    const duration timeout_;
    timer lost_timer_;
    std::vector<peer> peers_;
    std::vector<std::byte> scratch_; ///< messages staged for one call
    std::vector<datagram> staged_;
    std::uint32_t run_;
    std::size_t alive_ = 0;
    std::size_t on_way_ = 0;
    bool is_sending_ = false;
};

} // namespace sockeye::bench
