#pragma once

#include <functional>

#include <sys/event.h>

namespace sockeye::testing {

using kevent_call =
    std::function<int(int queue, const struct kevent* changes, int change_count,
                      struct kevent* events, int event_count, const timespec* timeout)>;

/// As long as it lives, every kevent() of this process goes to `instead`, which may call
/// emulated_kevent(). For what no emulation can be brought to say by itself.
class kevent_script {
public:
    explicit kevent_script(kevent_call instead);
    ~kevent_script();
    kevent_script(const kevent_script&) = delete;
    kevent_script& operator=(const kevent_script&) = delete;
};

/// What kevent() does without a script.
int emulated_kevent(int queue, const struct kevent* changes, int change_count,
                    struct kevent* events, int event_count, const timespec* timeout);

} // namespace sockeye::testing
