#include "support/interrupted_calls.hpp"

#include <array>
#include <cerrno>
#include <cstddef>

#include <sys/socket.h>
#include <unistd.h>

namespace support {
namespace {

struct interruption {
    int error = 0;
    int left = 0;
    int calls = 0;
};

interruption& of(system_call which) {
    static std::array<interruption, 6> all;
    return all[static_cast<std::size_t>(which)];
}

bool is_interrupted(system_call which) {
    auto& planned = of(which);
    ++planned.calls;
    if (planned.left == 0) {
        return false;
    }
    --planned.left;
    return true;
}

int failed(system_call which) {
    errno = of(which).error;
    return -1;
}

} // namespace

void interrupt(system_call which, int error, int times) {
    of(which) = {error, times, 0};
}

int calls_of(system_call which) {
    return of(which).calls;
}

} // namespace support

using support::failed;
using support::is_interrupted;
using support::system_call;

// The linker sends every call of NAME in this program to __wrap_NAME, and calls of __real_NAME to
// what is linked under that name. See: --wrap in ld(1).
extern "C" {

int __real_accept4(int fd, sockaddr* peer, socklen_t* size, int flags);
int __real_close(int fd);
int __real_connect(int fd, const sockaddr* peer, socklen_t size);
ssize_t __real_recv(int fd, void* target, size_t size, int flags);
ssize_t __real_send(int fd, const void* source, size_t size, int flags);
ssize_t __real_sendmsg(int fd, const msghdr* message, int flags);

int __wrap_accept4(int fd, sockaddr* peer, socklen_t* size, int flags) {
    return is_interrupted(system_call::accept) ? failed(system_call::accept)
                                               : __real_accept4(fd, peer, size, flags);
}

int __wrap_close(int fd) {
    const int done = __real_close(fd);
    return is_interrupted(system_call::close) ? failed(system_call::close) : done;
}

int __wrap_connect(int fd, const sockaddr* peer, socklen_t size) {
    const int done = __real_connect(fd, peer, size);
    return is_interrupted(system_call::connect) ? failed(system_call::connect) : done;
}

ssize_t __wrap_recv(int fd, void* target, size_t size, int flags) {
    return is_interrupted(system_call::receive) ? failed(system_call::receive)
                                                : __real_recv(fd, target, size, flags);
}

ssize_t __wrap_send(int fd, const void* source, size_t size, int flags) {
    return is_interrupted(system_call::send) ? failed(system_call::send)
                                             : __real_send(fd, source, size, flags);
}

ssize_t __wrap_sendmsg(int fd, const msghdr* message, int flags) {
    return is_interrupted(system_call::send_gathered) ? failed(system_call::send_gathered)
                                                      : __real_sendmsg(fd, message, flags);
}

} // extern "C"
