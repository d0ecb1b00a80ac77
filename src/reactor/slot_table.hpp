#pragma once

#include <sockeye/interest.hpp>

#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <utility>
#include <vector>

namespace sockeye {

class reactor;
struct event;
struct slot;

/// What the reactor asks of the owner of a slot. Static tables: one for each kind of object.
struct slot_operations {
    /// The backend said that the slot's descriptor is ready.
    void (*ready)(slot&, const event&);
    /// The slot's turn in the ready ring has come.
    void (*resume)(slot&);
    /// The end of the turn: send what this turn wrote.
    void (*flush)(slot&);
    /// The end of the turn: what was asked to close closes now.
    void (*finish)(slot&);
    /// The loop ends: free everything in silence.
    void (*destroy)(slot&) noexcept;
    /// What it waited for, memory or a free descriptor, is there again.
    void (*relieve)(slot&) = nullptr;
};

/// The lines that a slot may stand in; it stands in each at most once.
enum class slot_mark : std::uint8_t { watched = 1, in_ring = 2, in_output = 4, in_finish = 8 };

/// The place of one watched object: 128 bytes, of which a message touches the first 64.
struct alignas(64) slot {
    const slot_operations* operations = nullptr; ///< null while the slot is free
    std::uint32_t index = 0;
    std::uint32_t generation = 1;
    int fd = -1;
    interest wanted = interest::none;
    std::uint8_t marks = 0;  ///< the reactor's own
    std::uint16_t flags = 0; ///< the object's own

    /// Room for the object that lives here.
    static constexpr std::size_t state_size = 104;
    alignas(8) std::byte state[state_size];

    [[nodiscard]] bool has(slot_mark mark) const noexcept {
        return (marks & static_cast<unsigned>(mark)) != 0;
    }
    void set(slot_mark mark) noexcept { marks |= static_cast<std::uint8_t>(mark); }
    void clear(slot_mark mark) noexcept { marks &= static_cast<std::uint8_t>(~unsigned(mark)); }

    /// Requires: emplaced as a State.
    template <typename State>
    [[nodiscard]] State& as() noexcept {
        return *std::launder(reinterpret_cast<State*>(state));
    }

    template <typename State, typename... Args>
    State& emplace(Args&&... args) {
        static_assert(sizeof(State) <= state_size && alignof(State) <= 8);
        return *::new (static_cast<void*>(state)) State{std::forward<Args>(args)...};
    }
};

static_assert(sizeof(slot) == 128);

/// Names a slot for as long as its object lives: index and generation. Never 0.
using slot_key = std::uint64_t;

[[nodiscard]] constexpr slot_key make_slot_key(std::uint32_t index,
                                               std::uint32_t generation) noexcept {
    return std::uint64_t{generation} << 32 | index;
}

[[nodiscard]] inline slot_key key_of(const slot& place) noexcept {
    return make_slot_key(place.index, place.generation);
}

/// All slots of a loop: whose event is this, and is it still wanted. Slots never move.
class slot_table {
public:
    /// A free slot, with its generation set and `operations` given.
    slot& allocate(const slot_operations& operations);
    /// The generation moves on, so that old keys lead nowhere; one whose generations are used up
    /// is never given out again.
    void release(slot& place) noexcept;

    /// Null when the object is gone.
    [[nodiscard]] slot* find(slot_key key) noexcept {
        const auto index = static_cast<std::uint32_t>(key);
        if (index >= size_) {
            return nullptr;
        }
        auto& place = at(index);
        const bool lives =
            place.generation == static_cast<std::uint32_t>(key >> 32) && place.operations;
        return lives ? &place : nullptr;
    }

    /// Requires: index < size().
    [[nodiscard]] slot& at(std::uint32_t index) noexcept {
        assert(index < size_);
        return chunks_[index / chunk_slots][index % chunk_slots];
    }

    /// Slots that were ever given out.
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t used() const noexcept { return size_ - free_.size() - retired_; }

private:
    static constexpr std::uint32_t chunk_slots = 256;

    std::vector<std::unique_ptr<slot[]>> chunks_;
    std::vector<std::uint32_t> free_;
    std::uint32_t size_ = 0;
    std::size_t retired_ = 0;
};

} // namespace sockeye
