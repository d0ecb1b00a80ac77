#include "base/platform.hpp"
#include "kernel/backend.hpp"
#include "kernel/last_error.hpp"
#include "kernel/watch_table.hpp"

#include <sockeye/error.hpp>
#include <sockeye/unique_fd.hpp>

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

namespace sockeye {
namespace {

class epoll_backend final : public backend {
public:
    explicit epoll_backend(unique_fd queue) : queue_(std::move(queue)) {}

    std::error_code add(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_add(fd, wanted, true, true)) {
            return error;
        }
        auto change = change_for(fd, ++serial_, wanted);
        // EEXIST is the ghost of a descriptor that was closed while a duplicate of it lived.
        if (::epoll_ctl(queue_.get(), EPOLL_CTL_ADD, fd, &change) != 0 &&
            (errno != EEXIST || ::epoll_ctl(queue_.get(), EPOLL_CTL_MOD, fd, &change) != 0)) {
            return errno == EPERM ? make_error_code(errc::not_pollable) : last_error();
        }
        try {
            table_.insert(fd, wanted, key).position = serial_;
        } catch (...) {
            ::epoll_ctl(queue_.get(), EPOLL_CTL_DEL, fd, nullptr);
            throw;
        }
        return {};
    }

    std::error_code modify(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_modify(fd, wanted)) {
            return error;
        }
        auto& entry = *table_.find(fd);
        if (entry.wanted != wanted) {
            auto change = change_for(fd, entry.position, wanted);
            // What is exclusive the kernel does not modify: it is added anew.
            const bool is_exclusive = has(wanted, interest::exclusive);
            if (is_exclusive) {
                ::epoll_ctl(queue_.get(), EPOLL_CTL_DEL, fd, nullptr);
            }
            const int how = is_exclusive ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
            // ENOENT: the number was closed and has another owner, or rebuild left it out.
            if (::epoll_ctl(queue_.get(), how, fd, &change) != 0 &&
                (errno != ENOENT || ::epoll_ctl(queue_.get(), EPOLL_CTL_ADD, fd, &change) != 0)) {
                return last_error();
            }
            entry.is_muted = false;
        }
        entry.wanted = wanted;
        entry.key = key;
        return {};
    }

    std::error_code remove(int fd) override {
        if (table_.find(fd) == nullptr) {
            return make_error_code(std::errc::no_such_file_or_directory);
        }
        table_.erase(fd);
        // Fails only where the descriptor was closed before, and then the kernel has forgotten it.
        ::epoll_ctl(queue_.get(), EPOLL_CTL_DEL, fd, nullptr);
        return {};
    }

