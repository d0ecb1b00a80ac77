/* The floor to compare with for datagrams: recvmmsg and sendmmsg in batches of 64, and epoll to
 * wait, level-triggered: a batch that was full comes up again. `udp gso` as its arguments has the
 * system put the datagrams of one peer together. */

#include "control.h"
#include "datagrams.h"

#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct control_counters counters;

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

int main(int count, char** arguments) {
    const int fd = control_open(control_udp);
    const int poller = epoll_create1(EPOLL_CLOEXEC);
    datagrams_prepare(fd, count > 2 && strcmp(arguments[2], "gso") == 0);
    watch(poller, fd);
    watch(poller, STDIN_FILENO);
    control_say_ready(control_udp, fd);
    for (;;) {
        struct epoll_event ready[2];
        const int found = epoll_wait(poller, ready, 2, -1);
        counters.waits++;
        for (int i = 0; i < found; i++) {
            counters.events++;
            if (ready[i].data.fd == fd) {
                datagrams_echo(fd, &counters);
            } else if (!control_hear(&counters)) {
                return 0;
            }
        }
    }
}
