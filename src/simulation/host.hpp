#pragma once

#include "kernel/backend.hpp"
#include "kernel/kernel.hpp"
#include "simulation/network.hpp"

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <queue>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::simulated {

/// What a multiplexer may say of a descriptor.
struct look {
    bool readable = false;
    bool writable = false;
    bool read_closed = false;
    bool hangup = false;
    bool error = false;
    news_count news;
};

/// The IPv4 address in an IPv6 one that stands for it, else the address itself.
/// See: RFC 4291 section 2.5.5.
[[nodiscard]] endpoint unmapped(const endpoint& of);

/// A machine of the simulated network: the kernel that its loop talks to.
///
/// Semantics are those of Linux as measured; what a call does to the other end happens when it
/// has travelled there, at once where the way is free and takes no time.
class host final : public kernel {
public:
    host(network& world, std::string_view name, unsigned index);
    ~host() override;

    result<owned_fd> socket(transport kind, int family) override;
    std::error_code bind(int fd, const endpoint& local) override;
    std::error_code listen(int fd, int backlog) override;
    result<owned_fd> accept(int fd, transport kind, endpoint& peer) override;
    std::error_code connect(int fd, const endpoint& peer) override;
    std::error_code shutdown_write(int fd) override;
    void close(int fd) noexcept override;
    bool is_real() const noexcept override { return false; }
    result<std::size_t> receive(int fd, std::span<std::byte> target) override;
    result<std::size_t> send(int fd, bytes source) override;
    result<std::size_t> send_gathered(int fd, std::span<const bytes> sources) override;
    result<std::size_t> read_at(int source, std::span<std::byte> target,
                                std::uint64_t offset) override;
    result<std::size_t> receive_datagrams(int fd, transport kind, datagram_batch& batch) override;
    result<std::size_t> send_datagrams(int fd, std::span<const datagram> sources) override;
    result<datagram_error> receive_error(int fd, transport kind) override;
    std::error_code disconnect(int fd) override;
    std::error_code set_datagram_option(int fd, int family, datagram_option option,
                                        int value) override;
    std::error_code set_option(int fd, socket_option option, int value) override;
    result<int> get_option(int fd, socket_option option) override;
    std::error_code set_congestion_control(int fd, std::string_view name) override;
    result<std::string> congestion_control(int fd) override;
    result<stream_info> info(int fd) override;
    std::error_code pending_error(int fd) override;
    result<endpoint> local_endpoint(int fd, transport kind) override;
    result<endpoint> peer_endpoint(int fd, transport kind) override;
    result<transport> transport_of(int fd) override;
    result<file_facts> describe(int fd) override;
    std::error_code prepare(int fd) override;
    result<std::size_t> receive_message(int fd, std::span<std::byte> target) override;
    bool is_hung_up(int fd) override;
    result<file_identity> identify(std::string_view path) override;
    std::error_code remove_file(std::string_view path) override;
    result<std::uint64_t> random_bits() override;
    result<owned_fd> reserve() override;
    time_point now() override;
    /// The machine never sleeps, and its wall clock is ahead by wall_clock_offset.
    result<duration> read_clock(clock_kind which) override;
    result<wake_channel> make_wake_channel() override;
    void wake(int write_end) noexcept override;
    void drain(int reader) noexcept override;
    unsigned fork_count() override { return 0; }
    result<std::vector<endpoint>> resolve(const host_query& wanted) override;
    std::optional<duration> time_to_resolve() override;
    std::error_code add_signal(int signal, std::atomic<std::uint64_t>& pending,
                               int write_end) override;
    void remove_signal(int signal, std::atomic<std::uint64_t>& pending) noexcept override;

    [[nodiscard]] network& world() noexcept { return world_; }
    [[nodiscard]] const std::string& name() const noexcept { return name_; }
    [[nodiscard]] unsigned index() const noexcept { return index_; }
    [[nodiscard]] const endpoint& address(int family) const noexcept {
        return family == AF_INET ? address_ : address6_;
    }
    [[nodiscard]] bool is_loopback_or_own(const endpoint& address) const noexcept;

    /// Everything of it is gone, and nobody is told.
    void crash() noexcept;
    void restart() noexcept { is_up_ = true; }
    [[nodiscard]] bool is_up() const noexcept { return is_up_; }
    /// Delivers a signal to who watches it; false where nobody does.
    bool raise(int signal);

    [[nodiscard]] std::size_t descriptors() const noexcept { return open_; }
    [[nodiscard]] bool is_open(int fd) const noexcept { return entry_of(fd) != nullptr; }
    [[nodiscard]] bool is_pollable(int fd) const noexcept;
    [[nodiscard]] look look_at(int fd) noexcept;
    /// A waiter looks at `fd` in vain: it is to be woken when there is room.
    void await_room(int fd) noexcept;

    /// Names what is open there, also after its number was given to something else; 0 for nothing.
    [[nodiscard]] std::uint64_t serial_of(int fd) const noexcept {
        const auto* const found = entry_of(fd);
        return found == nullptr ? 0 : found->serial;
    }

    /// The moment of the network at which this host's clock shows `local`.
    [[nodiscard]] time_point network_time(time_point local) const noexcept;

    /// Calls that brought something.
    [[nodiscard]] std::uint64_t progress() const noexcept { return progress_; }
    void note_spin() noexcept { is_spinning_ = true; }
    [[nodiscard]] bool is_spinning() const noexcept { return is_spinning_; }

    std::size_t descriptors_max = 1024;
    std::size_t socket_buffer = 65536;
    duration clock_offset = duration::zero();
    /// From its steady clock to the time of day: at first that of 2020.
    duration wall_clock_offset = std::chrono::hours(24 * 365 * 50);
    /// Nobody but a simulation turns the loop of this host: its waits must not let time pass.
    bool is_driven = false;

    // What arrives from other hosts, and from this one.
    void pump(socket_id id);
    void receive_reset(socket_id id, std::error_code reason);
    void receive_packet(const endpoint& target, packet what, socket_id sender);

private:
    enum class holds : std::uint8_t { nothing, socket, wake, reserve };
    struct entry {
        holds what = holds::nothing;
        socket_id id = 0;
        bool is_signalled = false;
        news_count news;
        std::uint64_t serial = 0;
    };
    struct file {
        socket_id id = 0;
        std::uint64_t number = 0;
    };
    struct signal_listener {
        int signal;
        std::atomic<std::uint64_t>* pending;
        int write_end;
    };
    using sock = simulated::socket;

    // Descriptors.
    result<owned_fd> open(entry made);
    [[nodiscard]] entry* entry_of(int fd) noexcept;
    [[nodiscard]] const entry* entry_of(int fd) const noexcept;
    [[nodiscard]] sock* socket_of(int fd) noexcept;
    [[nodiscard]] std::error_code why_not_socket(int fd) const noexcept;
    void release(socket_id id) noexcept;
    void close_socket(sock& it) noexcept;
    [[nodiscard]] look look_at_stream(const sock& it) noexcept;
    [[nodiscard]] bool has_room(const sock& it) noexcept;

    // Names.
    std::error_code bind_to_name(sock& it, const endpoint& local);
    std::error_code bind_to_port(sock& it, const endpoint& local);
    [[nodiscard]] bool is_taken(const sock& it, const endpoint& local) noexcept;
    std::error_code bind_anywhere(sock& it, const endpoint& towards);
    [[nodiscard]] endpoint source_towards(const endpoint& target, const sock& it) const;
    [[nodiscard]] std::uint16_t free_port(const sock& it) noexcept;
    void unbind(sock& it) noexcept;
    static void forget_address(sock& it);
    /// As the user sees it: also where there is none.
    [[nodiscard]] static endpoint name_for_user(const endpoint& name, transport kind, int family);
    [[nodiscard]] std::vector<socket_id>& bound(transport kind, std::uint16_t port) {
        return ports_[static_cast<std::uint32_t>(kind) << 16 | port];
    }
    [[nodiscard]] sock* find_listener(const endpoint& target);

    // Streams.
    std::error_code connect_stream(sock& it, const endpoint& target);
    std::error_code connect_again(int fd);
    void renew(int fd, std::error_code reason);
    std::error_code connect_local(sock& it, const endpoint& target);
    std::error_code connect_datagrams(sock& it, const endpoint& target);
    sock& welcome(sock& listener, sock& client);
    void transmit(sock& it, piece::what kind, std::vector<std::byte> data = {});
    [[nodiscard]] bool can_arrive(sock& it);
    [[nodiscard]] bool try_again(sock& it);
    [[nodiscard]] std::optional<duration> time_left(const sock& it) const noexcept;
    void arrive(sock& it, piece&& what);
    void arrive_syn(sock& it);
    void arrive_fin(sock& it, sock& other);
    [[nodiscard]] static bool take_parcels(sock& it, std::size_t count) noexcept;
    [[nodiscard]] static std::error_code why_no_address(const sock& it, const endpoint& target);
    void refuse(sock& it, std::error_code reason);
    void finish(sock& it) noexcept;
    void end(sock& it, std::error_code reason) noexcept;
    [[nodiscard]] std::size_t capacity_of(const sock& it) noexcept;
    void reset_other(sock& it) noexcept;
    void reset_by_network(sock& it);
    [[nodiscard]] std::size_t room_of(const sock& it) noexcept;
    void acknowledge(sock& it, std::size_t count);
    result<std::size_t> receive_stream(sock& it, std::span<std::byte> target);
    result<std::size_t> send_stream(sock& it, std::span<const bytes> sources);
    [[nodiscard]] std::error_code why_not_sent(sock& it, std::size_t room);

    // Datagrams.
    [[nodiscard]] bool has_room_for_packets(const sock& it) noexcept;
    [[nodiscard]] std::error_code why_not_sent_packet(sock& it);
    [[nodiscard]] std::error_code find_local(const sock& it, const endpoint& target, sock*& found);
    void leave_peer(sock& it) noexcept;
    void drop_packets(sock& it) noexcept;
    void release_packet(const sock& at, const packet& gone) noexcept;
    [[nodiscard]] bool take_packet(sock& it, std::span<std::byte> target, std::size_t& size,
                                   bool& is_truncated, packet& taken);
    void tell_details(const sock& it, const packet& taken, datagram_batch& batch, std::size_t at);
    std::error_code send_packet(sock& it, const datagram& one);
    std::error_code send_segments(sock& it, const datagram& one);
    [[nodiscard]] std::error_code why_no_source(const sock& it, const datagram& one) const;
    void send_away(sock& it, host& there, const endpoint& target, const datagram& one);
    void answer_unreachable(const endpoint& target, socket_id sender);
    std::error_code find_local_receiver(sock& it, const endpoint* target, std::size_t size,
                                        sock*& there);
    std::error_code send_local(sock& it, const endpoint* target, bytes data);
    [[nodiscard]] static bool is_heard(const endpoint& peer, const endpoint& other) noexcept;
    [[nodiscard]] sock* find_receiver(const endpoint& target, const endpoint& from);

    // Options.
    [[nodiscard]] static int* tcp_option(sock& it, socket_option option) noexcept;
    [[nodiscard]] std::error_code set_tcp_option(sock& it, socket_option option, int value);

    // The record.
    template <typename T>
    result<T> noted(std::string_view call, int fd, result<T> outcome) {
        note(call, fd, outcome ? number_of(*outcome) : -outcome.error().value());
        return outcome;
    }
    static std::int64_t number_of(const owned_fd& made) noexcept { return made.get(); }
    static std::int64_t number_of(const std::vector<endpoint>& found) noexcept {
        return static_cast<std::int64_t>(found.size());
    }
    static std::int64_t number_of(const endpoint& found) noexcept { return found.size(); }
    static std::int64_t number_of(const datagram_error& told) noexcept {
        return told.error.value();
    }
    template <std::integral Number>
    static std::int64_t number_of(Number count) noexcept {
        return static_cast<std::int64_t>(count);
    }
    std::error_code noted(std::string_view call, int fd, std::error_code outcome);
    void note(std::string_view call, int fd, std::int64_t outcome);

    network& world_;
    std::string name_;
    unsigned index_;
    endpoint address_;
    endpoint address6_;
    std::vector<entry> table_;
    std::priority_queue<int, std::vector<int>, std::greater<>> free_;
    std::size_t open_ = 0;
    std::uint64_t opened_ = 0; ///< ever
    std::map<std::uint32_t, std::vector<socket_id>> ports_;
    std::map<std::string, file, std::less<>> files_;
    std::uint64_t names_given_ = 0;
    unsigned next_port_;
    std::vector<signal_listener> signals_;
    std::uint64_t progress_ = 0;
    bool is_spinning_ = false;
    bool is_up_ = true;
};

} // namespace sockeye::simulated
