#pragma once

#include <atomic>
#include <cstdint>
#include <system_error>

namespace sockeye {

/// The bit of `signal` in a set of pending ones. Requires: 1 to 64.
[[nodiscard]] constexpr std::uint64_t signal_bit(int signal) noexcept {
    return std::uint64_t{1} << (signal - 1);
}

/// Hands the signals of the process to any number of loops. Process-wide: dispositions are.
///
/// The handler only sets bits and wakes descriptors. A disposition is changed when the first
/// listener of a signal comes, and restored when the last one goes.

/// Errors: invalid_argument for numbers that are no signal or cannot be caught;
/// resource_unavailable_try_again when all places are taken.
[[nodiscard]] std::error_code add_signal_listener(int signal, std::atomic<std::uint64_t>& pending,
                                                  int write_end);
/// After it returns, no handler touches `pending` any more.
void remove_signal_listener(int signal, std::atomic<std::uint64_t>& pending) noexcept;

} // namespace sockeye
