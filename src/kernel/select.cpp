#include "base/platform.hpp"
#include "kernel/backend.hpp"
#include "kernel/watch_table.hpp"

#include <sockeye/error.hpp>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <climits>
#include <type_traits>
#include <vector>

#include <poll.h>
#include <sys/select.h>

namespace sockeye {
namespace {

using word = std::make_unsigned_t<fd_mask>;
constexpr std::size_t word_bits = sizeof(word) * CHAR_BIT;

/// One bit a descriptor, for each direction. FD_SET beyond FD_SETSIZE writes past the set, so
/// these are our own arrays. See select(2).
struct bit_sets {
    std::vector<word> readable = std::vector<word>(FD_SETSIZE / word_bits);
    std::vector<word> writable = std::vector<word>(FD_SETSIZE / word_bits);
};

fd_set* as_fd_set(std::vector<word>& words) noexcept {
    return reinterpret_cast<fd_set*>(words.data());
}

void set_bit(std::vector<word>& words, int fd, bool value) noexcept {
    const auto number = static_cast<std::size_t>(fd);
    const auto bit = word{1} << (number % word_bits);
    auto& target = words[number / word_bits];
    target = value ? target | bit : target & ~bit;
}

class select_backend final : public backend {
public:
    std::error_code add(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_add(fd, wanted, false)) {
            return error;
        }
        if (const auto error = check_pollable(fd)) {
            return error;
        }
        if (!platform::select_is_unbounded && fd >= FD_SETSIZE) {
            return make_error_code(errc::too_many_descriptors);
        }
        make_room(fd);
        table_.insert(fd, wanted, key);
        set_interest(fd, wanted);
        return {};
    }

    std::error_code modify(int fd, interest wanted, std::uint64_t key) override {
        if (const auto error = table_.check_modify(fd, wanted)) {
            return error;
        }
        auto& entry = *table_.find(fd);
        entry.key = key;
        entry.wanted = wanted;
        set_interest(fd, wanted);
        return {};
    }

    std::error_code remove(int fd) override {
        if (table_.find(fd) == nullptr) {
            return make_error_code(std::errc::no_such_file_or_directory);
        }
        set_interest(fd, interest::none);
        table_.erase(fd);
        return {};
    }

    result<std::size_t> wait(std::span<event> ready, std::optional<duration> timeout) override {
        std::copy_n(wanted_.readable.begin(), words_, told_.readable.begin());
        std::copy_n(wanted_.writable.begin(), words_, told_.writable.begin());
        auto limit = to_timeval(timeout.value_or(duration::zero()));
        const int count = ::select(static_cast<int>(words_ * word_bits), as_fd_set(told_.readable),
                                   as_fd_set(told_.writable), nullptr, timeout ? &limit : nullptr);
        if (count >= 0) {
            return collect(ready, static_cast<std::size_t>(count));
        }
        const std::error_code error(errno, std::system_category());
        if (error == std::errc::bad_file_descriptor) {
            return end_the_closed(ready);
        }
        return error == std::errc::interrupted ? result<std::size_t>(0) : error;
    }

private:
    static timeval to_timeval(duration timeout) noexcept {
        using namespace std::chrono;
        const auto wanted = std::clamp<duration>(timeout, duration::zero(), hours(24));
        const auto total = ceil<microseconds>(wanted);
        const auto whole = floor<seconds>(total);
        return {.tv_sec = static_cast<decltype(timeval::tv_sec)>(whole.count()),
                .tv_usec = static_cast<decltype(timeval::tv_usec)>((total - whole).count())};
    }

    void make_room(int fd) {
        const auto needed = static_cast<std::size_t>(fd) / word_bits + 1;
        for (auto* words :
             {&wanted_.readable, &wanted_.writable, &told_.readable, &told_.writable}) {
            if (needed > words->size()) {
                words->resize(std::max(needed, words->size() * 2));
            }
        }
    }

    /// Keeps `words_` just behind the last word with a bit: what the kernel has to look at.
    void set_interest(int fd, interest wanted) noexcept {
        set_bit(wanted_.readable, fd, has(wanted, interest::readable));
        set_bit(wanted_.writable, fd, has(wanted, interest::writable));
        words_ = std::max(words_, static_cast<std::size_t>(fd) / word_bits + 1);
        while (words_ > 0 && (wanted_.readable[words_ - 1] | wanted_.writable[words_ - 1]) == 0) {
            --words_;
        }
    }

    /// How many words the kernel has filled in. It leaves those above its own table of descriptors
    /// as they were, bits of closed descriptors in them, and counts only what it has looked at.
    std::size_t words_to_believe(std::size_t count) const noexcept {
        std::size_t at = 0;
        for (; count > 0 && at < words_; ++at) {
            count -= std::min(count, static_cast<std::size_t>(std::popcount(told_.readable[at]) +
                                                              std::popcount(told_.writable[at])));
        }
        return at;
    }

    /// Begins behind the last one told, so that a full `ready` starves nobody: the word of `next_`
    /// is visited twice, first for its upper bits and last for its lower ones.
    std::size_t collect(std::span<event> ready, std::size_t count) noexcept {
        const auto words = words_to_believe(count);
        if (next_ >= words * word_bits) {
            next_ = 0;
        }
        const auto upper = ~word{0} << (next_ % word_bits);
        auto at = next_ / word_bits;
        std::size_t filled = 0;
        for (std::size_t visit = 0; words > 0 && visit <= words; ++visit) {
            auto bits = told_.readable[at] | told_.writable[at];
            bits &= visit == 0 ? upper : visit == words ? ~upper : ~word{0};
            for (; bits != 0 && filled < ready.size(); bits &= bits - 1) {
                const auto bit = static_cast<std::size_t>(std::countr_zero(bits));
                ready[filled++] = event_at(at, bit);
                next_ = at * word_bits + bit + 1;
            }
            at = at + 1 < words ? at + 1 : 0;
        }
        return filled;
    }

    event event_at(std::size_t at, std::size_t bit) const noexcept {
        return {
            .key = table_.find(static_cast<int>(at * word_bits + bit))->key,
            .readable = (told_.readable[at] >> bit & 1) != 0,
            .writable = (told_.writable[at] >> bit & 1) != 0,
        };
    }

    /// EBADF names nobody. Those for whom `ready` has no room bring it about again.
    std::size_t end_the_closed(std::span<event> ready) noexcept {
        std::size_t filled = 0;
        for (int fd = 0; fd < table_.limit() && filled < ready.size(); ++fd) {
            const auto* entry = table_.find(fd);
            if (entry == nullptr || !is_closed(fd)) {
                continue;
            }
            ready[filled++] = {.key = entry->key,
                               .readable = has(entry->wanted, interest::readable),
                               .writable = has(entry->wanted, interest::writable),
                               .error = true};
            static_cast<void>(remove(fd));
        }
        return filled;
    }

    /// Asks as select does: fcntl(2) would also take descriptors that select refuses.
    static bool is_closed(int fd) noexcept {
        pollfd question = {fd, 0, 0};
        return ::poll(&question, 1, 0) == 1 && (question.revents & POLLNVAL) != 0;
    }

    watch_table table_;
    bit_sets wanted_;
    bit_sets told_;
    std::size_t words_ = 0;
    std::size_t next_ = 0;
};

} // namespace

result<std::unique_ptr<backend>> make_select_backend() {
    return std::unique_ptr<backend>(std::make_unique<select_backend>());
}

} // namespace sockeye
