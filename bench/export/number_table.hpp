#pragma once

#include "bench/export/run_view.hpp"

#include <string>
#include <vector>

namespace sockeye::bench::exporting {

/// A number of a lane: what it is, and between which others it surely lies.
struct table_cell {
    std::string value;
    std::string bounds; ///< `[175, 178]`; empty where there are none
};

/// One number, of every lane.
struct table_row {
    std::string title;
    std::vector<table_cell> cells;
};

/// All that a test brought: a column for each lane.
struct number_table {
    std::vector<std::string> columns;
    std::vector<table_row> rows; ///< those that any lane has
};

[[nodiscard]] number_table numbers_of(const pass_view& pass);

/// The main numbers of each round of a lane: a column for each round. Of a pass that only tells
/// the CPU time, that and the rate.
[[nodiscard]] number_table rounds_of(const pass_view& pass, const lane_view& lane, bool is_side);

} // namespace sockeye::bench::exporting
