#pragma once

#include <sockeye/loop.hpp>
#include <sockeye/signal_set.hpp>
#include <sockeye/unique_function.hpp>

namespace sockeye::cli {

/// Hears SIGINT and SIGTERM while a client is at work.
class interruption {
public:
    /// `stop` is called at the first signal, once; the next one ends the process at once.
    interruption(loop& owner, unique_function<void()> stop);

    /// `otherwise`, or 128 and the number of the signal that came. See: Exit Status in sh(1).
    [[nodiscard]] int exit_code(int otherwise) const noexcept;

private:
    void hear(int signal);

    unique_function<void()> stop_;
    int signal_ = 0;
    signal_set signals_;
};

} // namespace sockeye::cli
