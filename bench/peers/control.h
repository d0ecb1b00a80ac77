#pragma once

/* What every echo server here has in common: it talks with the bench in the lines of
 * bench/account.hpp over standard input and output, and is told as its argument what to serve on:
 * tcp, udp or unix, always at an address of its own of this machine. */

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* The loops written by hand count their system calls, so that they and sockeye are counted alike.
 * What a library does by itself it does not tell, and half a count would mislead: servers on one
 * give none. */
struct control_counters {
    uint64_t waits;
    uint64_t events;
    uint64_t reads;
    uint64_t writes;
    uint64_t registrations;
    uint64_t accepts;
    uint64_t would_blocks;
};

/* What a server is asked to serve on. */
enum control_carrier { control_tcp, control_udp, control_unix };

/* Where the argument is `version`: prints that of the library and ends the process. */
void control_tell_version(int count, char** arguments, const char* version);

/* Reads the argument; ends the process where it is none of those names. */
enum control_carrier control_carrier_of(int count, char** arguments);

/* An address to bind to, as bind(2) takes it: any free port of 127.0.0.1, or any free name
 * without a file. */
struct control_address {
    union {
        struct sockaddr any;
        struct sockaddr_un path;
        struct sockaddr_storage room;
    } at;
    socklen_t size;
};
struct control_address control_any_address(enum control_carrier carrier);

/* A non-blocking socket bound to such an address; over TCP what it accepts has no delay. */
int control_open(enum control_carrier carrier);

/* Says where the socket `fd` is bound. */
void control_say_ready(enum control_carrier carrier, int fd);

/* Answers what standard input asks, with `counters` or, where that is null, without. Returns 0 at
 * its end: the loop is to stop. */
int control_hear(const struct control_counters* counters);

/* Prints what failed and errno, and ends the process. */
void control_fail(const char* what) __attribute__((noreturn));
