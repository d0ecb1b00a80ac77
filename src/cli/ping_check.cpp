#include "cli/ping_check.hpp"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace sockeye::cli {
namespace {

/// Numbers that look random, each its own (splitmix64).
std::uint64_t scramble(std::uint64_t value) noexcept {
    value += 0x9e3779b97f4a7c15U;
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
    return value ^ (value >> 31);
}

std::string describe_byte(std::size_t offset, std::byte got, std::byte wanted) {
    return fmt::format("byte {} is 0x{:02x} instead of 0x{:02x}", offset,
                       std::to_integer<unsigned>(got), std::to_integer<unsigned>(wanted));
}

} // namespace

/// Eight bytes hold the number of the message, so that those before and after it differ in the
/// first one; the others are its own too.
std::byte ping_check::expected(std::uint64_t sequence, std::size_t offset) const noexcept {
    const std::size_t word = offset / 8;
    const std::uint64_t value =
        word == 0 ? sequence + run_ : scramble(run_ ^ (sequence << 20)) + word;
    const auto mixed = word == 0 ? value : scramble(value);
    return static_cast<std::byte>(mixed >> (8 * (offset % 8)));
}

bytes ping_check::next(time_point now) {
    for (std::size_t i = 0; i < size_; ++i) {
        content_[i] = expected(sent_, i);
    }
    if (requests_.size() == requests_max) {
        requests_.pop_front();
    }
    requests_.push_back({.sequence = sent_, .sent_at = now});
    ++sent_;
    ++waiting_;
    return content_;
}

void ping_check::take(bytes in, time_point now, on_verdict& tell) {
    if (kind_ == framing::bytes) {
        take_bytes(in, now, tell);
    } else {
        take_message(in, now, tell);
    }
}

void ping_check::expire(time_point before, unique_function<void(std::uint64_t)> tell) {
    for (auto& one : requests_) {
        if (one.sent_at > before) {
            return;
        }
        if (one.now == state::waiting) {
            one.now = state::given_up;
            --waiting_;
            tell(one.sequence);
        }
    }
}

std::optional<time_point> ping_check::oldest() const noexcept {
    const auto found = std::ranges::find(requests_, state::waiting, &request::now);
    return found == requests_.end() ? std::nullopt : std::optional(found->sent_at);
}

bool ping_check::has_room() const noexcept {
    return requests_.size() < requests_max ||
           (kind_ == framing::messages && requests_.front().now != state::waiting);
}

void ping_check::take_bytes(bytes in, time_point now, on_verdict& tell) {
    while (!in.empty() && !requests_.empty()) {
        auto& asked = requests_.front();
        const auto part = in.first(std::min(in.size(), size_ - taken_));
        for (std::size_t i = 0; i < part.size() && mistake_.empty(); ++i) {
            const auto wanted = expected(asked.sequence, taken_ + i);
            if (part[i] != wanted) {
                mistake_ = describe_byte(taken_ + i, part[i], wanted);
            }
        }
        taken_ += part.size();
        in = in.subspan(part.size());
        if (taken_ == size_) {
            const auto verdict = judge(asked, std::exchange(mistake_, {}), now);
            requests_.pop_front();
            taken_ = 0;
            tell(verdict);
        }
    }
    if (!in.empty()) {
        tell({.what = ping_verdict::kind::unexpected, .size = in.size()});
    }
}

void ping_check::take_message(bytes in, time_point now, on_verdict& tell) {
    auto* asked = find(in);
    if (asked != nullptr) {
        tell(judge(*asked, {}, now));
        return;
    }
    asked = likely(in);
    if (asked != nullptr) {
        auto verdict = judge(*asked, mistake_in(*asked, in), now);
        verdict.size = in.size();
        tell(verdict);
    } else {
        tell({.what = ping_verdict::kind::unexpected, .size = in.size()});
    }
}

/// The message that `in` is the answer to: one that waits, before one that has its answer.
ping_check::request* ping_check::find(bytes in) noexcept {
    request* found = nullptr;
    for (auto& one : requests_) {
        bool is_same = in.size() == size_;
        for (std::size_t i = 0; i < size_ && is_same; ++i) {
            is_same = in[i] == expected(one.sequence, i);
        }
        if (is_same && one.now != state::answered) {
            return &one;
        }
        found = is_same ? &one : found;
    }
    return found;
}

/// The message that a wrong answer is meant for: the one it has most in common with of those
/// that wait, and the oldest of several.
ping_check::request* ping_check::likely(bytes in) noexcept {
    request* found = nullptr;
    std::size_t most = 0;
    for (auto& one : requests_) {
        if (one.now != state::waiting) {
            continue;
        }
        std::size_t alike = 0;
        const std::size_t compared = std::min({in.size(), size_, std::size_t{16}});
        for (std::size_t i = 0; i < compared; ++i) {
            alike += in[i] == expected(one.sequence, i) ? 1 : 0;
        }
        if (found == nullptr || alike > most) {
            found = &one;
            most = alike;
        }
    }
    return found;
}

std::string ping_check::mistake_in(const request& asked, bytes in) const {
    for (std::size_t i = 0; i < std::min(in.size(), size_); ++i) {
        const auto wanted = expected(asked.sequence, i);
        if (in[i] != wanted) {
            return describe_byte(i, in[i], wanted);
        }
    }
    return fmt::format("{} bytes came instead of {}", in.size(), size_);
}

ping_verdict ping_check::judge(request& asked, std::string mistake, time_point now) {
    ping_verdict made = {.sequence = asked.sequence, .size = size_, .took = now - asked.sent_at};
    const auto before = std::exchange(asked.now, state::answered);
    waiting_ -= before == state::waiting ? 1 : 0;
    if (!mistake.empty()) {
        made.what = ping_verdict::kind::wrong;
        made.mistake = std::move(mistake);
    } else if (before != state::waiting) {
        made.what =
            before == state::given_up ? ping_verdict::kind::late : ping_verdict::kind::duplicate;
    }
    return made;
}

} // namespace sockeye::cli
