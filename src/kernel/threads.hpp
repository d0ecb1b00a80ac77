#pragma once

#include <system_error>
#include <vector>

namespace sockeye {

/// The CPUs that this process may run on; where the system does not say which, their number is
/// right and they count from 0. At least one.
[[nodiscard]] std::vector<unsigned> usable_cpus();

/// Lets the calling thread run on that CPU alone. Errors: not_supported, invalid_argument.
[[nodiscard]] std::error_code pin_thread(unsigned cpu) noexcept;

/// What tools show of the calling thread, where the system has names for them.
void name_thread(const char* name) noexcept;

} // namespace sockeye
