#include "base/probes.hpp"
#include "net/datagram_core.hpp"
#include "net/shortage.hpp"

#include <algorithm>
#include <array>

namespace sockeye {
namespace {

/// A Unix peer that has not read for so long loses its datagrams, so that others get theirs.
constexpr duration unread_max = std::chrono::seconds(1);

/// What may go away, or was never about the way in which they were sent.
bool is_about_the_peer(std::error_code error) noexcept {
    return error == std::errc::operation_would_block || error == std::errc::connection_refused ||
           is_memory_shortage(error);
}

/// How many of the first ones want nothing that their transport does not have: systems take no
/// notice of what they do not know.
std::size_t fitting(transport carrier, std::span<const datagram> out) noexcept {
    const auto bad = std::ranges::find_if(out, [carrier](const datagram& one) {
        const bool needs_ip = one.local != nullptr || one.ttl != 0 || one.mark != ecn::not_capable;
        return is_to_be_cut(one) || (needs_ip && carrier == transport::unix_datagram);
    });
    return static_cast<std::size_t>(bad - out.begin());
}

} // namespace

std::size_t datagram_access::send(slot& place, std::span<const datagram> out) {
    auto& self = *place.as<datagram_state>().core;
    progress made;
    if (self.queue.empty()) {
        made = send_now(place, out);
        if (!made.is_full) {
            return made.sent;
        }
    }
    auto taken = made.sent;
    for (const auto& one : out.subspan(made.tried)) {
        taken += enqueue(self, one) ? 1 : 0;
    }
    if (waits_by_timer(self)) {
        retry_later(place);
    } else {
        update_interest(place);
    }
    return taken;
}

/// A connected socket has one peer. Its name is left out, because some systems refuse it; what is
/// for others is dropped, because others would send it.
std::size_t datagram_access::send_to_peer(slot& place, std::span<const datagram> out) {
    auto& self = *place.as<datagram_state>().core;
    std::size_t taken = 0;
    while (!out.empty()) {
        std::array<datagram, datagrams_per_call> unnamed;
        const auto chunk = out.first(std::min(out.size(), unnamed.size()));
        out = out.subspan(chunk.size());
        std::size_t count = 0;
        for (const auto& one : chunk) {
            if (one.peer == nullptr || *one.peer == *self.peer) {
                unnamed[count] = one;
                unnamed[count++].peer = nullptr;
            }
        }
        self.counters.rejected += chunk.size() - count;
        self.core.io().counters().datagrams_dropped += chunk.size() - count;
        taken += send(place, {unnamed.data(), count});
    }
    return taken;
}

/// Sends in calls of 64 until the system is full. One that the system refuses for its own sake is
/// dropped and counted, and does not hold up the others.
datagram_access::progress datagram_access::send_now(slot& place, std::span<const datagram> all) {
    auto& self = *place.as<datagram_state>().core;
    auto& counters = self.core.io().counters();
    bool is_second_try = false;
    progress made;
    while (made.tried < all.size() && !made.is_full) {
        const auto out = all.subspan(made.tried);
        const auto sent = hand_over(self, place.fd, out);
        if (sent) {
            self.counters.sent += *sent;
            counters.datagrams_written += *sent;
            probes::datagrams_sent(&self.core.io(), place.fd, *sent);
            for (const auto& one : out.first(*sent)) {
                counters.bytes_written += one.data.size();
                if (self.deaf && is_deaf(self, one)) {
                    self.deaf.reset();
                }
            }
            made.sent += *sent;
            made.tried += *sent;
            is_second_try = false;
        } else if (sent.error() == std::errc::operation_would_block) {
            ++counters.would_blocks;
            made.is_full = !is_deaf(self, out.front());
            count_lost(self, made.is_full ? 0 : 1);
            made.tried += made.is_full ? 0 : 1;
        } else if (!is_second_try && is_old_news(place, sent.error())) {
            is_second_try = true;
        } else {
            ++self.counters.rejected;
            ++counters.datagrams_dropped;
            ++made.tried;
            is_second_try = false;
        }
    }
    return made;
}

/// A train that the system does not want to cut goes one by one, and so do all that are as long.
result<std::size_t> datagram_access::hand_over(datagram_core& self, int fd,
                                               std::span<const datagram> out) {
    auto& system = self.core.system();
    if (self.carrier != transport::udp) {
        out = out.first(fitting(self.carrier, out));
        if (out.empty()) {
            return std::errc::not_supported;
        }
    }
    ++self.core.io().counters().writes;
    if (self.merged_size_max == 0 || out.front().data.size() > self.merged_size_max) {
        return system.send_datagrams(fd, out);
    }
    const auto sent = system.send_trains(fd, out);
    if (sent || is_about_the_peer(sent.error())) {
        return sent;
    }
    const auto length = train_length(out);
    if (length == 1) {
        return sent;
    }
    ++self.core.io().counters().writes;
    const auto singly = system.send_datagrams(fd, out.first(length));
    if (singly) {
        const bool is_never =
            sent.error() == std::errc::io_error || sent.error() == std::errc::not_supported;
        self.merged_size_max = is_never ? 0 : out.front().data.size() - 1;
    }
    return singly;
}

/// The answer to an earlier datagram: this one was not sent, and the next try is.
bool datagram_access::is_old_news(slot& place, std::error_code why) noexcept {
    auto& self = *place.as<datagram_state>().core;
    if (self.on_error) {
        self.has_errors = true;
        self.core.io().queue_resume(place);
        return true;
    }
    if (why != std::errc::connection_refused) {
        return false;
    }
    ++self.counters.errors;
    ++self.core.io().counters().datagram_errors;
    return true;
}

bool datagram_access::enqueue(datagram_core& self, const datagram& one) {
    auto& counters = self.core.io().counters();
    const auto lost = self.counters.dropped_oldest + self.counters.dropped_newest;
    bool is_taken = false;
    try {
        change_queue(self,
                     [&](datagram_queue& queue) { is_taken = queue.push(one, self.counters); });
        counters.datagrams_dropped += is_taken ? 0 : 1;
    } catch (const std::bad_alloc&) {
        count_lost(self, 1);
    }
    counters.datagrams_dropped +=
        self.counters.dropped_oldest + self.counters.dropped_newest - lost;
    return is_taken;
}

bool datagram_access::is_deaf(const datagram_core& self, const datagram& one) noexcept {
    return self.deaf && one.peer != nullptr && *one.peer == *self.deaf;
}

/// The first one has waited too long: its peer loses all that waits for it.
void datagram_access::drop_deaf(datagram_core& self) {
    self.deaf = self.queue.front().peer;
    self.retried = duration::zero();
    change_queue(self, [&](datagram_queue& queue) {
        count_lost(self, queue.erase_if(
                             [&](const waiting_datagram& one) { return one.peer == *self.deaf; }));
    });
}

void datagram_access::drain(slot& place) {
    auto& self = *place.as<datagram_state>().core;
    for (std::size_t budget = datagrams_per_call; budget > 0 && !self.queue.empty(); --budget) {
        const auto first = self.queue.front().view();
        if (send_now(place, {&first, 1}).is_full) {
            return;
        }
        change_queue(self, [](datagram_queue& queue) { queue.pop(); });
        self.retried = duration::zero();
    }
    update_interest(place);
    if (!self.queue.empty() && !waits_by_timer(self)) {
        // There may be room left, which an edge-triggered backend tells no second time.
        self.core.io().queue_resume(place);
    }
}

void datagram_access::on_retry(void* core, std::uint64_t key) {
    auto* const place = find(*static_cast<loop_core*>(core), key);
    if (place == nullptr) {
        return;
    }
    auto& self = *place->as<datagram_state>().core;
    self.retry = 0;
    self.retried += self.retry_delay;
    const auto before = self.queue.size();
    drain(*place);
    if (self.queue.size() == before && before != 0 && self.retried > unread_max) {
        drop_deaf(self);
    }
    self.retry_delay = self.queue.size() < before ? retry_delay_min
                                                  : std::min(self.retry_delay * 2, retry_delay_max);
    if (!self.queue.empty()) {
        retry_later(*place);
    }
}

void datagram_access::retry_later(slot& place) noexcept {
    auto& self = *place.as<datagram_state>().core;
    if (self.retry != 0) {
        return;
    }
    try {
        self.retry = self.core.start_timer(self.retry_delay, {on_retry, &self.core, key_of(place)});
    } catch (const std::bad_alloc&) {
        self.core.wait_without_timer(place);
    }
}

} // namespace sockeye
