#include "simulation/backend.hpp"

#include "simulation/failure.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <cerrno>
#include <limits>

namespace sockeye::simulated {
namespace {

using namespace std::chrono_literals;

constexpr backend_entry row = {backend_kind::simulated,
                               "simulation",
                               {.edge = true, .early_close = true},
                               "in memory, for tests",
                               nullptr};

bool wants_nothing(interest wanted) noexcept {
    return !has(wanted, interest::readable | interest::writable);
}

} // namespace

const backend_entry& simulated_entry() noexcept {
    return row;
}

std::error_code backend::add(int fd, interest wanted, std::uint64_t key) {
    if (const auto error = table_.check_add(fd, wanted, features_.edge)) {
        return error;
    }
    if (!host_.is_open(fd)) {
        return failure(EBADF);
    }
    if (!host_.is_pollable(fd)) {
        return make_error_code(errc::not_pollable);
    }
    table_.insert(fd, wanted, key);
    note_news(fd);
    return {};
}

std::error_code backend::modify(int fd, interest wanted, std::uint64_t key) {
    if (const auto error = table_.check_modify(fd, wanted)) {
        return error;
    }
    auto& entry = *table_.find(fd);
    if (entry.wanted != wanted) {
        if (!host_.is_open(fd)) {
            return failure(EBADF);
        }
        entry.is_muted = false;
        note_news(fd);
    }
    entry.wanted = wanted;
    entry.key = key;
    return {};
}

std::error_code backend::remove(int fd) {
    if (table_.find(fd) == nullptr) {
        return make_error_code(std::errc::no_such_file_or_directory);
    }
    table_.erase(fd);
    return {};
}

/// Whatever is ready now is news to who begins to watch.
void backend::note_news(int fd) {
    memories_.resize(static_cast<std::size_t>(table_.limit()));
    memory_of(fd) = {.serial = host_.serial_of(fd), .is_new = true, .told = {}};
}

void backend::note_told(int fd) noexcept {
    memory_of(fd).is_new = false;
    memory_of(fd).told = host_.look_at(fd).news;
}

/// Whether an edge-triggered registration has anything to look for.
bool backend::was_woken(int fd, const watched& entry) noexcept {
    const auto& last = memory_of(fd);
    const auto now = host_.look_at(fd).news;
    return last.is_new || now.all != last.told.all ||
           (has(entry.wanted, interest::readable) && now.readable != last.told.readable) ||
           (has(entry.wanted, interest::writable) && now.writable != last.told.writable);
}

/// What there is to tell of a descriptor, if anything.
bool backend::is_news(int fd, const watched& entry, event& told) noexcept {
    if (host_.serial_of(fd) != memory_of(fd).serial) {
        return false; // closed before it was removed: the kernel has forgotten it
    }
    const auto seen = host_.look_at(fd);
    const bool has_ended = seen.hangup || seen.error;
    if (has(entry.wanted, interest::edge) && !was_woken(fd, entry)) {
        return false;
    }
    told = {.key = entry.key,
            .readable = has(entry.wanted, interest::readable) &&
                        (seen.readable || seen.read_closed || has_ended),
            .writable = has(entry.wanted, interest::writable) && (seen.writable || has_ended),
            .read_closed = has(entry.wanted, interest::readable) && seen.read_closed,
            .hangup = seen.hangup,
            .error = seen.error};
    if (wants_nothing(entry.wanted)) {
        return features_.early_close && has_ended && !entry.is_muted;
    }
    return told.readable || told.writable;
}

bool backend::is_ready() noexcept {
    event ignored;
    for (int fd = 0; fd < table_.limit(); ++fd) {
        const auto* const entry = table_.find(fd);
        if (entry != nullptr && is_news(fd, *entry, ignored)) {
            return true;
        }
    }
    return false;
}

void backend::tell(int fd, watched& entry, const event& told, std::span<event> ready,
                   std::size_t& filled) {
    entry.is_muted = wants_nothing(entry.wanted);
    note_told(fd);
    if (has(entry.wanted, interest::writable) && !told.writable) {
        host_.await_room(fd); // as poll(2) does: who finds no room is woken when there is some
    }
    ready[filled++] = told;
}

std::size_t backend::collect(std::span<event> ready) {
    auto& world = host_.world();
    const int limit = table_.limit();
    std::size_t filled = 0;
    for (int step = 0; step < limit && filled < ready.size(); ++step) {
        const int fd = (first_ + step) % limit;
        auto* const entry = table_.find(fd);
        event told;
        if (entry == nullptr) {
            continue;
        }
        if (!is_news(fd, *entry, told)) {
            if (has(entry->wanted, interest::edge)) {
                note_told(fd); // woken for nothing
                host_.await_room(fd);
            }
            continue;
        }
        if (!world.strikes(world.faults.withheld_event, world.injected.withheld_events)) {
            tell(fd, *entry, told, ready, filled);
            if (filled == ready.size()) {
                first_ = fd + 1;
            }
        }
    }
    lie(ready, filled);
    if (world.shuffles) {
        for (std::size_t left = filled; left > 1; --left) {
            std::swap(ready[left - 1], ready[world.random.below(left)]);
        }
    }
    return filled;
}

/// Tells of one that may not be ready, as the kernel does for a datagram with a bad checksum.
void backend::lie(std::span<event> ready, std::size_t& filled) {
    auto& world = host_.world();
    const int limit = table_.limit();
    if (filled == ready.size() || limit == 0 || !world.random.chance(world.faults.spurious_event)) {
        return;
    }
    const auto* const entry =
        table_.find(static_cast<int>(world.random.below(static_cast<std::uint64_t>(limit))));
    const auto is_told = [&](const event& one) { return one.key == entry->key; };
    if (entry == nullptr || wants_nothing(entry->wanted) ||
        std::ranges::any_of(ready.first(filled), is_told)) {
        return;
    }
    ++world.injected.spurious_events;
    ready[filled++] = {.key = entry->key,
                       .readable = has(entry->wanted, interest::readable),
                       .writable = has(entry->wanted, interest::writable)};
}

result<std::size_t> backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    auto& world = host_.world();
    world.check_thread();
    if (!host_.is_driven) {
        world.advance_to(world.now());
    }
    const auto zero = duration::zero();
    const auto longest = time_point::max() - world.now();
    const auto deadline = world.now() + std::clamp(timeout.value_or(longest), zero, longest);
    if (world.strikes(world.faults.interrupted_wait, world.injected.interrupted_waits)) {
        return std::size_t{0};
    }
    for (;;) {
        if (const auto filled = collect(ready); filled != 0) {
            count_wake_up();
            world.tick();
            return filled;
        }
        if (world.now() >= deadline) {
            if (timeout <= zero) {
                world.tick();
            }
            return std::size_t{0};
        }
        if (is_ready()) { // and kept for the next wait
            world.tick();
            continue;
        }
        const auto next = world.next_event();
        if (host_.is_driven || (!next && !timeout)) {
            // Waiting inside a simulation, or for what cannot come: both would never end.
            return make_error_code(std::errc::resource_deadlock_would_occur);
        }
        world.advance_to(std::min(next.value_or(deadline), deadline));
    }
}

/// Who is woken again and again, and whose calls bring nothing in between, spins.
void backend::count_wake_up() {
    constexpr unsigned vain_max = 10'000;
    vain_wake_ups_ = progress_ == host_.progress() ? vain_wake_ups_ + 1 : 0;
    progress_ = host_.progress();
    if (vain_wake_ups_ > vain_max) {
        host_.note_spin();
    }
}

} // namespace sockeye::simulated
