#include "kernel/backend.hpp"
#include "kernel/last_error.hpp"
#include "kernel/watch_table.hpp"

#include <sockeye/error.hpp>
#include <sockeye/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/types.h>

#include <sys/event.h>
#include <unistd.h>

namespace sockeye {
namespace {

using note = struct kevent;
/// NetBSD counts in size_t, the others in int: this fits both.
using count = std::uint16_t;

constexpr std::size_t batch_max = 512; // libkqueue gives no more
constexpr timespec at_once = {};

/// Every field has another type on some system, so each is set by assignment and cast.
note make_note(int fd, interest direction, unsigned flags, std::uint32_t serial) noexcept {
    note made = {};
    const auto filter = direction == interest::readable ? EVFILT_READ : EVFILT_WRITE;
    made.ident = static_cast<decltype(made.ident)>(fd);
    made.filter = static_cast<decltype(made.filter)>(filter);
    made.flags = static_cast<decltype(made.flags)>(flags);
    // Elsewhere a pointer, but NetBSD before 10 has an integer: this cast makes both.
    made.udata = decltype(made.udata)(std::uintptr_t{serial});
    return made;
}

constexpr interest without(interest set, interest taken) noexcept {
    return static_cast<interest>(static_cast<unsigned>(set) & ~static_cast<unsigned>(taken));
}

/// An end of one direction is a hint and no end: data may lie before it. Its fflags hold an errno.
void merge(event& known, const note& told) noexcept {
    const bool is_read = told.filter == EVFILT_READ;
    const bool is_end = (told.flags & EV_EOF) != 0;
    known.readable |= is_read;
    known.writable |= !is_read;
    known.read_closed |= is_read && is_end;
    known.hangup |= !is_read && is_end;
    known.error |= (told.flags & EV_ERROR) != 0 || (is_end && told.fflags != 0);
}

/// Watches each wanted direction with a note of its own.
///
/// Changes go in calls of their own, with room for every receipt: where changes and events share
/// a list, libkqueue loses errors. A note is added once, and deleted before its descriptor is
/// closed: libkqueue cannot add it again, and hears nothing of the close.
class kqueue_backend final : public backend {
public:
    explicit kqueue_backend(unique_fd queue) : queue_(std::move(queue)), owner_(::getpid()) {}

    /// A forked child does not inherit the queue: there its number may be somebody else's.
    ~kqueue_backend() override {
        if (::getpid() != owner_) {
            static_cast<void>(queue_.release());
        }
    }

    std::error_code add(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_add(fd, wanted, true)) {
            return error;
        }
        // The systems disagree on files: some refuse them, some say "ready" for ever, or once.
        if (const auto error = check_pollable(fd)) {
            return error;
        }
        // What may throw comes before the first change.
        broken_.reserve(broken_.size() + 1);
        places_.resize(std::max(places_.size(), static_cast<std::size_t>(fd) + 1));
        table_.insert(fd, wanted, key).position = ++serial_;
        const auto error = start(fd, wanted, wanted);
        if (error) {
            table_.erase(fd);
        }
        return error;
    }

    std::error_code modify(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_modify(fd, wanted)) {
            return error;
        }
        broken_.reserve(broken_.size() + 1);
        auto& entry = *table_.find(fd);
        if (const auto error = start(fd, without(wanted, entry.wanted), wanted)) {
            return error;
        }
        const auto dropped = without(entry.wanted, wanted);
        entry.wanted = wanted;
        entry.key = key;
        return stop(fd, dropped);
    }

    std::error_code remove(int fd) override {
        const auto* entry = table_.find(fd);
        if (entry == nullptr) {
            return make_error_code(std::errc::no_such_file_or_directory);
        }
        const auto error = stop(fd, entry->wanted);
        table_.erase(fd);
        return error;
    }

    result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) override {
        if (const auto told = tell_broken(ready); told > 0) {
            return told;
        }
        if (!broken_.empty()) {
            timeout = duration::zero();
        }
        const auto limit = to_timespec(timeout.value_or(duration::zero()));
        const auto room = static_cast<count>(std::min(ready.size(), batch_.size()));
        const int told =
            ::kevent(queue_.get(), nullptr, 0, batch_.data(), room, timeout ? &limit : nullptr);
        if (told < 0) {
            return errno == EINTR ? result<std::size_t>(0) : result<std::size_t>(last_error());
        }
        return collect(std::span(batch_).first(static_cast<std::size_t>(told)), ready);
    }

    int native_handle() const noexcept override { return queue_.get(); }

