// kqueue(2) on epoll(7), with the return rules of the native kernels, so that the kqueue backend
// runs in the tests on Linux.
//
// A queue is an epoll set that watches two more, one for each direction: so the directions are
// independent, EV_CLEAR is EPOLLET, and the queue itself can be watched. close() is replaced in
// this process, because native kernels forget the notes of a descriptor at that very moment, even
// where a duplicate of it lives on. Not seen is what closes in another way, such as dup2().

#include "script.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include <dlfcn.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/event.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

namespace {

using note = struct kevent;
using sockeye::testing::kevent_call;
using steady_clock = std::chrono::steady_clock;

struct registration {
    note wanted = {};
    /// Heard of again only when something changes: epoll says hang-up for ever of a socket that
    /// never was connected, the native kernels say nothing of it.
    bool is_parked = false;
};

struct direction {
    short filter = 0;
    int set = -1;
    std::map<int, registration> registered;
};

struct queue {
    direction reads = {EVFILT_READ, -1, {}};
    direction writes = {EVFILT_WRITE, -1, {}};
    bool is_writes_turn = false;
};

/// All that is shared. Never destroyed, because descriptors are closed to the very end.
struct world {
    std::mutex mutex;
    std::map<int, queue> queues; ///< by the number of the outer set
    std::shared_ptr<const kevent_call> script;

