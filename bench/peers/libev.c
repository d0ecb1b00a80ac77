/* An echo server on libev, after its manual (ev(3), "ev_io - is this file descriptor readable or
 * writable?"): one watcher for each connection, on a level-triggered default backend. It waits for
 * room instead of bytes while something is left to be sent, so that a client that does not read
 * is not read from. Datagrams go in batches, which libev leaves to its users. */

#include "control.h"
#include "datagrams.h"

#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { buffer_size = 64 * 1024 };

struct connection {
    ev_io watcher; /* the first member, so that one pointer serves for both */
    char* rest;    /* what could not be sent yet, or null */
    size_t from;
    size_t size;
};

static char buffer[buffer_size];
static struct control_counters uncounted;

static void drop(struct ev_loop* loop, struct connection* link) {
    ev_io_stop(loop, &link->watcher);
    close(link->watcher.fd);
    free(link->rest);
    free(link);
}

static void wait_for(struct ev_loop* loop, struct connection* link, int events) {
    ev_io_stop(loop, &link->watcher);
    ev_io_set(&link->watcher, link->watcher.fd, events);
    ev_io_start(loop, &link->watcher);
}

/* Returns how much was sent, or -1 when the connection is gone. */
static ssize_t send_some(const struct connection* link, const char* bytes, size_t size) {
    const ssize_t sent = send(link->watcher.fd, bytes, size, MSG_NOSIGNAL);
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

static void send_rest(struct ev_loop* loop, struct connection* link) {
    const ssize_t sent = send_some(link, link->rest + link->from, link->size);
    if (sent < 0) {
        drop(loop, link);
        return;
    }
    link->from += (size_t)sent;
    link->size -= (size_t)sent;
    if (link->size == 0) {
        free(link->rest);
        link->rest = NULL;
        wait_for(loop, link, EV_READ);
    }
}

static void keep_rest(struct ev_loop* loop, struct connection* link, size_t from, size_t end) {
    link->rest = malloc(end - from);
    if (link->rest == NULL) {
        drop(loop, link);
        return;
    }
    link->from = 0;
    link->size = end - from;
    memcpy(link->rest, buffer + from, link->size);
    wait_for(loop, link, EV_WRITE);
}

static void echo(struct ev_loop* loop, struct connection* link) {
    const ssize_t got = recv(link->watcher.fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    const ssize_t sent = got > 0 ? send_some(link, buffer, (size_t)got) : -1;
    if (sent < 0) {
        drop(loop, link);
    } else if (sent < got) {
        keep_rest(loop, link, (size_t)sent, (size_t)got);
    }
}

static void on_ready(struct ev_loop* loop, ev_io* watcher, int events) {
    struct connection* link = (struct connection*)watcher;
    if ((events & EV_WRITE) != 0) {
        send_rest(loop, link);
    } else {
        echo(loop, link);
    }
}

static void on_connection(struct ev_loop* loop, ev_io* watcher, int events) {
    (void)events;
    for (;;) {
        const int fd = accept4(watcher->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            return;
        }
        struct connection* link = calloc(1, sizeof *link);
        if (link == NULL) {
            close(fd);
            return;
        }
        ev_io_init(&link->watcher, on_ready, fd, EV_READ);
        ev_io_start(loop, &link->watcher);
    }
}

static void on_datagrams(struct ev_loop* loop, ev_io* watcher, int events) {
    (void)loop;
    (void)events;
    datagrams_echo(watcher->fd, &uncounted);
}

static void on_control(struct ev_loop* loop, ev_io* watcher, int events) {
    (void)watcher;
    (void)events;
    if (!control_hear(NULL)) {
        ev_break(loop, EVBREAK_ALL);
    }
}

int main(int count, char** arguments) {
    char version[32];
    snprintf(version, sizeof version, "%d.%d", ev_version_major(), ev_version_minor());
    control_tell_version(count, arguments, version);
    const enum control_carrier carrier = control_carrier_of(count, arguments);
    struct ev_loop* loop = ev_default_loop(EVFLAG_AUTO);
    const int fd = control_open(carrier);
    if (loop == NULL) {
        control_fail("ev_default_loop");
    }
    if (carrier == control_udp) {
        datagrams_prepare(fd, 0);
    } else if (listen(fd, 1024) != 0) {
        control_fail("listen");
    }
    ev_io server;
    ev_io control;
    ev_io_init(&server, carrier == control_udp ? on_datagrams : on_connection, fd, EV_READ);
    ev_io_init(&control, on_control, STDIN_FILENO, EV_READ);
    ev_io_start(loop, &server);
    ev_io_start(loop, &control);
    control_say_ready(carrier, fd);
    ev_run(loop, 0);
    return 0;
}
