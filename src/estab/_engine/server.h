/* The server: echo, sink or stall on one listening socket, in one epoll loop. */
#ifndef ESTAB_SERVER_H
#define ESTAB_SERVER_H

#include "block.h"
#include "net.h"

#include <sys/epoll.h>

enum service { SERVICE_ECHO, SERVICE_SINK, SERVICE_STALL };

/* One accepted connection: 40 bytes; what could not be written yet is kept apart, only where there is any. */
struct peer {
    uint8_t *spill;
    uint32_t spill_at, spill_end;
    uint64_t served; /* bytes */
    uint32_t next_again;
    uint8_t is_open, is_again, at_eof, is_watched; /* the last: by epoll */
};

struct server {
    enum service service;
    int listener, control, epoll;
    uint64_t accept_gap_ns; /* from one accept to the next at least; 0: none */
    uint64_t pause_ns, pause_every_ns; /* does nothing at all for so long, each so often; 0: never */
    uint64_t pause_at_ns;
    uint64_t close_after;   /* the server closes first once it served so many bytes; UINT64_MAX: never */
    bool reset;             /* close by RST */
    struct block *block;
    struct peer *peers; /* by descriptor */
    uint32_t peer_room;
    uint32_t again;        /* descriptors that have more to read without a new event */
    uint64_t accept_at_ns; /* no accept before */
    bool listening, quit;
    uint64_t start_ns, cpu_start_ns;
    uint64_t cpu_due_ns;
    uint32_t batch, filled; /* accepts before the next look at events; how often in a row that was too few */
    uint32_t silent;       /* peers in a row that had said nothing yet when they were accepted */
    int last_fd;           /* the peer of the last turn that had one event; -1: none */
    uint32_t single_turns;  /* such turns in a row */
    uint8_t *buffer;
    struct epoll_event events[512];
};

int server_run(struct server *s);

#endif
