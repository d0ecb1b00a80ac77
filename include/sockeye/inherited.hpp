#pragma once

#include <sockeye/result.hpp>
#include <sockeye/unique_fd.hpp>

#include <string>
#include <vector>

namespace sockeye {

/// A descriptor that whoever started this process opened for it.
struct inherited_descriptor {
    unique_fd fd;
    std::string name; ///< "unknown" where it was given none
};

/// Takes over the sockets that the service manager opened: those from number 3 on that LISTEN_FDS
/// counts, LISTEN_FDNAMES names and LISTEN_PID says are for this process. None where it started
/// us in another way.
///
/// They are made close-on-exec and the three variables are removed, so that neither a second call
/// nor a child takes them once more. serve() and listener::open() take those that listen.
///
/// Errors: invalid_argument where the variables make no sense, bad_file_descriptor where one is
/// not open; then the descriptors are as they were.
/// Threads: before others begin, for it changes the environment. See: sd_listen_fds(3).
result<std::vector<inherited_descriptor>> inherited_listeners();

} // namespace sockeye
