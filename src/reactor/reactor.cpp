#include "reactor/reactor.hpp"

#include <algorithm>
#include <cassert>

namespace sockeye {

reactor::reactor(kernel& system, std::unique_ptr<backend> source, backend_features features)
    : system_(system), source_(std::move(source)), features_(features),
      receive_buffer_(std::make_unique_for_overwrite<std::byte[]>(receive_buffer_size)),
      now_(system.now()) {}

void reactor::destroy_all() noexcept {
    for (std::uint32_t index = 0; index < slots_.size(); ++index) {
        if (auto& place = slots_.at(index); place.operations != nullptr) {
            place.operations->destroy(place);
        }
    }
}

std::error_code reactor::dispatch(std::optional<duration> timeout) {
    ++counters_.waits;
    const auto count = source_->wait(events_, timeout);
    if (!count) {
        return count.error();
    }
    now_ = std::max(now_, system_.now());
    measured_ = now_;
    counters_.events += *count;
    hand_out(std::span(events_).first(*count));
    run_ring();
    return {};
}

void reactor::hand_out(std::span<const event> ready) {
    for (const auto& told : ready) {
        auto* place = slots_.find(told.key);
        if (place == nullptr) {
            ++counters_.stale_events;
            continue;
        }
        place->operations->ready(*place, told);
        handler_ran();
    }
}

void reactor::run_ring() {
    taken_.swap(ring_);
    for (const auto key : taken_) {
        if (auto* place = slots_.find(key)) {
            place->clear(slot_mark::in_ring);
            place->operations->resume(*place);
            handler_ran();
        }
    }
    taken_.clear();
}

/// A clock read for each handler would cost half a percent of an echo; one for eight does not show.
void reactor::handler_ran() {
    if (++unmeasured_ == 8) {
        measure_handlers();
    }
}

void reactor::measure_handlers() {
    if (std::exchange(unmeasured_, 0) != 0) {
        const auto now = system_.now();
        counters_.longest_handler = std::max(counters_.longest_handler, now - measured_);
        measured_ = now;
    }
}

void reactor::flush() {
    // Sending may fail and queue a finish, but it never queues output again.
    for (const auto key : output_) {
        if (auto* place = slots_.find(key)) {
            place->clear(slot_mark::in_output);
            place->operations->flush(*place);
        }
    }
    output_.clear();
    arena_.clear();
}

void reactor::finish() {
    taken_.swap(finish_);
    for (const auto key : taken_) {
        if (auto* place = slots_.find(key)) {
            place->clear(slot_mark::in_finish);
            place->operations->finish(*place);
        }
    }
    taken_.clear();
}

void reactor::queue(slot& place, slot_mark mark, std::vector<slot_key>& line) {
    if (!place.has(mark)) {
        line.push_back(key_of(place));
        place.set(mark);
    }
}

void reactor::release(slot& place) noexcept {
    assert(!place.has(slot_mark::watched));
    slots_.release(place);
}

std::error_code reactor::watch(slot& place, interest wanted) {
    ++counters_.registrations;
    const auto error = source_->add(place.fd, wanted, key_of(place));
    if (!error) {
        place.set(slot_mark::watched);
        place.wanted = wanted;
    }
    return error;
}

std::error_code reactor::change(slot& place, interest wanted) {
    if (place.wanted == wanted || !place.has(slot_mark::watched)) {
        return {};
    }
    ++counters_.registrations;
    const auto error = source_->modify(place.fd, wanted, key_of(place));
    if (!error) {
        place.wanted = wanted;
    }
    return error;
}

void reactor::unwatch(slot& place) noexcept {
    if (place.has(slot_mark::watched)) {
        place.clear(slot_mark::watched);
        ++counters_.registrations;
        static_cast<void>(source_->remove(place.fd));
    }
}

void reactor::close(slot& place) noexcept {
    unwatch(place);
    if (const int fd = std::exchange(place.fd, -1); fd >= 0) {
        system_.close(fd);
    }
}

datagram_batch& reactor::datagrams() {
    if (!datagrams_) {
        datagrams_ = std::make_unique<datagram_batch>();
    }
    return *datagrams_;
}

} // namespace sockeye
