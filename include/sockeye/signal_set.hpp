#pragma once

#include <sockeye/result.hpp>
#include <sockeye/unique_function.hpp>

#include <initializer_list>
#include <utility>

namespace sockeye {

class loop;
struct signal_state;

/// Turns signals of the process into handler calls of a loop. Its destructor stops that and, for
/// the last watcher of a signal, brings back what was set before.
///
/// Several sets, also of several loops, may watch one signal: each hears of it. Signals of one
/// number that come faster than the loop turns are merged.
/// Lifetime: dies before its loop.
class signal_set {
public:
    /// Errors: invalid_argument for numbers that are no signal or cannot be caught,
    /// not_enough_memory.
    static result<signal_set> open(loop& owner, std::initializer_list<int> signals,
                                   unique_function<void(int signal)> handler);
    signal_set(signal_set&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
    signal_set& operator=(signal_set&& other) noexcept;
    ~signal_set();

private:
    explicit signal_set(signal_state* state) noexcept : state_(state) {}

    signal_state* state_;
};

} // namespace sockeye
