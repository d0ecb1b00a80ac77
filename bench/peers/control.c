#include "control.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

void control_fail(const char* what) {
    perror(what);
    exit(1);
}

void control_say_ready(const char* scheme, int fd) {
    struct sockaddr_in local;
    socklen_t size = sizeof local;
    if (getsockname(fd, (struct sockaddr*)&local, &size) != 0) {
        control_fail("getsockname");
    }
    printf("ready %s://127.0.0.1:%d\n", scheme, ntohs(local.sin_port));
    fflush(stdout);
}

static uint64_t nanoseconds(const struct timeval* time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

int control_hear(const struct control_counters* counters) {
    char room[64];
    const ssize_t got = read(STDIN_FILENO, room, sizeof room);
    if (got <= 0) {
        return 0;
    }
    if (got != 6 || memcmp(room, "stats\n", 6) != 0) {
        return 1;
    }
    struct timespec cpu;
    struct rusage usage;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
    getrusage(RUSAGE_SELF, &usage);
    printf("stats cpu_ns=%" PRIu64 " user_ns=%" PRIu64 " system_ns=%" PRIu64 " waits=%" PRIu64
           " events=%" PRIu64 " reads=%" PRIu64 " writes=%" PRIu64 " registrations=%" PRIu64
           " accepts=%" PRIu64 " would_blocks=%" PRIu64 "\n",
           (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec, nanoseconds(&usage.ru_utime),
           nanoseconds(&usage.ru_stime), counters->waits, counters->events, counters->reads,
           counters->writes, counters->registrations, counters->accepts, counters->would_blocks);
    fflush(stdout);
    return 1;
}
