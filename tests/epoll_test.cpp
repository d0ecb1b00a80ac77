#include "kernel/backend.hpp"
#include "support/support.hpp"

#include <array>
#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <iterator>

#include <doctest/doctest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

// What only the epoll backend does; the rest is in the suite of all backends.

using namespace std::chrono_literals;

namespace {

/// From here on the kernel refuses this call to the process. See: seccomp(2).
bool refuse(int call, int error) {
    sock_filter steps[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, static_cast<std::uint32_t>(call), 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<std::uint32_t>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program = {.len = std::size(steps), .filter = steps};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

} // namespace

TEST_CASE("epoll: it waits without its exact wait where the system refuses that") {
    for (const int refusal : {ENOSYS, EPERM}) {
        CHECK(support::run_in_child([refusal] {
                  if (!refuse(SYS_epoll_pwait2, refusal)) {
                      return 1;
                  }
                  const auto on = sockeye::make_epoll_backend().value();
                  const auto start = std::chrono::steady_clock::now();
                  for (int i = 0; i < 3; ++i) {
                      std::array<sockeye::event, 4> ready;
                      if (on->wait(ready, 1500us).value() != 0) {
                          return 2;
                      }
                  }
                  return std::chrono::steady_clock::now() - start >= 4500us ? 0 : 3;
              }) == 0);
    }
}
