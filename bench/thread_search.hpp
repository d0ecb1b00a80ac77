#pragma once

#include "bench/plan.hpp"

#include <cstddef>
#include <functional>

namespace sockeye::bench {

/// With fewer CPUs `--threads auto` does not look for more than one: server and client have none
/// to spare.
inline constexpr std::size_t cpus_for_threads = 4;

/// How many threads of the client may be tried, where the process has `cpus`: one for each of those
/// the server leaves, or of those that --pin gives the client.
[[nodiscard]] std::size_t threads_max(const request& wanted, std::size_t cpus,
                                      std::size_t connections);

/// Doubles the threads, from 1 to `most`, for as long as that brings at least 3 % more.
/// `rate_of` says what so many of them bring.
[[nodiscard]] thread_choice search_threads(std::size_t most,
                                           const std::function<double(std::size_t)>& rate_of);

/// Decides for `--threads auto`, up to `most`, by short rounds of the plan's first test in a closed
/// loop against its baseline, before anything else is measured, and plans anew with what it found.
/// The process may run afterwards where it might before.
///
/// Throws round_failed and interrupted, and what make_plan() throws.
[[nodiscard]] plan plan_with_threads(const request& wanted, std::size_t most);

} // namespace sockeye::bench
