/* Hold: opens, stays, closes when told to. */
#include "../connection.h"
#include "rows.h"

#define EVENTS ((uint32_t)(EPOLLIN | EPOLLRDHUP | EPOLLET))

static void hold_connected(struct client *k, struct conn *c) {
    if (k->ending) conn_done(k, c);
    else if (!c->registered) conn_watch(k, c, EVENTS);
}

static void hold_event(struct client *k, struct conn *c, uint32_t events) {
    if (!(events & READABLE)) return;
    for (int i = 0; i < READS_A_TURN; i++)
        if (conn_read(k, c) <= 0) return; /* a greeting is counted and dropped; an early end is a failure */
    conn_watch(k, c, EVENTS); /* asked anew, epoll tells at once of what is left */
}

const struct workload workload_hold = {
    .name = "hold",
    .ends_by_parent = true,
    .events = EVENTS,
    .connected = hold_connected,
    .event = hold_event,
    .at_end = conn_done,
};
