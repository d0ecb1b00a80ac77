#include <sockeye/unique_fd.hpp>

#include <unistd.h>

namespace sockeye {

void unique_fd::reset(int fd) noexcept {
    if (const int old = std::exchange(fd_, fd); old >= 0) {
        ::close(old);
    }
}

} // namespace sockeye
