#include "base/platform.hpp"
#include "kernel/backend.hpp"
#include "kernel/watch_table.hpp"

#include <cerrno>
#include <utility>
#include <vector>

#include <poll.h>

namespace sockeye {
namespace {

/// Hands poll(2) one dense array of all descriptors; `watched::position` is the index in it.
class poll_backend final : public backend {
public:
    std::error_code add(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_add(fd, wanted, false)) {
            return error;
        }
        if (const auto error = check_pollable(fd)) {
            return error;
        }
        polled_.push_back({fd, events_for(wanted), 0});
        try {
            table_.insert(fd, wanted, key).position =
                static_cast<std::uint32_t>(polled_.size() - 1);
        } catch (...) {
            polled_.pop_back();
            throw;
        }
        return {};
    }

    std::error_code modify(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_modify(fd, wanted)) {
            return error;
        }
        auto& entry = *table_.find(fd);
        entry.key = key;
        if (entry.wanted != wanted) {
            entry.wanted = wanted;
            polled_[entry.position] = {fd, events_for(wanted), 0};
        }
        return {};
    }

    std::error_code remove(int fd) override {
        if (table_.find(fd) == nullptr) {
            return make_error_code(std::errc::no_such_file_or_directory);
        }
        forget(fd);
        return {};
    }

    result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) override {
        const int count =
            ::poll(polled_.data(), static_cast<nfds_t>(polled_.size()), timeout_in_ms(timeout));
        if (count < 0) {
            const std::error_code error(errno, std::system_category());
            return error == std::errc::interrupted ? result<std::size_t>(0) : error;
        }
        return collect(ready, static_cast<std::size_t>(count));
    }

private:
    static short events_for(interest wanted) noexcept {
        int events = 0;
        if (has(wanted, interest::readable)) {
            events |= POLLIN | platform::poll_read_closed;
        }
        if (has(wanted, interest::writable)) {
            events |= POLLOUT;
        }
        return static_cast<short>(events);
    }

    /// Begins behind the last one told, so that a full `ready` starves nobody.
    std::size_t collect(std::span<event> ready, std::size_t left) noexcept {
        std::size_t filled = 0;
        auto at = next_ < polled_.size() ? next_ : 0;
        for (auto unseen = polled_.size(); unseen > 0 && left > 0; --unseen) {
            if (filled == ready.size()) {
                break;
            }
            if (polled_[at].revents != 0) {
                ready[filled++] = tell(polled_[at]);
                --left;
            }
            at = at + 1 < polled_.size() ? at + 1 : 0;
        }
        next_ = at;
        return filled;
    }

    /// The event of `source`, which may be gone or another one afterwards. What moves into its
    /// place is told by the next wait.
    event tell(pollfd& source) noexcept {
        const int fd = source.fd;
        const int events = std::exchange(source.revents, short{0});
        const auto& entry = *table_.find(fd);
        const auto told = translate(entry, events);
        if ((events & POLLNVAL) != 0) {
            forget(fd);
        } else if (entry.wanted == interest::none) {
            source.fd = ~fd; // poll skips negative numbers, so that this is not told again
        }
        return told;
    }

    static event translate(const watched& entry, int events) noexcept {
        const bool ended = (events & (POLLHUP | POLLERR | POLLNVAL)) != 0;
        const bool has_input = (events & (POLLIN | platform::poll_read_closed)) != 0;
        return {
            .key = entry.key,
            .readable = has(entry.wanted, interest::readable) && (ended || has_input),
            .writable = has(entry.wanted, interest::writable) && (ended || (events & POLLOUT) != 0),
            .read_closed = (events & platform::poll_read_closed) != 0,
            .hangup = (events & POLLHUP) != 0,
            .error = (events & (POLLERR | POLLNVAL)) != 0,
        };
    }

    /// The last of the array takes the place of `fd`.
    void forget(int fd) noexcept {
        const auto hole = table_.find(fd)->position;
        const auto last = polled_.back();
        polled_[hole] = last;
        table_.find(last.fd < 0 ? ~last.fd : last.fd)->position = hole;
        polled_.pop_back();
        table_.erase(fd);
    }

    watch_table table_;
    std::vector<pollfd> polled_;
    std::size_t next_ = 0;
};

} // namespace

result<std::unique_ptr<backend>> make_poll_backend() {
    return std::unique_ptr<backend>(std::make_unique<poll_backend>());
}

} // namespace sockeye
