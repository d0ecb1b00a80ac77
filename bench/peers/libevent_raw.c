/* An echo server on the plain events of libevent, after its book ("Fast portable non-blocking
 * network programming with Libevent", R4 "Working with events" and R8 "Connection listeners"):
 * one persistent event for each connection, recv and send by hand. It waits for room instead of
 * bytes while something is left to be sent, so that a client that does not read is not read from.
 * Datagrams go in batches, which libevent leaves to its users. */

#include "control.h"
#include "datagrams.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { buffer_size = 64 * 1024 };

struct connection {
    struct event* reads;
    struct event* writes; /* made when it is needed first */
    char* rest;           /* what could not be sent yet, or null */
    size_t from;
    size_t size;
};

static char buffer[buffer_size];
static struct event_base* base;
static struct control_counters uncounted;

static void drop(struct connection* link, evutil_socket_t fd) {
    if (link->reads != NULL) {
        event_free(link->reads);
    }
    if (link->writes != NULL) {
        event_free(link->writes);
    }
    evutil_closesocket(fd);
    free(link->rest);
    free(link);
}

/* Returns how much was sent, or -1 when the connection is gone. */
static ssize_t send_some(evutil_socket_t fd, const char* bytes, size_t size) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
}

static void on_writable(evutil_socket_t fd, short events, void* context) {
    struct connection* link = context;
    (void)events;
    const ssize_t sent = send_some(fd, link->rest + link->from, link->size);
    if (sent < 0) {
        drop(link, fd);
        return;
    }
    link->from += (size_t)sent;
    link->size -= (size_t)sent;
    if (link->size == 0) {
        free(link->rest);
        link->rest = NULL;
        event_del(link->writes);
        event_add(link->reads, NULL);
    }
}

static void keep_rest(struct connection* link, evutil_socket_t fd, size_t from, size_t end) {
    if (link->writes == NULL) {
        link->writes = event_new(base, fd, EV_WRITE | EV_PERSIST, on_writable, link);
    }
    link->rest = malloc(end - from);
    if (link->rest == NULL || link->writes == NULL) {
        drop(link, fd);
        return;
    }
    link->from = 0;
    link->size = end - from;
    memcpy(link->rest, buffer + from, link->size);
    event_del(link->reads);
    event_add(link->writes, NULL);
}

static void on_readable(evutil_socket_t fd, short events, void* context) {
    struct connection* link = context;
    (void)events;
    const ssize_t got = recv(fd, buffer, sizeof buffer, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) {
        return;
    }
    const ssize_t sent = got > 0 ? send_some(fd, buffer, (size_t)got) : -1;
    if (sent < 0) {
        drop(link, fd);
    } else if (sent < got) {
        keep_rest(link, fd, (size_t)sent, (size_t)got);
    }
}

static void on_connection(struct evconnlistener* listener, evutil_socket_t fd,
                          struct sockaddr* from, int size, void* context) {
    (void)listener;
    (void)from;
    (void)size;
    (void)context;
    struct connection* link = calloc(1, sizeof *link);
    if (link == NULL) {
        evutil_closesocket(fd);
        return;
    }
    link->reads = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
    if (link->reads == NULL || event_add(link->reads, NULL) != 0) {
        drop(link, fd);
    }
}

static void on_datagrams(evutil_socket_t fd, short events, void* context) {
    (void)events;
    (void)context;
    datagrams_echo(fd, &uncounted);
}

static void on_control(evutil_socket_t fd, short events, void* context) {
    (void)fd;
    (void)events;
    (void)context;
    if (!control_hear(NULL)) {
        event_base_loopbreak(base);
    }
}

static void start(enum control_carrier carrier, int fd) {
    if (carrier == control_udp) {
        datagrams_prepare(fd, 0);
        struct event* datagrams = event_new(base, fd, EV_READ | EV_PERSIST, on_datagrams, NULL);
        if (datagrams == NULL || event_add(datagrams, NULL) != 0) {
            control_fail("event_new");
        }
    } else if (evconnlistener_new(base, on_connection, NULL,
                                  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1024,
                                  fd) == NULL) {
        control_fail("evconnlistener_new");
    }
}

int main(int count, char** arguments) {
    control_tell_version(count, arguments, event_get_version());
    const enum control_carrier carrier = control_carrier_of(count, arguments);
    const int fd = control_open(carrier);
    base = event_base_new();
    if (base == NULL) {
        control_fail("event_base_new");
    }
    start(carrier, fd);
    struct event* control = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_control, NULL);
    if (control == NULL || event_add(control, NULL) != 0) {
        control_fail("event_new");
    }
    control_say_ready(carrier, fd);
    event_base_dispatch(base);
    return 0;
}
