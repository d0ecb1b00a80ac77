#pragma once

#include "cli/values.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// How long messages are: one size, `64B`; any size of a range, `64B..4KiB`; or several of these
/// with weights, `64B:90,4KiB:10`.
///
/// The size of a message follows from its number, so that who awaits its answer knows it too.
class message_sizes {
public:
    explicit message_sizes(std::size_t size = 64);
    [[nodiscard]] static cli::parsed<message_sizes> parse(std::string_view text);

    [[nodiscard]] std::size_t least() const noexcept { return least_; }
    [[nodiscard]] std::size_t most() const noexcept { return most_; }
    [[nodiscard]] double mean() const noexcept;
    [[nodiscard]] bool is_fixed() const noexcept { return least_ == most_; }

    /// The size of message number `sequence` of a connection.
    [[nodiscard]] std::size_t of(std::uint64_t connection, std::uint64_t sequence) const noexcept {
        return is_fixed() ? least_ : draw(connection, sequence);
    }

    /// For people: `64 B`, `64 B to 4 KiB`, `64 B (90 %) and 4 KiB (10 %)`.
    [[nodiscard]] std::string to_string() const;

private:
    struct part {
        std::size_t least = 0;
        std::size_t most = 0;
        std::uint64_t weight = 1;
    };

    [[nodiscard]] static cli::parsed<part> parse_part(std::string_view text);
    [[nodiscard]] std::size_t draw(std::uint64_t connection, std::uint64_t sequence) const noexcept;

    std::vector<part> parts_;
    std::uint64_t weight_ = 0; ///< of all parts
    std::size_t least_ = 0;
    std::size_t most_ = 0;
};

} // namespace sockeye::bench
