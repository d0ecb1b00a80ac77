/* An echo server on the buffered events of libevent, after its book ("Fast portable non-blocking
 * network programming with Libevent", R6 "Bufferevents" and R8 "Connection listeners", whose
 * example is this server). Input is moved to the output without a copy. While much output waits,
 * nothing is read, until the write callback tells that all of it has gone. */

#include "control.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <signal.h>
#include <unistd.h>

enum { buffer_size = 64 * 1024 };

static struct event_base* base;

static void on_input(struct bufferevent* link, void* context) {
    (void)context;
    struct evbuffer* output = bufferevent_get_output(link);
    evbuffer_add_buffer(output, bufferevent_get_input(link));
    if (evbuffer_get_length(output) >= buffer_size) {
        bufferevent_disable(link, EV_READ);
    }
}

/* All output has gone. */
static void on_drained(struct bufferevent* link, void* context) {
    (void)context;
    if ((bufferevent_get_enabled(link) & EV_READ) == 0) {
        bufferevent_enable(link, EV_READ);
    }
}

static void on_last_output(struct bufferevent* link, void* context) {
    (void)context;
    bufferevent_free(link);
}

static void on_event(struct bufferevent* link, short events, void* context) {
    (void)context;
    const int has_output = evbuffer_get_length(bufferevent_get_output(link)) > 0;
    if ((events & BEV_EVENT_EOF) != 0 && (events & BEV_EVENT_READING) != 0 && has_output) {
        bufferevent_setcb(link, NULL, on_last_output, on_event, NULL);
    } else if ((events & (BEV_EVENT_EOF | BEV_EVENT_ERROR)) != 0) {
        bufferevent_free(link);
    }
}

static void on_connection(struct evconnlistener* listener, evutil_socket_t fd,
                          struct sockaddr* from, int size, void* context) {
    (void)listener;
    (void)from;
    (void)size;
    (void)context;
    struct bufferevent* link = bufferevent_socket_new(base, fd, BEV_OPT_CLOSE_ON_FREE);
    if (link == NULL) {
        evutil_closesocket(fd);
        return;
    }
    bufferevent_setcb(link, on_input, on_drained, on_event, NULL);
    bufferevent_set_max_single_read(link, buffer_size);
    bufferevent_set_max_single_write(link, buffer_size);
    bufferevent_enable(link, EV_READ | EV_WRITE);
}

static void on_control(evutil_socket_t fd, short events, void* context) {
    (void)fd;
    (void)events;
    (void)context;
    if (!control_hear(NULL)) {
        event_base_loopbreak(base);
    }
}

int main(int count, char** arguments) {
    control_tell_version(count, arguments, event_get_version());
    const enum control_carrier carrier = control_carrier_of(count, arguments);
    if (carrier == control_udp) {
        control_fail("bufferevents carry no datagrams");
    }
    signal(SIGPIPE, SIG_IGN);
    base = event_base_new();
    if (base == NULL) {
        control_fail("event_base_new");
    }
    const int fd = control_open(carrier);
    const struct evconnlistener* listener = evconnlistener_new(
        base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 1024, fd);
    struct event* control = event_new(base, STDIN_FILENO, EV_READ | EV_PERSIST, on_control, NULL);
    if (listener == NULL || control == NULL || event_add(control, NULL) != 0) {
        control_fail("event_new");
    }
    control_say_ready(carrier, fd);
    event_base_dispatch(base);
    return 0;
}
