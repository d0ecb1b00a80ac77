#include "bench/export/run_view.hpp"

#include "cli/text.hpp"

#include <fmt/format.h>

namespace sockeye::bench::exporting {

std::vector<std::string> sentences(const run_view& run) {
    std::vector<std::string> made;
    if (run.document.contains("failure")) {
        made.push_back("The run failed: " +
                       cli::escape(run.document["failure"]["text"].get<std::string>(), 400));
    } else if (run.text("status") != "complete") {
        made.push_back(
            fmt::format("The run is not whole: it is {}.", cli::escape(run.text("status"), 60)));
    }
    for (const auto& each : run.document.value("words", json::array())) {
        made.push_back(each.get<std::string>());
    }
    return made;
}

} // namespace sockeye::bench::exporting
