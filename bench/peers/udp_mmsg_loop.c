/* The floor to compare with for datagrams: recvmmsg and sendmmsg in batches of 64, and epoll to
 * wait, level-triggered: a batch that was full comes up again. */

#include "control.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* The fronts of neighbouring buffers lie 64 bytes apart modulo the page size, so that they do not
 * all fall into the same cache sets. */
enum { batch_max = 64, datagram_max = 65536, stride = datagram_max + 64 };

static char memory[batch_max][stride];
static struct sockaddr_in peers[batch_max];
static struct iovec parts[batch_max];
static struct mmsghdr messages[batch_max];
static struct control_counters counters;

static int open_socket(void) {
    const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in local;
    memset(&local, 0, sizeof local);
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr*)&local, sizeof local) != 0) {
        control_fail("socket");
    }
    return fd;
}

static void watch(int poller, int fd) {
    struct epoll_event wanted;
    memset(&wanted, 0, sizeof wanted);
    wanted.events = EPOLLIN;
    wanted.data.fd = fd;
    counters.registrations++;
    if (epoll_ctl(poller, EPOLL_CTL_ADD, fd, &wanted) != 0) {
        control_fail("epoll_ctl");
    }
}

static void prepare(void) {
    for (int i = 0; i < batch_max; i++) {
        parts[i].iov_base = memory[i];
        parts[i].iov_len = datagram_max;
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &peers[i];
        messages[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
}

/* Sends the first `count` messages; what the system refuses is dropped. */
static void send_all(int fd, int count) {
    for (int done = 0; done < count;) {
        const int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), 0);
        counters.writes++;
        if (sent < 0 && errno == EAGAIN) {
            counters.would_blocks++;
            return;
        }
        done += sent > 0 ? sent : 1;
    }
}

static void echo(int fd) {
    const int count = recvmmsg(fd, messages, batch_max, 0, NULL);
    counters.reads++;
    if (count <= 0) {
        counters.would_blocks++;
        return;
    }
    for (int i = 0; i < count; i++) {
        parts[i].iov_len = messages[i].msg_len;
    }
    send_all(fd, count);
    for (int i = 0; i < count; i++) {
        parts[i].iov_len = datagram_max;
        messages[i].msg_hdr.msg_namelen = sizeof peers[i];
    }
}

int main(void) {
    const int fd = open_socket();
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    prepare();
    watch(poller, fd);
    watch(poller, STDIN_FILENO);
    control_say_ready("udp", fd);
    for (;;) {
        struct epoll_event ready[2];
        const int count = epoll_wait(poller, ready, 2, -1);
        counters.waits++;
        for (int i = 0; i < count; i++) {
            counters.events++;
            if (ready[i].data.fd == fd) {
                echo(fd);
            } else if (!control_hear(&counters)) {
                return 0;
            }
        }
    }
}
