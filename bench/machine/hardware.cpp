#include "bench/machine/hardware.hpp"

namespace sockeye::bench {

hardware_counters::hardware_counters(pid_t process, host::counter_scope scope)
    : instructions_(host::open_counter(host::counted_event::instructions, process, scope)),
      cycles_(host::open_counter(host::counted_event::cycles, process, scope)) {}

hardware_counters hardware_counters::of_this_thread() {
    return {0, host::counter_scope::one_thread};
}

hardware_counters hardware_counters::of_process(pid_t process) {
    return {process, host::counter_scope::with_children};
}

system_counts hardware_counters::read() const {
    system_counts counted;
    counted.instructions = whole_count(host::read_counter(instructions_.get()));
    counted.cycles = whole_count(host::read_counter(cycles_.get()));
    return counted;
}

std::optional<std::uint64_t>
whole_count(const std::optional<host::counter_reading>& told) noexcept {
    return told && told->running_ns == told->enabled_ns ? std::optional(told->value) : std::nullopt;
}

} // namespace sockeye::bench
