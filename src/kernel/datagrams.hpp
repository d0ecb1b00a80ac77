#pragma once

// What calls for datagrams take and give.

#include <sockeye/datagram.hpp>
#include <sockeye/datagram_options.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

namespace sockeye {

inline constexpr std::size_t datagrams_per_call = 64;
inline constexpr std::size_t datagram_bytes_max = 65536;
/// What the system merges into one, and takes as one that is to be cut. See: UDP_SEGMENT in udp(7).
inline constexpr std::size_t segments_max = 64;
inline constexpr std::size_t merged_bytes_max = 65000;

/// Options of sockets for datagrams; those of IP are set for the family of the socket.
enum class datagram_option : std::uint8_t {
    broadcast,
    ttl,
    multicast_ttl,
    multicast_loop,
    multicast_interface, ///< its index
    path_mtu_discovery,  ///< a sockeye::path_mtu
    path_mtu,            ///< of a connected socket, to be read only
    merge_received,      ///< UDP_GRO
    report_errors,       ///< IP_RECVERR
    // What comes with each datagram from now on.
    tell_local,
    tell_mark,
    tell_ttl,
    tell_time,
    tell_overflow,
};

/// What a receive call is to look for.
struct receive_wishes {
    std::size_t datagrams_max = datagrams_per_call;
    bool has_details = false; ///< the socket has one of the tell_ options, or merge_received
    std::uint16_t port = 0;   ///< of the socket, for the local addresses
};

/// Memory for the datagrams of one receive call, shared by all sockets of a loop.
///
/// 4 MiB of address space, of which only the pages that datagrams reached are ever touched.
class datagram_batch {
public:
    datagram_batch();
    ~datagram_batch();
    datagram_batch(const datagram_batch&) = delete;
    datagram_batch& operator=(const datagram_batch&) = delete;

    /// For the next receive calls.
    receive_wishes wishes;

    /// What the last receive call brought.
    [[nodiscard]] std::span<const datagram> filled() const noexcept {
        return {datagrams_.data(), count_};
    }
    /// How many the socket has lost so far for want of room, where the system told.
    [[nodiscard]] std::uint32_t overflow() const noexcept { return overflow_; }

    // For who fills it.
    [[nodiscard]] std::span<std::byte> memory_of(std::size_t index) noexcept {
        return {memory_.get() + index * stride, datagram_bytes_max};
    }
    [[nodiscard]] endpoint& peer_of(std::size_t index) noexcept { return peers_[index]; }
    [[nodiscard]] endpoint& local_of(std::size_t index) noexcept { return locals_[index]; }
    void fill(std::size_t index, std::size_t size, bool is_truncated) noexcept {
        datagrams_[index].data = memory_of(index).first(size);
        datagrams_[index].is_truncated = is_truncated;
    }
    /// For the details of one that is filled.
    [[nodiscard]] datagram& at(std::size_t index) noexcept { return datagrams_[index]; }
    void set_overflow(std::uint32_t count) noexcept { overflow_ = count; }
    void resize(std::size_t count) noexcept { count_ = count; }
    /// Forgets the details that others were told, and what they were written into is fit for more.
    /// Costs nothing where nobody asks for details.
    void begin() noexcept;

private:
    friend class posix_kernel;
    struct headers; // what the system wants beside the memory
    /// 64 bytes more than a datagram, so that the fronts of neighbours fall into different
    /// cache sets.
    static constexpr std::size_t stride = datagram_bytes_max + 64;

    std::unique_ptr<std::byte[]> memory_;
    std::array<endpoint, datagrams_per_call> peers_;
    std::array<endpoint, datagrams_per_call> locals_;
    std::array<datagram, datagrams_per_call> datagrams_;
    std::unique_ptr<headers> headers_;
    std::size_t count_ = 0;
    std::uint32_t overflow_ = 0;
    bool has_details_ = false; ///< what is in `datagrams_` has
};

/// What a group is to be joined or left for.
struct membership {
    const endpoint* group;
    const endpoint* source; ///< null: whoever sends to the group
    std::uint32_t interface_index;
    bool joins;
};

[[nodiscard]] inline bool is_to_be_cut(const datagram& one) noexcept {
    return one.segment_size != 0 && one.segment_size < one.data.size();
}

/// How many of the first ones can leave as one: of one size, but for a shorter last one, and alike
/// in all else. At least 1.
[[nodiscard]] std::size_t train_length(std::span<const datagram> sources) noexcept;

} // namespace sockeye
