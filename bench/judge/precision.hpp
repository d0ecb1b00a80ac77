#pragma once

#include "bench/judge/statistics.hpp"
#include "bench/plan.hpp"

#include <sockeye/time.hpp>

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace sockeye::bench {

/// When a test of `--rounds auto` has rounds enough.
namespace enough {
inline constexpr double within = 0.02; ///< so far an interval may reach to either side
inline constexpr duration budget = std::chrono::minutes(5); ///< for each test
} // namespace enough

/// Why a test of `--rounds auto` ended.
enum class ending : std::uint8_t {
    none,    ///< it goes on, or was ended from outside
    precise, ///< every ratio is known well enough
    most,    ///< there were as many rounds as may be
    time,    ///< its time was over
    nothing, ///< there is no ratio that more rounds could tell better
};

/// `precise`, `most`, `time`, `nothing`.
[[nodiscard]] std::string_view name_of(ending why) noexcept;

/// How far the widest of the intervals reaches to either side of its middle, as a share of it:
/// 0.02 for [0.98, 1.02]. Nothing where one has no interval, or there is none.
[[nodiscard]] std::optional<double> widest(std::span<const ratio> ratios) noexcept;

/// Whether a test that has had so many rounds, in such a time, ends now; `ratios` are those it is
/// judged by.
[[nodiscard]] ending ending_of(const round_count& asked, std::size_t rounds, duration taken,
                               std::span<const ratio> ratios) noexcept;

} // namespace sockeye::bench
