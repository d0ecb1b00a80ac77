#pragma once

#include "support/ground.hpp"
#include "support/kernels.hpp"
#include "support/scripts.hpp"

#include <string>
#include <vector>

namespace scripts {

/// A kernel whose clock stands still, but for what the script lets pass: on every ground the
/// timers of a script fire at the same moments.
class stopped_clock : public support::forwarding_kernel {
public:
    explicit stopped_clock(sockeye::kernel& inner) : forwarding_kernel(inner), now_(inner.now()) {}

    sockeye::time_point now() override { return now_; }
    void advance(sockeye::duration by) noexcept { now_ += by; }

private:
    sockeye::time_point now_;
};

/// What one object of a script was told.
struct observation {
    std::string name;
    std::string text;
    /// False where it hangs on how much a buffer of the system holds, or on scheduling: then
    /// nothing but the promises that hold at all times is compared.
    bool is_sure = true;
};

struct outcome {
    std::vector<observation> seen;
    /// Promises that were broken, whatever the other grounds do.
    std::vector<std::string> problems;
};

/// Performs the script on `on`, by a loop over `system`, which passes on to on.system().
/// `patience` is how often a moment passes before what comes no more is believed not to come.
[[nodiscard]] outcome perform(const script& what, support::ground& on, stopped_clock& system,
                              int patience);

/// The first difference between what two grounds showed; empty where there is none.
[[nodiscard]] std::string difference(const outcome& one, const outcome& other);

} // namespace scripts
