#pragma once

/* Echoing datagrams with recvmmsg and sendmmsg in batches of 64: what the loop written by hand
 * does, and what the libraries leave to their users that only wait for readiness. */

#include "control.h"

/* Makes the buffers ready. With offload the system hands over and takes several datagrams of one
 * peer as one (UDP_GRO, UDP_SEGMENT; udp(7)). */
void datagrams_prepare(int fd, int has_offload);

/* Echoes one batch that has come; what the system refuses to send is dropped. */
void datagrams_echo(int fd, struct control_counters* counters);
