#pragma once

#include "kernel/kernel.hpp"

#include <sockeye/endpoint.hpp>

#include <string>

namespace sockeye {

/// The file that binding a Unix socket made. remove() takes it away again, but only while it is
/// still ours: another server may have put its own there.
class socket_file {
public:
    socket_file() = default;
    /// Requires: `local` was just bound.
    socket_file(kernel& system, const endpoint& local) {
        if (!local.path().empty()) {
            if (const auto found = system.identify(local.path())) {
                path_ = local.path();
                identity_ = *found;
            }
        }
    }

    void remove(kernel& system) noexcept {
        if (path_.empty()) {
            return;
        }
        const auto found = system.identify(path_);
        if (found && *found == identity_) {
            static_cast<void>(system.remove_file(path_));
        }
        path_.clear();
    }

private:
    std::string path_;
    file_identity identity_;
};

} // namespace sockeye
