#include "cli/client.hpp"

#include "cli/host.hpp"

#include <csignal>
#include <utility>

namespace sockeye::cli {

interruption::interruption(loop& owner, unique_function<void()> stop)
    : stop_(std::move(stop)),
      signals_(signal_set::open(owner, {SIGINT, SIGTERM}, [this](int one) { hear(one); }).value()) {
}

void interruption::hear(int signal) {
    if (signal_ == 0) {
        signal_ = signal;
        die_on_next_signal();
        stop_();
    }
}

int interruption::exit_code(int otherwise) const noexcept {
    return signal_ == 0 ? otherwise : 128 + signal_;
}

} // namespace sockeye::cli
