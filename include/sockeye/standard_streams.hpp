#pragma once

#include <sockeye/stream.hpp>

#include <system_error>

namespace sockeye {

/// The standard input, output and error of this process as streams: terminal, pipe, socket or file,
/// whatever they were started with. See adopt() for how each of them behaves.
///
/// What the descriptors 0, 1 and 2 lead to belongs to others as well, such as the shell that waits:
/// it is opened once more where the system can do that, so that their calls go on waiting, and the
/// descriptors themselves stay as they are. Where it cannot (sockets; pipes outside Linux; a
/// terminal of another user), theirs do not wait either until the stream is closed, which restores
/// it; of two streams of one such description the first that closes restores it for both.
/// Errors: bad_file_descriptor where it is closed, errc::not_pollable for a directory,
/// too_many_files_open, not_enough_memory, not_supported in a simulation. Reading begins with
/// attach().
result<stream> standard_input(loop& owner, const stream_limits& limits = {});
result<stream> standard_output(loop& owner, const stream_limits& limits = {});
result<stream> standard_error(loop& owner, const stream_limits& limits = {});

/// Opens /dev/null on those of the descriptors 0, 1 and 2 that are closed, so that no socket gets
/// one of these numbers, and with it what the program prints.
///
/// Call it first, before the loop is made. Errors: what open(2) says.
/// Threads: while no other one opens descriptors.
std::error_code secure_standard_descriptors();

} // namespace sockeye
