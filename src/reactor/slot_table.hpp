#pragma once

#include <sockeye/interest.hpp>

#include <array>
#include <bit>
#include <cassert>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>
#include <string>
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
    /// The tick for which it joined the wheel may have come. It has left the wheel.
    void (*look)(slot&) = nullptr;
    /// What to call such an object in reports.
    const char* kind = nullptr;
    /// Appends what else is to be said of it. Throws bad_alloc.
    void (*describe)(slot&, std::string&) = nullptr;
};

/// The lines that a slot may stand in; it stands in each at most once. And whether it is watched.
enum class slot_mark : std::uint8_t {
    in_ring = 1 << 0,
    in_output = 1 << 1,
    in_finish = 1 << 2,
    waits_for_memory = 1 << 3,
    waits_for_descriptor = 1 << 4,
    watched = 1 << 5,
};
/// Those in which many stand in many turns; of the others a slot keeps its place itself.
inline constexpr std::size_t busy_lines = 3;
inline constexpr std::size_t patient_lines = 2;

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
    static constexpr std::size_t state_size = 88;
    alignas(8) std::byte state[state_size];

    std::uint32_t earlier = 0; ///< its place in the wheel; 0 while it stands in none
    std::uint32_t later = 0;
    std::array<std::uint32_t, patient_lines> next_patient; ///< in each line

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
///
/// Only allocate() needs memory: beside each slot lies its place in every line.
class slot_table {
public:
    /// A free slot, with its generation set and `operations` given. Throws bad_alloc, and then
    /// nothing has changed.
    slot& allocate(const slot_operations& operations);
    /// The generation moves on, so that old keys lead nowhere; one whose generations are used up
    /// is never given out again, and one that stands in a line only after its turn there.
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
        return chunks_[index / chunk_slots]->slots[index % chunk_slots];
    }

    /// Slots that were ever given out.
    [[nodiscard]] std::uint32_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t used() const noexcept { return used_; }

private:
    friend class slot_line;
    static constexpr std::uint32_t chunk_slots = 256;
    static constexpr std::uint32_t none = 0xffff'ffff;

    struct chunk {
        std::array<slot, chunk_slots> slots;
        std::array<std::array<std::uint32_t, chunk_slots>, busy_lines> next; ///< in each line
    };

    /// The index of who stands behind `index` in the line of that mark.
    [[nodiscard]] std::uint32_t& next(slot_mark line, std::uint32_t index) noexcept {
        const auto number = static_cast<std::size_t>(std::countr_zero(static_cast<unsigned>(line)));
        return number < busy_lines ? chunks_[index / chunk_slots]->next[number][index % chunk_slots]
                                   : at(index).next_patient[number - busy_lines];
    }
    void put_back(slot& place) noexcept;

    std::vector<std::unique_ptr<chunk>> chunks_;
    std::uint32_t free_ = none; ///< the first; they are linked as if they stood in the ring
    std::uint32_t size_ = 0;
    std::size_t used_ = 0;
};

/// Slots that wait for their turn, first come, first served. Needs no memory of its own.
class slot_line {
public:
    /// Requires: a mark of a line, and one line for each mark.
    slot_line(slot_table& slots, slot_mark mark) noexcept : slots_(slots), mark_(mark) {}

    [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    /// Joins the line, unless it stands there already.
    void push(slot& place) noexcept {
        if (place.has(mark_)) {
            return;
        }
        place.set(mark_);
        (size_++ == 0 ? first_ : slots_.next(mark_, last_)) = place.index;
        last_ = place.index;
    }

    /// Takes the first one out; null where it was released meanwhile. Requires: not empty.
    [[nodiscard]] slot* pop() noexcept {
        auto& place = slots_.at(first_);
        first_ = slots_.next(mark_, first_);
        --size_;
        place.clear(mark_);
        if (place.operations == nullptr) {
            slots_.put_back(place);
            return nullptr;
        }
        return &place;
    }

private:
    slot_table& slots_;
    slot_mark mark_;
    std::uint32_t first_ = 0;
    std::uint32_t last_ = 0;
    std::size_t size_ = 0;
};

} // namespace sockeye
