#pragma once

#include "kernel/kernel.hpp"

#include <sockeye/endpoint.hpp>
#include <sockeye/listener.hpp>

namespace sockeye {

/// The file that binding a Unix socket made. remove() takes it away again, but only while it is
/// still ours: another server may have put its own there. Needs no memory, as what ends does not.
class socket_file {
public:
    socket_file() = default;
    /// Requires: `local` was just bound.
    socket_file(kernel& system, const endpoint& local) {
        if (!local.path().empty()) {
            if (const auto found = system.identify(local.path())) {
                bound_ = local;
                identity_ = *found;
            }
        }
    }

    void remove(kernel& system) noexcept {
        if (bound_.is_known()) {
            static_cast<void>(system.remove_same_file(bound_.path(), identity_));
            bound_ = {};
        }
    }

private:
    endpoint bound_; ///< unknown where there is no file
    file_identity identity_;
};

/// Binds a socket that is to listen, as `options` say. Errors: as listener::open.
[[nodiscard]] std::error_code bind_listening(kernel& system, int fd, const endpoint& local,
                                             const listen_options& options);

} // namespace sockeye
