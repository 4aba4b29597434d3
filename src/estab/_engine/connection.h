/* A connection on its way: its deadlines, reading and writing, its end. */
#ifndef ESTAB_CONNECTION_H
#define ESTAB_CONNECTION_H

#include "client.h"

#define READABLE (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP) /* there is something to read, or the peer is gone */
#define READS_A_TURN 16 /* so that a peer that sends without end keeps nobody waiting, nor the end of the run */

static inline void list_append(struct client *k, struct list *l, struct conn *c, uint64_t deadline) {
    uint32_t i = conn_index(k, c);
    c->deadline_ns = deadline;
    c->prev = l->tail;
    c->next = NONE;
    if (l->tail == NONE) l->head = i;
    else k->conns[l->tail].next = i;
    l->tail = i;
}

static inline void list_remove(struct client *k, struct list *l, struct conn *c) {
    if (c->deadline_ns == 0) return;
    if (c->prev == NONE) l->head = c->next;
    else k->conns[c->prev].next = c->next;
    if (c->next == NONE) l->tail = c->prev;
    else k->conns[c->next].prev = c->prev;
    c->deadline_ns = 0;
}

/* Starts its time-out again, as something came at `now`: to the end of the list, which stays in order. */
static inline void conn_wait_anew(struct client *k, struct conn *c, uint64_t now) {
    if (k->config.timeout_ns == 0) return;
    if (c->deadline_ns && c->next == NONE) { /* it is there */
        c->deadline_ns = now + k->config.timeout_ns;
        return;
    }
    list_remove(k, &k->waiting, c);
    list_append(k, &k->waiting, c, now + k->config.timeout_ns);
}

void conn_wait(struct client *k, struct conn *c);    /* starts its time-out */
void conn_no_wait(struct client *k, struct conn *c); /* ends it */

bool conn_watch(struct client *k, struct conn *c, uint32_t events); /* false: refused, the connection is over */
/* More than 0: something came, and completed `k->answered` replies; 0: nothing now; -1: the connection is over. */
ssize_t conn_read(struct client *k, struct conn *c);
ssize_t conn_await(struct client *k, struct conn *c); /* the same, but waits: single.h */
ssize_t send_payload(struct client *k, struct conn *c, size_t size); /* send(2), MSG_DONTWAIT */
void note_sent(struct client *k, struct conn *c, size_t n);
void conn_ask(struct client *k, struct conn *c); /* one more request may be sent; its reply is due */
bool send_wanted(struct client *k, struct conn *c); /* sends what may be sent; false: the connection is over */
void note_cpu(struct client *k, uint64_t now);      /* now and then */

void conn_free(struct client *k, struct conn *c); /* its slot may start again */
void conn_renew(struct client *k);
void conn_fail(struct client *k, struct conn *c, enum phase phase, uint64_t code);
void conn_fail_waiting(struct client *k, struct conn *c, uint64_t code); /* at the phase that it is in */
void conn_done(struct client *k, struct conn *c);

#endif
