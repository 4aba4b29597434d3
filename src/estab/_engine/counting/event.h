/* One of the kernel's trace events, as far as it tells of connects, whatever its layout in this kernel. */
#ifndef ESTAB_EVENT_H
#define ESTAB_EVENT_H

#include <stdint.h>

#include "target_index.h"

/* In the order in which Python gives their formats. */
enum event_kind {
    STATE,
    RETRANSMIT,
    RECEIVED_RESET,
    SENT_RESET,
    ERROR,
    NEW_TASK,
    SOCKET_ENTER,
    SOCKET_EXIT,
    CONNECT_ENTER,
    CONNECT_EXIT,
    ACCEPT_ENTER,
    ACCEPT4_ENTER,
    ACCEPT_EXIT,
    ACCEPT4_EXIT,
    BIND_ENTER,
    BIND_EXIT,
    KINDS
};

struct event {
    uint64_t at_ns, sk;
    uint8_t address[TARGET_ADDRESS];
    int64_t value; /* an errno, what a call returned, a descriptor, the flags of clone() */
    int32_t pid, other; /* the new task, or a socket's family */
    uint16_t sport, dport;
    uint8_t kind, old, new; /* states; `new` also a socket's type */
};

#endif
