#pragma once

#include "bench/judge/limit.hpp"
#include "bench/round.hpp"

#include <functional>
#include <string_view>

namespace sockeye::bench {

/// The highest rate of an open loop at which a server keeps within `kept`, found by halving: what
/// the window at that rate brought. `run` puts a load on the server once.
///
/// It begins with a closed loop, whose rate no open one can surpass for long. Throws round_failed
/// where the server does not keep within it at any rate, and what `run` throws.
[[nodiscard]] lane_result find_rate(const load& what, const limit& kept,
                                    const std::function<lane_result(const load&)>& run);

/// The number that a limit is on, of one round. Nothing where the round does not have it, as a
/// percentile of too few messages.
[[nodiscard]] std::optional<double> value_of(const lane_result& result, std::string_view metric);

} // namespace sockeye::bench
