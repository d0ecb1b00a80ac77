#pragma once

// The part of <sys/event.h> that the kqueue backend uses, for running it on Linux: see
// kqueue_emulation.cpp. The layout is FreeBSD's.

#include <cstdint>
#include <ctime>

#define EVFILT_READ (-1)
#define EVFILT_WRITE (-2)

#define EV_ADD 0x0001
#define EV_DELETE 0x0002
#define EV_CLEAR 0x0020
#define EV_RECEIPT 0x0040
#define EV_ERROR 0x4000
#define EV_EOF 0x8000

struct kevent {
    std::uintptr_t ident;
    short filter;
    unsigned short flags;
    unsigned fflags;
    std::int64_t data;
    void* udata;
    std::uint64_t ext[4];
};

extern "C" int kqueue();
extern "C" int kevent(int queue, const struct kevent* changes, int change_count,
                      struct kevent* events, int event_count, const timespec* timeout);