    result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) override {
        const auto room = static_cast<int>(std::min(ready.size(), batch_.size()));
        const int count = wait_for(room, timeout);
        if (count < 0) {
            return errno == EINTR ? result<std::size_t>(0) : result<std::size_t>(last_error());
        }
        std::size_t filled = 0;
        bool saw_ghost = false;
        for (const auto& told : std::span(batch_).first(static_cast<std::size_t>(count))) {
            auto* entry = table_.find(static_cast<int>(told.data.u64 & 0xffff'ffff));
            if (entry != nullptr && entry->position == told.data.u64 >> 32) {
                entry->is_muted = wants_nothing(entry->wanted);
                ready[filled++] = translate(*entry, told.events);
            } else {
                saw_ghost = true;
            }
        }
        if (saw_ghost) {
            rebuild();
        }
        return filled;
    }

    /// A set around ours: who waits for it does not lose us when rebuild replaces what is inside.
    int native_handle() const noexcept override {
        if (!handle_) {
            handle_.reset(::epoll_create1(EPOLL_CLOEXEC));
            watch_queue();
        }
        return handle_.get();
    }

private:
    /// As exactly as the kernel can: epoll_wait counts whole milliseconds, and its successor is not
    /// in every kernel and not behind every filter of system calls.
    int wait_for(int room, std::optional<duration> timeout) noexcept {
        if (is_exact_ && timeout && *timeout > duration::zero()) {
            const int count = platform::epoll_wait_exactly(queue_.get(), batch_.data(), room,
                                                           to_timespec(*timeout));
            if (count >= 0 || (errno != ENOSYS && errno != EPERM)) {
                return count;
            }
            is_exact_ = false;
        }
        return ::epoll_wait(queue_.get(), batch_.data(), room, timeout_in_ms(timeout));
    }

    static bool wants_nothing(interest wanted) noexcept {
        return !has(wanted, interest::readable | interest::writable);
    }

    void watch_queue() const noexcept {
        epoll_event change = {.events = EPOLLIN, .data = {}};
        ::epoll_ctl(handle_.get(), EPOLL_CTL_ADD, queue_.get(), &change);
    }

    /// With no interest the kernel still reports hang-up and error, level for ever and edge for
    /// each new cause; one-shot makes that once.
    static epoll_event change_for(int fd, std::uint32_t serial, interest wanted) noexcept {
        epoll_event change = {};
        if (has(wanted, interest::exclusive) && has(wanted, interest::readable)) {
            change.events |= EPOLLIN | EPOLLEXCLUSIVE;
        } else if (has(wanted, interest::readable)) {
            change.events |= EPOLLIN | EPOLLRDHUP;
            // A receive call stops short of urgent data: who is told once must know to read on.
            if (has(wanted, interest::edge)) {
                change.events |= EPOLLPRI;
            }
        }
        if (has(wanted, interest::writable)) {
            change.events |= EPOLLOUT;
        }
        if (change.events == 0) {
            change.events |= EPOLLONESHOT;
        }
        if (has(wanted, interest::edge)) {
            change.events |= EPOLLET;
        }
        change.data.u64 = std::uint64_t{serial} << 32 | static_cast<std::uint32_t>(fd);
        return change;
    }

    static event translate(const watched& entry, std::uint32_t events) noexcept {
        const bool ended = (events & (EPOLLHUP | EPOLLERR)) != 0;
        return {
            .key = entry.key,
            .readable = has(entry.wanted, interest::readable) &&
                        (ended || (events & (EPOLLIN | EPOLLRDHUP | EPOLLPRI)) != 0),
            .writable =
                has(entry.wanted, interest::writable) && (ended || (events & EPOLLOUT) != 0),
            .read_closed = (events & (EPOLLRDHUP | EPOLLPRI)) != 0,
            .hangup = (events & EPOLLHUP) != 0,
            .error = (events & EPOLLERR) != 0,
        };
    }

    /// A descriptor that was closed before it was removed haunts the set as long as a duplicate of
    /// it is open anywhere, and its number can no longer be named to the kernel. See: epoll(7),
    /// question 6. A new set forgets it.
    void rebuild() noexcept {
        unique_fd fresh(::epoll_create1(EPOLL_CLOEXEC));
        if (!fresh) {
            return;
        }
        for (int fd = 0; fd < table_.limit(); ++fd) {
            if (const auto* entry = table_.find(fd); entry != nullptr && !entry->is_muted) {
                auto change = change_for(fd, entry->position, entry->wanted);
                ::epoll_ctl(fresh.get(), EPOLL_CTL_ADD, fd, &change);
            }
        }
        ::dup3(fresh.get(), queue_.get(), O_CLOEXEC);
        if (handle_) {
            watch_queue();
        }
    }

    unique_fd queue_;
    mutable unique_fd handle_; ///< empty until somebody asks for it
    watch_table table_;
    std::uint32_t serial_ = 0;
    bool is_exact_ = true; ///< false once the kernel has refused
    std::array<epoll_event, 512> batch_;
};

} // namespace

result<std::unique_ptr<backend>> make_epoll_backend() {
    unique_fd queue(::epoll_create1(EPOLL_CLOEXEC));
    if (!queue) {
        return last_error();
    }
    return std::unique_ptr<backend>(std::make_unique<epoll_backend>(std::move(queue)));
}

} // namespace sockeye
