#pragma once

#include <sockeye/simulation.hpp>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace support {

/// The seeds to run: 1 to SOCKEYE_SEEDS, or else to `usual`, sanitized to a tenth of it;
/// SOCKEYE_SEED alone where it is set.
[[nodiscard]] std::vector<std::uint64_t> seeds(int usual);

/// SOCKEYE_TRACE is set: print every call.
[[nodiscard]] bool is_tracing();

/// What to type to see that seed again.
[[nodiscard]] std::string how_to_repeat(std::uint64_t seed);

/// The faults of `drawn` without which a run no longer fails, by name; `fails` runs once more for
/// each.
[[nodiscard]] std::string needed_faults(sockeye::fault_options drawn,
                                        const std::function<bool(sockeye::fault_options)>& fails);

/// What many runs came to.
class tally {
public:
    void add(const sockeye::simulation_report& one);
    [[nodiscard]] std::string to_string() const;

private:
    std::uint64_t runs_ = 0;
    std::uint64_t calls_ = 0;
    sockeye::duration elapsed_ = sockeye::duration::zero();
    sockeye::fault_counters faults_;
};

} // namespace support