private:
    /// Adds the notes of `added`, all or none.
    std::error_code start(int fd, interest added, interest mode) {
        const bool is_edge = has(mode, interest::edge);
        const auto error = change(fd, added, is_edge ? EV_ADD | EV_CLEAR : EV_ADD);
        if (error) {
            static_cast<void>(stop(fd, added));
        }
        return error;
    }

    std::error_code stop(int fd, interest dropped) {
        if (has(dropped, interest::writable)) {
            std::erase(broken_, fd);
        }
        return change(fd, dropped, EV_DELETE);
    }

    /// Applies `flags` to the notes of `directions`. Requires: `fd` is in the table.
    std::error_code change(int fd, interest directions, unsigned flags) {
        std::array<note, 2> changes = {};
        std::array<note, 2> receipts = {};
        count changed = 0;
        for (const auto direction : {interest::readable, interest::writable}) {
            if (has(directions, direction)) {
                changes[changed++] =
                    make_note(fd, direction, flags | EV_RECEIPT, table_.find(fd)->position);
            }
        }
        if (changed == 0) {
            return {};
        }
        const int told =
            ::kevent(queue_.get(), changes.data(), changed, receipts.data(), changed, &at_once);
        if (told < 0) {
            // An interrupted call has applied all its changes. See: kevent(2), EINTR.
            return errno == EINTR ? std::error_code() : last_error();
        }
        for (const auto& receipt : std::span(receipts).first(static_cast<std::size_t>(told))) {
            if (const auto error = judge(fd, receipt, flags)) {
                return error;
            }
        }
        return {};
    }

    /// Why a change was refused; nothing where it was not, or where its purpose is reached.
    std::error_code judge(int fd, const note& receipt, unsigned flags) {
        const auto code = (receipt.flags & EV_ERROR) != 0 ? static_cast<int>(receipt.data) : 0;
        if (code == 0) {
            return {};
        }
        if ((flags & EV_DELETE) != 0 && (code == ENOENT || code == EBADF)) {
            return {}; // The descriptor was closed, and its notes went with it.
        }
        // Of a pipe without readers NetBSD says EBADF.
        if (receipt.filter == EVFILT_WRITE &&
            (code == EPIPE || (code == EBADF && ::fcntl(fd, F_GETFD) != -1))) {
            broken_.push_back(fd);
            return {};
        }
        if (code == EINVAL || code == ENODEV || code == EPERM) {
            return make_error_code(errc::not_pollable); // a device without events
        }
        return {code, std::system_category()};
    }

    /// A write to a pipe without readers never waits, it fails at once. Kernels that refuse to
    /// watch one never say so, so we do, in every second wait; the others hear the kernel.
    std::size_t tell_broken(std::span<event> ready) {
        is_kernels_turn_ = !is_kernels_turn_ || broken_.empty();
        if (is_kernels_turn_) {
            return 0;
        }
        const auto told = std::min(ready.size(), broken_.size());
        for (auto& one : ready.first(told)) {
            const int fd = broken_.front();
            broken_.erase(broken_.begin());
            const auto& entry = *table_.find(fd);
            one = {.key = entry.key, .writable = true, .hangup = true, .error = true};
            if (!has(entry.wanted, interest::edge)) {
                broken_.push_back(fd);
            }
        }
        return told;
    }

    /// Merges the directions of each descriptor into one event; returns how many there are.
    std::size_t collect(std::span<const note> told, std::span<event> ready) {
        std::size_t filled = 0;
        for (const auto& one : told) {
            const auto fd = static_cast<int>(one.ident);
            const auto* entry = table_.find(fd);
            if (entry == nullptr || std::uintptr_t{entry->position} != std::uintptr_t(one.udata)) {
                continue;
            }
            auto& place = places_[static_cast<std::size_t>(fd)];
            if (place >= filled || owners_[place] != fd) {
                place = static_cast<std::uint32_t>(filled++);
                owners_[place] = fd;
                ready[place] = {.key = entry->key};
            }
            merge(ready[place], one);
        }
        return filled;
    }

    unique_fd queue_;
    pid_t owner_;
    watch_table table_;
    std::uint32_t serial_ = 0;
    std::vector<int> broken_; ///< watched for writing, but the kernel refused: EPIPE
    bool is_kernels_turn_ = true;
    std::vector<std::uint32_t> places_; ///< of each descriptor, its event in this wait ...
    std::array<int, batch_max> owners_; ///< ... and of each event, its descriptor, to confirm it
    std::array<note, batch_max> batch_;
};

} // namespace

result<std::unique_ptr<backend>> make_kqueue_backend() {
    unique_fd queue(::kqueue());
    if (!queue || ::fcntl(queue.get(), F_SETFD, FD_CLOEXEC) != 0) {
        return last_error();
    }
    return std::unique_ptr<backend>(std::make_unique<kqueue_backend>(std::move(queue)));
}

} // namespace sockeye
