#pragma once

#include "bench/machine/machine.hpp"
#include "bench/machine/surroundings.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sockeye::bench {

/// Where trust ends. `sockeye doctor` and the grade of a run go by the same ones.
namespace limits {
inline constexpr double foreign_max = 0.05;
inline constexpr double pressure_max = 0.05;
inline constexpr double run_delay_max = 0.02;
inline constexpr double steal_noted = 0.001;
inline constexpr double steal_max = 0.01;
inline constexpr double spread_max = 0.05;
inline constexpr double load_max = 0.5; ///< tasks ready to run, for each CPU
inline constexpr double clock_read_max_ns = 100;
inline constexpr double sleep_late_max_ns = 1e6;
inline constexpr std::size_t few_cpus = 2;
} // namespace limits

/// What is known of a trust flag, whether it is raised here or not: the manual page is made of it.
struct flag_meaning {
    std::string_view id;
    std::string_view grade; ///< what it leaves of the grade: `B`, `C`, `B or C`
    std::string_view meaning;
    std::string_view remedy;
};

/// Every flag that a run can have, in the order of the page.
[[nodiscard]] std::span<const flag_meaning> flag_meanings() noexcept;

enum class fitness : std::uint8_t {
    good,
    unknown, ///< the system does not tell
    note,    ///< a reader of numbers should know: grade B
    grave,   ///< no verdict can be given: grade C
};

/// One thing about the machine that was looked at.
struct check {
    std::string id; ///< of the trust flag that it raises
    fitness found = fitness::good;
    std::string text;
    std::string remedy; ///< a command or a few words; empty: there is none
    std::optional<double> value;
};

/// What the build and the machine are like.
[[nodiscard]] std::vector<check> check_machine(const machine& facts, const build_facts& build);

/// What else the machine does, seen while we did nothing.
[[nodiscard]] std::vector<check> check_surroundings(const surroundings& seen);

} // namespace sockeye::bench
