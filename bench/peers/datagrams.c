#include "datagrams.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <string.h>
#include <sys/socket.h>

/* The fronts of neighbouring buffers lie 64 bytes apart modulo the page size, so that they do not
 * all fall into the same cache sets. */
enum { batch_max = 64, datagram_max = 65536, stride = datagram_max + 64 };

/* Room for one control message: the size of the segments. */
struct note {
    _Alignas(struct cmsghdr) char room[CMSG_SPACE(sizeof(int))];
};

static char memory[batch_max][stride];
static struct sockaddr_in senders[batch_max];
static struct iovec parts[batch_max];
static struct mmsghdr messages[batch_max];
static struct note notes[batch_max];
static int is_offloaded;

static void make_room(int i) {
    parts[i].iov_len = datagram_max;
    messages[i].msg_hdr.msg_namelen = sizeof senders[i];
    messages[i].msg_hdr.msg_control = is_offloaded ? &notes[i] : NULL;
    messages[i].msg_hdr.msg_controllen = is_offloaded ? sizeof notes[i] : 0;
}

void datagrams_prepare(int fd, int has_offload) {
    is_offloaded = has_offload;
    if (has_offload && setsockopt(fd, SOL_UDP, UDP_GRO, &has_offload, sizeof has_offload) != 0) {
        control_fail("UDP_GRO");
    }
    for (int i = 0; i < batch_max; i++) {
        parts[i].iov_base = memory[i];
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
        messages[i].msg_hdr.msg_name = &senders[i];
        make_room(i);
    }
}

/* The size of the datagrams that came as this one message; 0 where it is a single one. */
static unsigned segment_of(struct mmsghdr* message) {
    for (struct cmsghdr* each = CMSG_FIRSTHDR(&message->msg_hdr); each != NULL;
         each = CMSG_NXTHDR(&message->msg_hdr, each)) {
        if (each->cmsg_level == SOL_UDP && each->cmsg_type == UDP_GRO) {
            int size = 0;
            memcpy(&size, CMSG_DATA(each), sizeof size);
            return (unsigned)size < message->msg_len ? (unsigned)size : 0;
        }
    }
    return 0;
}

/* Has the message cut on its way out as it came. */
static void set_segment(struct msghdr* message, unsigned size) {
    message->msg_controllen = size > 0 ? CMSG_SPACE(sizeof(uint16_t)) : 0;
    if (size > 0) {
        struct cmsghdr* told = CMSG_FIRSTHDR(message);
        const uint16_t segment = (uint16_t)size;
        told->cmsg_level = SOL_UDP;
        told->cmsg_type = UDP_SEGMENT;
        told->cmsg_len = CMSG_LEN(sizeof segment);
        memcpy(CMSG_DATA(told), &segment, sizeof segment);
    }
}

/* Sends the first `count` messages; what the system refuses is dropped. */
static void send_batch(int fd, int count, struct control_counters* counters) {
    for (int done = 0; done < count;) {
        const int sent = sendmmsg(fd, messages + done, (unsigned)(count - done), 0);
        counters->writes++;
        if (sent < 0 && errno == EAGAIN) {
            counters->would_blocks++;
            return;
        }
        done += sent > 0 ? sent : 1;
    }
}

void datagrams_echo(int fd, struct control_counters* counters) {
    const int count = recvmmsg(fd, messages, batch_max, 0, NULL);
    counters->reads++;
    if (count <= 0) {
        counters->would_blocks++;
        return;
    }
    for (int i = 0; i < count; i++) {
        parts[i].iov_len = messages[i].msg_len;
        if (is_offloaded) {
            set_segment(&messages[i].msg_hdr, segment_of(&messages[i]));
        }
    }
    send_batch(fd, count, counters);
    for (int i = 0; i < count; i++) {
        make_room(i);
    }
}
