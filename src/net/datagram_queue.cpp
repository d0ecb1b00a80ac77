#include "net/datagram_queue.hpp"

namespace sockeye {

datagram waiting_datagram::view() const noexcept {
    return {.data = data,
            .peer = peer.is_known() ? &peer : nullptr,
            .local = local.get(),
            .segment_size = segment_size,
            .ttl = ttl,
            .mark = mark};
}

bool datagram_queue::push(const datagram& one, datagram_counters& counters) {
    const auto cost =
        sizeof(waiting_datagram) + one.data.size() + (one.local == nullptr ? 0 : sizeof *one.local);
    if (cost > bytes_max_ || (bytes_ + cost > bytes_max_ && when_full_ == queue_policy::refuse)) {
        ++counters.refused;
        return false;
    }
    if (bytes_ + cost > bytes_max_ && when_full_ == queue_policy::drop_newest) {
        ++counters.dropped_newest;
        return true;
    }
    waiting_.push_back(
        {.peer = one.peer == nullptr ? endpoint() : *one.peer,
         .local = one.local == nullptr ? nullptr : std::make_unique<endpoint>(*one.local),
         .data = {one.data.begin(), one.data.end()},
         .segment_size = one.segment_size,
         .ttl = one.ttl,
         .mark = one.mark});
    bytes_ += cost;
    while (bytes_ > bytes_max_) {
        pop();
        ++counters.dropped_oldest;
    }
    return true;
}

void datagram_queue::pop() noexcept {
    bytes_ -= waiting_.front().cost();
    waiting_.pop_front();
}

} // namespace sockeye
