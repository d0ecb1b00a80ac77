#include "net/socket_file.hpp"

namespace sockeye {
namespace {

/// Removes the file of a server that is gone: a socket that nobody answers at. False where
/// anything else is there.
bool remove_stale(kernel& system, const endpoint& local) {
    const auto found = system.identify(local.path());
    if (!found || !found->is_socket) {
        return false;
    }
    const auto probe = system.socket(local.kind(), local.family());
    return probe && system.connect(probe->get(), local) == std::errc::connection_refused &&
           !system.remove_same_file(local.path(), *found);
}

} // namespace

std::error_code bind_listening(kernel& system, int fd, const endpoint& local,
                               const listen_options& options) {
    const auto bind = [&] {
        return options.mode ? system.bind_with_mode(fd, local, *options.mode)
                            : system.bind(fd, local);
    };
    const auto error = bind();
    const bool may_replace = options.replace_stale && !local.path().empty();
    if (error == std::errc::address_in_use && may_replace && remove_stale(system, local)) {
        return bind();
    }
    return error;
}

} // namespace sockeye
