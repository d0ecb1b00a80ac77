#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace sockeye {

/// A hash that nobody can steer who does not know its key. See: SipHash-1-3 (Aumasson, Bernstein).
class keyed_hash {
public:
    explicit keyed_hash(std::uint64_t secret) noexcept
        : key_{secret, secret * 0x9e37'79b9'7f4a'7c15 ^ 0x6a09'e667'f3bc'c908} {}

    [[nodiscard]] std::uint64_t operator()(std::span<const std::byte> data) const noexcept;

private:
    std::uint64_t key_[2];
};

/// Entries by a hash of what they are about, in bounded memory: where there is no room, a new one
/// takes the place of another by chance, so that nobody can choose whom to drive out.
template <typename Value>
class source_table {
public:
    /// Throws bad_alloc.
    source_table(std::size_t entries_max, std::uint64_t secret)
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
