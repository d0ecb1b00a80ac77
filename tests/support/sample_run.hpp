#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace support {

/// What is different about a run that is made up.
struct sample_options {
    std::size_t rounds = 10;
    std::vector<std::string> backends = {"io_uring", "epoll", "poll", "select"};
    bool has_histograms = true;
    bool has_windows = true;
    bool has_curves = true;
};

/// A run as `bench` saves it, of the default tests with all that the schema knows: four tests on
/// two cores and two on one, the backends and the control, one round replaced. Every call with the
/// same options gives the same; the numbers are made up and hang together: percentiles are those
/// of the histograms, sums those of the rounds.
[[nodiscard]] nlohmann::json sample_run(const sample_options& options = {});

} // namespace support
