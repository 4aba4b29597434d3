/* The client: one epoll loop, on which each workload is a few callbacks. */
#ifndef ESTAB_CLIENT_H
#define ESTAB_CLIENT_H

#include "block.h"
#include "net.h"
#include "schedule.h"

#include <sys/epoll.h>

#define NONE UINT32_MAX
#define MAX_EVENTS 512

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_OPEN, CONN_AWAITING_FIN, CONN_RESTING };

/* One connection's state: 88 bytes, and the promise to users is at most 128. */
struct conn {
    int32_t fd;
    uint32_t generation; /* tells an event of this socket from one of the slot's last */
    uint32_t prev, next; /* in the list of deadlines that it waits in */
    uint64_t deadline_ns;
    uint64_t started_ns;     /* when connect() was called */
    uint64_t sent, received; /* bytes */
    uint64_t want;           /* bytes that may be sent so far */
    uint64_t mark_ns;        /* when the request that is being timed began; idle in an open loop: since when */
    uint64_t mark_end;       /* flood: received bytes at which that request is complete */
    uint32_t send_at, receive_at; /* where in the payload */
    uint32_t left;                /* bytes of the current response still to come */
    uint16_t head, tail;          /* ring of request start times, with --depth */
    uint8_t state, registered, is_idle;
};
_Static_assert(sizeof(struct conn) <= 128, "per-connection state is promised to be at most 128 bytes");

struct list { /* first in, first out: all in one list wait equally long, so it is in order of deadlines */
    uint32_t head, tail;
};

struct config {
    union address target;
    union address *sources;
    uint32_t source_count;
    uint32_t port_low, port_count; /* local ports to offer in turn; 0 of them: the kernel's choice */
    uint32_t connections; /* open at once; churn: slots */
    uint32_t in_flight;   /* connects at once */
    uint64_t attempts;    /* churn: at most so many, 0 for no bound */
    double ramp_per_s;    /* 0: as fast as can be */
    uint64_t duration_ns;
    uint64_t timeout_ns; /* of a connect (churn: of each wait); 0: the kernel's own */
    uint64_t drain_ns;   /* how long answers may come after the end */
    uint32_t size, depth;
    double rate_per_s; /* of an open loop; 0: a closed one */
    bool reset, server_closes_first, no_delay;
};

struct client;
struct workload {
    const char *name;
    uint32_t events; /* what epoll is asked for once connected */
    void (*connected)(struct client *k, struct conn *c);
    void (*event)(struct client *k, struct conn *c, uint32_t events);
    void (*at_end)(struct client *k, struct conn *c); /* the duration is over */
    void (*due)(struct client *k, uint64_t now);      /* open loop: begins what is due */
    void (*alone)(struct client *k, struct conn *c);  /* where there is one connection: asks until something else happens */
};

struct client {
    struct config config;
    const struct workload *workload;
    struct block *block;
    struct conn *conns;
    uint64_t *ring;         /* connections * depth start times, only where depth > 1 */
    uint8_t *payload, *buffer;
    uint32_t *ready;        /* slots that may start */
    uint32_t ready_count;
    struct list waiting, resting, idle;
    struct schedule schedule;
    uint64_t free_at_ns;    /* open loop of connects: since when a slot is free */
    int epoll, control;
    uint32_t live;          /* slots that are not idle */
    uint32_t next_source;
    uint64_t next_port;
    uint32_t eager_misses;  /* connects in a row that were not complete at once */
    uint64_t alone_at;      /* so many answers: the one connection is waited for alone */
    uint64_t to_start;      /* connects still to be made */
    uint64_t start_ns, end_ns, drain_end_ns, drained_bytes, cpu_start_ns, cpu_due_ns;
    bool ending, quit;
    struct epoll_event events[MAX_EVENTS];
};

extern const struct workload workload_rr, workload_flood, workload_hold, workload_churn, workload_rate;

static inline uint32_t conn_index(const struct client *k, const struct conn *c) { return (uint32_t)(c - k->conns); }

int connect_from_port(struct client *k, int fd); /* ports.c */
void conn_fail(struct client *k, struct conn *c, enum phase phase, uint64_t code);
void conn_done(struct client *k, struct conn *c);
void conn_wait(struct client *k, struct conn *c);    /* starts its time-out */
void conn_no_wait(struct client *k, struct conn *c); /* ends it */
bool conn_watch(struct client *k, struct conn *c, uint32_t events);
ssize_t conn_read(struct client *k, struct conn *c); /* bytes verified; 0: nothing now; -1: the connection is over */
ssize_t conn_await(struct client *k, struct conn *c); /* the same, but waits: alone.h */
ssize_t send_payload(struct client *k, struct conn *c, size_t size); /* send(2), MSG_DONTWAIT */
void note_sent(struct client *k, struct conn *c, size_t n);
bool send_wanted(struct client *k, struct conn *c); /* sends what may be sent; false: the connection is over */
void note_cpu(struct client *k, uint64_t now); /* now and then */
void list_append(struct client *k, struct list *l, struct conn *c, uint64_t deadline);
void list_remove(struct client *k, struct list *l, struct conn *c);

/* The open loop (open_loop.c). */
void open_loop_begin(struct client *k, uint64_t now);
bool schedule_is_due(const struct client *k, uint64_t now);
bool has_backlog(const struct client *k, uint64_t now); /* the end has come, and what was due before it is unsent */
uint64_t take_due(struct client *k, uint64_t now, uint64_t free_since_ns);
void abandon_backlog(struct client *k, uint64_t now);

int client_run(struct client *k);

#endif
