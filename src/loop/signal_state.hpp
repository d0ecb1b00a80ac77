#pragma once

#include "loop/loop_core.hpp"

#include <sockeye/unique_function.hpp>

#include <cstdint>
#include <vector>

namespace sockeye {

/// What a signal_set owns. It lives to the end of the turn in which its set goes.
struct signal_state : retirable {
    loop_core& core;
    std::vector<int> signals;
    unique_function<void(int)> handler;
    bool is_cancelled = false; ///< its set is gone, or its handler threw
};

/// Calls the handler for each signal of the set whose bit is in `told`.
void tell_signals(signal_state& listener, std::uint64_t told);

} // namespace sockeye
