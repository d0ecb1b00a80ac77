#pragma once

#include "bench/report.hpp"

#include <cstddef>
#include <string>

namespace sockeye::bench {

/// How text is laid out.
struct table_style {
    std::size_t width = 80;
    bool is_verbose = false;
    bool has_color = false;
};

/// What is to be run, before it starts: tool, machine, placement, plan and its duration.
[[nodiscard]] std::string header_text(const report& made);

/// The result: a table for each test, the same in words, and how far to trust it.
[[nodiscard]] std::string result_text(const report& made, const table_style& style);

} // namespace sockeye::bench
