#pragma once

#include "bench/export/run_view.hpp"

#include <cstddef>
#include <string>
#include <vector>

namespace sockeye::bench::exporting {

/// What a report in HTML is to stay below, with the run inside.
inline constexpr std::size_t html_bytes_max = std::size_t{300} << 10;

/// One page that loads nothing and runs nothing; the run itself is inside as JSON.
[[nodiscard]] std::string html_document(const run_view& run);

/// The forest plots and the charts by percentile as one picture.
[[nodiscard]] std::string svg_document(const run_view& run);

/// A line for each round of each backend in each test. See: RFC 4180.
[[nodiscard]] std::string csv_document(const run_view& run);

/// The tables, as they are pasted into a page of text.
[[nodiscard]] std::string markdown_document(const run_view& run);

struct named_text {
    std::string path;
    std::string text;
};

/// Percentiles as HdrHistogram writes them, in milliseconds; a file for each lane.
///
/// One lane goes to `path`; of several, each goes to a name of its own: `x-latency-epoll.hgrm`.
/// Empty where the run holds no histograms.
[[nodiscard]] std::vector<named_text> hgrm_documents(const run_view& run, const std::string& path);

/// The run as JSON that cannot end an element of HTML, in at most `room` bytes as far as that is
/// possible: what is large, and drawn already, is left out first; then it is packed.
[[nodiscard]] std::string embedded_run(const json& document, std::size_t room);

} // namespace sockeye::bench::exporting
