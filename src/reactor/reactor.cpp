#include "reactor/reactor.hpp"

#include "base/memory.hpp"
#include "base/misuse.hpp"
#include "base/probes.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cassert>
#include <string>

namespace sockeye {
namespace {

/// For asserts: true where a watched descriptor is still open.
[[maybe_unused]] bool is_still_open(kernel& system, const slot& place) noexcept {
    if (system.identify_descriptor(place.fd).error() != std::errc::bad_file_descriptor) {
        return true;
    }
    const std::string kind = place.operations->kind == nullptr ? "loop" : place.operations->kind;
    return misuse("descriptor " + std::to_string(place.fd) + " of a " + kind,
                  "was closed by somebody else while it was watched");
}

} // namespace

reactor::reactor(kernel& system, std::unique_ptr<backend> source, backend_features features)
    : system_(system), source_(std::move(source)), features_(features),
      receive_buffer_(std::make_unique_for_overwrite<std::byte[]>(receive_buffer_size)),
      now_(system.now()), wheel_(slots_, tick_of(now_)), forks_(system.fork_count()) {}

/// What goes may make new objects: passes go on until none is left, or somebody never ends.
void reactor::destroy_all() noexcept {
    constexpr int passes_max = 100;
    for (int pass = 0; pass < passes_max && slots_.used() != 0; ++pass) {
        for (std::uint32_t index = 0; index < slots_.size(); ++index) {
            if (auto& place = slots_.at(index); place.operations != nullptr) {
                place.operations->destroy(place);
            }
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
    // Who joins the ring from here on has had its budget of this turn.
    const auto standing = ring_.size();
    hand_out(std::span(events_).first(*count));
    work_off(ring_, standing, [this](slot& place) {
        const auto* const kind = place.operations->kind;
        const auto key = key_of(place);
        place.operations->resume(place);
        handler_ran(kind, key);
    });
    return {};
}

void reactor::hand_out(std::span<const event> ready) {
    for (const auto& told : ready) {
        auto* place = slots_.find(told.key);
        if (place == nullptr) {
            ++counters_.stale_events;
            continue;
        }
        const auto* const kind = place->operations->kind;
        place->operations->ready(*place, told);
        handler_ran(kind, told.key);
    }
}

/// Calls `act` with the first `count` in `line`; who joins it meanwhile waits for the next time.
template <typename Act>
void reactor::work_off(slot_line& line, std::size_t count, Act&& act) {
    for (; count > 0 && !line.empty(); --count) {
        if (auto* place = line.pop()) {
            act(*place);
        }
    }
}

/// A clock read for each handler would cost half a percent of an echo; one for eight does not show.
void reactor::handler_ran(const char* kind, slot_key key) {
    if (++unmeasured_ < 8 && !slow_told_) {
        return;
    }
    const auto before = measured_;
    measure_handlers();
    if (slow_told_ && measured_ - before > slow_limit_) {
        slow_told_(kind, key, measured_ - before);
        measured_ = std::max(measured_, system_.now()); // what the telling took is nobody's
    }
}

void reactor::measure_handlers() {
    if (std::exchange(unmeasured_, 0) != 0) {
        const auto now = system_.now();
        const auto took = now - measured_;
        counters_.longest_handler = std::max(counters_.longest_handler, took);
        measured_ = now;
        if (took > slow_limit_) {
            probes::slow_handler(this, took.count());
        }
    }
}

void reactor::end_handlers() {
    measure_handlers();
    if (measured_ > now_) {
        counters_.turn_time.add(measured_ - now_);
    }
}

void reactor::flush_early() {
    if (!output_.empty()) {
        now_ = std::max(now_, system_.now());
        flush();
    }
}

void reactor::flush() {
    // Sending may fail and queue a finish, but it never queues output again.
    work_off(output_, output_.size(), [](slot& place) { place.operations->flush(place); });
    arena_.clear();
}

void reactor::finish() {
    work_off(finish_, finish_.size(), [](slot& place) { place.operations->finish(place); });
}

void reactor::relieve(slot_line& waiting) noexcept {
    work_off(waiting, waiting.size(), [](slot& place) { place.operations->relieve(place); });
}

void reactor::queue(slot& place, slot_line& line) noexcept {
    assert(is_own_thread());
    line.push(place);
}

void reactor::release(slot& place) noexcept {
    assert(!place.has(slot_mark::watched));
    wheel_.leave(place);
    slots_.release(place);
}

std::error_code reactor::watch(slot& place, interest wanted) {
    assert(is_own_thread());
    if (is_forked()) {
        return make_error_code(errc::loop_forked);
    }
    ++counters_.registrations;
    const auto error =
        without_throwing([&] { return source_->add(place.fd, wanted, key_of(place)); });
    if (!error) {
        place.set(slot_mark::watched);
        place.wanted = wanted;
    }
    return error;
}

std::error_code reactor::change(slot& place, interest wanted) {
    assert(is_own_thread());
    if (place.wanted == wanted || !place.has(slot_mark::watched)) {
        return {};
    }
    if (is_forked()) {
        return make_error_code(errc::loop_forked);
    }
    assert(is_still_open(system_, place));
    ++counters_.registrations;
    const auto error =
        without_throwing([&] { return source_->modify(place.fd, wanted, key_of(place)); });
    if (!error) {
        place.wanted = wanted;
    }
    return error;
}

std::error_code reactor::change_or_unwatch(slot& place, interest wanted) {
    const auto error = place.has(slot_mark::watched) ? change(place, wanted) : watch(place, wanted);
    if (error) {
        unwatch(place);
    }
    return error;
}

void reactor::unwatch(slot& place) noexcept {
    assert(is_own_thread());
    if (!place.has(slot_mark::watched)) {
        return;
    }
    place.clear(slot_mark::watched);
    // A child shares the parent's epoll set: removing here would make the parent deaf.
    if (!is_forked()) {
        ++counters_.registrations;
        assert(is_still_open(system_, place));
        static_cast<void>(source_->remove(place.fd));
    }
}

void reactor::close(slot& place) noexcept {
    unwatch(place);
    if (const int fd = std::exchange(place.fd, -1); fd >= 0) {
        system_.close(fd);
    }
}

void reactor::provide_datagrams() {
    if (!datagrams_) {
        datagrams_ = std::make_unique<datagram_batch>();
    }
}

} // namespace sockeye
