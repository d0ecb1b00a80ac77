#pragma once

#include "loop/loop_core.hpp"
#include "net/datagram_queue.hpp"
#include "net/segments.hpp"
#include "net/socket_file.hpp"

#include <sockeye/datagram_socket.hpp>

#include <cassert>
#include <chrono>
#include <memory>
#include <optional>

namespace sockeye {

inline constexpr duration retry_delay_min = std::chrono::milliseconds(1);
inline constexpr duration retry_delay_max = std::chrono::milliseconds(100);

/// What a datagram socket owns beside its slot.
struct datagram_core : retirable {
    datagram_core(loop_core& owner, const datagram_options& options,
                  datagram_socket::handler handler, transport kind, int of_family)
        : core(owner), on_datagrams(std::move(handler)), carrier(kind), family(of_family),
          queue(options.queue_max, options.when_full),
          cutter(options.offload ? std::make_unique<segments>() : nullptr),
          merged_size_max(options.offload && kind == transport::udp ? merged_bytes_max : 0) {}

    loop_core& core;
    datagram_socket::handler on_datagrams;
    transport carrier;
    int family;
    bool is_paused = false;
    bool is_readable = false;
    bool is_short_of_memory = false;
    bool is_everywhere = false; ///< was bound to every address
    bool has_errors = false;    ///< there may be some in the queue of errors
    std::unique_ptr<datagram_socket::error_handler> on_error;
    socket_file file;
    std::optional<endpoint> peer; ///< the one that it is connected to
    receive_wishes wishes;
    datagram_queue queue;
    datagram_counters counters;
    std::uint32_t overflow = 0; ///< as the system counted it last
    timer_id retry = 0;
    duration retry_delay = retry_delay_min;
    duration retried = duration::zero(); ///< how long the first one has waited
    timer_id pause = 0;                  ///< after which what the system refused is asked for again
    /// The Unix peer that last did not read for so long that it counts as deaf: as long as it does
    /// not, what is for it is dropped at once and holds nobody up.
    std::optional<endpoint> deaf;
    std::unique_ptr<segments> cutter; ///< of what comes merged; null where nothing does
    /// Of what leaves in trains; less where the system refused, 0 where nothing does.
    std::size_t merged_size_max;
};

/// What is in the slot.
struct datagram_state {
    datagram_socket self;          ///< the one that the handler sees
    datagram_core* core = nullptr; ///< null once it is closed
};

/// The way from handles to what they stand for, and what a socket does.
class datagram_access {
public:
    static slot* place(const datagram_socket& handle) noexcept {
        assert(handle.core_ == nullptr || may_use(*handle.core_, "a datagram_socket"));
        return handle.core_ == nullptr
                   ? nullptr
                   : find(*handle.core_, make_slot_key(handle.index_, handle.generation_));
    }
    static slot* find(loop_core& core, slot_key key) noexcept {
        auto* const found = core.io().find(key);
        return found == nullptr || found->as<datagram_state>().core == nullptr ? nullptr : found;
    }
    static datagram_core* core(const datagram_socket& handle) noexcept {
        auto* const found = place(handle);
        return found == nullptr ? nullptr : found->as<datagram_state>().core;
    }
    /// Also of one that is closed.
    static loop_core& core_of(slot& place) noexcept {
        return *place.as<datagram_state>().self.core_;
    }
    static bool is_handler_view(const datagram_socket& handle) noexcept;

    // datagram_socket.cpp
    static result<datagram_socket> start(std::unique_ptr<datagram_core> made, owned_fd fd);
    static void stop(slot& place) noexcept;
    static void update_interest(slot& place) noexcept;
    static void retry_later(slot& place) noexcept;
    static void ask_later(slot& place) noexcept;
    static bool waits_by_timer(const datagram_core& self) noexcept {
        // A Unix socket is writable while the peer's queue is full: asking would spin.
        return self.carrier == transport::unix_datagram;
    }

    // datagram_send.cpp
    static std::size_t send(slot& place, std::span<const datagram> out);
    static std::size_t send_to_peer(slot& place, std::span<const datagram> out);
    static void drain(slot& place);
    /// Keeps the loop's account of queued bytes while `act` changes the queue.
    template <typename Act>
    static void change_queue(datagram_core& self, Act&& act) {
        const auto before = self.queue.bytes();
        act(self.queue);
        self.core.io().counters().queued_bytes += self.queue.bytes() - before;
    }
    static void count_lost(datagram_core& self, std::size_t count) noexcept {
        self.counters.lost += count;
        self.core.io().counters().datagrams_dropped += count;
    }

private:
    // datagram_socket.cpp
    static void on_finish(slot& place);
    static void on_loop_end(slot& place) noexcept;
    static void on_pause_over(void* core, std::uint64_t key);
    static void on_relief(slot& place);
    static interest wanted(const datagram_core& self) noexcept;

    // datagram_receive.cpp
    static void describe(slot& place, std::string& text);
    static void on_ready(slot& place, const event& told);
    static void on_resume(slot& place);
    static void receive_once(slot& place);
    static void receive_failed(slot& place, std::error_code why);
    static void deliver(slot& place, std::span<const datagram> in);
    static void deliver_cut(slot& place, std::span<const datagram> merged);
    static bool call(slot& place, std::span<const datagram> in);
    static void take_errors(slot& place);

    // datagram_send.cpp
    struct progress {
        std::size_t tried = 0; ///< sent or dropped
        std::size_t sent = 0;
        bool is_full = false;
    };
    static void on_retry(void* core, std::uint64_t key);
    static progress send_now(slot& place, std::span<const datagram> out);
    static result<std::size_t> hand_over(datagram_core& self, int fd,
                                         std::span<const datagram> out);
    static bool is_old_news(slot& place, std::error_code why) noexcept;
    static bool is_deaf(const datagram_core& self, const datagram& one) noexcept;
    static void drop_deaf(datagram_core& self);
    static bool enqueue(datagram_core& self, const datagram& one);

    static const slot_operations operations;
};

} // namespace sockeye
