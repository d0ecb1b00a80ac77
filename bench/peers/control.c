#include "control.h"

#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char* const carrier_names[] = {"tcp", "udp", "unix"};

void control_fail(const char* what) {
    perror(what);
    exit(1);
}

void control_tell_version(int count, char** arguments, const char* version) {
    if (count == 2 && strcmp(arguments[1], "version") == 0) {
        printf("%s\n", version);
        exit(0);
    }
}

enum control_carrier control_carrier_of(int count, char** arguments) {
    for (int i = control_tcp; i <= control_unix; i++) {
        if (count >= 2 && strcmp(arguments[1], carrier_names[i]) == 0) {
            return (enum control_carrier)i;
        }
    }
    fprintf(stderr, "usage: %s tcp|udp|unix\n", arguments[0]);
    exit(2);
}

struct control_address control_any_address(enum control_carrier carrier) {
    struct control_address made;
    memset(&made, 0, sizeof made);
    if (carrier == control_unix) {
        made.at.any.sa_family = AF_UNIX;
        made.size = sizeof made.at.any.sa_family; /* and no name: the system chooses one */
        return made;
    }
    struct sockaddr_in local;
    memset(&local, 0, sizeof local);
    local.sin_family = AF_INET;
    local.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memcpy(&made.at, &local, sizeof local);
    made.size = sizeof local;
    return made;
}

int control_open(enum control_carrier carrier) {
    const int type = carrier == control_udp ? SOCK_DGRAM : SOCK_STREAM;
    const struct control_address local = control_any_address(carrier);
    const int fd = socket(local.at.any.sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    const int on = 1;
    if (fd < 0 || bind(fd, &local.at.any, local.size) != 0) {
        control_fail("bind");
    }
    /* Accepted sockets inherit TCP_NODELAY, which saves one call for each. */
    if (carrier == control_tcp && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) {
        control_fail("TCP_NODELAY");
    }
    return fd;
}

void control_say_ready(enum control_carrier carrier, int fd) {
    struct control_address local;
    memset(&local, 0, sizeof local);
    local.size = sizeof local.at;
    if (getsockname(fd, &local.at.any, &local.size) != 0) {
        control_fail("getsockname");
    }
    if (carrier == control_unix) {
        const size_t head = offsetof(struct sockaddr_un, sun_path) + 1;
        printf("ready unix:@%.*s\n", (int)(local.size - head), local.at.path.sun_path + 1);
    } else {
        struct sockaddr_in place;
        memcpy(&place, &local.at, sizeof place);
        printf("ready %s://127.0.0.1:%d\n", carrier_names[carrier], ntohs(place.sin_port));
    }
    fflush(stdout);
}

static uint64_t nanoseconds(const struct timeval* time) {
    return (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_usec * 1000u;
}

static void say_counters(const struct control_counters* counters) {
    printf(" waits=%" PRIu64 " events=%" PRIu64 " reads=%" PRIu64 " writes=%" PRIu64
           " registrations=%" PRIu64 " accepts=%" PRIu64 " would_blocks=%" PRIu64,
           counters->waits, counters->events, counters->reads, counters->writes,
           counters->registrations, counters->accepts, counters->would_blocks);
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
    printf("stats cpu_ns=%" PRIu64 " user_ns=%" PRIu64 " system_ns=%" PRIu64,
           (uint64_t)cpu.tv_sec * 1000000000u + (uint64_t)cpu.tv_nsec, nanoseconds(&usage.ru_utime),
           nanoseconds(&usage.ru_stime));
    printf(" voluntary_switches=%ld involuntary_switches=%ld minor_faults=%ld major_faults=%ld",
           usage.ru_nvcsw, usage.ru_nivcsw, usage.ru_minflt, usage.ru_majflt);
    if (counters != NULL) {
        say_counters(counters);
    }
    printf("\n");
    fflush(stdout);
    return 1;
}
