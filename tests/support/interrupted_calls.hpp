#pragma once

#include <cstdint>

namespace support {

/// System calls that this program can make fail, wherever in it they are made.
enum class system_call : std::uint8_t { accept, close, connect, receive, send, send_gathered };

/// The next `times` calls fail with `error` (an errno) and do nothing; close and connect have done
/// their work all the same, as an interrupted one has. Threads: the one that runs the tests.
void interrupt(system_call which, int error, int times = 1);

/// How often the call was made since interrupt() was last called, failed ones included.
[[nodiscard]] int calls_of(system_call which);

} // namespace support
