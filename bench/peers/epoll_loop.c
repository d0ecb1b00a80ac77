/* The floor to compare with: an echo server that is nothing but an edge-triggered epoll loop.
 *
 * For each message one recv and one send, and a share of one epoll_wait. After a short read it
 * does not read again: EPOLLRDHUP tells of the end, and new bytes make a new edge. Nothing is
 * registered again after accept. */

#include "control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { buffer_size = 64 * 1024, events_max = 512 };

/* What one connection could not send yet. While there is any, nothing more is read from it. */
struct rest {
    char* bytes;
    size_t from;
    size_t size;
};

static char buffer[buffer_size];
static struct control_counters counters;
static struct rest* rests; /* by descriptor */
static int poller;

static void watch(int fd, uint32_t events) {
    struct epoll_event wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.events = events;
    wanted.data.fd = fd;
    counters.registrations++;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        control_fail("epoll_ctl");
    }
}

static void accept_all(int listener) {
    for (;;) {
        const int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        counters.accepts++;
        if (fd < 0) {
            return;
        }
        watch(fd, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
    }
}

static void drop(int fd) {
    free(rests[fd].bytes);
    memset(&rests[fd], 0, sizeof rests[fd]);
    close(fd);
}

/* Returns how much was sent, or -1 when the connection is gone. */
static ssize_t send_some(int fd, const char* bytes, size_t size) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    counters.writes++;
    if (sent >= 0) {
        return sent;
    }
    if (errno == EAGAIN) {
        counters.would_blocks++;
        return 0;
    }
    return -1;
}

/* Returns 0 when the connection is gone. */
static int send_all(int fd, size_t size) {
    const ssize_t sent = send_some(fd, buffer, size);
    if (sent < 0) {
        return 0;
    }
    if ((size_t)sent < size) {
        struct rest* left = &rests[fd];
        left->from = 0;
        left->size = size - (size_t)sent;
        left->bytes = malloc(left->size);
        if (left->bytes == NULL) {
            control_fail("malloc");
        }
        memcpy(left->bytes, buffer + sent, left->size);
    }
    return 1;
}

/* Sends what is left of earlier. Returns 0 when the connection is gone. */
static int send_rest(int fd) {
    struct rest* left = &rests[fd];
    const ssize_t sent = send_some(fd, left->bytes + left->from, left->size);
    if (sent < 0) {
        return 0;
    }
    left->from += (size_t)sent;
    left->size -= (size_t)sent;
    if (left->size == 0) {
        free(left->bytes);
        left->bytes = NULL;
    }
    return 1;
}

/* Reads and echoes until a short read. Returns 0 when the connection is gone. */
static int echo(int fd, int may_be_over) {
    for (;;) {
        const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
        counters.reads++;
        if (got < 0) {
            if (errno != EAGAIN) {
                return 0;
            }
            counters.would_blocks++;
            return 1;
        }
        if (got == 0 || !send_all(fd, (size_t)got)) {
            return 0;
        }
        if (rests[fd].bytes != NULL || ((size_t)got < sizeof buffer && !may_be_over)) {
            return 1;
        }
    }
}

static void serve(int fd, uint32_t events) {
    if (rests[fd].bytes != NULL) {
        if (!send_rest(fd)) {
            drop(fd);
            return;
        }
        if (rests[fd].bytes != NULL) {
            return;
        }
        events |= EPOLLIN | EPOLLRDHUP; /* what came meanwhile has told its edge already */
    }
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 &&
        !echo(fd, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)) {
        drop(fd);
    }
}

static struct rest* make_rests(void) {
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        control_fail("getrlimit");
    }
    struct rest* made = calloc(limit.rlim_cur, sizeof *made);
    if (made == NULL) {
        control_fail("calloc");
    }
    return made;
}

int main(int argument_count, char** arguments) {
    static struct epoll_event ready[events_max];
    const enum control_carrier carrier = control_carrier_of(argument_count, arguments);
    const int listener = control_open(carrier);
    if (listen(listener, 1024) != 0) {
        control_fail("listen");
    }
    rests = make_rests();
    poller = epoll_create1(EPOLL_CLOEXEC);
    watch(listener, EPOLLIN | EPOLLET);
    watch(STDIN_FILENO, EPOLLIN);
    control_say_ready(carrier, listener);
    for (;;) {
        const int count = epoll_wait(poller, ready, events_max, -1);
        counters.waits++;
        for (int i = 0; i < count; i++) {
            counters.events++;
            const int fd = ready[i].data.fd;
            if (fd == listener) {
                accept_all(fd);
            } else if (fd != STDIN_FILENO) {
                serve(fd, ready[i].events);
            } else if (!control_hear(&counters)) {
                return 0;
            }
        }
    }
}
