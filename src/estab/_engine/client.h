/* A client: what it was told, its connections, and what a workload is. What it does stands in loop.c (the turns of one
 * epoll loop), connect.c (how a connection begins), connection.c (how it goes on and ends), workloads/.
 *
 * The states of a connection. Each arrow names who takes it:
 *
 *                 conn_start()               note_established()             churn_finish(), where
 *    +--> IDLE -----------------> CONNECTING ------------------> OPEN        the server closes first
 *    |     ^                          |                           | |      +-------------------+
 *    |     |                          |                           | +----->|   AWAITING_FIN    |
 *    |     |   conn_done(): it did what it should (completed)     |        +-------------------+
 *    |     +----------------------------------------------- <-----+-----------------+  |
 *    |     |                          |                           |                    |
 *    |     |   conn_fail(): counted once, by phase and code (failed)                   |
 *    |     +----------------------- <-+---------------------------+--------------------+
 *    |                                |   so too, but where the workload loops and the end has not come:
 *    |   expire(), REST_NS later      v
 *    +----------------------------- RESTING
 *
 * What waits stands in one of these lists, each in order of its deadlines by itself: `waiting` for a time-out (CONNECTING,
 * OPEN with an answer due, AWAITING_FIN), `resting` (RESTING), `idle` for the next request that is due (OPEN, `is_idle`);
 * where the workload rests, that is not `idle` but one of `rests`, by its gap. */
#ifndef ESTAB_CLIENT_H
#define ESTAB_CLIENT_H

#include "block.h"
#include "exchange.h"
#include "net.h"
#include "schedule.h"

#include <sys/epoll.h>

#define NONE UINT32_MAX
#define MAX_EVENTS 512

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_OPEN, CONN_AWAITING_FIN, CONN_RESTING };

/* One connection's state: 112 bytes, and the promise to users is at most 128. */
struct conn {
    int32_t fd;
    uint32_t generation; /* tells an event of this socket from one of the slot's last */
    uint32_t prev, next; /* in the list of deadlines that it waits in */
    uint64_t deadline_ns;
    uint64_t started_ns;     /* when connect() was called */
    uint64_t sent, received; /* bytes */
    uint64_t want;           /* bytes that may be sent so far */
    uint64_t mark_ns;        /* when the request that is being timed began; idle in an open loop: since when */
    union {
        uint64_t mark_end; /* flood: received bytes of an echo, or else replies, at which that request is complete */
        uint64_t rest_ns;  /* rest: how long it had rested when that request began; 0: it is the first */
    };
    struct reply reply;
    uint32_t send_at;    /* where in the request */
    uint32_t due;        /* replies (flood of echoes: not counted) */
    uint32_t rank;       /* so many connects of this worker began before it */
    uint16_t head, tail; /* ring of request start times, with --depth */
    uint8_t state, registered, is_idle;
    bool in_reply : 1; /* one has begun that is no echo */
    bool is_last : 1;  /* the reply after which the peer closes has come */
    bool has_rested : 1; /* a reply has come to what was asked after a rest */
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
    uint32_t connections; /* open at once; where the workload loops: slots */
    uint32_t in_flight;   /* connects at once */
    uint64_t attempts;    /* where the workload loops: at most so many, 0 for no bound */
    double ramp_per_s;    /* 0: as fast as can be */
    uint64_t duration_ns;
    uint64_t timeout_ns; /* of a connect, and of a silence while an answer is due; 0: the kernel's own, and none */
    uint64_t drain_ns;   /* how long answers may come after the end */
    struct exchange exchange;
    uint32_t depth;
    double rate_per_s; /* of an open loop; 0: a closed one */
    uint64_t gaps_ns[MOST_GAPS]; /* for how long connections rest: equally many, in order, each of these */
    uint32_t gap_count;
    uint32_t most_lost; /* so many that were asked in vain after their rest end the load; 0: no bound */
    bool reset, server_closes_first, no_delay;
};

struct client;

/* One row of the table in workloads.c. The loop reads its traits; what is NULL is not done. */
struct workload {
    const char *name;
    bool loops;          /* a slot whose connection has ended begins the next one, and asks as it connects */
    bool ends_by_parent; /* stays until the parent says "close", whatever the duration */
    bool asks;           /* needs something to ask */
    bool paced;          /* asks at a rate, once all are connected; the duration counts from then */
    bool rests;          /* has gaps for which connections rest between requests; ends by itself */
    uint32_t events;     /* what epoll is asked for once connected */
    void (*connected)(struct client *k, struct conn *c);
    void (*event)(struct client *k, struct conn *c, uint32_t events);
    void (*at_end)(struct client *k, struct conn *c); /* the duration is over */
    void (*due)(struct client *k, uint64_t now);      /* each turn: begins what is due */
    void (*failed)(struct client *k, struct conn *c, uint64_t code); /* it is about to be ended for that */
    void (*single)(struct client *k, struct conn *c); /* where there is one connection: asks until something else happens */
};

struct client {
    struct config config;
    const struct workload *workload;
    struct block *block;
    struct conn *conns;
    uint64_t *ring;         /* connections * depth start times, only where depth > 1 */
    uint8_t *buffer;
    struct partial *partials; /* by connection, where replies are no echo */
    uint32_t answered;        /* replies that the last read completed */
    uint32_t lost;            /* connections that were asked in vain after a rest */
    uint32_t *ready;        /* slots that may start */
    uint32_t ready_count;
    struct list waiting, resting, idle, rests[MOST_GAPS];
    struct schedule schedule;
    bool schedules_connects; /* an open loop of connects; else what is scheduled are requests */
    uint64_t free_at_ns;    /* open loop of connects: since when a slot is free */
    int epoll, control;
    uint32_t live;          /* slots that are not idle */
    uint32_t next_source;
    uint64_t next_port;
    uint32_t eager_misses;  /* connects in a row that were not complete at once */
    uint64_t single_at;     /* so many answers: the one connection is waited for in recv() */
    uint64_t to_start;      /* connects still to be made */
    uint64_t start_ns, end_ns, drain_end_ns, drained_bytes, cpu_start_ns, cpu_due_ns;
    uint32_t wrong_replies;
    bool ending, quit, no_echo; /* the last: no reply was what was expected, and there were enough of them */
    struct epoll_event events[MAX_EVENTS];
};

static inline uint32_t conn_index(const struct client *k, const struct conn *c) { return (uint32_t)(c - k->conns); }
static inline uint32_t conn_gap(const struct client *k, const struct conn *c) {
    return (uint32_t)((uint64_t)conn_index(k, c) * k->config.gap_count / k->config.connections);
}

#endif
