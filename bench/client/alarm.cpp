#include "bench/client/alarm.hpp"

#include "bench/machine/host.hpp"

namespace sockeye::bench {

pace_alarm::pace_alarm(loop& owner) : fd_(host::open_alarm()) {
    if (fd_.get() < 0) {
        return;
    }
    auto made = owner.watch(fd_.get(), interest::readable,
                            [this](readiness) { host::take_alarm(fd_.get()); });
    if (made) {
        watch_ = std::move(*made);
    } else {
        fd_.reset();
    }
}

void pace_alarm::set(time_point when) noexcept {
    if (fd_.get() >= 0) {
        host::set_alarm(fd_.get(), when);
    }
}

} // namespace sockeye::bench
