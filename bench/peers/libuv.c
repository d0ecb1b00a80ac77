/* An echo server on libuv, after its documentation (docs.libuv.org: uv_stream_t, uv_udp_t and the
 * guide's "Networking"). It tries to write at once (uv_try_write) out of one shared buffer, and
 * asks for a write of its own (uv_write) only for what did not go; meanwhile nothing is read.
 * Datagrams are received many at a time (UV_UDP_RECVMMSG) and sent with uv_udp_try_send. */

#include "control.h"

#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum { buffer_size = 64 * 1024, batch_size = 20 * 64 * 1024 };

/* What could not be sent at once, behind the request to send it. */
struct rest {
    uv_write_t request;
    char bytes[];
};

static char buffer[batch_size];
static enum control_carrier carrier;

static void check(int status, const char* what) {
    if (status < 0) {
        fprintf(stderr, "%s: %s\n", what, uv_strerror(status));
        exit(1);
    }
}

static void on_closed(uv_handle_t* handle) {
    free(handle);
}

static void drop(uv_stream_t* link) {
    if (!uv_is_closing((uv_handle_t*)link)) {
        uv_close((uv_handle_t*)link, on_closed);
    }
}

static void give_buffer(uv_handle_t* handle, size_t suggested, uv_buf_t* given) {
    (void)suggested;
    *given = uv_buf_init(buffer, handle->type == UV_UDP ? batch_size : buffer_size);
}

static void on_input(uv_stream_t* link, ssize_t got, const uv_buf_t* given);

static void on_rest_sent(uv_write_t* request, int status) {
    uv_stream_t* link = request->handle;
    free(request->data);
    if (status < 0 || uv_is_closing((uv_handle_t*)link) ||
        uv_read_start(link, give_buffer, on_input) < 0) {
        drop(link);
    }
}

static void send_rest(uv_stream_t* link, const char* bytes, size_t size) {
    struct rest* made = malloc(sizeof *made + size);
    if (made == NULL) {
        drop(link);
        return;
    }
    made->request.data = made;
    memcpy(made->bytes, bytes, size);
    const uv_buf_t whole = uv_buf_init(made->bytes, (unsigned)size);
    uv_read_stop(link);
    if (uv_write(&made->request, link, &whole, 1, on_rest_sent) < 0) {
        free(made);
        drop(link);
    }
}

static void on_input(uv_stream_t* link, ssize_t got, const uv_buf_t* given) {
    if (got == 0) {
        return; /* nothing was there after all */
    }
    if (got < 0) {
        drop(link); /* the end, or an error; all that came before has been sent */
        return;
    }
    const uv_buf_t whole = uv_buf_init(given->base, (unsigned)got);
    const int sent = uv_try_write(link, &whole, 1);
    if (sent < 0 && sent != UV_EAGAIN) {
        drop(link);
        return;
    }
    const size_t done = sent > 0 ? (size_t)sent : 0;
    if (done < (size_t)got) {
        send_rest(link, given->base + done, (size_t)got - done);
    }
}

static void on_connection(uv_stream_t* server, int status) {
    if (status < 0) {
        return;
    }
    uv_stream_t* link = malloc(carrier == control_tcp ? sizeof(uv_tcp_t) : sizeof(uv_pipe_t));
    if (link == NULL) {
        control_fail("malloc");
    }
    if (carrier == control_tcp) {
        uv_tcp_init(server->loop, (uv_tcp_t*)link);
    } else {
        uv_pipe_init(server->loop, (uv_pipe_t*)link, 0);
    }
    if (uv_accept(server, link) < 0 || uv_read_start(link, give_buffer, on_input) < 0) {
        drop(link);
    }
}

/* What the system refuses to send is dropped. */
static void on_datagram(uv_udp_t* socket, ssize_t got, const uv_buf_t* given,
                        const struct sockaddr* from, unsigned flags) {
    (void)flags;
    if (got < 0 || from == NULL) {
        return; /* an error of an earlier send, or the end of what is there */
    }
    const uv_buf_t whole = uv_buf_init(given->base, (unsigned)got);
    uv_udp_try_send(socket, &whole, 1, from);
}

static void on_control(uv_poll_t* control, int status, int events) {
    (void)events;
    if (status < 0 || !control_hear(NULL)) {
        uv_stop(control->loop);
    }
}

union server {
    uv_handle_t handle;
    uv_stream_t stream;
    uv_tcp_t tcp;
    uv_pipe_t pipe;
    uv_udp_t udp;
};

static void start(uv_loop_t* loop, union server* server) {
    const struct control_address local = control_any_address(carrier);
    if (carrier == control_tcp) {
        check(uv_tcp_init(loop, &server->tcp), "uv_tcp_init");
        check(uv_tcp_bind(&server->tcp, &local.at.any, 0), "uv_tcp_bind");
        check(uv_tcp_nodelay(&server->tcp, 1), "uv_tcp_nodelay"); /* inherited */
        check(uv_listen(&server->stream, 1024, on_connection), "uv_listen");
    } else if (carrier == control_unix) {
        /* uv_pipe_bind knows names of files only. */
        check(uv_pipe_init(loop, &server->pipe, 0), "uv_pipe_init");
        check(uv_pipe_open(&server->pipe, control_open(carrier)), "uv_pipe_open");
        check(uv_listen(&server->stream, 1024, on_connection), "uv_listen");
    } else {
        check(uv_udp_init_ex(loop, &server->udp, AF_INET | UV_UDP_RECVMMSG), "uv_udp_init_ex");
        check(uv_udp_bind(&server->udp, &local.at.any, 0), "uv_udp_bind");
        check(uv_udp_recv_start(&server->udp, give_buffer, on_datagram), "uv_udp_recv_start");
    }
}

int main(int count, char** arguments) {
    control_tell_version(count, arguments, uv_version_string());
    carrier = control_carrier_of(count, arguments);
    signal(SIGPIPE, SIG_IGN);
    uv_loop_t* loop = uv_default_loop();
    union server server;
    uv_poll_t control;
    uv_os_fd_t fd = -1;
    start(loop, &server);
    check(uv_fileno(&server.handle, &fd), "uv_fileno");
    check(uv_poll_init(loop, &control, STDIN_FILENO), "uv_poll_init");
    check(uv_poll_start(&control, UV_READABLE, on_control), "uv_poll_start");
    control_say_ready(carrier, fd);
    uv_run(loop, UV_RUN_DEFAULT);
    return 0;
}
