#pragma once

#include "reactor/slot_table.hpp"

#include <sockeye/time.hpp>

#include <array>
#include <bit>
#include <cstdint>
#include <limits>
#include <optional>

namespace sockeye {

/// Coarse time: ticks of 2^22 ns (about 4.2 ms) of the steady clock.
using tick = std::uint64_t;

/// The last tick that began by then.
[[nodiscard]] constexpr tick tick_of(time_point when) noexcept {
    return static_cast<tick>(when.time_since_epoch().count()) >> 22;
}

/// When a tick begins; the end of time where that is later than a time_point can say.
[[nodiscard]] constexpr time_point begin_of(tick when) noexcept {
    constexpr auto last = static_cast<tick>(std::numeric_limits<std::int64_t>::max()) >> 22;
    return when > last ? time_point::max()
                       : time_point(duration(static_cast<std::int64_t>(when << 22)));
}

/// Slots that are to be looked at some time: a timing wheel whose links lie in the slots, so that
/// it needs no memory, and joining and leaving cost the same whatever else stands in it.
///
/// An owner stands at most once in it, for the earliest of its deadlines. Where one moves into the
/// future it stays where it is: the look finds out, and joins again. Looks come early where the
/// tick is far, once for each of the wheel's levels; whoever is looked at in vain joins again.
class slot_wheel {
public:
    slot_wheel(slot_table& slots, tick now) noexcept : slots_(slots), now_(now) {}

    /// A look not before all earlier ticks have ended and not after `when` has begun. Replaces an
    /// earlier wish. What is past is looked at in the next advance().
    void join(slot& place, tick when) noexcept;
    void leave(slot& place) noexcept;

    /// When the wheel has something to do next.
    [[nodiscard]] std::optional<tick> next() const noexcept;

    /// Looks at what is due by `now`, at most `budget` of them; the rest stays due.
    void advance(tick now, std::size_t budget);

private:
    static constexpr unsigned level_bits = 6;
    static constexpr unsigned level_size = 1U << level_bits;
    static constexpr unsigned levels = (64 + level_bits - 1) / level_bits;
    /// The list of those whose tick has come.
    static constexpr std::uint32_t due = levels * level_size;
    /// In slot::earlier: the first one of a list, whose number is in the other bits.
    static constexpr std::uint32_t is_first = 0x8000'0000;

    void push(slot& place, std::uint32_t list) noexcept;
    void take_due(tick now) noexcept;

    slot_table& slots_;
    tick now_; ///< nothing before it waits in a level
    /// Of each list the index of its first slot, plus one. In a level, all that stand there differ
    /// from now_ in the bits of that level, and not in those of a higher one.
    std::array<std::uint32_t, due + 1> first_ = {};
    std::array<std::uint64_t, levels> used_ = {}; ///< a bit for each list of that level
    unsigned used_levels_ = 0;                    ///< a bit for each of them
};

} // namespace sockeye
