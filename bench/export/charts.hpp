#pragma once

#include "bench/export/drawing.hpp"
#include "bench/export/run_view.hpp"

#include <optional>
#include <string>
#include <vector>

namespace sockeye::bench::exporting {

/// Ratio and interval of each backend to the baseline, with the band of the control; nothing
/// where nothing was compared. `id` is unique within the document.
[[nodiscard]] std::optional<drawing>
forest_chart(const pass_view& pass, const comparison_group& group, const std::string& id);

/// Response time, or service time of a closed loop, by percentile, with bands; nothing where the
/// run does not hold it.
[[nodiscard]] std::optional<drawing> percentile_chart(const pass_view& pass, std::uint64_t seed,
                                                      const std::string& id);

/// What charts over time show of the rounds.
enum class round_shape {
    lines, ///< each by itself
    bands, ///< between which values they lie: however many there are, it takes the same room
};

/// Throughput, send lag and waiting for a CPU over the time of a round: a panel for each lane.
/// Empty where the run holds no windows. What the panels share is drawn in the first, as `id`.
[[nodiscard]] std::vector<drawing> time_charts(const pass_view& pass, round_shape shape,
                                               const std::string& id);

} // namespace sockeye::bench::exporting
