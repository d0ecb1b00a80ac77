#pragma once

#include "base/keyed_hash.hpp"

#include <sockeye/endpoint.hpp>

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <span>
#include <unordered_map>

namespace sockeye {

/// Where a connection comes from: an IPv4 address or the /64 of an IPv6 one, which is what one
/// subscriber is given. See: RFC 6177.
using source_id = std::uint64_t;

/// Of whom there is no address. As a prefix it would be one of multicast, which connects to nobody.
inline constexpr source_id no_source = ~source_id{0};

/// The source of `peer`; an IPv4 address that is written as an IPv6 one is the IPv4 address.
[[nodiscard]] source_id source_of(const endpoint& peer) noexcept;

/// How many connections each source has open. It holds those sources only that have any.
/// Threads: any, for the servers of several loops may share one.
class source_table {
public:
    source_table(std::size_t each_max, const keyed_hash& hash)
        : each_max_(each_max), open_(0, hasher{hash}) {}

    /// Counts one more of `source`; false where it has its share. Throws bad_alloc, and then
    /// nothing has changed.
    [[nodiscard]] bool enter(source_id source);
    /// Requires: it entered.
    void leave(source_id source) noexcept;

    [[nodiscard]] std::size_t sources() const;

private:
    struct hasher {
        keyed_hash hash;
        std::size_t operator()(source_id source) const noexcept {
            return static_cast<std::size_t>(hash(std::as_bytes(std::span(&source, 1))));
        }
    };

    std::size_t each_max_;
    mutable std::mutex guard_; // of what follows
    std::unordered_map<source_id, std::size_t, hasher> open_;
};

} // namespace sockeye
