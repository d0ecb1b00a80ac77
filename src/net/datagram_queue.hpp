#pragma once

#include <sockeye/datagram.hpp>
#include <sockeye/datagram_options.hpp>

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

namespace sockeye {

/// A datagram that the system did not take yet.
struct waiting_datagram {
    endpoint peer;                   ///< unknown: that of the socket
    std::unique_ptr<endpoint> local; ///< of few
    std::vector<std::byte> data;
    std::uint16_t segment_size;
    std::uint8_t ttl;
    ecn mark;

    [[nodiscard]] datagram view() const noexcept;
    [[nodiscard]] std::size_t cost() const noexcept {
        return sizeof *this + data.size() + (local ? sizeof *local : 0);
    }
};

/// Datagrams that wait, in order, within a bound of bytes. Each costs its entry beside its bytes,
/// so that a queue of empty ones is bounded too.
class datagram_queue {
public:
    /// Throws bad_alloc.
    datagram_queue(std::size_t bytes_max, queue_policy when_full)
        : bytes_max_(bytes_max), when_full_(when_full) {}

    /// False where it is refused. Throws bad_alloc, and then it is not there.
    bool push(const datagram& one, datagram_counters& counters);
    void pop() noexcept;
    /// Removes those that `is_wanted` says, and returns how many.
    template <typename Predicate>
    std::size_t erase_if(Predicate&& is_wanted) {
        return std::erase_if(waiting_, [&](const waiting_datagram& one) {
            const bool goes = is_wanted(one);
            bytes_ -= goes ? one.cost() : 0;
            return goes;
        });
    }

    [[nodiscard]] waiting_datagram& front() noexcept { return waiting_.front(); }
    [[nodiscard]] bool empty() const noexcept { return waiting_.empty(); }
    [[nodiscard]] std::size_t size() const noexcept { return waiting_.size(); }
    [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] auto begin() noexcept { return waiting_.begin(); }
    [[nodiscard]] auto end() noexcept { return waiting_.end(); }

private:
    std::size_t bytes_max_;
    queue_policy when_full_;
    std::size_t bytes_ = 0;
    std::deque<waiting_datagram> waiting_;
};

} // namespace sockeye
