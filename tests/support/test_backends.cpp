#include "support/test_backends.hpp"

#include "base/platform.hpp"

#include <algorithm>
#include <chrono>
#include <thread>

#include <poll.h>
#include <sys/ioctl.h>

namespace support {

using namespace sockeye;

namespace {

/// How long a wait that has nothing new looks away.
constexpr duration blink = std::chrono::microseconds(200);

} // namespace

std::error_code wrapped_backend::add(int fd, interest wanted, std::uint64_t key) {
    const auto error = inner_->add(fd, wanted, key);
    if (!error) {
        members_[fd] = {.key = key, .wanted = wanted};
    }
    return error;
}

std::error_code wrapped_backend::modify(int fd, interest wanted, std::uint64_t key) {
    const auto error = inner_->modify(fd, wanted, key);
    if (!error) {
        members_[fd].key = key;
        members_[fd].wanted = wanted;
    }
    return error;
}

std::error_code wrapped_backend::remove(int fd) {
    members_.erase(fd);
    return inner_->remove(fd);
}

result<std::size_t> wrapped_backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    return inner_->wait(ready, timeout);
}

result<std::size_t> clocked_backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    timeouts.push_back(timeout);
    if (!clock_.has_stopped_clock() || !timeout) {
        return inner_->wait(ready, timeout);
    }
    const auto count = inner_->wait(ready, duration::zero());
    if (count && *count == 0) {
        clock_.advance(*timeout);
    }
    return count;
}

result<std::size_t> lying_backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    std::vector<event> made_up;
    for (const auto& [fd, of] : members_) {
        if (random_() % odds_ == 0 && of.wanted != interest::none) {
            made_up.push_back({.key = of.key,
                               .readable = has(of.wanted, interest::readable),
                               .writable = has(of.wanted, interest::writable)});
        }
    }
    auto count = inner_->wait(ready, made_up.empty() ? timeout : duration::zero());
    if (!count) {
        return count;
    }
    auto filled = *count;
    for (const auto& lie : made_up) {
        const auto told = ready.first(*count);
        const bool is_told =
            std::ranges::any_of(told, [&](const event& one) { return one.key == lie.key; });
        if (!is_told && filled < ready.size()) {
            ready[filled++] = lie;
            ++lies;
        }
    }
    return filled;
}

std::error_code once_backend::modify(int fd, interest wanted, std::uint64_t key) {
    const auto before = members_[fd].wanted;
    const auto error = wrapped_backend::modify(fd, wanted, key);
    // As EPOLL_CTL_MOD does: what is newly asked for is told anew.
    auto& of = members_[fd];
    of.is_read_told &= has(before, interest::readable);
    of.is_write_told &= has(before, interest::writable);
    of.is_end_told &= wanted == before;
    return error;
}

/// Keeps the part of `told` that was not told before. The hints come from poll(2), since not every
/// inner backend has them.
bool once_backend::is_news(int fd, member& of, event& told) {
    int waiting = 0;
    if (::ioctl(fd, FIONREAD, &waiting) != 0) {
        return true; // neither a stream nor a pipe
    }
    pollfd question = {fd, POLLIN | platform::poll_read_closed, 0};
    ::poll(&question, 1, 0);
    told.read_closed = (question.revents & platform::poll_read_closed) != 0;
    told.hangup = (question.revents & POLLHUP) != 0;
    told.error = (question.revents & POLLERR) != 0;
    const auto arrived = system_.received(fd) + static_cast<std::uint64_t>(waiting);
    const bool is_end = told.read_closed || told.hangup || told.error;
    const bool is_end_news = is_end && !of.is_end_told;
    const bool is_read_news = !of.is_read_told || arrived != of.arrived || is_end_news;
    const bool is_write_news = !of.is_write_told || system_.came_short(fd) || is_end_news;
    kept_quiet += (told.readable && !is_read_news) || (told.writable && !is_write_news) ? 1 : 0;
    told.readable &= is_read_news;
    told.writable &= is_write_news;
    if (told.readable) {
        of.arrived = arrived;
        of.is_read_told = true;
    }
    of.is_write_told |= told.writable;
    of.is_end_told |= is_end;
    return told.readable || told.writable || is_end_news;
}

std::size_t once_backend::keep_news(std::span<event> told) {
    std::size_t kept = 0;
    for (auto& one : told) {
        const auto found = std::ranges::find_if(
            members_, [&](const auto& entry) { return entry.second.key == one.key; });
        if (found != members_.end() && is_news(found->first, found->second, one)) {
            told[kept++] = one;
        }
    }
    return kept;
}

result<std::size_t> once_backend::wait(std::span<event> ready, std::optional<duration> timeout) {
    const auto start = std::chrono::steady_clock::now();
    for (;;) {
        const auto passed = std::chrono::steady_clock::now() - start;
        const auto left =
            timeout ? std::optional(std::max(*timeout - passed, duration::zero())) : std::nullopt;
        const auto count = inner_->wait(ready, left);
        if (!count || *count == 0) {
            return count;
        }
        const auto kept = keep_news(ready.first(*count));
        if (kept != 0 || (left && *left == duration::zero())) {
            return kept;
        }
        std::this_thread::sleep_for(blink);
    }
}

std::error_code edge_backend::add(int fd, interest wanted, std::uint64_t key) {
    return inner_->add(fd, wanted | interest::edge, key);
}

std::error_code edge_backend::modify(int fd, interest wanted, std::uint64_t key) {
    return inner_->modify(fd, wanted | interest::edge, key);
}

} // namespace support
