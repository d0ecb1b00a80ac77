#pragma once

#include <sockeye/time.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <system_error>
#include <vector>

namespace support {

/// The calls of the two seams; the last four are those of the backend.
enum class seam_call : std::uint8_t {
    socket,
    bind,
    bind_with_mode,
    listen,
    accept,
    connect,
    shutdown_write,
    close,
    receive,
    send,
    send_gathered,
    send_file,
    read_at,
    send_with_descriptors,
    receive_with_descriptors,
    receive_message,
    credentials,
    describe,
    read,
    write,
    reopen,
    receive_datagrams,
    send_datagrams,
    set_option,
    get_option,
    info,
    pending_error,
    local_endpoint,
    peer_endpoint,
    transport_of,
    prepare,
    duplicate,
    steer_by_cpu,
    identify,
    remove_file,
    random_bits,
    remove_same_file,
    reserve,
    make_alarm,
    set_alarm,
    watch_process,
    resolve,
    make_wake_channel,
    wake,
    drain,
    add_signal,
    remove_signal,
    raw_socket,
    is_hung_up,
    identify_descriptor,
    make_blocking,
    fill_standard_descriptors,
    send_trains,
    receive_error,
    disconnect,
    set_datagram_option,
    get_datagram_option,
    change_membership,
    read_clock,
    reap_process,
    start_thread,
    add,
    modify,
    remove,
    wait,
};
inline constexpr std::size_t seam_calls = static_cast<std::size_t>(seam_call::wait) + 1;

[[nodiscard]] std::string_view name_of(seam_call call) noexcept;

inline constexpr std::size_t no_limit = std::numeric_limits<std::size_t>::max();
inline constexpr int any_descriptor = -1;

/// What is to happen to which calls.
struct fault {
    seam_call where = seam_call::socket;
    std::size_t nth = 1;     ///< the first call that is met, of those that match
    std::size_t times = 1;   ///< how many in a row
    std::error_code error{}; ///< what the call says; else it is made and falls short:
    /// Bytes of send and receive, datagrams of send_datagrams and send_trains, events of
    /// wait. With 0 the call is
    /// not made: a wait that a signal ended, a send that took nothing.
    std::size_t at_most = no_limit;
    int fd = any_descriptor;
};

/// Faults that are to come, and how often each call was made.
class fault_plan {
public:
    void inject(const fault& planned) { planned_.push_back({planned}); }
    /// No fault is to come any more; the counts stay.
    void clear() noexcept { planned_.clear(); }

    /// Counts a call. Gives the fault that meets it, or null; it is valid until the next inject.
    const fault* meet(seam_call where, int fd = any_descriptor);

    [[nodiscard]] std::size_t count(seam_call of) const noexcept {
        return counts_[static_cast<std::size_t>(of)];
    }
    /// How many calls met a fault.
    [[nodiscard]] std::size_t met() const noexcept { return met_; }

private:
    struct entry {
        fault what;
        std::size_t matched = 0;
    };

    std::vector<entry> planned_;
    std::array<std::size_t, seam_calls> counts_ = {};
    std::size_t met_ = 0;
};

} // namespace support
