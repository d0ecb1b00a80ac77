#pragma once

/* How the hand-written loops talk to the bench: the lines of bench/account.hpp over standard
 * input and output. They count their own system calls, so that both sides are counted alike. */

#include <stdint.h>

struct control_counters {
    uint64_t waits;
    uint64_t events;
    uint64_t reads;
    uint64_t writes;
    uint64_t registrations;
    uint64_t accepts;
    uint64_t would_blocks;
};

/* Says where the socket `fd` is bound. */
void control_say_ready(const char* scheme, int fd);

/* Answers what standard input asks. Returns 0 at its end: the loop is to stop. */
int control_hear(const struct control_counters* counters);

/* Prints what failed and errno, and ends the process. */
void control_fail(const char* what) __attribute__((noreturn));
