#pragma once

#include "bench/plan.hpp"

#include <string>
#include <vector>

namespace sockeye::bench {

/// One test: what it is called and what load it is.
struct test_case {
    std::string name;
    load what;
    std::string rate_from;     ///< see pass
    bool has_one_core = false; ///< CPU per message is measured on one core, too
};

/// Whether the command line describes tests of its own instead of the default ones.
[[nodiscard]] bool is_custom(const request& wanted) noexcept;

/// The tests that are asked for. Throws cli::command_error for what cannot be done.
[[nodiscard]] std::vector<test_case> tests_of(const request& wanted);

} // namespace sockeye::bench
