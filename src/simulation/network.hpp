#pragma once

#include "simulation/random.hpp"
#include "simulation/socket.hpp"
#include "simulation/trace.hpp"

#include <sockeye/simulation_options.hpp>
#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace sockeye::simulated {

enum class passage : std::uint8_t { open, blocked, held };

/// One direction between two hosts.
struct path {
    link_options options;
    passage state = passage::open;
    time_point free_at; ///< when the last bit of what was sent has left
    std::vector<unique_function<void()>> held;
};

/// A network in memory: virtual time, the events to come, the hosts and the paths between them.
///
/// Everything that happens is decided by the seed and the calls made. Threads: the one that made
/// it; any other is stopped with an explanation.
class network {
public:
    explicit network(std::uint64_t seed);
    network(const network&) = delete;
    network& operator=(const network&) = delete;
    ~network();

    host& add_host(std::string_view name);
    [[nodiscard]] const std::vector<std::unique_ptr<host>>& hosts() const noexcept {
        return hosts_;
    }
    /// The host that `address` leads to from `from`; null where there is none.
    [[nodiscard]] host* find_host(const endpoint& address, host& from) noexcept;
    /// What `name` stands for, best first; none where there is no such name.
    [[nodiscard]] std::vector<endpoint> addresses_of(std::string_view name) const;
    void set_addresses(std::string_view name, std::vector<endpoint> addresses);
    [[nodiscard]] path& between(const host& from, const host& to);
    [[nodiscard]] bool is_open(const host& one, const host& other);
    void set_passage(const host& from, const host& to, passage state);

    [[nodiscard]] time_point now() const noexcept { return now_; }
    [[nodiscard]] std::optional<time_point> next_event() const noexcept;
    /// Lets time pass until `moment`, with all that happens until then.
    void advance_to(time_point moment);
    /// The little time that a wait costs. Events that become due happen with the next advance.
    void tick() noexcept { now_ += std::chrono::microseconds(1) + random.within(call_time); }
    void after(duration delay, unique_function<void()> act);
    /// When something of `size` bytes that leaves now arrives.
    [[nodiscard]] time_point arrival(path& way, std::size_t size);
    /// Lets `act` happen when what is sent now arrives; never where the path is blocked.
    void carry(const host& from, const host& to, std::size_t size, unique_function<void()> act) {
        carry_late(from, to, size, duration::zero(), std::move(act));
    }
    /// The same, but it may get lost, or be overtaken.
    void carry_datagram(const host& from, const host& to, std::size_t size,
                        unique_function<void()> act);

    socket& make_socket(host& home, transport kind, int family);
    [[nodiscard]] socket* find(socket_id id) noexcept {
        const auto at = id & 0xffff'ffff;
        const bool is_there = at < sockets_.size() && sockets_[at] && sockets_[at]->id == id;
        return is_there ? sockets_[at].get() : nullptr;
    }
    void destroy(socket_id id) noexcept;
    void destroy_all_of(const host& home) noexcept;
    struct stream_count {
        std::size_t open = 0;   ///< ends that somebody holds
        std::size_t leaked = 0; ///< of these, ends whose other end is gone
    };
    [[nodiscard]] stream_count streams() noexcept;

    void check_thread() const noexcept;

    random_source random;
    trace history;
    link_options default_link;
    fault_options faults;
    fault_counters injected;
    bool is_turning = false; ///< a host's handlers may be running
    bool shuffles = false;   ///< events of one wait come in any order

    /// True with that probability, and counted.
    [[nodiscard]] bool strikes(double probability, std::uint64_t& counter) noexcept {
        const bool does = random.chance(probability);
        counter += does ? 1 : 0;
        return does;
    }

private:
    static constexpr duration call_time = std::chrono::microseconds(19);

    struct planned {
        time_point at;
        std::uint64_t order;
        unique_function<void()> act;
        /// The heap has the greatest on top: the one that comes first.
        friend bool operator<(const planned& a, const planned& b) noexcept {
            return a.at != b.at ? a.at > b.at : a.order > b.order;
        }
    };

    void carry_late(const host& from, const host& to, std::size_t size, duration more,
                    unique_function<void()> act);

    time_point now_;
    std::uint64_t planned_so_far_ = 0;
    std::vector<planned> plan_;
    std::vector<std::unique_ptr<host>> hosts_;
    std::map<std::pair<unsigned, unsigned>, path> paths_;
    std::map<std::string, std::vector<endpoint>, std::less<>> names_; ///< beside those of hosts
    std::vector<std::unique_ptr<socket>> sockets_;
    std::vector<std::uint32_t> free_; ///< places in `sockets_`
    std::uint32_t sockets_made_ = 0;  ///< the upper half of the next one's name, the place below
    std::thread::id thread_;
};

} // namespace sockeye::simulated
