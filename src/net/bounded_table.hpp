#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sockeye {

/// Entries by a hash of what they are about, in bounded memory: where there is no room, a new one
/// takes the place of another by chance, so that nobody can choose whom to drive out.
template <typename Value>
class bounded_table {
public:
    /// Throws bad_alloc.
    bounded_table(std::size_t entries_max, std::uint64_t secret)
        : entries_((std::max(entries_max, ways) + ways - 1) / ways * ways), chance_(secret) {}

    /// The entry of `hash`; a new one is default-made.
    [[nodiscard]] Value& operator[](std::uint64_t hash) noexcept {
        const auto first = hash % (entries_.size() / ways) * ways;
        const auto group = std::span(entries_).subspan(first, ways);
        for (auto& one : group) {
            if (one.is_used && one.hash == hash) {
                return one.value;
            }
        }
        const auto unused = std::ranges::find(group, false, &entry::is_used);
        auto& taken = unused != group.end() ? *unused : group[draw() % ways];
        taken = {hash, true, {}};
        return taken.value;
    }

    [[nodiscard]] std::size_t capacity() const noexcept { return entries_.size(); }

private:
    static constexpr std::size_t ways = 8;
    struct entry {
        std::uint64_t hash = 0;
        bool is_used = false;
        Value value{};
    };

    /// See: splitmix64 (Steele, Lea, Flood, 2014).
    std::uint64_t draw() noexcept {
        auto mixed = (chance_ += 0x9e37'79b9'7f4a'7c15);
        mixed = (mixed ^ mixed >> 30) * 0xbf58'476d'1ce4'e5b9;
        mixed = (mixed ^ mixed >> 27) * 0x94d0'49bb'1331'11eb;
        return mixed ^ mixed >> 31;
    }

    std::vector<entry> entries_;
    std::uint64_t chance_;
};

} // namespace sockeye