    world();
};

world& the_world() {
    static auto& only = *new world;
    return only;
}

int real_close(int fd) {
    static const auto next = reinterpret_cast<int (*)(int)>(::dlsym(RTLD_NEXT, "close"));
    return next(fd);
}

/// A forked child does not inherit queues.
world::world() {
    ::pthread_atfork([] { the_world().mutex.lock(); }, [] { the_world().mutex.unlock(); },
                     [] {
                         for (const auto& [number, one] : the_world().queues) {
                             real_close(number);
                             real_close(one.reads.set);
                             real_close(one.writes.set);
                         }
                         the_world().queues.clear();
                         the_world().mutex.unlock();
                     });
}

int socket_type(int fd) {
    int type = -1;
    socklen_t size = sizeof type;
    ::getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type;
}

bool is_pipe(int fd) {
    struct stat facts = {};
    return ::fstat(fd, &facts) == 0 && S_ISFIFO(facts.st_mode);
}

short poll_now(int fd, short events) {
    pollfd asked = {fd, events, 0};
    ::poll(&asked, 1, 0);
    return asked.revents;
}

bool is_never_connected(int fd) {
    const int type = socket_type(fd);
    return (type == SOCK_STREAM || type == SOCK_SEQPACKET) && poll_now(fd, POLLRDHUP) == POLLHUP;
}

/// After shutdown(SHUT_WR) even nothing cannot be sent; while an error is pending this takes it.
bool is_shut_for_writing(int fd) {
    return socket_type(fd) == SOCK_STREAM &&
           ::send(fd, nullptr, 0, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno == EPIPE;
}

int watch(direction& in, int operation, int fd, bool is_edge) {
    epoll_event wanted = {};
    wanted.events = in.filter == EVFILT_READ ? EPOLLIN | EPOLLRDHUP : EPOLLOUT;
    wanted.events |= is_edge ? EPOLLET : 0U;
    wanted.data.fd = fd;
    return ::epoll_ctl(in.set, operation, fd, &wanted);
}

void forget(direction& in, int fd) {
    if (in.registered.erase(fd) > 0) {
        ::epoll_ctl(in.set, EPOLL_CTL_DEL, fd, nullptr);
    }
}

/// Applies one change and returns its errno, or 0.
int apply(queue& to, const note& change) {
    if (change.filter != EVFILT_READ && change.filter != EVFILT_WRITE) {
        return EINVAL;
    }
    auto& in = change.filter == EVFILT_READ ? to.reads : to.writes;
    const int fd = static_cast<int>(change.ident);
    if (::fcntl(fd, F_GETFD) < 0) {
        return EBADF;
    }
    const bool is_known = in.registered.contains(fd);
    if ((change.flags & EV_DELETE) != 0) {
        forget(in, fd);
        return is_known ? 0 : ENOENT;
    }
    if ((change.flags & EV_ADD) == 0) {
        return is_known ? EINVAL : ENOENT;
    }
    if (change.filter == EVFILT_WRITE && is_pipe(fd) && (poll_now(fd, POLLOUT) & POLLERR) != 0) {
        return EPIPE;
    }
    const bool is_edge = (change.flags & EV_CLEAR) != 0;
    if (watch(in, EPOLL_CTL_ADD, fd, is_edge) != 0 &&
        (errno != EEXIST || watch(in, EPOLL_CTL_MOD, fd, is_edge) != 0)) {
        return errno == EPERM ? EINVAL : errno;
    }
    in.registered[fd] = {change, false};
    return 0;
}

note describe(const note& wanted, int fd, unsigned events) {
    note told = wanted;
    const bool is_read = wanted.filter == EVFILT_READ;
    const bool is_datagram = socket_type(fd) == SOCK_DGRAM;
    const bool has_error = (events & EPOLLERR) != 0;
    bool is_end = (events & (EPOLLHUP | EPOLLRDHUP)) != 0;
    if (!is_read) {
        is_end = is_end || has_error || is_shut_for_writing(fd);
    }
    int unread = 0;
    told.flags = wanted.flags & EV_CLEAR;
    if (is_end && !is_datagram) {
        told.flags |= EV_EOF;
        // Which error it is cannot be asked without taking it away from the next read.
        told.fflags = has_error && !is_pipe(fd) ? ECONNRESET : 0;
    }
    told.data = is_read && ::ioctl(fd, FIONREAD, &unread) == 0 ? unread : 1;
    return told;
}

std::size_t collect(direction& from, std::span<note> events) {
    if (events.empty()) {
        return 0;
    }
    std::vector<epoll_event> batch(events.size());
    const int count = ::epoll_wait(from.set, batch.data(), static_cast<int>(batch.size()), 0);
    std::size_t filled = 0;
    for (const auto& one : std::span(batch).first(static_cast<std::size_t>(std::max(count, 0)))) {
        const int fd = one.data.fd;
        auto& known = from.registered.at(fd);
        const bool is_parked = (one.events & EPOLLHUP) != 0 && is_never_connected(fd);
        if (std::exchange(known.is_parked, is_parked) != is_parked) {
            watch(from, EPOLL_CTL_MOD, fd, is_parked || (known.wanted.flags & EV_CLEAR) != 0);
        }
        if (!is_parked) {
            events[filled++] = describe(known.wanted, fd, one.events);
        }
    }
    return filled;
}

/// Waits until something happened: how many `events` were filled, or -1 with errno set.
int wait_for_events(int number, std::span<note> events, const timespec* timeout) {
    const auto start = steady_clock::now();
    while (!events.empty()) {
        {
            const std::scoped_lock lock(the_world().mutex);
            const auto found = the_world().queues.find(number);
            if (found == the_world().queues.end()) {
                errno = EBADF;
                return -1;
            }
            auto& from = found->second;
            from.is_writes_turn = !from.is_writes_turn;
            auto& first = from.is_writes_turn ? from.writes : from.reads;
            auto& second = from.is_writes_turn ? from.reads : from.writes;
            const auto filled = collect(first, events);
            const auto told = filled + collect(second, events.subspan(filled));
            if (told > 0) {
                return static_cast<int>(told);
            }
        }
        timespec left = {};
        if (timeout != nullptr) {
            const auto whole =
                std::chrono::seconds(timeout->tv_sec) + std::chrono::nanoseconds(timeout->tv_nsec);
            const auto rest = start + whole - steady_clock::now();
            if (rest <= steady_clock::duration::zero()) {
                return 0;
            }
            left = {rest / std::chrono::seconds(1), (rest % std::chrono::seconds(1)).count()};
        }
        pollfd asked = {number, POLLIN, 0};
        if (::ppoll(&asked, 1, timeout != nullptr ? &left : nullptr, nullptr) < 0) {
            return -1;
        }
    }
    return 0;
}

} // namespace

namespace sockeye::testing {

kevent_script::kevent_script(kevent_call instead) {
    const std::scoped_lock lock(the_world().mutex);
    the_world().script = std::make_shared<const kevent_call>(std::move(instead));
}

kevent_script::~kevent_script() {
    const std::scoped_lock lock(the_world().mutex);
    the_world().script = nullptr;
}

int emulated_kevent(int number, const note* changes, int change_count, note* events,
                    int event_count, const timespec* timeout) {
    if (change_count < 0 || event_count < 0 ||
        (timeout != nullptr &&
         (timeout->tv_sec < 0 || timeout->tv_nsec < 0 || timeout->tv_nsec >= 1'000'000'000))) {
        errno = EINVAL;
        return -1;
    }
    int told = 0;
    // A copy, because callers may give one array for both.
    for (auto change : std::vector<note>(changes, changes + change_count)) {
        const std::scoped_lock lock(the_world().mutex);
        const auto found = the_world().queues.find(number);
        const int error = found != the_world().queues.end() ? apply(found->second, change) : EBADF;
        if (error == 0 && (change.flags & EV_RECEIPT) == 0) {
            continue;
        }
        if (told == event_count) {
            errno = error;
            return error == 0 ? 0 : -1;
        }
        change.flags = EV_ERROR;
        change.data = error;
        events[told++] = change;
    }
    // A failed or receipted change ends the call without a wait.
    return told > 0
               ? told
               : wait_for_events(number, {events, static_cast<std::size_t>(event_count)}, timeout);
}

} // namespace sockeye::testing

extern "C" int kqueue() {
    const std::scoped_lock lock(the_world().mutex);
    queue made;
    const int number = ::epoll_create1(0); // as on the BSDs, not close-on-exec
    made.reads.set = ::epoll_create1(EPOLL_CLOEXEC);
    made.writes.set = ::epoll_create1(EPOLL_CLOEXEC);
    if (number < 0 || made.reads.set < 0 || made.writes.set < 0) {
        for (const int fd : {number, made.reads.set, made.writes.set}) {
            real_close(fd);
        }
        errno = EMFILE;
        return -1;
    }
    for (const int set : {made.reads.set, made.writes.set}) {
        epoll_event wanted = {};
        wanted.events = EPOLLIN;
        ::epoll_ctl(number, EPOLL_CTL_ADD, set, &wanted);
    }
    the_world().queues[number] = std::move(made);
    return number;
}

extern "C" int kevent(int number, const note* changes, int change_count, note* events,
                      int event_count, const timespec* timeout) {
    std::shared_ptr<const kevent_call> script;
    {
        const std::scoped_lock lock(the_world().mutex);
        script = the_world().script;
    }
    return script != nullptr
               ? (*script)(number, changes, change_count, events, event_count, timeout)
               : sockeye::testing::emulated_kevent(number, changes, change_count, events,
                                                   event_count, timeout);
}

extern "C" int close(int fd) {
    const std::scoped_lock lock(the_world().mutex);
    for (auto& [number, one] : the_world().queues) {
        forget(one.reads, fd);
        forget(one.writes, fd);
    }
    if (const auto own = the_world().queues.extract(fd)) {
        real_close(own.mapped().reads.set);
        real_close(own.mapped().writes.set);
    }
    return real_close(fd);
}
